//! The bytes of a direct check, as docs/src/protocol/direct-check.md describes them under "Check".

use serde::Serialize;
use tazune_card::{Signature, UserCertificate};
use tazune_model::{Bytes, Consent, InstitutionCode, Timestamp};

/// What a signature over a direct check begins with, so that it can mean nothing else.
const LABEL: &[u8] = b"tazune direct check v1\0";
const VERSION: u8 = 1;

#[derive(Serialize)]
struct Request<'a> {
    version: u8,
    challenge: &'a Bytes,
    institution: &'a InstitutionCode,
    signed_at: Timestamp,
    consent: &'a Consent,
}

#[derive(Serialize)]
struct Body<'a> {
    request: &'a Bytes,
    signature: Bytes,
    certificate: &'a UserCertificate,
}

/// The request bytes: encoded once, signed and sent as they are.
pub(crate) fn request_bytes(
    challenge: &Bytes,
    institution: &InstitutionCode,
    signed_at: Timestamp,
    consent: &Consent,
) -> Bytes {
    let request = Request { version: VERSION, challenge, institution, signed_at, consent };
    serde_json::to_vec(&request).expect("texts, numbers and lists always encode").into()
}

/// What the card signs: the label, one zero byte, the request bytes.
pub(crate) fn message_to_sign(request: &Bytes) -> Vec<u8> {
    [LABEL, request.as_slice()].concat()
}

/// The body to send; the same bytes each time it is sent.
pub(crate) fn body(request: &Bytes, signature: &Signature, certificate: &UserCertificate) -> Bytes {
    let body = Body { request, signature: signature.as_bytes().as_slice().into(), certificate };
    serde_json::to_vec(&body).expect("base64 texts always encode").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tazune_model::{ConsentActor, ConsentItem, Language};

    #[test]
    fn request_has_the_members_of_the_protocol_page() {
        let consent = Consent::new(
            ConsentActor::CarerHelping,
            [ConsentItem::Drug, ConsentItem::CheckUp].into(),
            [ConsentItem::CheckUp].into(),
            Language::Ja,
            "1".into(),
            "2026-11-21T01:00:00Z".parse().unwrap(),
        );
        let institution = InstitutionCode::new("1310123450").unwrap();
        let signed_at = "2026-11-21T01:02:03Z".parse().unwrap();
        let request = request_bytes(&vec![0xAB; 3].into(), &institution, signed_at, &consent.unwrap());
        assert_eq!(
            std::str::from_utf8(request.as_slice()).unwrap(),
            concat!(
                r#"{"version":1,"challenge":"q6ur","institution":"1310123450","signed_at":"2026-11-21T01:02:03Z","#,
                r#""consent":{"actor":"carer_helping","shown":["drug","check_up"],"agreed":["check_up"],"#,
                r#""language":"ja","text_version":"1","given_at":"2026-11-21T01:00:00Z"}}"#
            )
        );
    }

    #[test]
    fn message_is_label_zero_byte_and_request() {
        let message = message_to_sign(&b"{}".as_slice().into());
        assert_eq!(message, b"tazune direct check v1\x00{}");
    }
}
