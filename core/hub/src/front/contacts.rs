use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use jiff::SignedDuration;
use tazune_link::front_api::{DeviceContact, DeviceStanding};
use tazune_model::{DeviceId, Timestamp};

/// The desk is told again of a device after this time, or once it stands differently: each telling is a write there.
const TOLD_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// When each device last asked for anything, and how it was taken: in memory only, one entry for each registered device.
#[derive(Debug, Default)]
pub(super) struct Contacts(Mutex<BTreeMap<DeviceId, Contact>>);

#[derive(Debug)]
struct Contact {
    at: Timestamp,
    state: DeviceStanding,
    told: Option<Timestamp>,
}

impl Contacts {
    pub(super) fn note(&self, device: &DeviceId, state: DeviceStanding, at: Timestamp) {
        let mut contacts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = contacts.get(device).filter(|contact| contact.state == state).and_then(|contact| contact.told);
        contacts.insert(device.clone(), Contact { at, state, told });
    }

    /// What the desk is to be told now.
    pub(super) fn take(&self) -> Vec<DeviceContact> {
        let mut contacts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = contacts
            .iter_mut()
            .filter(|(_, contact)| contact.told.is_none_or(|told| contact.at.duration_since(told).abs() >= TOLD_EVERY));
        let told = due.map(|(device, contact)| {
            contact.told = Some(contact.at);
            DeviceContact { device: device.clone(), at: contact.at, state: Some(contact.state) }
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_desk_is_told_the_last_contact_and_not_of_each() {
        let (contacts, device) = (Contacts::default(), DeviceId::new("dev-a").unwrap());
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let told_as = |second, state| {
            contacts.note(&device, state, at(second));
            contacts.take().into_iter().map(|contact| contact.at).collect::<Vec<_>>()
        };
        let told = |second| told_as(second, DeviceStanding::Active);
        assert_eq!(told(0), [at(0)]);
        assert_eq!(told(59), []);
        assert_eq!(told(60), [at(60)]);
        assert_eq!(contacts.take(), []);
        assert_eq!(told_as(61, DeviceStanding::Suspended), [at(61)], "it stands differently");
        assert_eq!(told(-3600), [at(-3600)], "the clock was set back");
    }
}
