use std::str;

use jiff::civil::date;
use serde_json::json;
use tazune_model::{Bytes, ConsentItem, DeviceId, InstitutionCode, Language, RecordId, StaffId, Timestamp};
use tazune_oqs::{face_file, parse};
use tazune_sim::gateway::is_request;
use tazune_visit::{Challenge, Event, Intent, Refusal, Visit, VisitSetup};

use crate::{Target, card, readable};

/// Gateway to device: a challenge, and the word of a refusal.
pub(crate) const CHALLENGE: Target = Target {
    name: "challenge",
    run: |data| {
        if let Some(word) = str::from_utf8(data).ok().and_then(Refusal::from_word) {
            assert_eq!(word.word().as_bytes(), data);
        }
        let Some(challenge) = readable::<Challenge>(data) else { return };
        let mut visit = connecting();
        let now: Timestamp = challenge.issued_at;
        // A challenge that is none is a screen with a failure, not a refused event.
        visit.on(Event::Challenged(Ok(challenge)), now).expect("a visit that waits takes any challenge");
        let saved = serde_json::to_vec(&visit).expect("a visit can be saved");
        serde_json::from_slice::<Visit>(&saved).expect("and resumed");
    },
    seeds: || {
        let life = |ends: &str| {
            let random = "A".repeat(43) + "=";
            format!(r#"{{"challenge":"{random}","issued_at":"2026-11-21T02:00:00Z","expires_at":"{ends}"}}"#).into()
        };
        vec![
            life("2026-11-21T02:10:00Z"),
            life("2026-11-21T02:01:00Z"),
            life("9999-12-30T22:00:00Z"),
            b"challenge_expired".to_vec(),
        ]
    },
};

/// Gateway to device: message 002, up to the face file that the desk makes of it.
pub(crate) const ANSWER: Target = Target {
    name: "answer",
    run: |data| {
        let Ok(message) = parse(data) else { return };
        let written = message.to_xml();
        let again = parse(&written).expect("what was written can be read");
        assert_eq!(again.to_xml(), written, "written, read and written again it is another");
        // A contradiction inside is an error with a name, never a guess or a panic.
        let _ = message.eligibility();
        let record_id = RecordId::make("2026-11-21T02:00:00Z".parse().expect("an instant"), &[7; 10]);
        let _ = face_file(&message, record_id);
    },
    seeds: || {
        [
            &include_bytes!("../../vectors/oqs/answer-valid.xml")[..],
            include_bytes!("../../vectors/oqs/answer-address-hidden.xml"),
            include_bytes!("../../vectors/oqs/answer-failed.xml"),
            include_bytes!("../../vectors/oqs/answer-insurance-lost.xml"),
            include_bytes!("../../vectors/oqs/answer-not-processed.xml"),
        ]
        .map(<[u8]>::to_vec)
        .into()
    },
};

/// Device and desk to gateway: challenge request, check with the bytes the card signed, enrolment.
pub(crate) const REQUEST: Target = Target {
    name: "gateway-request",
    run: |data| {
        let _ = is_request(data);
    },
    seeds: || {
        let institution = "1310123458";
        let instant = "2026-11-21T02:00:00Z";
        let consent = json!({
            "actor": "patient", "shown": ["drug"], "agreed": ["drug"],
            "language": "ja", "text_version": "1", "given_at": instant,
        });
        let request = json!({
            "version": 1, "challenge": Bytes(vec![7; 32]), "institution": institution,
            "signed_at": instant, "consent": consent,
        });
        let bodies = [
            json!({ "institution": institution }),
            json!({ "institution": institution, "device_id": "tablet-1", "csr": "MAA=" }),
            json!({
                "request": Bytes(request.to_string().into()), "signature": Bytes(vec![1; 256]), "certificate": "MAA=",
            }),
        ];
        let seeds = bodies.map(|body| body.to_string().into_bytes());
        assert!(seeds.iter().all(|seed| is_request(seed)), "the samples are no requests");
        seeds.into()
    },
};

/// A visit that waits for its challenge.
fn connecting() -> Visit {
    let now = "2026-11-21T02:00:00Z".parse().expect("an instant");
    let setup = VisitSetup {
        institution: InstitutionCode::new("1310123458").expect("ten digits"),
        device_id: DeviceId::new("tablet-1").expect("a short word"),
        staff: StaffId::new("staff-mihon").expect("a short word"),
        patient: None,
        language: Language::Ja,
        consent_items: vec![ConsentItem::Drug],
    };
    let mut visit = Visit::plan(setup, now);
    let reading = card::good_reading(date(2026, 11, 21));
    for event in [Event::Intent(Intent::AgreeAll), Event::Intent(Intent::Continue), Event::CardRead(Ok(reading))] {
        visit.on(event, now).expect("the events come in order");
    }
    visit
}
