//! Both ends of a pairing against each other, and against those who would like to be one of them.

#[expect(dead_code, reason = "shared by several test programs")]
mod common;

use common::*;
use proptest::prelude::*;
use tazune_link::{
    Refused,
    front_api::{ApiError, PairingAnswer},
    keys::OpeningKey,
    pairing::{
        DeskEvent, DeskPairing, DeskState, DeviceEvent, DevicePairing, DeviceState, MAX_HELLO_BYTES, PairingCode,
        PairingError, SealedHello, SessionId,
    },
};
use tazune_model::{Bytes, FailureCode, Sha256, Timestamp};

const START: &str = "2026-11-20T00:00:00Z";

fn after(seconds: i64) -> Timestamp {
    after_millis(seconds * 1000)
}

fn after_millis(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(at(START).as_millisecond() + millis).unwrap()
}

fn desk() -> DeskPairing {
    let key = OpeningKey::from_bytes(&[3; 32]).unwrap();
    DeskPairing::open(
        vec!["https://clinic.example:8443".into()],
        Sha256([5; 32]),
        SessionId::make(&[6; 16]),
        key,
        after(0),
    )
}

fn device(desk: &DeskPairing) -> DevicePairing {
    DevicePairing::scan(desk.offer_text(), after(10)).unwrap()
}

fn send_hello(device: &mut DevicePairing, seed: u64) -> SealedHello {
    device.make_hello(&hello("訪問用タブレット"), after(11), &mut rng(seed)).unwrap()
}

fn other_code(code: PairingCode) -> PairingCode {
    let number: u32 = code.digits().parse().unwrap();
    PairingCode::parse(&format!("{:06}", (number + 1) % 1_000_000)).unwrap()
}

fn approved() -> DeskEvent {
    DeskEvent::Approved(Box::new(reply()))
}

#[test]
fn a_device_whose_digits_are_typed_and_that_is_approved_gets_its_reply() {
    let mut desk = desk();
    let mut device = device(&desk);
    assert!(device.code().is_none());
    let sealed = send_hello(&mut device, 1);
    assert!(serde_json::to_vec(&sealed).unwrap().len() <= MAX_HELLO_BYTES);

    assert_eq!(desk.on(DeskEvent::HelloArrived(sealed), after(12)), Ok(None));
    let DeskState::AwaitingCode { hello: shown, .. } = desk.state() else { panic!("{:?}", desk.state()) };
    assert_eq!(**shown, hello("訪問用タブレット"));
    assert_eq!(desk.on(DeskEvent::CodeTyped(device.code().unwrap()), after(30)), Ok(None));
    assert!(matches!(desk.state(), DeskState::AwaitingApproval { .. }));
    assert_eq!(device.on(DeviceEvent::Answered(PairingAnswer::Waiting), after(31)), Ok(()));

    let answer = desk.on(approved(), after(60)).unwrap().unwrap();
    assert!(matches!(desk.state(), DeskState::Approved));
    device.on(DeviceEvent::Answered(answer), after(61)).unwrap();
    let DeviceState::Paired(got) = device.state() else { panic!("{:?}", device.state()) };
    assert_eq!(**got, reply());
}

#[test]
fn who_photographs_the_code_and_answers_first_has_other_digits_and_ends_the_session() {
    let mut desk = desk();
    let mut ours = device(&desk);
    let mut attackers = device(&desk);
    let first = attackers.make_hello(&hello("訪問用タブレット"), after(10), &mut rng(66)).unwrap();
    let second = send_hello(&mut ours, 1);

    desk.on(DeskEvent::HelloArrived(first), after(11)).unwrap();
    // A front on the attacker's side would let our device believe that its hello was taken.
    assert_eq!(desk.on(DeskEvent::HelloArrived(second), after(12)), Err(Refused));
    assert_ne!(ours.code(), attackers.code());
    let answer = desk.on(DeskEvent::CodeTyped(ours.code().unwrap()), after(20)).unwrap();
    assert_eq!(answer, Some(PairingAnswer::CodeWrong));
    assert!(matches!(desk.state(), DeskState::CodeWrong));
    for event in [DeskEvent::CodeTyped(attackers.code().unwrap()), approved()] {
        assert_eq!(desk.on(event, after(21)), Err(Refused), "there is no second attempt");
    }
    // An honest front says so at once.
    ours.on(DeviceEvent::FrontRefused(ApiError::PairingTaken), after(12)).unwrap();
    assert!(matches!(ours.state(), DeviceState::Failed(PairingError::Taken)));
}

#[test]
fn a_reply_opens_on_no_other_device_and_not_when_altered() {
    let mut desk = desk();
    let mut ours = device(&desk);
    let mut other = device(&desk);
    send_hello(&mut other, 2);
    desk.on(DeskEvent::HelloArrived(send_hello(&mut ours, 1)), after(12)).unwrap();
    desk.on(DeskEvent::CodeTyped(ours.code().unwrap()), after(13)).unwrap();
    let Ok(Some(PairingAnswer::Approved { reply: sealed })) = desk.on(approved(), after(14)) else { panic!() };

    other.on(DeviceEvent::Answered(PairingAnswer::Approved { reply: sealed.clone() }), after(15)).unwrap();
    assert!(matches!(other.state(), DeviceState::Failed(PairingError::AnswerInvalid)));
    for place in 0..sealed.0.len() {
        let mut altered = sealed.clone();
        altered.0[place] ^= 1;
        let mut device = device(&desk);
        send_hello(&mut device, 1);
        device.on(DeviceEvent::Answered(PairingAnswer::Approved { reply: altered }), after(15)).unwrap();
        assert!(matches!(device.state(), DeviceState::Failed(PairingError::AnswerInvalid)), "byte {place}");
    }
}

#[test]
fn a_hello_to_another_offer_or_an_altered_one_is_turned_down() {
    let mut elsewhere = DevicePairing::scan(
        DeskPairing::open(
            vec!["https://clinic.example".into()],
            Sha256([5; 32]),
            SessionId::make(&[6; 16]),
            OpeningKey::from_bytes(&[3; 32]).unwrap(),
            after(0),
        )
        .offer_text(),
        after(10),
    )
    .unwrap();
    let good = send_hello(&mut device(&desk()), 1);
    let mut hellos = vec![send_hello(&mut elsewhere, 1)];
    for place in 0..good.encapsulated.0.len() {
        let mut altered = good.clone();
        altered.encapsulated.0[place] ^= 0x80;
        hellos.push(altered);
    }
    for place in 0..good.sealed.0.len() {
        let mut altered = good.clone();
        altered.sealed.0[place] ^= 1;
        hellos.push(altered);
    }
    for hello in hellos {
        let mut desk = desk();
        assert_eq!(desk.on(DeskEvent::HelloArrived(hello), after(12)), Ok(Some(PairingAnswer::Rejected)));
        assert!(matches!(desk.state(), DeskState::Rejected));
    }
}

#[test]
fn a_hello_that_could_disturb_the_admins_terminal_is_turned_down() {
    for name in ["\u{1b}[2Japproved", "two\nlines", &"長".repeat(101)] {
        let mut desk = desk();
        let mut device = device(&desk);
        let sealed = device.make_hello(&hello(name), after(11), &mut rng(1)).unwrap();
        assert_eq!(desk.on(DeskEvent::HelloArrived(sealed), after(12)), Ok(Some(PairingAnswer::Rejected)));
    }
    let mut desk = desk();
    let sealed = device(&desk).make_hello(&hello(&"長".repeat(100)), after(11), &mut rng(1)).unwrap();
    assert_eq!(desk.on(DeskEvent::HelloArrived(sealed), after(12)), Ok(None));
}

/// Every state of the desk, by name, each made anew.
fn desk_states() -> Vec<(&'static str, DeskPairing)> {
    let in_state = |name: &'static str| {
        let mut desk = desk();
        let mut device = device(&desk);
        let sealed = send_hello(&mut device, 1);
        let code = device.code().unwrap();
        let events = match name {
            "open" => vec![],
            "awaiting code" => vec![DeskEvent::HelloArrived(sealed)],
            "awaiting approval" => vec![DeskEvent::HelloArrived(sealed), DeskEvent::CodeTyped(code)],
            "approved" => vec![DeskEvent::HelloArrived(sealed), DeskEvent::CodeTyped(code), approved()],
            "rejected" => vec![DeskEvent::Rejected],
            "code wrong" => vec![DeskEvent::HelloArrived(sealed), DeskEvent::CodeTyped(other_code(code))],
            other => panic!("{other}"),
        };
        for event in events {
            desk.on(event, after(12)).unwrap();
        }
        assert_eq!(desk_state_name(&desk), name);
        (name, desk)
    };
    let mut expired = desk();
    expired.on(DeskEvent::TimePassed, after(61)).unwrap();
    let mut states: Vec<_> =
        ["open", "awaiting code", "awaiting approval", "approved", "rejected", "code wrong"].map(in_state).into();
    states.push(("expired", expired));
    states
}

fn desk_state_name(desk: &DeskPairing) -> &'static str {
    match desk.state() {
        DeskState::Open => "open",
        DeskState::AwaitingCode { .. } => "awaiting code",
        DeskState::AwaitingApproval { .. } => "awaiting approval",
        DeskState::Approved => "approved",
        DeskState::Rejected => "rejected",
        DeskState::CodeWrong => "code wrong",
        DeskState::Expired => "expired",
    }
}

fn answer_word(answer: &PairingAnswer) -> &'static str {
    match answer {
        PairingAnswer::Waiting => "waiting",
        PairingAnswer::Rejected => "rejected",
        PairingAnswer::CodeWrong => "code_wrong",
        PairingAnswer::Expired => "expired",
        PairingAnswer::Approved { .. } => "approved",
    }
}

/// The next state and what the front is told, or "refused".
fn outcome(desk: &mut DeskPairing, event: DeskEvent, now: Timestamp) -> String {
    match desk.on(event, now) {
        Ok(answer) => {
            format!(
                "{}{}",
                desk_state_name(desk),
                answer.map_or(String::new(), |a| format!(", tells {}", answer_word(&a)))
            )
        }
        Err(Refused) => "refused".into(),
    }
}

#[test]
fn every_pair_of_state_and_event_at_the_desk_does_what_is_written_down() {
    let mut device = device(&desk());
    let sealed = send_hello(&mut device, 1);
    let code = device.code().unwrap();
    let broken = SealedHello { encapsulated: Bytes(vec![]), sealed: Bytes(vec![1]) };
    let events: [(&str, &dyn Fn() -> DeskEvent); 7] = [
        ("hello", &|| DeskEvent::HelloArrived(sealed.clone())),
        ("no hello", &|| DeskEvent::HelloArrived(broken.clone())),
        ("right code", &|| DeskEvent::CodeTyped(code)),
        ("other code", &|| DeskEvent::CodeTyped(other_code(code))),
        ("approve", &approved),
        ("reject", &|| DeskEvent::Rejected),
        ("time", &|| DeskEvent::TimePassed),
    ];
    let wanted = |state: &str, event: &str| match (state, event) {
        ("open", "hello") => "awaiting code".into(),
        ("open", "no hello") => "rejected, tells rejected".into(),
        ("awaiting code", "right code") => "awaiting approval".into(),
        ("awaiting code", "other code") => "code wrong, tells code_wrong".into(),
        ("awaiting approval", "approve") => "approved, tells approved".into(),
        ("open" | "awaiting code" | "awaiting approval", "reject") => "rejected, tells rejected".into(),
        (state, "time") => state.to_owned(),
        _ => "refused".into(),
    };
    for (event, make) in events {
        for (state, mut desk) in desk_states() {
            let before = desk_state_name(&desk);
            let got = outcome(&mut desk, make(), after(20));
            assert_eq!(got, wanted(state, event), "{state} {event}");
            assert!(got != "refused" || desk_state_name(&desk) == before, "{state} {event}");
        }
        for (state, mut desk) in desk_states() {
            // After five minutes a live session only ends, whatever happens; an ended one is as it was.
            let got = outcome(&mut desk, make(), after(301));
            let is_live = matches!(state, "open" | "awaiting code" | "awaiting approval");
            let wanted = if is_live { "expired, tells expired".into() } else { wanted(state, event) };
            assert_eq!(got, wanted, "{state} {event}, late");
        }
    }
}

/// Every state of the device, by name, each made anew.
fn device_states() -> Vec<(&'static str, DevicePairing)> {
    let mut desk = desk();
    let scanned = device(&desk);
    let mut sent = device(&desk);
    let sealed = send_hello(&mut sent, 1);
    desk.on(DeskEvent::HelloArrived(sealed), after(12)).unwrap();
    desk.on(DeskEvent::CodeTyped(sent.code().unwrap()), after(12)).unwrap();
    let answer = desk.on(approved(), after(12)).unwrap().unwrap();
    let mut paired = device(&desk);
    send_hello(&mut paired, 1);
    paired.on(DeviceEvent::Answered(answer), after(12)).unwrap();
    let mut failed = device(&desk);
    send_hello(&mut failed, 1);
    failed.on(DeviceEvent::Answered(PairingAnswer::Rejected), after(12)).unwrap();
    vec![("scanned", scanned), ("hello sent", sent), ("paired", paired), ("failed Rejected", failed)]
}

fn device_state_name(device: &DevicePairing) -> String {
    match device.state() {
        DeviceState::Scanned => "scanned".into(),
        DeviceState::HelloSent { .. } => "hello sent".into(),
        DeviceState::Paired(_) => "paired".into(),
        DeviceState::Failed(error) => format!("failed {error:?}"),
    }
}

#[test]
fn every_pair_of_state_and_event_on_the_device_does_what_is_written_down() {
    let Ok(Some(good)) = ({
        let (_, mut desk) = desk_states().swap_remove(2);
        desk.on(approved(), after(12))
    }) else {
        panic!("approval gives an answer")
    };
    let mut events: Vec<(DeviceEvent, &str)> = vec![
        (DeviceEvent::Answered(PairingAnswer::Waiting), "hello sent"),
        (DeviceEvent::Answered(PairingAnswer::Rejected), "failed Rejected"),
        (DeviceEvent::Answered(PairingAnswer::CodeWrong), "failed CodeWrong"),
        (DeviceEvent::Answered(PairingAnswer::Expired), "failed Expired"),
        (DeviceEvent::Answered(good), "paired"),
        (DeviceEvent::Answered(PairingAnswer::Approved { reply: Bytes(vec![1]) }), "failed AnswerInvalid"),
        (DeviceEvent::TimePassed, "hello sent"),
    ];
    events.extend(ApiError::ALL.map(|error| {
        let end = match error {
            ApiError::PairingUnknown => "failed QrInvalid",
            ApiError::PairingTaken => "failed Taken",
            ApiError::PairingExpired => "failed Expired",
            _ => "failed AnswerInvalid",
        };
        (DeviceEvent::FrontRefused(error), end)
    }));
    for (event, end) in &events {
        for (state, mut device) in device_states() {
            let result = device.on(event.clone(), after(20));
            if state == "hello sent" {
                assert_eq!((result, device_state_name(&device).as_str()), (Ok(()), *end), "{event:?}");
            } else {
                let wanted = if *event == DeviceEvent::TimePassed { Ok(()) } else { Err(Refused) };
                assert_eq!((result, device_state_name(&device).as_str()), (wanted, state), "{event:?}");
            }
        }
        for (state, mut device) in device_states() {
            let result = device.on(event.clone(), after(311));
            let is_live = matches!(state, "scanned" | "hello sent");
            let wanted = if is_live || *event == DeviceEvent::TimePassed { Ok(()) } else { Err(Refused) };
            let end = if is_live { "failed Expired" } else { state };
            assert_eq!((result, device_state_name(&device).as_str()), (wanted, end), "{state} {event:?}, late");
        }
    }
    for (state, mut device) in device_states() {
        let made = device.make_hello(&hello("x"), after(20), &mut rng(1)).is_ok();
        assert_eq!(made, state == "scanned", "{state}");
    }
}

#[test]
fn the_offer_ends_after_sixty_seconds_and_the_session_after_five_minutes() {
    let (sixty, five) = (60_000, 300_000);
    for (millis, is_late) in [(sixty - 1, false), (sixty, false), (sixty + 1, true)] {
        let mut desk = desk();
        let sealed = send_hello(&mut device(&desk), 1);
        desk.on(DeskEvent::HelloArrived(sealed), after_millis(millis)).unwrap();
        assert_eq!(matches!(desk.state(), DeskState::Expired), is_late, "{millis}");
    }
    for (millis, is_late) in [(five - 1, false), (five, false), (five + 1, true)] {
        for (_, mut desk) in desk_states().into_iter().filter(|(name, _)| name.starts_with("awaiting")) {
            desk.on(DeskEvent::TimePassed, after_millis(millis)).unwrap();
            assert_eq!(matches!(desk.state(), DeskState::Expired), is_late, "{millis}");
        }
        // The device scanned at second 10 of its own clock.
        let mut device = device(&desk());
        device.on(DeviceEvent::TimePassed, after_millis(10_000 + millis)).unwrap();
        assert_eq!(matches!(device.state(), DeviceState::Failed(PairingError::Expired)), is_late, "{millis}");
    }
}

#[test]
fn clocks_ten_minutes_apart_pair_and_a_stale_offer_is_refused() {
    let text = desk().offer_text().to_owned();
    let scan = |millis| DevicePairing::scan(&text, after_millis(millis)).map(|_| ());
    assert_eq!(scan(-600_000), Ok(()));
    assert_eq!(scan(60_000 + 600_000), Ok(()));
    assert_eq!(scan(60_001 + 600_000), Err(PairingError::Expired));
    assert_eq!(DevicePairing::scan(&format!("  {text}\n"), after(0)).map(|_| ()), Ok(()));
    assert_eq!(DevicePairing::scan("https://elsewhere.example", after(0)).map(|_| ()), Err(PairingError::QrInvalid));
}

#[test]
fn no_secret_shows_in_debug() {
    for (_, desk) in desk_states() {
        let mut device = device(&desk);
        send_hello(&mut device, 1);
        let shown = format!("{desk:?} {device:?}");
        assert!(!shown.contains(&device.code().unwrap().digits()));
        assert!(!shown.contains("[3, 3, 3"), "the session's private key");
    }
}

#[test]
fn each_failure_of_pairing_has_its_code() {
    for (error, code) in [
        (PairingError::QrInvalid, FailureCode::PairingQrInvalid),
        (PairingError::Expired, FailureCode::PairingExpired),
        (PairingError::Taken, FailureCode::PairingTaken),
        (PairingError::CodeWrong, FailureCode::PairingCodeWrong),
        (PairingError::Rejected, FailureCode::PairingRejected),
        (PairingError::AnswerInvalid, FailureCode::HubGarbage),
    ] {
        assert_eq!(error.failure_code(), code);
    }
}

proptest! {
    #[test]
    fn no_hello_and_no_reply_makes_a_machine_panic(
        encapsulated in prop_oneof![prop::collection::vec(any::<u8>(), 32), prop::collection::vec(any::<u8>(), 0..40)],
        sealed in prop::collection::vec(any::<u8>(), 0..200),
        offset in -400_000_000_i64..400_000_000,
    ) {
        let mut desk = desk();
        let mut device = device(&desk);
        send_hello(&mut device, 1);
        let reply = PairingAnswer::Approved { reply: Bytes(sealed.clone()) };
        device.on(DeviceEvent::Answered(reply), after_millis(offset)).unwrap();
        prop_assert!(matches!(device.state(), DeviceState::Failed(_)));
        desk.on(DeskEvent::HelloArrived(SealedHello { encapsulated: Bytes(encapsulated), sealed: Bytes(sealed) }), after(12)).unwrap();
        prop_assert!(matches!(desk.state(), DeskState::Rejected));
    }
}
