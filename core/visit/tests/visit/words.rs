use std::collections::BTreeSet;

use jiff::civil::date;
use tazune_card::CardError;
use tazune_model::{
    CertificatePhase, CertificateSummary, ConsentItem, CostLimitCertificate, Eligibility, FailureCode, InsuredNumber,
    Language, Personal, ProcessingStatus, Sex, Validity,
};
use tazune_visit::{Body, CardStep, Failure, Hold, Notice, PinAskedAgain, Screen, Texts};

use crate::common::{eligibility, every_state, qualification};

fn certificates() -> impl Iterator<Item = Option<CertificateSummary>> {
    use CertificatePhase::*;
    let expires_on = date(2026, 11, 21);
    [NotYetValid, Valid, Expiring, Grace, Expired]
        .map(|phase| Some(CertificateSummary { phase, expires_on }))
        .into_iter()
}

/// Screens that show every text: each state, each variant of what a body can say, each notice.
fn every_screen() -> Vec<Screen> {
    let mut screens: Vec<_> = every_state().into_iter().map(|(_, trial)| trial.visit.screen()).collect();
    let blank = screens[0].clone();
    let mut add =
        |body: Body, notice: Option<Notice>| screens.push(Screen { body, notice, intents: vec![], ..blank.clone() });

    for code in FailureCode::ALL {
        add(Body::Trouble, Some(Notice::Failure(Failure::from(*code))));
    }
    let begins_on = Some(date(2026, 12, 1));
    add(Body::Trouble, Some(Notice::Failure(Failure { code: FailureCode::CertificateNotYetValid, begins_on })));
    for why in [PinAskedAgain::CardInterrupted, PinAskedAgain::ChallengeRenewed, PinAskedAgain::Restarted] {
        add(Body::Trouble, Some(Notice::PinAskedAgain(why)));
    }
    for step in [CardStep::Reading, CardStep::Signing] {
        for hold in [
            Hold::Awaited,
            Hold::Working { read: 0, total: None },
            Hold::Working { read: 512, total: Some(1590) },
            Hold::Working { read: 1, total: Some(0) },
            Hold::Lost,
        ] {
            add(Body::HoldCard { step, hold }, None);
        }
    }
    for certificate in certificates() {
        add(Body::EnterPin { tries_left: 2, certificate }, None);
    }
    let show = |answer: &Eligibility| Body::Answer {
        eligibility: Box::new(answer.clone()),
        other_name: None,
        certificate: None,
    };
    let mut answer = eligibility(vec![qualification()]);
    let validities = [
        Some(Validity::Valid),
        Some(Validity::Invalid),
        Some(Validity::InvalidNewerExists),
        Some(Validity::None),
        Some(Validity::Several),
        Some(Validity::ValidUnregistered),
        None,
    ];
    for validity in validities {
        answer.validity = validity;
        add(show(&answer), None);
    }
    answer.status = ProcessingStatus::Error;
    answer.message = Some("試験の言葉".into());
    let person = &mut answer.qualifications[0];
    person.insurer_name = Some("見本保険組合".into());
    person.number = Some(InsuredNumber::new("１２３").unwrap());
    person.copayment_percent = Some(30);
    person.valid_until = Some(date(2027, 3, 31));
    person.disqualified_on = Some(date(2026, 10, 1));
    person.cost_limit = Some(CostLimitCertificate { class: "B09".into(), valid_from: None, valid_until: None });
    person.sex = Personal::new(Sex::NotSet);
    add(show(&answer), None);
    screens
}

fn words_of(screen: &Screen, texts: &Texts) -> Vec<String> {
    let rendered = screen.render(texts);
    let choices = rendered.choices.into_iter().map(|(_, text)| text);
    [rendered.title].into_iter().chain(rendered.lines).chain(choices).collect()
}

#[test]
fn every_screen_has_words_in_every_language_with_nothing_missing() {
    for language in Language::ALL {
        let texts = Texts::new(language);
        for screen in every_screen() {
            for text in words_of(&screen, &texts) {
                assert!(!text.trim().is_empty(), "{screen:?}");
                for bad in ["⟦", "{", "}", "\u{2068}", "\u{2069}"] {
                    assert!(!text.contains(bad), "{language:?}: {text}");
                }
            }
        }
    }
}

#[test]
fn every_choice_that_is_offered_is_named_and_no_two_alike() {
    for (state, trial) in every_state() {
        for language in Language::ALL {
            let screen = trial.visit.screen();
            let rendered = screen.render(&Texts::new(language));
            let kinds: Vec<_> = rendered.choices.iter().map(|(kind, _)| *kind).collect();
            assert_eq!(kinds, screen.intents, "{state}");
            let names: BTreeSet<_> = rendered.choices.iter().map(|(_, text)| text).collect();
            assert_eq!(names.len(), kinds.len(), "{state}: {names:?}");
        }
    }
}

#[test]
fn every_failure_says_what_happened_and_what_to_do_next() {
    for language in Language::ALL {
        let texts = Texts::new(language);
        let mut titles = BTreeSet::new();
        for code in FailureCode::ALL {
            let (title, remedy) = (texts.failure_title(*code), texts.failure_remedy(*code));
            for text in [&title, &remedy] {
                assert!(!text.contains('⟦') && !text.contains('{'), "{language:?} {code}: {text}");
                assert!(language != Language::Ja || !text.is_ascii(), "not translated: {text}");
            }
            assert!(titles.insert(title), "{code}: two failures with one title");
        }
    }
}

#[test]
fn a_locked_pin_names_the_office_and_the_way_that_works_today() {
    let texts = Texts::new(Language::Ja);
    let remedy = texts.failure_remedy(CardError::PinLocked.failure_code().unwrap());
    for needed in ["市区町村の窓口", "目視確認", "顔認証", "署名用"] {
        assert!(remedy.contains(needed), "{needed}: {remedy}");
    }
}

#[test]
fn whatever_rules_the_pin_out_names_another_way() {
    let errors = [
        CardError::PinLastTry,
        CardError::PinLocked,
        CardError::CertificateMissing,
        CardError::CertificateNotYetValid { begins_on: date(2026, 12, 1) },
        CardError::CertificateForeign,
        CardError::CertificateBroken(tazune_card::CertificateFault::NotDer),
    ];
    for language in Language::ALL {
        let texts = Texts::new(language);
        for error in &errors {
            let remedy = texts.failure_remedy(error.failure_code().unwrap());
            assert!(remedy.contains("資格確認書"), "{error}: {remedy}");
        }
        let phone = texts.failure_remedy(CardError::PhoneTapped(tazune_card::Phone::Iphone).failure_code().unwrap());
        assert!(["プラスチックのマイナンバーカード", "plastic My Number card"].iter().any(|next| phone.contains(next)));
    }
}

#[test]
fn the_last_entry_is_called_so_at_two_tries() {
    let texts = Texts::new(Language::En);
    let blank = every_screen()[0].clone();
    for (tries_left, is_last) in [(3, false), (2, true)] {
        let screen = Screen { body: Body::EnterPin { tries_left, certificate: None }, ..blank.clone() };
        let lines = screen.render(&texts).lines.join("\n");
        assert!(lines.contains(&format!("{tries_left} more wrong entries")), "{lines}");
        assert_eq!(lines.contains("last entry here"), is_last, "{lines}");
    }
}

#[test]
fn an_expiring_certificate_is_advice_with_its_day() {
    let texts = Texts::new(Language::Ja);
    let blank = every_screen()[0].clone();
    let lines: Vec<_> = certificates()
        .map(|certificate| {
            let screen = Screen { body: Body::EnterPin { tries_left: 3, certificate }, ..blank.clone() };
            screen.render(&texts).lines.join("\n").contains("2026年11月21日(土)")
        })
        .collect();
    assert_eq!(lines, [false, false, true, true, true]);
}

#[test]
fn ticks_and_the_chosen_actor_show_without_colour() {
    let mut trial = crate::common::Trial::new(None);
    trial.say(tazune_visit::Intent::ToggleConsent(ConsentItem::Drug));
    let choices = trial.visit.screen().render(&Texts::new(Language::En)).choices;
    let texts: Vec<_> = choices.iter().map(|(_, text)| text.as_str()).collect();
    assert!(texts[0].starts_with("☑ Medicines") && texts[1].starts_with("☐ Health check-up"), "{texts:?}");
    assert!(texts.iter().any(|text| text.starts_with("● The patient")), "{texts:?}");
}
