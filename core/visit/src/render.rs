use tazune_model::{
    CertificatePhase, CertificateSummary, DeferredReason, Eligibility, ProcessingStatus, Qualification, Sex, Validity,
};

use crate::{Body, CardStep, Ending, Hold, IntentKind, Notice, PinAskedAgain, Screen, Texts};

/// A screen in words, ready to be laid out; a shell adds nothing but form. It names people, so it has no `Debug`.
pub struct RenderedScreen {
    /// One line on what the screen is for.
    pub title: String,
    /// What to read, in order; the notice comes first.
    pub lines: Vec<String>,
    /// What can be chosen, in the order of [`Screen::intents`].
    pub choices: Vec<(IntentKind, String)>,
}

impl Screen {
    /// The screen in the words of `texts`, which are best those of [`Screen::language`].
    #[must_use]
    pub fn render(&self, texts: &Texts) -> RenderedScreen {
        let mut lines = vec![];
        if let Some(notice) = &self.notice {
            push_notice(&mut lines, notice, texts);
        }
        push_body(&mut lines, &self.body, texts);
        RenderedScreen {
            title: texts.text(&format!("title-{}", self.body.word()), &[]),
            lines,
            choices: self.intents.iter().map(|kind| (*kind, choice(*kind, &self.body, texts))).collect(),
        }
    }
}

impl Body {
    /// The stable word of the matter, also its key in the texts: `title-<word>`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Consent { .. } => "consent",
            Self::HoldCard { step: CardStep::Reading, .. } => "hold-card-reading",
            Self::HoldCard { step: CardStep::Signing, .. } => "hold-card-signing",
            Self::Connecting { .. } => "connecting",
            Self::EnterPin { .. } => "enter-pin",
            Self::OtherCard { .. } => "other-card",
            Self::Sending { .. } => "sending",
            Self::ConfirmPerson { .. } => "confirm-person",
            Self::Answer { .. } => "answer",
            Self::Deferred { .. } => "deferred",
            Self::Trouble => "trouble",
            Self::PersonMismatch => "person-mismatch",
            Self::Closing { .. } => "closing",
            Self::Sealing => "sealing",
            Self::SealFailed => "seal-failed",
            Self::Sealed { .. } => "sealed",
            Self::Cancelled => "cancelled",
        }
    }
}

fn push_notice(lines: &mut Vec<String>, notice: &Notice, texts: &Texts) {
    match notice {
        Notice::Failure(failure) => {
            lines.push(format!("{} [{}]", texts.failure_title(failure.code), failure.code));
            lines.push(texts.failure_remedy(failure.code));
            if let Some(day) = failure.begins_on {
                lines.push(texts.text("certificate-begins", &[("date", &texts.date(day))]));
            }
        }
        Notice::PinAskedAgain(why) => lines.push(texts.text(
            match why {
                PinAskedAgain::CardInterrupted => "pin-again-interrupted",
                PinAskedAgain::ChallengeRenewed => "pin-again-renewed",
                PinAskedAgain::Restarted => "pin-again-restarted",
            },
            &[],
        )),
    }
}

fn push_body(lines: &mut Vec<String>, body: &Body, texts: &Texts) {
    let plain = |key: &str| texts.text(key, &[]);
    match body {
        Body::Consent { patient, actor, .. } => {
            if let Some(patient) = patient {
                // EXPOSE: shown to the patient and the staff.
                lines.push(texts.text("consent-patient", &[("name", patient.name.expose())]));
            }
            lines.extend([plain("consent-intro"), plain("consent-free"), plain("consent-actor")]);
            if *actor == tazune_model::ConsentActor::CannotExpress {
                lines.push(plain("consent-cannot-express"));
            }
        }
        Body::HoldCard { step, hold } => {
            lines.push(plain(match step {
                CardStep::Reading => "hold-reading",
                CardStep::Signing => "hold-signing",
            }));
            lines.push(match hold {
                Hold::Awaited => plain("hold-awaited"),
                Hold::Working { .. } => match hold.percent() {
                    Some(percent) if *step == CardStep::Reading => {
                        texts.text("hold-progress", &[("percent", &percent.to_string())])
                    }
                    _ => plain("hold-working"),
                },
                Hold::Lost => plain("hold-lost"),
            });
        }
        Body::Connecting { certificate } => {
            lines.push(plain("connecting-wait"));
            push_certificate(lines, *certificate, texts);
        }
        Body::EnterPin { tries_left, certificate } => {
            lines.extend([plain("pin-which"), plain("pin-kept")]);
            lines.push(texts.text("pin-tries", &[("tries", &tries_left.to_string())]));
            if *tries_left <= 2 {
                lines.push(plain("pin-last-entry"));
            }
            push_certificate(lines, *certificate, texts);
        }
        Body::OtherCard { is_first_read } => {
            lines.push(plain(if *is_first_read { "other-card-first" } else { "other-card-anew" }));
            lines.push(plain("other-card-wiped"));
        }
        Body::Sending { retry_at: None } => lines.push(plain("sending-now")),
        Body::Sending { retry_at: Some(at) } => lines.push(texts.text("sending-retry", &[("time", &texts.time(*at))])),
        Body::ConfirmPerson { qualification } => {
            lines.push(plain("confirm-person-ask"));
            if let Some(qualification) = qualification {
                push_person(lines, qualification, texts);
            }
        }
        Body::Answer { eligibility, other_name, certificate } => {
            push_eligibility(lines, eligibility, texts);
            if let Some(name) = other_name {
                // EXPOSE: the staff compare the two names.
                lines.push(texts.text("answer-other-name", &[("name", name.expose())]));
            }
            push_certificate(lines, *certificate, texts);
        }
        Body::Deferred { reason, certificate } => {
            lines.push(plain(match reason {
                DeferredReason::NoSignal => "deferred-no_signal",
                DeferredReason::ChallengeEnded => "deferred-challenge_ended",
                DeferredReason::StaffChoice => "deferred-staff_choice",
            }));
            push_certificate(lines, *certificate, texts);
        }
        Body::Trouble => {}
        Body::PersonMismatch => lines.extend([plain("mismatch-hidden"), plain("mismatch-choose")]),
        Body::Closing { has_card, ending } => {
            lines.push(plain(match ending {
                Ending::Answer => "ending-answer",
                Ending::Deferred => "ending-deferred",
                Ending::Trouble => "ending-trouble",
                Ending::PersonMismatch => "ending-person-mismatch",
            }));
            lines.push(plain(if *has_card { "closing-card" } else { "closing-no-card" }));
        }
        Body::Sealing => lines.push(plain("sealing-wait")),
        Body::SealFailed => lines.push(plain("seal-failed-kept")),
        Body::Sealed { record_id } => {
            lines.push(plain("sealed-next"));
            lines.push(texts.text("sealed-id", &[("id", &record_id.to_string())]));
        }
        Body::Cancelled => lines.push(plain("cancelled-nothing")),
    }
}

/// Advice on the certificate; a valid one needs none, and one not valid yet has stopped the visit before.
fn push_certificate(lines: &mut Vec<String>, certificate: Option<CertificateSummary>, texts: &Texts) {
    let Some(CertificateSummary { phase, expires_on }) = certificate else { return };
    let key = match phase {
        CertificatePhase::Valid | CertificatePhase::NotYetValid => return,
        CertificatePhase::Expiring => "certificate-expiring",
        CertificatePhase::Grace => "certificate-grace",
        CertificatePhase::Expired => "certificate-expired",
    };
    lines.push(texts.text(key, &[("date", &texts.date(expires_on))]));
}

fn push_eligibility(lines: &mut Vec<String>, eligibility: &Eligibility, texts: &Texts) {
    let verdict = match (eligibility.status, eligibility.validity) {
        (ProcessingStatus::Error, _) => "answer-error",
        (ProcessingStatus::Normal, validity) => match validity {
            Some(Validity::Valid) => "answer-validity-valid",
            Some(Validity::Invalid) => "answer-validity-invalid",
            Some(Validity::InvalidNewerExists) => "answer-validity-invalid_newer_exists",
            Some(Validity::None) => "answer-validity-none",
            Some(Validity::Several) => "answer-validity-several",
            Some(Validity::ValidUnregistered) => "answer-validity-valid_unregistered",
            None => "answer-validity-missing",
        },
    };
    lines.push(texts.text(verdict, &[]));
    if let Some(message) = &eligibility.message {
        lines.push(texts.text("answer-message", &[("message", message)]));
    }
    if !eligibility.is_usable() {
        lines.push(texts.text("answer-unusable", &[]));
    }
    for qualification in &eligibility.qualifications {
        push_person(lines, qualification, texts);
        push_insurance(lines, qualification, texts);
    }
    lines.push(texts.text("answer-confirmed", &[("date", &texts.date(eligibility.confirmed_on))]));
}

fn push_person(lines: &mut Vec<String>, qualification: &Qualification, texts: &Texts) {
    // EXPOSE: shown to the staff, who compare it with the patient before them.
    let birth_date = texts.birth_date(*qualification.birth_date.expose());
    lines.push(texts.text("answer-name", &[("name", qualification.name.expose())]));
    lines.push(texts.text("answer-birth-date", &[("date", &birth_date)]));
    lines.push(texts.text(
        match qualification.sex.expose() {
            Sex::Male => "answer-sex-male",
            Sex::Female => "answer-sex-female",
            Sex::NotSet => "answer-sex-not_set",
        },
        &[],
    ));
}

fn push_insurance(lines: &mut Vec<String>, qualification: &Qualification, texts: &Texts) {
    let insurer_number = qualification.insurer_number.as_str().trim();
    lines.push(match &qualification.insurer_name {
        Some(name) => texts.text("answer-insurer", &[("name", name), ("number", insurer_number)]),
        None => texts.text("answer-insurer-number", &[("number", insurer_number)]),
    });
    if let Some(number) = &qualification.number {
        let symbol = qualification.symbol.as_ref().map_or("-", |symbol| symbol.as_str());
        let branch = qualification.branch.as_ref().map_or("-", |branch| branch.as_str());
        let args = [("symbol", symbol), ("number", number.as_str()), ("branch", branch)];
        lines.push(texts.text("answer-number", &args));
    }
    if let Some(percent) = qualification.copayment_percent {
        lines.push(texts.text("answer-copayment", &[("percent", &percent.to_string())]));
    }
    if let Some(day) = qualification.valid_until {
        lines.push(texts.text("answer-valid-until", &[("date", &texts.date(day))]));
    }
    if let Some(day) = qualification.disqualified_on {
        lines.push(texts.text("answer-disqualified", &[("date", &texts.date(day))]));
    }
    if let Some(limit) = &qualification.cost_limit {
        lines.push(texts.text("answer-cost-limit", &[("class", &limit.class)]));
    }
}

fn choice(kind: IntentKind, body: &Body, texts: &Texts) -> String {
    let marked = |is_set: bool, marks: [&str; 2], key: String| {
        let [set, unset] = marks;
        format!("{} {}", if is_set { set } else { unset }, texts.text(&key, &[]))
    };
    match (kind, body) {
        (IntentKind::ToggleConsent(item), Body::Consent { items, .. }) => {
            marked(items.contains(&(item, true)), ["☑", "☐"], format!("consent-{}", item.word()))
        }
        (IntentKind::SetActor(one), Body::Consent { actor, .. }) => {
            marked(one == *actor, ["●", "○"], format!("actor-{}", one.word()))
        }
        (IntentKind::SetLanguage(language), _) => texts.text(&format!("language-{}", language.tag()), &[]),
        (kind, body) => {
            let key = match (kind, body) {
                (IntentKind::TryAgain, Body::OtherCard { is_first_read: true }) => "first-card-again",
                (IntentKind::TryAgain, Body::PersonMismatch) => "read-right-card",
                (IntentKind::TryAgain, Body::Sending { .. }) => "send-now",
                (IntentKind::TryAgain, Body::SealFailed) => "save-again",
                (IntentKind::Continue, Body::Closing { .. }) => "save",
                (IntentKind::EndWithoutAnswer, Body::Deferred { .. } | Body::Sending { .. }) => "ask-later",
                (kind, _) => kind.name(),
            };
            texts.text(&format!("choice-{key}"), &[])
        }
    }
}
