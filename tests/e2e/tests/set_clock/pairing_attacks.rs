//! Attacks on a pairing: each is refused, and log and audit know of it. What each may gain: `docs/src/protocol/pairing.md`.

use std::sync::Arc;

use jiff::SignedDuration;
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use rustls::{ClientConfig, RootCertStore, version::TLS13};
use tazune_engine::EngineError;
use tazune_hub::{
    Random,
    admin::messages::{OpenedPairing, PairingView},
};
use tazune_link::{
    V1,
    front_api::{PairingAnswer, pairing_path},
    keys::{OpeningKey, VerifyingKey},
    pairing::{DeviceEvent, DevicePairing, DeviceState, Hello, PairingError, SealedHello, SessionId},
};

use crate::scene::{Clinic, Role, Tablet, about};

/// Somebody who speaks the protocol but keeps to nothing.
struct Attacker {
    http: reqwest::Client,
    front: String,
    key: KeyPair,
}

impl Attacker {
    fn of(clinic: &Clinic) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(std::fs::read(clinic.folder_of(Role::Front).join("hub-ca.crt")).unwrap().into()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config).build().unwrap();
        Self { http, front: clinic.front.clone(), key: KeyPair::generate().unwrap() }
    }

    /// A hello that answers the offer, for this attacker's certificate but perhaps another key.
    fn hello(&self, clinic: &Clinic, offer: &str, device_key: &KeyPair) -> (DevicePairing, SealedHello) {
        let csr = CertificateParams::default().serialize_request(&self.key).unwrap().der().to_vec();
        let hello = Hello {
            version: V1,
            csr: csr.into(),
            device_key: VerifyingKey::from_bytes(device_key.der_bytes()).unwrap(),
            sealing_key: OpeningKey::make(&mut Random::system()).sealing_key(),
            name: "往診タブレット".into(),
            model: "Sample tablet".into(),
            os: "Sample OS 1".into(),
        };
        let mut pairing = DevicePairing::scan(offer, clinic.now()).unwrap();
        let sealed = pairing.make_hello(&hello, clinic.now(), &mut Random::system()).unwrap();
        (pairing, sealed)
    }

    async fn post(&self, session: &SessionId, hello: &SealedHello) -> u16 {
        let url = format!("{}{}", self.front, pairing_path(session));
        let body = serde_json::to_vec(hello).unwrap();
        self.http.post(url).body(body).send().await.unwrap().status().as_u16()
    }

    async fn answer(&self, session: &SessionId) -> PairingAnswer {
        let url = format!("{}{}?wait_s=10", self.front, pairing_path(session));
        let body = self.http.get(url).send().await.unwrap().bytes().await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}

fn fails_with<T>(outcome: Result<T, EngineError>, error: PairingError) {
    assert_eq!(outcome.err(), Some(EngineError::Pairing(error)));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_photographed_the_code_and_answers_first_is_turned_down_because_the_tablet_says_so() {
    let clinic = Clinic::open().await;
    let (thief, tablet) = (Tablet::new(clinic.now()).await, Tablet::new(clinic.now()).await);
    let OpenedPairing { session, offer, .. } = clinic.offer().await;
    let attempt = thief.device.pair(&offer, about()).await.unwrap();
    fails_with(tablet.device.pair(&offer, about()).await, PairingError::Taken);
    clinic.refused(&session, "taken").await;
    clinic.view(&session).await;
    clinic.admin().decide(&session, false).await.unwrap();
    fails_with(attempt.finish().await, PairingError::Rejected);
    clinic.refused(&session, "rejected").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_photographed_the_code_and_answers_second_is_too_late_and_disturbs_nobody() {
    let clinic = Clinic::open().await;
    let (thief, tablet) = (Tablet::new(clinic.now()).await, Tablet::new(clinic.now()).await);
    let OpenedPairing { session, offer, .. } = clinic.offer().await;
    let attempt = tablet.device.pair(&offer, about()).await.unwrap();
    for _ in 0..2 {
        fails_with(thief.device.pair(&offer, about()).await, PairingError::Taken);
    }
    clinic.approve(&session, &attempt.code().digits()).await;
    attempt.finish().await.unwrap();
    clinic.refused(&session, "taken").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_scan_at_once_one_is_paired() {
    let clinic = Clinic::open().await;
    let (one, two) = (Tablet::new(clinic.now()).await, Tablet::new(clinic.now()).await);
    let OpenedPairing { session, offer, .. } = clinic.offer().await;
    let (first, second) = tokio::join!(one.device.pair(&offer, about()), two.device.pair(&offer, about()));
    let (winner, loser) = if first.is_ok() { (first, second) } else { (second, first) };
    fails_with(loser, PairingError::Taken);
    let winner = winner.unwrap();
    clinic.approve(&session, &winner.code().digits()).await;
    winner.finish().await.unwrap();
    clinic.refused(&session, "taken").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_another_key_than_the_one_claimed_is_turned_down() {
    let clinic = Clinic::open().await;
    let attacker = Attacker::of(&clinic);
    let OpenedPairing { session, offer, .. } = clinic.offer().await;
    let (_, hello) = attacker.hello(&clinic, &offer, &KeyPair::generate().unwrap());
    assert_eq!(attacker.post(&session, &hello).await, 202);
    assert_eq!(clinic.view(&session).await, PairingView::Rejected);
    assert_eq!(attacker.answer(&session).await, PairingAnswer::Rejected);
    clinic.refused(&session, "key_swapped").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_altered_on_its_way_or_made_for_another_session_opens_nothing() {
    let clinic = Clinic::open().await;
    let attacker = Attacker::of(&clinic);
    for alter in [true, false] {
        let (here, elsewhere) = (clinic.offer().await, clinic.offer().await);
        let offer = if alter { &here.offer } else { &elsewhere.offer };
        let (_, mut hello) = attacker.hello(&clinic, offer, &attacker.key);
        if alter {
            hello.sealed.0[0] ^= 1;
        }
        assert_eq!(attacker.post(&here.session, &hello).await, 202);
        assert_eq!(clinic.view(&here.session).await, PairingView::Rejected);
        clinic.refused(&here.session, "hello_invalid").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_digits_end_the_session_at_the_first_attempt() {
    let clinic = Clinic::open().await;
    let tablet = Tablet::new(clinic.now()).await;
    let OpenedPairing { session, offer, .. } = clinic.offer().await;
    let attempt = tablet.device.pair(&offer, about()).await.unwrap();
    clinic.view(&session).await;
    let right = attempt.code().digits();
    let wrong = if right == "000000" { "000001" } else { "000000" };
    assert_eq!(clinic.admin().type_code(&session, wrong).await.unwrap(), PairingView::CodeWrong);
    assert!(clinic.admin().type_code(&session, &right).await.is_err(), "there is no second attempt");
    assert!(clinic.admin().decide(&session, true).await.is_err());
    fails_with(attempt.finish().await, PairingError::CodeWrong);
    clinic.refused(&session, "code_wrong").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_answered_within_a_minute_and_a_pairing_ends_after_five() {
    let clinic = Clinic::open().await;
    let tablet = Tablet::new(clinic.now()).await;
    let late = clinic.offer().await;
    clinic.pass(SignedDuration::from_secs(61), &[]);
    fails_with(tablet.device.pair(&late.offer, about()).await, PairingError::Expired);
    clinic.refused(&late.session, "expired").await;

    let slow = clinic.offer().await;
    let attempt = tablet.device.pair(&slow.offer, about()).await.unwrap();
    clinic.view(&slow.session).await;
    clinic.pass(SignedDuration::from_secs(301), &[]);
    let digits = attempt.code().digits();
    assert_eq!(clinic.admin().type_code(&slow.session, &digits).await.unwrap(), PairingView::Expired);
    fails_with(attempt.finish().await, PairingError::Expired);
    clinic.refused(&slow.session, "expired").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_said_again_changes_nothing_and_a_reply_opens_on_its_own_device_only() {
    let clinic = Clinic::open().await;
    let attacker = Attacker::of(&clinic);
    let OpenedPairing { session, offer, .. } = clinic.offer().await;
    let (mut own, hello) = attacker.hello(&clinic, &offer, &attacker.key);
    let (mut other, _) = attacker.hello(&clinic, &offer, &attacker.key);
    assert_eq!(attacker.post(&session, &hello).await, 202);
    clinic.approve(&session, &own.code().unwrap().digits()).await;
    assert_eq!(attacker.post(&session, &hello).await, 202);
    let answer = attacker.answer(&session).await;
    other.on(DeviceEvent::Answered(answer.clone()), clinic.now()).unwrap();
    assert!(matches!(other.state(), DeviceState::Failed(PairingError::AnswerInvalid)), "{:?}", other.state());
    own.on(DeviceEvent::Answered(answer), clinic.now()).unwrap();
    assert!(matches!(own.state(), DeviceState::Paired(_)));
    let entries = clinic.audited(|entry| entry["event"] == "device_paired").await;
    assert_eq!(entries.iter().filter(|entry| entry["event"] == "device_paired").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_restarted_in_the_middle_goes_on_and_a_desk_restarted_ends_the_session() {
    let mut clinic = Clinic::open().await;
    let tablet = Tablet::new(clinic.now()).await;
    let opened = clinic.offer().await;
    let attempt = tablet.device.pair(&opened.offer, about()).await.unwrap();
    clinic.view(&opened.session).await;
    clinic.stop(Role::Front).await;
    clinic.start(Role::Front).await;
    clinic.approve(&opened.session, &attempt.code().digits()).await;
    attempt.finish().await.unwrap();

    let opened = clinic.offer().await;
    clinic.stop(Role::Desk).await;
    let attempt = tablet.device.pair(&opened.offer, about()).await.unwrap();
    clinic.start(Role::Desk).await;
    fails_with(attempt.finish().await, PairingError::Expired);
    clinic.refused(&opened.session, "expired").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tablet_whose_clock_is_ten_minutes_off_is_paired() {
    let clinic = Clinic::open().await;
    for minutes in [-10, 10] {
        let tablet = Tablet::new(clinic.now() + SignedDuration::from_mins(minutes)).await;
        clinic.pair(&tablet, &clinic.offer().await).await.unwrap();
    }
}

/// The two clocks of the hub must be right to some seconds: a front ahead takes no hello, one behind only takes it longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_front_ahead_refuses_every_hello_and_one_behind_leaves_the_end_to_the_desk() {
    let clinic = Clinic::open().await;
    let tablet = Tablet::new(clinic.now()).await;
    clinic.front_clock.advance(SignedDuration::from_mins(10));
    let opened = clinic.offer().await;
    fails_with(tablet.device.pair(&opened.offer, about()).await, PairingError::Expired);
    clinic.refused(&opened.session, "expired").await;

    clinic.front_clock.advance(SignedDuration::from_mins(-20));
    clinic.pair(&tablet, &clinic.offer().await).await.unwrap();
    let late = clinic.offer().await;
    clinic.pass(SignedDuration::from_secs(61), &[]);
    let attempt = tablet.device.pair(&late.offer, about()).await.unwrap();
    assert_eq!(clinic.view(&late.session).await, PairingView::Expired);
    fails_with(attempt.finish().await, PairingError::Expired);
    clinic.refused(&late.session, "expired").await;
}
