use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One kind of information that a patient agrees, or does not agree, to have read (同意項目).
///
/// Source: shared facts "visit-eligibility-rules" B0-4; the tag in each doc line is the result's consent flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentItem {
    /// Drug history (薬剤情報), `PharmacistsInfoConsFlg`.
    Drug,
    /// Treatment history (診療情報), `DiagnosisInfoConsFlg`.
    Treatment,
    /// Surgery (手術情報), `OperationInfoConsFlg`.
    Surgery,
    /// Specific health check-up (特定健診情報), `SpecificHealthCheckupsInfoConsFlg`.
    CheckUp,
    /// Cost limit certificate (限度額情報), `LimitApplicationCertificateRelatedConsFlg`.
    CostLimit,
    /// Specific disease certificate (特定疾病療養受療証情報), `SpecificDiseasesCertificateRelatedConsFlg`.
    SpecificDisease,
}

impl ConsentItem {
    /// Every item, in the order it is shown.
    pub const ALL: [Self; 6] =
        [Self::Drug, Self::Treatment, Self::Surgery, Self::CheckUp, Self::CostLimit, Self::SpecificDisease];

    /// The stable word of the item in texts and messages, for example `drug`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Drug => "drug",
            Self::Treatment => "treatment",
            Self::Surgery => "surgery",
            Self::CheckUp => "check_up",
            Self::CostLimit => "cost_limit",
            Self::SpecificDisease => "specific_disease",
        }
    }
}

/// Who gave the consent (同意者).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentActor {
    /// The patient.
    Patient,
    /// The patient's legal representative (法定代理人).
    LegalRepresentative,
    /// The patient, with somebody working the device for them (介助者).
    CarerHelping,
    /// The patient cannot express a will: eligibility only, no item can be agreed to.
    CannotExpress,
}

impl ConsentActor {
    /// Every actor, in the order it is shown.
    pub const ALL: [Self; 4] = [Self::Patient, Self::LegalRepresentative, Self::CarerHelping, Self::CannotExpress];

    /// The stable word of the actor in texts and messages, for example `patient`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::LegalRepresentative => "legal_representative",
            Self::CarerHelping => "carer_helping",
            Self::CannotExpress => "cannot_express",
        }
    }
}

/// A language that every text exists in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    /// Japanese.
    #[default]
    #[serde(rename = "ja")]
    Ja,
    /// English.
    #[serde(rename = "en")]
    En,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::Ja, Self::En];

    /// The BCP 47 tag, for example `ja`.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Ja => "ja",
            Self::En => "en",
        }
    }
}

/// What was asked, what was agreed, by whom and in which words (同意).
///
/// Nothing is agreed unless chosen; an item that was not shown cannot be agreed to, and
/// [`ConsentActor::CannotExpress`] agrees to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawConsent")]
pub struct Consent {
    actor: ConsentActor,
    shown: BTreeSet<ConsentItem>,
    agreed: BTreeSet<ConsentItem>,
    language: Language,
    text_version: String,
    given_at: Timestamp,
}

/// The consent breaks a rule of its own: an item was agreed to without being shown, or by nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsentError {
    /// An agreed item is not among the shown ones.
    #[error("an item was agreed to that was not shown")]
    NotShown,
    /// Items were agreed to although the patient cannot express a will.
    #[error("nothing can be agreed to for a patient who cannot express a will")]
    NobodyAgreed,
}

#[derive(Deserialize)]
struct RawConsent {
    actor: ConsentActor,
    shown: BTreeSet<ConsentItem>,
    agreed: BTreeSet<ConsentItem>,
    language: Language,
    text_version: String,
    given_at: Timestamp,
}

impl TryFrom<RawConsent> for Consent {
    type Error = ConsentError;

    fn try_from(raw: RawConsent) -> Result<Self, ConsentError> {
        Self::new(raw.actor, raw.shown, raw.agreed, raw.language, raw.text_version, raw.given_at)
    }
}

impl Consent {
    /// A consent as given at `given_at`.
    ///
    /// # Errors
    /// [`ConsentError::NotShown`] when `agreed` is not within `shown`; [`ConsentError::NobodyAgreed`] when the
    /// actor cannot express a will and `agreed` is not empty.
    pub fn new(
        actor: ConsentActor,
        shown: BTreeSet<ConsentItem>,
        agreed: BTreeSet<ConsentItem>,
        language: Language,
        text_version: String,
        given_at: Timestamp,
    ) -> Result<Self, ConsentError> {
        if !agreed.is_subset(&shown) {
            return Err(ConsentError::NotShown);
        }
        if actor == ConsentActor::CannotExpress && !agreed.is_empty() {
            return Err(ConsentError::NobodyAgreed);
        }
        Ok(Self { actor, shown, agreed, language, text_version, given_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consent(actor: ConsentActor, shown: &[ConsentItem], agreed: &[ConsentItem]) -> Result<Consent, ConsentError> {
        let set = |items: &[ConsentItem]| items.iter().copied().collect();
        Consent::new(actor, set(shown), set(agreed), Language::Ja, "1".into(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn refuses_an_item_that_was_not_shown() {
        assert_eq!(
            consent(ConsentActor::Patient, &[ConsentItem::Drug], &[ConsentItem::Surgery]),
            Err(ConsentError::NotShown)
        );
    }

    #[test]
    fn refuses_agreement_for_a_patient_who_cannot_express_a_will_also_from_json() {
        let drug = [ConsentItem::Drug];
        assert_eq!(consent(ConsentActor::CannotExpress, &drug, &drug), Err(ConsentError::NobodyAgreed));
        let json = serde_json::to_string(&consent(ConsentActor::Patient, &drug, &drug).unwrap()).unwrap();
        assert!(serde_json::from_str::<Consent>(&json).is_ok());
        assert!(serde_json::from_str::<Consent>(&json.replace("patient", "cannot_express")).is_err());
    }
}
