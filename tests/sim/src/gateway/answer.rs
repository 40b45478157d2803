use std::io;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::Offset};
use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use super::{
    judge::{Phase, japan_date},
    shape::{GivenConsent, Item},
};
use crate::population::{Coverage, Person, Sex};

/// What one answer is made of.
pub(super) struct Question<'a> {
    pub(super) institution: &'a str,
    pub(super) now: Timestamp,
    pub(super) phase: Phase,
    pub(super) consent: &'a GivenConsent,
    /// `None` for a certificate that the register does not know.
    pub(super) person: Option<&'a Person>,
}

/// Message 002 (`OQSsiquc01res`): UTF-8, four spaces of indentation.
///
/// Elements in the order of the shared facts "oqs-interface" §3.2. The result codes are ours, the real ones are not public.
pub(super) fn write(question: &Question<'_>) -> Vec<u8> {
    let mut tree = Tree(Writer::new_with_indent(Vec::new(), b' ', 4));
    tree.document(question).expect("writing to memory does not fail");
    let mut bytes = tree.0.into_inner();
    bytes.push(b'\n');
    bytes
}

struct Tree(Writer<Vec<u8>>);

impl Tree {
    fn document(&mut self, question: &Question<'_>) -> io::Result<()> {
        self.0.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        self.branch("XmlMsg", |tree| {
            tree.branch("MessageHeader", |tree| tree.header(question))?;
            tree.branch("MessageBody", |tree| tree.body(question))
        })
    }

    fn header(&mut self, question: &Question<'_>) -> io::Result<()> {
        self.leaf("ProcessExecutionTime", &time(question.now))?;
        self.leaf("QualificationConfirmationDate", &day(japan_date(question.now)))?;
        self.leaf("MedicalInstitutionCode", question.institution)?;
        self.leaf("ReferenceClassification", "1")?;
        self.leaf("SegmentOfResult", "1")?;
        self.leaf("CharacterCodeIdentifier", "0")
    }

    fn body(&mut self, question: &Question<'_>) -> io::Result<()> {
        let (status, note) = match question.phase {
            Phase::Valid => ("1", None),
            Phase::Expiring => ("1", Some(("SIM-I-0001", "電子証明書の有効期限が三か月以内に切れます。"))),
            Phase::Grace => ("1", Some(("SIM-I-0002", "電子証明書の有効期限が切れています。資格情報のみ提供します。"))),
            Phase::Expired => ("2", Some(("SIM-E-0001", "電子証明書の有効期限が切れています。"))),
        };
        self.leaf("ProcessingResultStatus", status)?;
        if let Some((code, text)) = note {
            self.leaf("ProcessingResultCode", code)?;
            self.leaf("ProcessingResultMessage", text)?;
        }
        if question.phase == Phase::Expired {
            return Ok(());
        }
        let found = question.person.and_then(|person| Some((person, person.coverage.as_ref()?)));
        let Some((person, coverage)) = found else {
            return self.leaf("QualificationValidity", "4");
        };
        self.leaf("QualificationValidity", coverage.validity)?;
        self.branch("ResultList", |tree| {
            tree.branch("ResultOfQualificationConfirmation", |tree| tree.qualification(question, person, coverage))
        })
    }

    fn qualification(&mut self, question: &Question<'_>, person: &Person, coverage: &Coverage) -> io::Result<()> {
        self.leaf("InsuredCardClassification", coverage.classification)?;
        self.leaf("InsurerNumber", coverage.insurer_number)?;
        self.leaf_if("InsuredCardSymbol", coverage.symbol)?;
        self.leaf("InsuredIdentificationNumber", coverage.number)?;
        self.leaf_if("InsuredBranchNumber", coverage.branch)?;
        self.leaf_if("PersonalFamilyClassification", coverage.relation)?;
        if coverage.relation == Some("1") {
            self.leaf("InsuredName", person.name)?;
        }
        self.leaf("Name", person.name)?;
        self.leaf("NameKana", person.kana)?;
        self.leaf("Sex1", if person.sex == Sex::Male { "1" } else { "2" })?;
        self.leaf("Birthdate", &day(person.birth_date))?;
        if let Some((post_number, address)) = coverage.address {
            self.leaf("Address", address)?;
            self.leaf("PostNumber", post_number)?;
        }
        self.leaf("QualificationDate", &day(coverage.qualified_on))?;
        if let Some((lost_on, _)) = coverage.lost {
            self.leaf("DisqualificationDate", &day(lost_on))?;
        }
        self.leaf("InsuredCardValidDate", &day(coverage.qualified_on))?;
        self.leaf_if("InsuredCardExpirationDate", coverage.card_expires_on.map(day).as_deref())?;
        self.leaf_if("InsuredPartialContributionRatio", coverage.share)?;
        self.leaf_if("ReasonOfLoss", coverage.lost.map(|(_, reason)| reason))?;
        self.leaf("InsurerName", coverage.insurer_name)?;
        self.consents(question, coverage)
    }

    /// The flags echo the consent that came; in grace nothing is agreed to, whatever was said.
    fn consents(&mut self, question: &Question<'_>, coverage: &Coverage) -> io::Result<()> {
        let given_at = question.consent.given_at;
        let is_agreed = |item| question.phase != Phase::Grace && question.consent.agreed.contains(&item);

        self.consent("LimitApplicationCertificateRelated", is_agreed(Item::CostLimit), given_at)?;
        if let Some(class) = coverage.limit_class.filter(|_| is_agreed(Item::CostLimit)) {
            let start = japan_date(question.now).first_of_month();
            self.branch("LimitApplicationCertificateRelatedInfo", |tree| {
                tree.leaf("LimitApplicationCertificateClassification", "01")?;
                tree.leaf("LimitApplicationCertificateClassificationFlag", class)?;
                tree.leaf("LimitApplicationCertificateDate", &day(start))?;
                tree.leaf("LimitApplicationCertificateValidStartDate", &day(start))
            })?;
        }
        self.consent("SpecificDiseasesCertificateRelated", is_agreed(Item::SpecificDisease), given_at)?;
        for (prefix, item) in [
            ("SpecificHealthCheckupsInfo", Item::CheckUp),
            ("PharmacistsInfo", Item::Drug),
            ("DiagnosisInfo", Item::Treatment),
            ("OperationInfo", Item::Surgery),
        ] {
            self.consent(prefix, is_agreed(item), given_at)?;
            if is_agreed(item) {
                let until = given_at.saturating_add(SignedDuration::from_hours(24)).expect("a day always adds");
                self.leaf(&format!("{prefix}AvailableTime"), &time(until))?;
            }
        }
        Ok(())
    }

    fn consent(&mut self, prefix: &str, is_agreed: bool, given_at: Timestamp) -> io::Result<()> {
        self.leaf(&format!("{prefix}ConsFlg"), if is_agreed { "1" } else { "0" })?;
        self.leaf_if(&format!("{prefix}ConsTime"), is_agreed.then(|| time(given_at)).as_deref())
    }

    fn branch(&mut self, name: &str, inside: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        use quick_xml::events::{BytesEnd, BytesStart};
        self.0.write_event(Event::Start(BytesStart::new(name)))?;
        inside(self)?;
        self.0.write_event(Event::End(BytesEnd::new(name)))
    }

    fn leaf(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.0.create_element(name).write_text_content(BytesText::new(text)).map(drop)
    }

    fn leaf_if(&mut self, name: &str, text: Option<&str>) -> io::Result<()> {
        text.map_or(Ok(()), |text| self.leaf(name, text))
    }
}

fn day(date: Date) -> String {
    date.strftime("%Y%m%d").to_string()
}

fn time(at: Timestamp) -> String {
    Offset::constant(9).to_datetime(at).strftime("%Y%m%d%H%M%S").to_string()
}
