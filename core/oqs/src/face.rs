use tazune_model::{InstitutionCode, RecordId, Timestamp, japan_timestamp_digits};

use crate::{ResultMessage, Text};

/// The answer as a face file: what a receipt computer reads as a check-in at a card reader.
///
/// It is the answer itself, written as [`ResultMessage::to_xml`] does (UTF-8, order of the annex, four spaces, elements
/// that charts were seen to be given even when empty), with two elements set:
///
/// - `ReferenceClassification`, where the answer has none, is 1, card (OQSCD002). `B`, home visit, is a value that only
///   the chart Dynamics knows and is not written.
/// - `ArbitraryFileIdentifier` is the record id, so that a file can be traced to its visit; 36 characters of the 50.
///
/// The same answer and record give the same bytes. Source: shared facts "oqs-interface" 1.3, 3.2 and 6.2.
#[must_use]
pub fn face_file(answer: &ResultMessage, record: RecordId) -> Vec<u8> {
    let text = |text: String| Some(Text::new(text).expect("a code and an id are no blank text"));
    let mut face = answer.clone();
    face.header.reference_classification = face.header.reference_classification.or_else(|| text("1".into()));
    face.header.file_identifier = text(record.to_string());
    face.to_xml()
}

/// The name of a record's face file: `OQSsiquc01res_face_{institution}600{17 digits}_{yyyyMMddHHmmss}.xml`, all ASCII.
///
/// 600 marks a home visit. The 17 digits are the record id as a number modulo 10^17, so the same record has the same name
/// as long as `at` is the same; give an instant that is stored with the record, not the current one. They come almost
/// only from the id's 62 random bits: two records of one second share a name with a chance of about 10^-17, a million
/// records of one clinic share digits anywhere with about 5 * 10^-6, and then still differ in their second.
///
/// Source: shared facts "oqs-interface" 1.2, the shape that both known readers of foreign face files take.
#[must_use]
pub fn face_file_name(institution: &InstitutionCode, record: RecordId, at: Timestamp) -> String {
    let digits = record.as_u128() % 10_u128.pow(17);
    format!("OQSsiquc01res_face_{institution}600{digits:017}_{}.xml", japan_timestamp_digits(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(record: RecordId) -> String {
        face_file_name(&InstitutionCode::new("9918000010").unwrap(), record, "2026-11-20T15:04:05Z".parse().unwrap())
    }

    #[test]
    fn name_has_the_shape_that_charts_take() {
        let now = "2026-11-20T15:00:00Z".parse().unwrap();
        for random in [[0; 10], [0xff; 10], [7; 10]] {
            let record = RecordId::make(now, &random);
            let name = name(record);
            let rest = name.strip_prefix("OQSsiquc01res_face_9918000010600").unwrap();
            let (digits, end) = rest.split_once('_').unwrap();
            assert_eq!((digits.len(), end), (17, "20261121000405.xml"));
            assert!(digits.bytes().all(|b| b.is_ascii_digit()));
            assert_eq!(digits.parse::<u128>().unwrap(), record.as_u128() % 100_000_000_000_000_000);
        }
    }

    #[test]
    fn records_of_one_instant_have_different_names() {
        let now = "2026-11-20T15:00:00Z".parse().unwrap();
        let names: std::collections::BTreeSet<_> = (0..=u16::MAX)
            .map(|n| {
                name(RecordId::make(now, &{
                    let [high, low] = n.to_be_bytes();
                    [0, 0, 0, 0, 0, 0, 0, 0, high, low]
                }))
            })
            .collect();
        assert_eq!(names.len(), 1 << 16);
    }
}
