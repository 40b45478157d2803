//! The people of the simulated world: all invented, each one case that a visit meets.
//!
//! Whatever names or describes a person carries one of [`MARKED_VALUES`], so that a test can look for them where they must not be.

use jiff::{ToSpan as _, civil::Date};

use crate::CertificateSpec;

/// Texts of which at least one is in every personal value of the population: look for each of them as UTF-8.
pub const MARKED_VALUES: &[&str] = &[
    "見本",
    "ﾐﾎﾝ",
    "MARK",
    "ＭＡＲＫ",
    "9001770",
    "19610413",
    "1961-04-13",
    "19720229",
    "1972-02-29",
    "19830731",
    "1983-07-31",
    "19490105",
    "1949-01-05",
    "19901212",
    "1990-12-12",
    "19570606",
    "1957-06-06",
    "19451103",
    "1945-11-03",
];

/// Sex as the national messages write it (table 007).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sex {
    /// 男.
    Male,
    /// 女.
    Female,
}

/// One invented person with a card.
#[derive(Clone, Debug)]
pub struct Person {
    /// The word that tests and the command line use, for example `valid`.
    pub key: &'static str,
    /// What the person is there for, in one line.
    pub case: &'static str,
    /// 氏名, family and given name divided by one full-width space; ● where the exchange has no character.
    pub name: &'static str,
    /// 氏名カナ in half-width katakana.
    pub kana: &'static str,
    /// 生年月日.
    pub birth_date: Date,
    /// 性別.
    pub sex: Sex,
    /// The certificate on the card.
    pub certificate: CertificateSpec,
    /// What the insurer's register says; `None` where nothing is found.
    pub coverage: Option<Coverage>,
}

/// One qualification (資格) as message 002 carries it.
#[derive(Clone, Debug)]
pub struct Coverage {
    /// 資格有効性, table 006.
    pub validity: &'static str,
    /// 被保険者証区分, table 010.
    pub classification: &'static str,
    /// 保険者番号, eight characters; six-digit numbers have two spaces before.
    pub insurer_number: &'static str,
    /// 保険者名称.
    pub insurer_name: &'static str,
    /// 記号.
    pub symbol: Option<&'static str>,
    /// 番号.
    pub number: &'static str,
    /// 枝番, two digits.
    pub branch: Option<&'static str>,
    /// 本人・家族, table 009.
    pub relation: Option<&'static str>,
    /// 郵便番号 and 住所; `None` for a person whose address is hidden.
    pub address: Option<(&'static str, &'static str)>,
    /// 資格取得年月日.
    pub qualified_on: Date,
    /// 資格喪失年月日 and 資格喪失事由 (table 008).
    pub lost: Option<(Date, &'static str)>,
    /// 証有効終了年月日.
    pub card_expires_on: Option<Date>,
    /// 一部負担金割合, three digits of percent.
    pub share: Option<&'static str>,
    /// 限度額適用区分, table 012; disclosed with consent only.
    pub limit_class: Option<&'static str>,
}

/// The population as it is on `day`: certificates and dates that matter are laid around that day.
#[must_use]
pub fn people(day: Date) -> Vec<Person> {
    let employee = Coverage {
        validity: "1",
        classification: "01",
        insurer_number: "06139992",
        insurer_name: "見本健康保険組合",
        symbol: Some("ＭＡＲＫ１"),
        number: "9001770",
        branch: Some("00"),
        relation: Some("1"),
        address: Some(("999-0001", "見本県見本市見本町１－２－３")),
        qualified_on: Date::constant(2020, 4, 1),
        lost: None,
        card_expires_on: None,
        share: None,
        limit_class: Some("A03"),
    };
    let municipal = Coverage {
        insurer_number: "  138990",
        insurer_name: "見本市",
        symbol: Some("MARK-2"),
        limit_class: None,
        ..employee.clone()
    };
    let elder = Coverage {
        insurer_number: "39139993",
        insurer_name: "見本県後期高齢者医療広域連合",
        symbol: None,
        number: "90017701",
        branch: None,
        relation: Some("1"),
        card_expires_on: Some(next_july_end(day)),
        share: Some("030"),
        limit_class: Some("B03"),
        ..employee.clone()
    };
    let person = |key: &'static str, case, name, kana, birth_date, sex, coverage| {
        let certificate = CertificateSpec { key: format!("person-{key}"), ..CertificateSpec::valid_on(day) };
        Person { key, case, name, kana, birth_date, sex, certificate, coverage }
    };
    let month = day.first_of_month();
    let mut people = vec![
        person(
            "valid",
            "insured by an employer's society, the person herself",
            "見本　花子",
            "ﾐﾎﾝ ﾊﾅｺ",
            Date::constant(1961, 4, 13),
            Sex::Female,
            Some(employee.clone()),
        ),
        person(
            "lost",
            "left the society last month and joined another, which has not registered yet",
            "見本　次郎",
            "ﾐﾎﾝ ｼﾞﾛｳ",
            Date::constant(1972, 2, 29),
            Sex::Male,
            Some(Coverage {
                validity: "2",
                number: "90017702",
                lost: Some((month.saturating_sub(1.month()), "03")),
                ..employee.clone()
            }),
        ),
        person(
            "none",
            "no qualification is found",
            "見本　三郎",
            "ﾐﾎﾝ ｻﾌﾞﾛｳ",
            Date::constant(1983, 7, 31),
            Sex::Male,
            None,
        ),
        person(
            "elder",
            "over 75, whose share has become three tenths",
            "見本　松江",
            "ﾐﾎﾝ ﾏﾂｴ",
            Date::constant(1949, 1, 5),
            Sex::Female,
            Some(elder.clone()),
        ),
        person(
            "hidden",
            "national health insurance, the address is not disclosed",
            "見本　桜",
            "ﾐﾎﾝ ｻｸﾗ",
            Date::constant(1990, 12, 12),
            Sex::Female,
            Some(Coverage {
                address: None,
                number: "90017704",
                branch: Some("02"),
                relation: Some("2"),
                ..municipal.clone()
            }),
        ),
        person(
            "unknown-kanji",
            "a character of the name is outside the exchange set",
            "見本　●太",
            "ﾐﾎﾝ ｺｳﾀ",
            Date::constant(1957, 6, 6),
            Sex::Male,
            Some(Coverage { number: "90017705", ..municipal }),
        ),
        {
            let mut in_grace = person(
                "grace",
                "the certificate ended last month: eligibility only",
                "見本　五郎",
                "ﾐﾎﾝ ｺﾞﾛｳ",
                Date::constant(1945, 11, 3),
                Sex::Male,
                Some(Coverage { number: "90017706", share: Some("010"), limit_class: Some("B10"), ..elder }),
            );
            let CertificateSpec { not_before, not_after, .. } = CertificateSpec::until(month.saturating_sub(1.day()));
            in_grace.certificate = CertificateSpec { not_before, not_after, ..in_grace.certificate };
            in_grace
        },
    ];
    for (person, serial) in people.iter_mut().zip(0x5A_20_01..) {
        person.certificate.serial = serial;
        person.certificate.common_name = format!("SIM{:05X}TAZUNE13101003A", serial & 0xF_FFFF);
    }
    people
}

/// The day on which the certificates of the elderly of this year end.
fn next_july_end(day: Date) -> Date {
    let this_year = Date::constant(2000, 7, 31).with().year(day.year()).build().expect("every year has a 31 July");
    if day <= this_year { this_year } else { this_year.saturating_add(1.year()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_personal_carries_a_mark() {
        let is_marked = |text: &str| MARKED_VALUES.iter().any(|mark| text.contains(mark));
        for person in people(Date::constant(2026, 11, 21)) {
            let birth_date = person.birth_date;
            let dates = [birth_date.to_string(), birth_date.strftime("%Y%m%d").to_string()];
            let coverage = person.coverage.iter().flat_map(|coverage| {
                [Some(coverage.number), coverage.symbol, coverage.address.map(|(_, address)| address)]
            });
            for text in dates.iter().map(String::as_str).chain([person.name, person.kana]).chain(coverage.flatten()) {
                assert!(is_marked(text), "{}: {text}", person.key);
            }
        }
    }

    #[test]
    fn no_two_people_share_a_certificate_number_or_key() {
        let people = people(Date::constant(2026, 11, 21));
        for (index, person) in people.iter().enumerate() {
            for other in &people[..index] {
                assert_ne!(person.certificate.serial, other.certificate.serial);
                assert_ne!(person.certificate.key, other.certificate.key);
            }
        }
    }
}
