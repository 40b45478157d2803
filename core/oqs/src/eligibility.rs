use tazune_model::{
    CostLimitCertificate, Date, Eligibility, InsuredOrDependent, Personal, ProcessingStatus, Qualification, Sex,
};

use crate::{CostLimitInfo, ParseError, QualificationResult, ResultMessage, Segment, Text, field::read_date};

impl ResultMessage {
    /// The answer in the words of the trade.
    ///
    /// A message that failed as a whole becomes [`ProcessingStatus::Error`] with the header's code and text; so it can
    /// be shown like a person who could not be processed.
    ///
    /// # Errors
    /// [`ParseError::Missing`] without `ProcessingResultStatus`, or when a qualification lacks `Name`, `Sex1`, `Birthdate`
    /// or `InsurerNumber`; [`ParseError::Value`] when one of these is not of its shape, or `SegmentOfResult` says the
    /// answer is not ready, which a query about one person never does. What decides nothing costs no answer: any other
    /// element that is not of its shape is left out here, and stays in the message.
    pub fn eligibility(&self) -> Result<Eligibility, ParseError> {
        let (header, body) = (&self.header, &self.body);
        let (status, code, message) = match header.segment {
            Segment::Normal => (required("ProcessingResultStatus", &body.status)?, &body.code, &body.message),
            Segment::Failed => (&ProcessingStatus::Error, &header.error_code, &header.error_message),
            Segment::InProgress => return Err(ParseError::Value { element: "SegmentOfResult" }),
        };
        Ok(Eligibility {
            confirmed_on: header.confirmed_on,
            institution: header.institution.clone(),
            status: *status,
            code: string(code),
            message: string(message),
            validity: body.validity,
            qualifications: body.results.iter().map(qualification).collect::<Result<_, _>>()?,
        })
    }
}

fn qualification(result: &QualificationResult) -> Result<Qualification, ParseError> {
    let elderly_ratio = result.elderly_certificate.as_ref().and_then(|info| info.copayment_ratio.as_ref());
    Ok(Qualification {
        name: Personal::new(required("Name", &result.name)?.as_str().into()),
        name_kana: string(&result.name_kana).map(Personal::new),
        sex: Personal::new(code("Sex1", required("Sex1", &result.sex1)?, &SEXES)?),
        birth_date: Personal::new(
            read_date(required("Birthdate", &result.birth_date)?.as_str())
                .ok_or(ParseError::Value { element: "Birthdate" })?,
        ),
        address: string(&result.address).map(Personal::new),
        insurer_number: checked("InsurerNumber", required("InsurerNumber", &result.insurer_number)?)?,
        insurer_name: string(&result.insurer_name),
        symbol: readable(&result.symbol, |text| checked("InsuredCardSymbol", text).ok()),
        number: readable(&result.number, |text| checked("InsuredIdentificationNumber", text).ok()),
        branch: readable(&result.branch, |text| checked("InsuredBranchNumber", text).ok()),
        insured_or_dependent: readable(&result.insured_or_dependent, |text| {
            code("PersonalFamilyClassification", text, &FAMILY).ok()
        }),
        qualified_on: readable(&result.qualified_on, date),
        disqualified_on: readable(&result.disqualified_on, date),
        valid_from: readable(&result.valid_from, date),
        valid_until: readable(&result.valid_until, date),
        // A person has one share: from 75 on in the qualification, from 70 to 74 in the recipient certificate.
        copayment_percent: result.copayment_ratio.as_ref().or(elderly_ratio).and_then(percent),
        cost_limit: result.cost_limit.as_ref().and_then(cost_limit),
    })
}

fn cost_limit(info: &CostLimitInfo) -> Option<CostLimitCertificate> {
    Some(CostLimitCertificate {
        class: string(&info.class)?,
        valid_from: readable(&info.valid_from, date),
        valid_until: readable(&info.valid_until, date),
    })
}

/// OQSCD007.
const SEXES: [(&str, Sex); 3] = [("1", Sex::Male), ("2", Sex::Female), ("3", Sex::NotSet)];

/// OQSCD009.
const FAMILY: [(&str, InsuredOrDependent); 2] =
    [("1", InsuredOrDependent::Insured), ("2", InsuredOrDependent::Dependent)];

/// Written where a qualification has no end; a custom of insurers' registers, not stated in a public source.
const NO_END: &str = "99999999";

fn string(text: &Option<Text>) -> Option<String> {
    text.as_ref().map(|text| text.as_str().into())
}

fn required<'a, T>(element: &'static str, value: &'a Option<T>) -> Result<&'a T, ParseError> {
    value.as_ref().ok_or(ParseError::Missing { element })
}

fn readable<T>(text: &Option<Text>, read: impl Fn(&Text) -> Option<T>) -> Option<T> {
    text.as_ref().and_then(read)
}

fn checked<T: TryFrom<String>>(element: &'static str, text: &Text) -> Result<T, ParseError> {
    T::try_from(text.as_str().into()).map_err(|_| ParseError::Value { element })
}

fn code<T: Copy>(element: &'static str, text: &Text, table: &[(&str, T)]) -> Result<T, ParseError> {
    let found = table.iter().find(|(code, _)| *code == text.as_str());
    found.map(|(_, value)| *value).ok_or(ParseError::Value { element })
}

fn date(text: &Text) -> Option<Date> {
    Some(text.as_str()).filter(|text| *text != NO_END).and_then(read_date)
}

/// A share in three digits of percent: `010` is 10.
fn percent(text: &Text) -> Option<u8> {
    let digits = Some(text.as_str()).filter(|text| text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).filter(|percent| *percent <= 100)
}
