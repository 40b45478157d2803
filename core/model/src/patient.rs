use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{Personal, Qualification};

/// Sex as the national messages code it (性別, `Sex1`, code table 007).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sex {
    /// 男, code 1.
    Male,
    /// 女, code 2.
    Female,
    /// 未設定, code 3.
    NotSet,
}

/// The patient a visit was planned for (予定の患者), from the clinic's list or as typed by the staff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPatient {
    /// The clinic's own patient number or 照会番号 (`ReferenceNumber`), up to 50 characters, if there is one.
    pub reference_number: Option<Personal<String>>,
    /// Name as the clinic writes it.
    pub name: Personal<String>,
    /// Birth date.
    pub birth_date: Personal<Date>,
    /// Sex as registered at the clinic.
    pub sex: Personal<Sex>,
}

/// How an answer compares with the planned patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonMatch {
    /// Birth date and sex agree and so does the name.
    Same,
    /// Birth date and sex agree; the name is written otherwise (●, kana, another form): the staff look, nothing is blocked.
    NameDiffers,
    /// Birth date or sex is another: this is somebody else's answer.
    OtherPerson,
}

impl PlannedPatient {
    /// Compares an answer's person with the planned one; birth date and sex decide, the name never does.
    ///
    /// A sex of [`Sex::NotSet`] on either side is no contradiction. Source: shared facts "visit-eligibility-rules" T53, T54, T07.
    #[must_use]
    pub fn compare(&self, answer: &Qualification) -> PersonMatch {
        // EXPOSE: comparison only.
        let (planned, answered) = (*self.sex.expose(), *answer.sex.expose());
        let sex_contradicts = planned != answered && planned != Sex::NotSet && answered != Sex::NotSet;
        if self.birth_date.expose() != answer.birth_date.expose() || sex_contradicts {
            return PersonMatch::OtherPerson;
        }
        let squeezed = |name: &str| name.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        if squeezed(self.name.expose()) == squeezed(answer.name.expose()) {
            PersonMatch::Same
        } else {
            PersonMatch::NameDiffers
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InsurerNumber;
    use jiff::civil::date;

    fn planned(name: &str, sex: Sex) -> PlannedPatient {
        PlannedPatient {
            reference_number: None,
            name: Personal::new(name.into()),
            birth_date: Personal::new(date(1941, 5, 5)),
            sex: Personal::new(sex),
        }
    }

    fn answered(name: &str, birth_date: Date, sex: Sex) -> Qualification {
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

    #[test]
    fn birth_date_and_sex_decide_and_a_name_never_blocks() {
        let answer = answered("見本　太郎", date(1941, 5, 5), Sex::Male);
        assert_eq!(planned("見本 太郎", Sex::Male).compare(&answer), PersonMatch::Same);
        assert_eq!(planned("見本 太●", Sex::Male).compare(&answer), PersonMatch::NameDiffers);
        assert_eq!(planned("見本 太郎", Sex::NotSet).compare(&answer), PersonMatch::Same);
        assert_eq!(planned("見本 太郎", Sex::Female).compare(&answer), PersonMatch::OtherPerson);
        let later = answered("見本　太郎", date(1941, 5, 6), Sex::Male);
        assert_eq!(planned("見本 太郎", Sex::Male).compare(&later), PersonMatch::OtherPerson);
    }
}
