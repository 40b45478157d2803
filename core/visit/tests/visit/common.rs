//! Visits in every state, reached by events only; cards, certificates and signatures are real ones of the simulator.

use std::sync::OnceLock;

use jiff::{SignedDuration, civil::date};
use tazune_card::{
    Authenticate, CardError, CardEvent, CardReading, Continuity, Conversation, LeMode, Order, ReadCertificate,
    Signature, TrustAnchors,
};
use tazune_model::{
    ConsentItem, Date, DeviceId, Eligibility, FailureCode, InstitutionCode, InsurerNumber, Language, Personal, Pin,
    PlannedPatient, ProcessingStatus, Qualification, RecordId, Sex, Sha256, StaffId, Timestamp, Validity, japan_date,
};
use tazune_sim::{
    CertificateSpec, TestCa,
    card::{CardSpec, VirtualCard},
};
use tazune_visit::{
    AnswerReceived, CardTrouble, Challenge, Effect, Event, GatewayError, Intent, ReaderTrouble, Refusal, Refused,
    Visit, VisitSetup,
};

/// The PIN of every test, marked so that it can be looked for.
pub(crate) const PIN: &str = "4911";

pub(crate) fn now() -> Timestamp {
    "2026-11-21T01:00:00Z".parse().unwrap()
}

pub(crate) fn after(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

pub(crate) fn patient() -> PlannedPatient {
    PlannedPatient {
        reference_number: None,
        name: Personal::new("見本 太郎".into()),
        birth_date: Personal::new(date(1941, 5, 5)),
        sex: Personal::new(Sex::Male),
    }
}

pub(crate) fn institution() -> InstitutionCode {
    InstitutionCode::new("1310123450").unwrap()
}

pub(crate) fn setup(patient: Option<PlannedPatient>) -> VisitSetup {
    VisitSetup {
        institution: institution(),
        device_id: DeviceId::new("tablet-1").unwrap(),
        staff: StaffId::new("dr-mihon").unwrap(),
        patient,
        language: Language::Ja,
        consent_items: vec![ConsentItem::Drug, ConsentItem::CheckUp],
    }
}

/// Runs a conversation with a card that stays on the reader.
fn run<C: Conversation>(mut conversation: C, card: &mut VirtualCard) -> Result<C::Outcome, CardError> {
    card.power_on();
    let mut order = conversation.on(CardEvent::Present(Continuity::Fresh));
    loop {
        order = match order {
            Order::Transmit(apdu) => {
                let answer = card.transmit(apdu.as_bytes()).expect("the card is not torn away");
                conversation.on(CardEvent::Answer(&answer))
            }
            Order::AwaitCard => panic!("the card is on the reader"),
            Order::Finished(result) => return result,
        }
    }
}

/// What a real reading and a real signature of a simulated card look like.
fn card() -> &'static (CardReading, Signature) {
    static CARD: OnceLock<(CardReading, Signature)> = OnceLock::new();
    CARD.get_or_init(|| {
        let (ca, day) = (TestCa::user(), japan_date(now()));
        let mut spec = CardSpec::issued(&ca, &CertificateSpec::valid_on(day));
        spec.pin = PIN.into();
        let mut card = VirtualCard::new(&spec);
        let anchors = TrustAnchors::from_der(&[ca.certificate().into()]).unwrap();
        let reading = run(ReadCertificate::new(anchors, day, LeMode::Extended), &mut card).unwrap();
        let signature = run(Authenticate::new(&reading, pin(), b"any message"), &mut card).unwrap();
        (reading, signature)
    })
}

pub(crate) fn reading(tries_left: u8) -> CardReading {
    CardReading { tries_left, ..card().0.clone() }
}

pub(crate) fn signature() -> Signature {
    card().1.clone()
}

pub(crate) fn pin() -> Pin {
    Pin::from_entry(PIN).unwrap()
}

pub(crate) fn challenge() -> Challenge {
    challenge_at(now())
}

pub(crate) fn challenge_at(issued_at: Timestamp) -> Challenge {
    let expires_at = issued_at + SignedDuration::from_mins(10);
    Challenge { challenge: vec![0xC5; 32].into(), issued_at, expires_at }
}

pub(crate) fn eligibility(qualifications: Vec<Qualification>) -> Eligibility {
    Eligibility {
        confirmed_on: japan_date(now()),
        institution: institution(),
        status: ProcessingStatus::Normal,
        code: None,
        message: None,
        validity: Some(Validity::Valid),
        qualifications,
    }
}

/// A qualification with only a person in it.
pub(crate) fn person(name: &str, birth_date: Date, sex: Sex) -> Qualification {
    Qualification {
        name: Personal::new(name.into()),
        name_kana: None,
        sex: Personal::new(sex),
        birth_date: Personal::new(birth_date),
        address: None,
        insurer_number: InsurerNumber::new("  138057").unwrap(),
        insurer_name: None,
        symbol: None,
        number: None,
        branch: None,
        insured_or_dependent: None,
        qualified_on: None,
        disqualified_on: None,
        valid_from: None,
        valid_until: None,
        copayment_percent: None,
        cost_limit: None,
    }
}

pub(crate) fn qualification() -> Qualification {
    person("見本　太郎", date(1941, 5, 5), Sex::Male)
}

pub(crate) fn answer_of(eligibility: Eligibility) -> AnswerReceived {
    AnswerReceived { document: b"<XmlMsg/>".to_vec().into(), sha256: Sha256([7; 32]), eligibility }
}

pub(crate) fn answer() -> AnswerReceived {
    answer_of(eligibility(vec![qualification()]))
}

pub(crate) fn record_id() -> RecordId {
    RecordId::make(now(), &[9; 10])
}

/// A visit and what it ordered so far.
#[derive(Clone)]
pub(crate) struct Trial {
    pub(crate) visit: Visit,
    pub(crate) now: Timestamp,
}

impl Trial {
    pub(crate) fn new(patient: Option<PlannedPatient>) -> Self {
        Self { visit: Visit::plan(setup(patient), now()), now: now() }
    }

    /// Takes an event that must not be refused.
    pub(crate) fn on(&mut self, event: Event) -> Vec<Effect> {
        self.try_on(event).unwrap_or_else(|refused| panic!("{refused}"))
    }

    pub(crate) fn try_on(&mut self, event: Event) -> Result<Vec<Effect>, Refused> {
        self.visit.on(event, self.now)
    }

    pub(crate) fn say(&mut self, intent: Intent) -> Vec<Effect> {
        self.on(Event::Intent(intent))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::to_value(&self.visit).unwrap()
    }

    fn after_events(mut self, events: impl IntoIterator<Item = Event>) -> Self {
        for event in events {
            self.on(event);
        }
        self
    }

    pub(crate) fn reading(patient: Option<PlannedPatient>) -> Self {
        Self::new(patient).after_events([Event::Intent(Intent::Continue)])
    }

    pub(crate) fn awaiting_challenge(patient: Option<PlannedPatient>) -> Self {
        Self::reading(patient).after_events([Event::CardRead(Ok(reading(3)))])
    }

    pub(crate) fn awaiting_pin(patient: Option<PlannedPatient>) -> Self {
        Self::awaiting_challenge(patient).after_events([Event::Challenged(Ok(challenge()))])
    }

    pub(crate) fn authenticating(patient: Option<PlannedPatient>) -> Self {
        Self::awaiting_pin(patient).after_events([Event::Intent(Intent::EnterPin(pin()))])
    }

    pub(crate) fn awaiting_answer(patient: Option<PlannedPatient>) -> Self {
        Self::authenticating(patient).after_events([Event::CardAuthenticated(Ok(signature()))])
    }

    pub(crate) fn awaiting_signal() -> Self {
        Self::awaiting_answer(Some(patient())).after_events([Event::Answered(Err(GatewayError::Timeout))])
    }

    pub(crate) fn answered() -> Self {
        Self::awaiting_answer(Some(patient())).after_events([Event::Answered(Ok(answer()))])
    }

    pub(crate) fn closing() -> Self {
        Self::answered().after_events([Event::Intent(Intent::Continue)])
    }

    pub(crate) fn sealing() -> Self {
        Self::closing().after_events([Event::Intent(Intent::ConfirmCardReturned)])
    }
}

/// A visit in every state, and in both variants where they differ in what is legal.
pub(crate) fn every_state() -> Vec<(&'static str, Trial)> {
    let planned = || Some(patient());
    let stranger = person("別人　花子", date(1950, 1, 1), Sex::Female);
    let cannot_express = Event::Intent(Intent::SetActor(tazune_model::ConsentActor::CannotExpress));
    let other_card = || Event::CardAuthenticated(Err(CardError::OtherCard));
    let no_signal = || Event::Challenged(Err(GatewayError::Unreachable));
    let mut ended = Trial::awaiting_signal();
    ended.now = after(600);
    vec![
        ("planned", Trial::new(planned())),
        ("planned, cannot express", Trial::new(planned()).after_events([cannot_express])),
        ("reading", Trial::reading(planned())),
        ("awaiting challenge", Trial::awaiting_challenge(planned())),
        ("awaiting PIN", Trial::awaiting_pin(planned())),
        ("authenticating", Trial::authenticating(planned())),
        ("other card, first read", Trial::authenticating(planned()).after_events([other_card()])),
        (
            "other card, first not read",
            Trial::reading(planned()).after_events([Event::CardRead(Err(CardError::OtherCard))]),
        ),
        ("awaiting answer", Trial::awaiting_answer(planned())),
        ("awaiting signal", Trial::awaiting_signal()),
        ("person to confirm", Trial::awaiting_answer(None).after_events([Event::Answered(Ok(answer()))])),
        ("answered", Trial::answered()),
        ("deferred, no signal", Trial::awaiting_challenge(planned()).after_events([no_signal()])),
        ("deferred, challenge ended", ended.after_events([Event::Woken])),
        ("trouble", Trial::reading(planned()).after_events([Event::CardRead(Err(CardError::PinLocked))])),
        (
            "trouble, garbage",
            Trial::awaiting_answer(planned()).after_events([Event::Answered(Err(GatewayError::Garbage))]),
        ),
        (
            "mismatch",
            Trial::awaiting_answer(planned())
                .after_events([Event::Answered(Ok(answer_of(eligibility(vec![stranger]))))]),
        ),
        ("closing", Trial::closing()),
        ("closing, no card", Trial::reading(planned()).after_events([Event::Intent(Intent::EndWithoutAnswer)])),
        ("sealing", Trial::sealing()),
        ("seal failed", Trial::sealing().after_events([Event::SealFailed(FailureCode::DiskFull)])),
        ("sealed", Trial::sealing().after_events([Event::Sealed(record_id())])),
        ("cancelled", Trial::new(planned()).after_events([Event::Intent(Intent::Cancel)])),
    ]
}

/// Every intent there is.
pub(crate) fn every_intent() -> Vec<Intent> {
    let mut intents: Vec<_> = ConsentItem::ALL.map(Intent::ToggleConsent).into();
    intents.extend(tazune_model::ConsentActor::ALL.map(Intent::SetActor));
    intents.extend(Language::ALL.map(Intent::SetLanguage));
    intents.extend([
        Intent::AgreeAll,
        Intent::DeclineAll,
        Intent::Continue,
        Intent::EnterPin(pin()),
        Intent::TryAgain,
        Intent::StartOver,
        Intent::ConfirmPerson,
        Intent::RejectPerson,
        Intent::ConfirmCardReturned,
        Intent::EndWithoutAnswer,
        Intent::Cancel,
    ]);
    intents
}

/// Every other event, each outcome in each form, with the name the table of pairs gives it.
pub(crate) fn every_report() -> Vec<(&'static str, Event)> {
    let mut events = vec![
        ("CardAwaited", Event::CardAwaited),
        ("CardProgress", Event::CardProgress { read: 512, total: Some(1590) }),
        ("CardRead", Event::CardRead(Ok(reading(3)))),
        ("CardAuthenticated", Event::CardAuthenticated(Ok(signature()))),
        ("Challenged", Event::Challenged(Ok(challenge()))),
        ("Answered", Event::Answered(Ok(answer()))),
        ("Woken", Event::Woken),
        ("Sealed", Event::Sealed(record_id())),
        ("SealFailed", Event::SealFailed(FailureCode::DiskFull)),
    ];
    for trouble in [CardTrouble::Absent, CardTrouble::Lost, CardTrouble::Reader(ReaderTrouble::Missing)] {
        events.push(("CardTrouble", Event::CardTrouble(trouble)));
    }
    for error in every_card_error() {
        events.push(("CardRead", Event::CardRead(Err(error.clone()))));
        events.push(("CardAuthenticated", Event::CardAuthenticated(Err(error))));
    }
    for error in every_gateway_error() {
        events.push(("Challenged", Event::Challenged(Err(error))));
        events.push(("Answered", Event::Answered(Err(error))));
    }
    events
}

pub(crate) fn every_card_error() -> Vec<CardError> {
    vec![
        CardError::PhoneTapped(tazune_card::Phone::Iphone),
        CardError::NotMyNumberCard,
        CardError::CertificateMissing,
        CardError::CertificateNotYetValid { begins_on: date(2026, 12, 1) },
        CardError::CertificateForeign,
        CardError::CertificateBroken(tazune_card::CertificateFault::Truncated),
        CardError::WrongPin { tries_left: 2 },
        CardError::WrongPin { tries_left: 1 },
        CardError::PinLastTry,
        CardError::PinLocked,
        CardError::AskPinAgain { tries_left: 2 },
        CardError::OtherCard,
        CardError::Unexpected { command: tazune_card::Command::Verify, status: None },
        CardError::Cancelled,
    ]
}

pub(crate) fn every_gateway_error() -> Vec<GatewayError> {
    let own = [GatewayError::Unreachable, GatewayError::Timeout, GatewayError::Garbage, GatewayError::ClockSkew];
    own.into_iter().chain(Refusal::ALL.iter().map(|refusal| GatewayError::Refused(*refusal))).collect()
}

/// The names of effects, in order.
pub(crate) fn names(effects: &[Effect]) -> Vec<&'static str> {
    let name = |effect: &Effect| match effect {
        Effect::ReadCertificate { .. } => "ReadCertificate",
        Effect::Authenticate { .. } => "Authenticate",
        Effect::CancelCard => "CancelCard",
        Effect::ReleaseCard => "ReleaseCard",
        Effect::RequestChallenge { .. } => "RequestChallenge",
        Effect::SendCheck { .. } => "SendCheck",
        Effect::WakeAt(_) => "WakeAt",
        Effect::Seal(_) => "Seal",
        Effect::Discard => "Discard",
    };
    effects.iter().map(name).collect()
}
