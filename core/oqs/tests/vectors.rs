//! The stored sample messages, as `tests/vectors/oqs/README.md` describes them.

use tazune_model::{Date, Eligibility, InsuredOrDependent, ProcessingStatus, Sex, Validity};
use tazune_oqs::{ParseError, Text, face_file, parse};

macro_rules! vector {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/vectors/oqs/", $name)).as_slice()
    };
}

const VALID: &[u8] = vector!("answer-valid.xml");
const ANSWERS: [&[u8]; 5] = [
    VALID,
    vector!("answer-address-hidden.xml"),
    vector!("answer-insurance-lost.xml"),
    vector!("answer-not-processed.xml"),
    vector!("answer-failed.xml"),
];

fn eligibility(document: &[u8]) -> Eligibility {
    parse(document).unwrap().eligibility().unwrap()
}

fn edited(from: &str, to: &str) -> Vec<u8> {
    let document = str::from_utf8(VALID).unwrap();
    assert!(document.contains(from), "{from}");
    document.replacen(from, to, 1).into_bytes()
}

#[test]
fn valid_answer_keeps_padding_order_and_unknown_kanji() {
    let answer = eligibility(VALID);
    assert!(answer.is_usable());
    assert_eq!(answer.confirmed_on, Date::constant(2026, 11, 21));
    assert_eq!(answer.institution.as_str(), "9918000010");
    let [person] = answer.qualifications.as_slice() else { panic!("one qualification") };
    assert_eq!(person.name.expose(), "見本　太●");
    assert_eq!(person.name_kana.as_ref().unwrap().expose(), "ﾐﾎﾝ ﾀﾛｳ");
    assert_eq!(person.address.as_ref().unwrap().expose(), "見本県見本市見本町１－２－３　<見本荘>");
    assert_eq!(person.insurer_number.as_str(), "  138057");
    assert_eq!(person.symbol.as_ref().unwrap().as_str(), "見本１２");
    assert_eq!(person.branch.as_ref().unwrap().as_str(), "01");
    assert_eq!(person.insured_or_dependent, Some(InsuredOrDependent::Insured));
    assert_eq!(person.qualified_on, Some(Date::constant(2018, 4, 1)));
    assert_eq!(person.valid_until, None, "99999999 is no end");
    assert_eq!(person.copayment_percent, Some(20));
    let limit = person.cost_limit.as_ref().unwrap();
    assert_eq!((limit.class.as_str(), limit.valid_until), ("B04", Some(Date::constant(2027, 7, 31))));
}

#[test]
fn hidden_address_stays_absent_in_answer_and_face_file() {
    let message = parse(ANSWERS[1]).unwrap();
    let answer = message.eligibility().unwrap();
    assert!(answer.is_usable());
    assert_eq!(answer.code.as_deref(), Some("SAMPLE-I-1"));
    let person = &answer.qualifications[0];
    assert_eq!((&person.address, &person.branch, person.copayment_percent), (&None, &None, Some(30)));
    let face = String::from_utf8(face_file(&message, record())).unwrap();
    assert!(!face.contains("Address") && !face.contains("PostNumber"));
}

#[test]
fn answers_that_cannot_be_used_are_readable() {
    let lost = eligibility(ANSWERS[2]);
    assert_eq!((lost.status, lost.validity), (ProcessingStatus::Normal, Some(Validity::Invalid)));
    assert_eq!(lost.qualifications[0].disqualified_on, Some(Date::constant(2026, 10, 1)));
    assert_eq!(*lost.qualifications[0].sex.expose(), Sex::NotSet);

    let refused = eligibility(ANSWERS[3]);
    assert_eq!((refused.status, refused.validity), (ProcessingStatus::Error, None));
    assert_eq!(refused.message.as_deref(), Some("電子証明書の有効期限が切れています（見本）"));

    let failed = eligibility(ANSWERS[4]);
    assert_eq!((failed.status, failed.code.as_deref()), (ProcessingStatus::Error, Some("SAMPLE-E-2")));
    assert!([&lost, &refused, &failed].iter().all(|answer| !answer.is_usable()));
}

#[test]
fn every_vector_survives_rewriting() {
    for document in ANSWERS {
        let message = parse(document).unwrap();
        assert_eq!(parse(&message.to_xml()), Ok(message));
    }
}

fn record() -> tazune_model::RecordId {
    "019aa3f5-5c00-7001-8203-040506070809".parse().unwrap()
}

#[test]
fn face_file_is_the_stored_one() {
    let face = face_file(&parse(VALID).unwrap(), record());
    assert_eq!(str::from_utf8(&face), str::from_utf8(vector!("face-valid.xml")));
}

#[test]
fn face_file_writes_what_charts_expect_even_when_unknown() {
    let mut message = parse(VALID).unwrap();
    message.header.processed_at = None;
    message.header.reference_classification = None;
    let result = &mut message.body.results[0];
    result.name = None;
    result.qualified_on = None;
    result.insurer_name = None;
    let face = String::from_utf8(face_file(&message, record())).unwrap();
    for element in [
        "<ProcessExecutionTime/>",
        "<ReferenceClassification>1</ReferenceClassification>",
        "<Name/>",
        "<QualificationDate/>",
        "<InsurerName/>",
    ] {
        assert!(face.contains(element), "{element}");
    }
    assert_eq!(parse(face.as_bytes()).unwrap().body, message.body);
}

#[test]
fn cut_off_at_any_byte_is_refused() {
    for document in ANSWERS {
        let end = document.trim_ascii_end().len();
        for length in 0..end {
            assert!(parse(&document[..length]).is_err(), "{length}");
        }
        assert!(parse(&document[..end]).is_ok());
    }
}

#[test]
fn any_byte_may_be_wrong_without_a_panic() {
    for position in 0..VALID.len() {
        for wrong in [0, b'<', b'>', b'&', b'/', b'"', 0xff] {
            let mut document = VALID.to_vec();
            document[position] = wrong;
            let _ = parse(&document).map(|message| message.eligibility());
        }
    }
}

#[test]
fn wrong_messages_end_in_the_named_error() {
    use ParseError::*;
    let table = [
        ("<XmlMsg>", "<!DOCTYPE XmlMsg><XmlMsg>", Entity),
        ("encoding=\"UTF-8\"", "encoding=\"Shift_JIS\"", Encoding),
        ("<SegmentOfResult>1</SegmentOfResult>", "", Missing { element: "SegmentOfResult" }),
        ("<SegmentOfResult>1<", "<SegmentOfResult>3<", Value { element: "SegmentOfResult" }),
        ("9918000010", "", Missing { element: "MedicalInstitutionCode" }),
        ("9918000010", "991800001", Value { element: "MedicalInstitutionCode" }),
        (">20261121<", ">20261131<", Value { element: "QualificationConfirmationDate" }),
        ("Validity>1<", "Validity>7<", Value { element: "QualificationValidity" }),
        ("<Sex1>", "<Name>MARKED</Name><Sex1>", Repeated { element: "Name" }),
        ("見本　太●", "<Family>見本</Family>", Value { element: "Name" }),
        (
            "<ReferenceNumber>",
            "<DiagnosisInfoConsFlg>1</DiagnosisInfoConsFlg><ReferenceNumber>",
            Repeated { element: "DiagnosisInfo" },
        ),
        (
            "<ResultList>",
            "<ResultList>text</ResultList><ResultList>",
            Value { element: "ResultOfQualificationConfirmation" },
        ),
        ("</MessageHeader>", "</MessageHeader><MessageHeader/>", Repeated { element: "MessageHeader" }),
    ];
    for (from, to, error) in table {
        assert_eq!(parse(&edited(from, to)).unwrap_err(), error, "{to}");
    }
    assert_eq!(parse(b"<html/>"), Err(OtherDocument));
    assert_eq!(parse(b"<XmlMsg>text</XmlMsg>"), Err(OtherDocument));
    assert_eq!(parse(b"<XmlMsg/>"), Err(Missing { element: "MessageHeader" }));
}

#[test]
fn eligibility_is_strict_where_a_person_is_told_apart() {
    use ParseError::*;
    let table = [
        ("<SegmentOfResult>1<", "<SegmentOfResult>2<", Value { element: "SegmentOfResult" }),
        ("<ProcessingResultStatus>1<", "<ProcessingResultStatus><", Missing { element: "ProcessingResultStatus" }),
        ("見本　太●", "", Missing { element: "Name" }),
        ("  138057", "        ", Missing { element: "InsurerNumber" }),
        ("  138057", "１３８０５７", Value { element: "InsurerNumber" }),
        ("19530405", "", Missing { element: "Birthdate" }),
        ("19530405", "19530400", Value { element: "Birthdate" }),
        ("19530405", "99999999", Value { element: "Birthdate" }),
        ("<Sex1>1<", "<Sex1>4<", Value { element: "Sex1" }),
        ("<Sex1>1<", "<Sex1> 1<", Value { element: "Sex1" }),
    ];
    for (from, to, error) in table {
        assert_eq!(parse(&edited(from, to)).unwrap().eligibility(), Err(error), "{to}");
    }
}

#[test]
fn what_decides_nothing_costs_no_answer_when_it_is_odd_and_is_never_guessed() {
    for ratio in ["20", "101", "+20", "2割"] {
        let document = edited(">020<", &format!(">{ratio}<"));
        assert_eq!(eligibility(&document).qualifications[0].copayment_percent, None, "{ratio}");
    }
    let document = edited("20180401", "2018/4/1");
    assert_eq!(eligibility(&document).qualifications[0].qualified_on, None);
    // The clinic gets it as it came.
    assert!(String::from_utf8(parse(&document).unwrap().to_xml()).unwrap().contains("2018/4/1"));
    for (ratio, percent) in [("010", 10), ("020", 20), ("030", 30), ("000", 0), ("100", 100)] {
        let document = edited(">020<", &format!(">{ratio}<"));
        assert_eq!(eligibility(&document).qualifications[0].copayment_percent, Some(percent));
    }
}

#[test]
fn both_names_of_public_assistance_numbers_are_read_and_the_ordinary_ones_written() {
    let document = String::from_utf8(VALID.to_vec())
        .unwrap()
        .replace("  138057", "")
        .replace("<InsuredIdentificationNumber>1234567</InsuredIdentificationNumber>", "")
        .replace("<InsurerName>見本市</InsurerName>", "<WelfareOfficeName>見本福祉事務所</WelfareOfficeName>")
        .replace(
            "<Sex1>",
            "<PublicExpenseNumber>12345678</PublicExpenseNumber><BeneficiaryNumber>1234566</BeneficiaryNumber><Sex1>",
        );
    let message = parse(document.as_bytes()).unwrap();
    let person = &message.eligibility().unwrap().qualifications[0];
    assert_eq!(person.insurer_number.as_str(), "12345678");
    assert_eq!(person.number.as_ref().unwrap().as_str(), "1234566");
    assert_eq!(person.insurer_name.as_deref(), Some("見本福祉事務所"));
    let written = String::from_utf8(message.to_xml()).unwrap();
    assert!(written.contains("<InsurerNumber>12345678</InsurerNumber>") && !written.contains("PublicExpenseNumber"));

    let both = edited("<Sex1>", "<PublicExpenseNumber>12345678</PublicExpenseNumber><Sex1>");
    assert_eq!(eligibility(&both).qualifications[0].insurer_number.as_str(), "  138057");
}

#[test]
fn several_qualifications_keep_their_order_wherever_they_lie() {
    let second = "<ResultOfQualificationConfirmation><InsurerNumber>12345678</InsurerNumber><Name>見本　太●</Name>\
                  <Sex1>1</Sex1><Birthdate>19530405</Birthdate></ResultOfQualificationConfirmation>";
    for (from, to) in [
        ("</ResultList>", format!("{second}</ResultList>")),
        ("</ResultList>", format!("</ResultList><ResultList>{second}</ResultList>")),
    ] {
        let numbers: Vec<_> = eligibility(&edited(from, &to)).qualifications;
        let numbers: Vec<_> = numbers.iter().map(|one| one.insurer_number.as_str()).collect();
        assert_eq!(numbers, ["  138057", "12345678"]);
    }
    assert_eq!(eligibility(&edited("<ResultList>", &format!("{second}<ResultList>"))).qualifications.len(), 2);
}

#[test]
fn errors_and_debug_never_show_the_document() {
    let message = parse(VALID).unwrap();
    let shown = format!("{message:?} {:?}", message.eligibility().unwrap());
    let marked = [
        "太●",
        "ﾀﾛｳ",
        "見本町",
        "見本１２",
        "138057",
        "1234567",
        "19530405",
        "1953-04-05",
        "P-00042",
        "kept",
        "LaterYears",
    ];
    for personal in marked {
        assert!(!shown.contains(personal), "{personal}");
    }
    let error = parse(&edited("<Sex1>1<", "<Sex1>MARKED-VALUE<")).unwrap().eligibility().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("MARKED"));
    assert!(Text::new("MARKED-VALUE").is_ok_and(|text| !format!("{text:?}").contains("MARKED")));
}
