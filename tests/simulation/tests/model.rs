//! Sealing, delivery, receipt and purge for two devices with two records each, in every order that a network which
//! loses, repeats and reorders can make of them. The device's transitions are the product's own [`Delivery`].
#![expect(clippy::print_stdout, reason = "a test says what it has run")]

use std::time::Duration;

use stateright::{Checker, Model, Property};
use tazune_link::{
    delivery::{Delivery, Event},
    receipt::Verdict,
};
use tazune_model::Timestamp;

/// The messages about one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Message {
    /// Device to front: the envelope.
    HandIn,
    /// Front to device: it has it durably.
    Received,
    /// Front to desk: the envelope.
    Work,
    /// Desk to front: the receipt.
    DeskReceipt,
    /// Front to device: the receipt.
    Receipt,
}

impl Message {
    const ALL: [Self; 5] = [Self::HandIn, Self::Received, Self::Work, Self::DeskReceipt, Self::Receipt];
}

/// What the front has of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum AtFront {
    Nothing,
    Envelope,
    Receipt,
}

/// One record at all three, and what is on its way about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Record {
    delivery: Delivery,
    front: AtFront,
    is_committed: bool,
    exports: u8,
    /// A bit for each of [`Message::ALL`].
    network: u8,
}

/// The records of a device.
type Device = [Record; 2];

/// All devices, and how often the front may still be restored from an empty backup.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    devices: Vec<Device>,
    restores_left: u8,
}

/// A device, and which of its records.
type At = (usize, usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Send(At),
    SendFails(At),
    Purge(At),
    FrontOffersWork(At),
    FrontOffersReceipt(At),
    Deliver(At, Message),
    /// It arrives, and will come again.
    DeliverAndKeep(At, Message),
    Lose(At, Message),
    DeviceRestarts(usize),
    FrontIsRestored,
}

/// The product, or it with one thing broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    Product,
    PurgesOnReceived,
    ExportsEachTime,
    NeverHandsInAgain,
}

impl Variant {
    /// The property that does not hold.
    const fn breaks(self) -> Option<&'static str> {
        match self {
            Self::Product => None,
            Self::PurgesOnReceived => Some(NEVER_PURGED_UNCOMMITTED),
            Self::ExportsEachTime => Some(NEVER_EXPORTED_TWICE),
            Self::NeverHandsInAgain => Some(FAIR_DELIVERS),
        }
    }
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

impl Record {
    const NEW: Self =
        Self { delivery: Delivery::Sealed, front: AtFront::Nothing, is_committed: false, exports: 0, network: 0 };

    /// An event that the state refuses changes nothing, as in the engine's store.
    fn device(&mut self, event: Event) {
        if let Ok((delivery, _)) = self.delivery.on(event, now()) {
            self.delivery = delivery;
        }
    }

    fn put(&mut self, message: Message) {
        self.network |= 1 << message as u8;
    }

    fn take(&mut self, message: Message) {
        self.network &= !(1 << message as u8);
    }

    fn has(&self, message: Message) -> bool {
        self.network & (1 << message as u8) != 0
    }

    fn send(&mut self) {
        self.device(Event::SendStarted);
        self.put(Message::HandIn);
    }

    fn purge(&mut self) {
        self.device(Event::PurgeDue { grace: Duration::ZERO });
    }

    fn may_send(&self, variant: Variant) -> bool {
        match self.delivery {
            Delivery::Sealed => true,
            Delivery::Received => variant != Variant::NeverHandsInAgain,
            _ => false,
        }
    }

    fn arrives(&mut self, message: Message, variant: Variant) {
        match message {
            Message::HandIn => {
                self.front = self.front.max(AtFront::Envelope);
                self.put(Message::Received);
            }
            Message::Received => {
                self.device(Event::FrontReceived);
                if variant == Variant::PurgesOnReceived && self.delivery == Delivery::Received {
                    self.delivery = Delivery::Purged;
                }
            }
            Message::Work => {
                // Record, receipt and export are one commit; what is known gets its first receipt.
                if !self.is_committed || variant == Variant::ExportsEachTime {
                    self.exports += 1;
                }
                self.is_committed = true;
                self.put(Message::DeskReceipt);
            }
            Message::DeskReceipt => {
                if self.front == AtFront::Envelope {
                    self.front = AtFront::Receipt;
                }
            }
            Message::Receipt => self.device(Event::ReceiptVerified(Verdict::Accepted)),
        }
    }

    /// Where a network that loses nothing any more brings it, from wherever it is.
    fn settled(mut self, variant: Variant) -> Self {
        self.network = 0;
        self.device(Event::SendFailed);
        for _ in 0..2 {
            if self.may_send(variant) {
                self.send();
                self.arrives(Message::HandIn, variant);
                self.arrives(Message::Received, variant);
            }
            if self.front == AtFront::Envelope {
                self.arrives(Message::Work, variant);
                self.arrives(Message::DeskReceipt, variant);
            }
            if self.front == AtFront::Receipt {
                self.arrives(Message::Receipt, variant);
            }
            self.purge();
        }
        self
    }
}

struct Clinic {
    variant: Variant,
    devices: usize,
    restores: u8,
    /// Most messages on their way at a time.
    in_flight: u32,
}

const NEVER_PURGED_UNCOMMITTED: &str = "never purged without the desk's commit";
const NEVER_EXPORTED_TWICE: &str = "never exported twice";
const FAIR_DELIVERS: &str = "a fair network delivers all from here";

impl Model for Clinic {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State { devices: vec![[Record::NEW; 2]; self.devices], restores_left: self.restores }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let in_flight: u32 = state.devices.iter().flatten().map(|record| record.network.count_ones()).sum();
        let has_room = |record: &Record, message| record.has(message) || in_flight < self.in_flight;
        for (device, records) in state.devices.iter().enumerate() {
            actions.push(Action::DeviceRestarts(device));
            for (index, record) in records.iter().enumerate() {
                let at = (device, index);
                if record.may_send(self.variant) && has_room(record, Message::HandIn) {
                    actions.push(Action::Send(at));
                }
                if record.delivery == Delivery::Sending {
                    actions.push(Action::SendFails(at));
                }
                if matches!(record.delivery, Delivery::Accepted { .. }) {
                    actions.push(Action::Purge(at));
                }
                if record.front == AtFront::Envelope && has_room(record, Message::Work) {
                    actions.push(Action::FrontOffersWork(at));
                }
                if record.front == AtFront::Receipt && has_room(record, Message::Receipt) {
                    actions.push(Action::FrontOffersReceipt(at));
                }
                for message in Message::ALL.into_iter().filter(|message| record.has(*message)) {
                    actions.extend([Action::Deliver(at, message), Action::Lose(at, message)]);
                    let answer = match message {
                        Message::HandIn => Some(Message::Received),
                        Message::Work => Some(Message::DeskReceipt),
                        _ => None,
                    };
                    if answer.is_none_or(|answer| has_room(record, answer)) {
                        actions.push(Action::DeliverAndKeep(at, message));
                    }
                }
            }
        }
        if state.restores_left > 0 {
            actions.push(Action::FrontIsRestored);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        let mut record = |(device, index): At, change: &dyn Fn(&mut Record)| change(&mut next.devices[device][index]);
        match action {
            Action::Send(at) => record(at, &Record::send),
            Action::SendFails(at) => record(at, &|record| record.device(Event::SendFailed)),
            Action::Purge(at) => record(at, &Record::purge),
            Action::FrontOffersWork(at) => record(at, &|record| record.put(Message::Work)),
            Action::FrontOffersReceipt(at) => record(at, &|record| record.put(Message::Receipt)),
            Action::Deliver(at, message) => record(at, &|record| {
                record.take(message);
                record.arrives(message, self.variant);
            }),
            Action::DeliverAndKeep(at, message) => record(at, &|record| record.arrives(message, self.variant)),
            Action::Lose(at, message) => record(at, &|record| record.take(message)),
            Action::DeviceRestarts(device) => {
                next.devices[device].iter_mut().for_each(|record| record.device(Event::Restarted));
            }
            Action::FrontIsRestored => {
                next.restores_left -= 1;
                next.devices.iter_mut().flatten().for_each(|record| record.front = AtFront::Nothing);
            }
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(NEVER_PURGED_UNCOMMITTED, |_, state: &State| {
                state.devices.iter().flatten().all(|record| record.delivery != Delivery::Purged || record.is_committed)
            }),
            Property::always(NEVER_EXPORTED_TWICE, |_, state: &State| {
                state.devices.iter().flatten().all(|record| record.exports <= 1)
            }),
            Property::always(FAIR_DELIVERS, |model: &Self, state: &State| {
                let is_done = |record: Record| record.delivery == Delivery::Purged && record.exports == 1;
                state.devices.iter().flatten().all(|record| is_done(record.settled(model.variant)))
            }),
        ];
        // Of a broken variant only what it breaks: the search ends with the counterexample.
        properties.retain(|property| self.variant.breaks().is_none_or(|broken| broken == property.name));
        properties
    }
}

/// Devices are alike, and so are the records of one: of states that differ in their order only one is looked at.
fn in_order(state: &State) -> State {
    let key = |record: &Record| {
        let delivery = match record.delivery {
            Delivery::Sealed => 0,
            Delivery::Sending => 1,
            Delivery::Received => 2,
            Delivery::Accepted { .. } => 3,
            Delivery::Purged => 4,
            Delivery::Quarantined { .. } => 5,
        };
        (delivery, record.front, record.is_committed, record.exports, record.network)
    };
    let mut devices = state.devices.clone();
    devices.iter_mut().for_each(|records| records.sort_by_key(key));
    devices.sort_by_key(|records| records.map(|record| key(&record)));
    State { devices, ..*state }
}

/// Looks at every state; each property holds in all of them.
fn check(clinic: Clinic) {
    let about = format!("{} devices, {} restores, {} messages", clinic.devices, clinic.restores, clinic.in_flight);
    let checker = clinic.checker().threads(2).symmetry_fn(in_order).spawn_dfs().join();
    println!("{about}: {} unique states, depth {}", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
    assert!(checker.is_done());
}

#[test]
fn in_every_order_of_events_nothing_is_lost_and_nothing_comes_twice() {
    check(Clinic { variant: Variant::Product, devices: 2, restores: 0, in_flight: 2 });
}

#[test]
fn nor_when_the_front_is_restored_from_an_empty_backup() {
    check(Clinic { variant: Variant::Product, devices: 1, restores: 2, in_flight: 3 });
}

#[test]
fn each_broken_variant_has_a_counterexample() {
    for variant in [Variant::PurgesOnReceived, Variant::ExportsEachTime, Variant::NeverHandsInAgain] {
        let checker = Clinic { variant, devices: 2, restores: 1, in_flight: 2 }.checker().spawn_bfs().join();
        let broken = variant.breaks().expect("it is a broken one");
        let path = checker.discovery(broken).unwrap_or_else(|| panic!("{variant:?} passes"));
        println!("{variant:?} breaks \"{broken}\": {:?}", path.into_actions());
    }
}
