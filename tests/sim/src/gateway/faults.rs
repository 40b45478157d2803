use std::{
    collections::VecDeque,
    str::FromStr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// One call of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `POST …/devices`.
    Enrol,
    /// `POST …/challenges`.
    Challenge,
    /// `POST …/checks`.
    Check,
}

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call is processed and the socket closed instead of an answer.
    DropAnswer,
    /// The call is not processed and no answer ever comes.
    TimeOut,
    /// The call is processed and the body of its answer replaced by nonsense, with status 200.
    Garbage,
    /// A check is answered about another person.
    OtherPerson,
    /// The call is refused with 503 `busy`.
    Busy,
}

/// A fault for the next calls of one kind; as text `<call>:<fault>` or `<call>:<fault>:<times>`, for example `check:drop-answer:2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultOrder {
    /// The calls concerned.
    pub call: Call,
    /// What goes wrong.
    pub fault: Fault,
    /// How many of them.
    pub times: usize,
}

/// The text is no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fault is <enrol|challenge|check>:<drop-answer|time-out|garbage|other-person|busy>[:<times>]")]
pub struct FaultOrderError;

impl FaultOrder {
    /// The next call of this kind goes wrong.
    #[must_use]
    pub const fn once(call: Call, fault: Fault) -> Self {
        Self { call, fault, times: 1 }
    }
}

impl FromStr for FaultOrder {
    type Err = FaultOrderError;

    fn from_str(text: &str) -> Result<Self, FaultOrderError> {
        let mut parts = text.split(':');
        let call = match parts.next() {
            Some("enrol") => Call::Enrol,
            Some("challenge") => Call::Challenge,
            Some("check") => Call::Check,
            _ => return Err(FaultOrderError),
        };
        let fault = match parts.next() {
            Some("drop-answer") => Fault::DropAnswer,
            Some("time-out") => Fault::TimeOut,
            Some("garbage") => Fault::Garbage,
            Some("other-person") if call == Call::Check => Fault::OtherPerson,
            Some("busy") => Fault::Busy,
            _ => return Err(FaultOrderError),
        };
        let times = parts.next().map_or(Ok(1), str::parse).map_err(|_| FaultOrderError)?;
        if parts.next().is_some() {
            return Err(FaultOrderError);
        }
        Ok(Self { call, fault, times })
    }
}

/// The faults that are ordered and not used up.
#[derive(Default)]
pub(super) struct Faults {
    orders: Mutex<VecDeque<FaultOrder>>,
    is_unreachable: AtomicBool,
}

impl Faults {
    pub(super) fn order(&self, order: FaultOrder) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push_back(order);
    }

    /// The fault of the call that has just come, if one is ordered; earlier orders first.
    pub(super) fn take(&self, call: Call) -> Option<Fault> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.retain(|order| order.times > 0);
        let order = orders.iter_mut().find(|order| order.call == call)?;
        order.times -= 1;
        Some(order.fault)
    }

    pub(super) fn set_reachable(&self, is_reachable: bool) {
        self.is_unreachable.store(!is_reachable, Ordering::Relaxed);
    }

    pub(super) fn is_reachable(&self) -> bool {
        !self.is_unreachable.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_orders_and_refuses_other_text() {
        let order = FaultOrder { call: Call::Check, fault: Fault::DropAnswer, times: 3 };
        assert_eq!("check:drop-answer:3".parse(), Ok(order));
        assert_eq!("enrol:busy".parse(), Ok(FaultOrder::once(Call::Enrol, Fault::Busy)));
        for text in ["", "check", "check:other", "challenge:other-person", "check:busy:x", "check:busy:1:1"] {
            assert_eq!(text.parse::<FaultOrder>(), Err(FaultOrderError), "{text}");
        }
    }

    #[test]
    fn an_order_is_used_up_by_calls_of_its_kind_only() {
        let faults = Faults::default();
        faults.order(FaultOrder { call: Call::Check, fault: Fault::Busy, times: 2 });
        faults.order(FaultOrder::once(Call::Check, Fault::Garbage));
        assert_eq!(faults.take(Call::Challenge), None);
        let taken: Vec<_> = (0..4).map(|_| faults.take(Call::Check)).collect();
        assert_eq!(taken, [Some(Fault::Busy), Some(Fault::Busy), Some(Fault::Garbage), None]);
    }
}
