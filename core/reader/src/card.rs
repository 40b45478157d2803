use serde_json::{Value, json};
use tazune_engine::{
    CardFound, CertificateFound, CertificatePhase, Clock as _, Device, InspectError, Issuer, SystemClock, Texts,
    inspect_card, japan_date,
};

use crate::{arguments::CardArguments, console::Console, ended::Ended, exit::Exit};

/// Tells what is on the reader, without a PIN; a device that is paired also knows who may issue a certificate.
pub(crate) async fn run(arguments: &CardArguments, device: Option<&Device>, console: &Console) -> Result<Exit, Ended> {
    let port = arguments.source()?.open(arguments.card_wait(), console).await?;
    let pairing = match device {
        // Keys that are locked, or a database that cannot be read, only leave the issuer unchecked.
        Some(device) => device.pairing().await.ok(),
        None => None,
    };
    let found = match inspect_card(port, pairing.as_ref(), japan_date(SystemClock.now())).await {
        Ok(found) => Some(found),
        Err(InspectError::Absent) => None,
        Err(InspectError::Reader(trouble)) => return Err(trouble.into()),
        Err(InspectError::Card(error)) => return Err(error.failure_code().map_or(Ended::Cancelled, Ended::Card)),
    };
    console.say(&json!({ "card": as_json(found) }), |texts| in_words(found, texts))?;
    Ok(Exit::Done)
}

fn as_json(found: Option<CardFound>) -> Value {
    match found {
        None => json!({ "kind": "none" }),
        Some(CardFound::Other) => json!({ "kind": "other" }),
        Some(CardFound::Phone(_)) => json!({ "kind": "phone" }),
        Some(CardFound::MyNumberCard { certificate, tries_left }) => {
            let certificate = match certificate {
                CertificateFound::Present { summary, issuer } => json!({
                    "state": "present",
                    "phase": summary.phase,
                    "expires_on": summary.expires_on,
                    "issuer": issuer_word(issuer),
                }),
                CertificateFound::Missing => json!({ "state": "missing" }),
                CertificateFound::Broken(_) => json!({ "state": "broken" }),
            };
            json!({ "kind": "my-number-card", "certificate": certificate, "tries_left": tries_left })
        }
    }
}

fn in_words(found: Option<CardFound>, texts: &Texts) -> String {
    let say = |key: &str| texts.text(key, &[]);
    let Some(found) = found else { return say("tool-card-none") };
    let (certificate, tries_left) = match found {
        CardFound::Other => return say("tool-card-other"),
        CardFound::Phone(_) => return say("tool-card-phone"),
        CardFound::MyNumberCard { certificate, tries_left } => (certificate, tries_left),
    };
    let mut lines = vec![say("tool-card-my-number")];
    match certificate {
        CertificateFound::Present { summary, issuer } => {
            let phase = say(phase_key(summary.phase));
            let last = texts.date(summary.expires_on);
            lines.push(texts.text("tool-card-certificate", &[("phase", &phase), ("last", &last)]));
            lines.push(say(issuer_key(issuer)));
        }
        CertificateFound::Missing => lines.push(say("tool-card-certificate-missing")),
        CertificateFound::Broken(_) => lines.push(say("tool-card-certificate-broken")),
    }
    lines.push(match tries_left {
        0 => say("tool-card-locked"),
        left => texts.text("tool-card-tries", &[("left", &left.to_string())]),
    });
    lines.join("\n")
}

const fn phase_key(phase: CertificatePhase) -> &'static str {
    match phase {
        CertificatePhase::NotYetValid => "tool-phase-not-yet-valid",
        CertificatePhase::Valid => "tool-phase-valid",
        CertificatePhase::Expiring => "tool-phase-expiring",
        CertificatePhase::Grace => "tool-phase-grace",
        CertificatePhase::Expired => "tool-phase-expired",
    }
}

const fn issuer_key(issuer: Issuer) -> &'static str {
    match issuer {
        Issuer::Trusted => "tool-issuer-trusted",
        Issuer::Foreign => "tool-issuer-foreign",
        Issuer::Unchecked => "tool-issuer-unchecked",
    }
}

const fn issuer_word(issuer: Issuer) -> &'static str {
    match issuer {
        Issuer::Trusted => "trusted",
        Issuer::Foreign => "foreign",
        Issuer::Unchecked => "unchecked",
    }
}

#[cfg(test)]
mod tests {
    use tazune_engine::{CertificateSummary, Language};

    use super::*;

    /// Everything that may be on a reader.
    fn everything() -> Vec<Option<CardFound>> {
        let phases = [
            CertificatePhase::NotYetValid,
            CertificatePhase::Valid,
            CertificatePhase::Expiring,
            CertificatePhase::Grace,
            CertificatePhase::Expired,
        ];
        let mut all = vec![None, Some(CardFound::Other)];
        for tries_left in 0..=3 {
            let card = |certificate| Some(CardFound::MyNumberCard { certificate, tries_left });
            all.push(card(CertificateFound::Missing));
            for (phase, issuer) in phases
                .iter()
                .flat_map(|&phase| [Issuer::Trusted, Issuer::Foreign, Issuer::Unchecked].map(|i| (phase, i)))
            {
                let summary = CertificateSummary { phase, expires_on: "2030-02-17".parse().unwrap() };
                all.push(card(CertificateFound::Present { summary, issuer }));
            }
        }
        all
    }

    #[test]
    fn whatever_is_found_has_words_in_every_language() {
        for (found, language) in everything().into_iter().flat_map(|found| Language::ALL.map(|l| (found, l))) {
            let words = in_words(found, &Texts::new(language));
            assert!(!words.contains(['⟦', '{']), "{found:?} in {language:?}: {words}");
        }
    }

    #[test]
    fn a_script_is_told_phase_last_day_issuer_and_tries() {
        let summary = CertificateSummary { phase: CertificatePhase::Grace, expires_on: "2026-09-01".parse().unwrap() };
        let certificate = CertificateFound::Present { summary, issuer: Issuer::Unchecked };
        let told = as_json(Some(CardFound::MyNumberCard { certificate, tries_left: 2 }));
        let certificate = json!({
            "state": "present", "phase": "grace", "expires_on": "2026-09-01", "issuer": "unchecked",
        });
        assert_eq!(told, json!({ "kind": "my-number-card", "certificate": certificate, "tries_left": 2 }));
        assert_eq!(as_json(None), json!({ "kind": "none" }));
    }
}
