use tazune_model::{Date, InstitutionCode, ProcessingStatus, Validity};

use crate::{
    Element, ParseError, Text, ViewingConsent,
    field::{Record, records},
    tree::{self, Content::Elements},
};

/// The answer about one person (資格確認結果, message 002, `OQSsiquc01res`); the face file has the same tree.
///
/// Source: shared facts "oqs-interface" 3.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultMessage {
    /// `MessageHeader`.
    pub header: Header,
    /// `MessageBody`; empty in a message that failed as a whole.
    pub body: Body,
}

/// Outcome of the whole message (処理結果区分, `SegmentOfResult`, code table OQSCD003).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// 正常終了, code 1.
    Normal,
    /// 処理中, code 2: only bulk queries have it.
    InProgress,
    /// 異常終了, code 9.
    Failed,
}

const ROOT: &str = "XmlMsg";
const HEADER: &str = "MessageHeader";
const BODY: &str = "MessageBody";
const CHARACTERS: &str = "CharacterCodeIdentifier";

/// Reads message 002.
///
/// The order of elements does not matter, text is kept exact, and an empty element is an absent one. A repeated element
/// that should be single is refused: what would be shown and what the receipt computer reads must not differ.
/// `CharacterCodeIdentifier` is passed over, because the bytes say what they are.
///
/// # Errors
/// Every variant of [`ParseError`] is for one kind of unreadable document; no input panics.
pub fn parse(document: &[u8]) -> Result<ResultMessage, ParseError> {
    let root = tree::read(document)?;
    if root.tag != ROOT {
        return Err(ParseError::OtherDocument);
    }
    let Elements(mut parts) = root.content else { return Err(ParseError::OtherDocument) };
    let mut header = take_part(HEADER, &mut parts)?.ok_or(ParseError::Missing { element: HEADER })?;
    let body = take_part(BODY, &mut parts)?.unwrap_or_default();
    header.retain(|element| element.tag != CHARACTERS);
    Ok(ResultMessage { header: Header::from_elements(header)?, body: Body::from_elements(body)? })
}

impl ResultMessage {
    /// The message as a document that [`parse`] reads back to the same message.
    ///
    /// UTF-8 with `CharacterCodeIdentifier` 0 (OQSCD005), `standalone="no"`, elements in the order of the annex, those not
    /// named there after them; four spaces per level, as in the genuine sample.
    #[must_use]
    pub fn to_xml(&self) -> Vec<u8> {
        let mut header = self.header.to_elements();
        let utf8 = Text::new("0").expect("a code is no blank text");
        header.push(Element::new(CHARACTERS, tree::Content::Text(utf8)));
        let parts = vec![Element::new(HEADER, Elements(header)), Element::new(BODY, Elements(self.body.to_elements()))];
        tree::write(&Element::new(ROOT, Elements(parts)))
    }
}

fn take_part(tag: &'static str, parts: &mut Vec<Element>) -> Result<Option<Vec<Element>>, ParseError> {
    let mut found = parts.extract_if(.., |part| part.tag == tag);
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(Element { content: Elements(elements), .. }), None) => Ok(Some(elements)),
        (Some(_), None) => Err(ParseError::Value { element: tag }),
        (Some(_), Some(_)) => Err(ParseError::Repeated { element: tag }),
    }
}

records! {
    /// `MessageHeader`: the query and how it went as a whole.
    pub struct Header {
        /// 処理実行日時, 14 digits, Japan's time.
        processed_at: Option<Text> = "ProcessExecutionTime" always,
        /// 資格確認日.
        confirmed_on: Date = "QualificationConfirmationDate",
        /// 医療機関コード the answer was made for.
        institution: InstitutionCode = "MedicalInstitutionCode",
        /// 任意のファイル識別子, echoed from the query, up to 50 characters.
        file_identifier: Option<Text> = "ArbitraryFileIdentifier" always,
        /// 照会区分, OQSCD002: 1 card, 2 number.
        reference_classification: Option<Text> = "ReferenceClassification" always,
        /// 処理結果区分.
        segment: Segment = "SegmentOfResult",
        /// エラーコード, only where `segment` is not normal; the list is not public.
        error_code: Option<Text> = "ErrorCode",
        /// エラーメッセージ, to be shown as it is.
        error_message: Option<Text> = "ErrorMessage",
    }
}

records! {
    /// `MessageBody`: what was found about the person.
    #[derive(Default)]
    pub struct Body {
        /// 処方箋発行形態 chosen by the patient, OQSCD017: 1 electronic, 2 paper.
        prescription_form: Option<Text> = "PrescriptionIssueSelect",
        /// Echo of a query by number.
        search: Option<SearchInfo> = "QualificationConfirmSearchInfo",
        /// 処理結果状況, OQSCD004; may be missing where the message failed as a whole.
        status: Option<ProcessingStatus> = "ProcessingResultStatus",
        /// 処理結果コード; may accompany a normal status; the list is not public.
        code: Option<Text> = "ProcessingResultCode",
        /// 処理結果メッセージ, to be shown as it is.
        message: Option<Text> = "ProcessingResultMessage",
        /// 資格有効性, OQSCD006.
        validity: Option<Validity> = "QualificationValidity",
        /// One per qualification; empty when nothing was found.
        results: Vec<QualificationResult> = "ResultList/ResultOfQualificationConfirmation",
    }

    /// Echo of a query by number (`QualificationConfirmSearchInfo`, message 001).
    #[derive(Default)]
    pub struct SearchInfo {
        /// 保険者番号, eight characters, padding included.
        insurer_number: Option<Text> = "InsurerNumber",
        /// 被保険者証記号.
        symbol: Option<Text> = "InsuredCardSymbol",
        /// 被保険者証番号.
        number: Option<Text> = "InsuredIdentificationNumber",
        /// 枝番.
        branch: Option<Text> = "InsuredBranchNumber",
        /// 生年月日.
        birth_date: Option<Text> = "Birthdate",
        /// 限度額 提供同意, OQSCD001.
        cost_limit_consent: Option<Text> = "LimitApplicationCertificateRelatedConsFlg",
        /// 任意の識別子.
        identifier: Option<Text> = "ArbitraryIdentifier",
    }

    /// One qualification of the person (資格情報, `ResultOfQualificationConfirmation`), every element as it was written.
    ///
    /// Dates are `yyyyMMdd`. [`ResultMessage::eligibility`] gives the checked values. Two names of 医療扶助 numbers are
    /// known; both are read, the ordinary one is written.
    #[derive(Default)]
    pub struct QualificationResult {
        /// 被保険者証区分, OQSCD010.
        card_classification: Option<Text> = "InsuredCardClassification",
        /// 保険者番号, with the two spaces before six digits; for 医療扶助 the 公費負担者番号.
        insurer_number: Option<Text> = "InsurerNumber" | "PublicExpenseNumber",
        /// 被保険者証記号.
        symbol: Option<Text> = "InsuredCardSymbol",
        /// 被保険者証番号; for 医療扶助 the 受給者番号.
        number: Option<Text> = "InsuredIdentificationNumber" | "BeneficiaryNumber",
        /// 枝番, two digits.
        branch: Option<Text> = "InsuredBranchNumber",
        /// 本人・家族の別, OQSCD009.
        insured_or_dependent: Option<Text> = "PersonalFamilyClassification",
        /// 被保険者氏名（世帯主氏名）.
        insured_name: Option<Text> = "InsuredName",
        /// 氏名, family and given name separated by one full-width space; may hold `●`.
        name: Option<Text> = "Name" always,
        /// 氏名（その他）.
        other_name: Option<Text> = "NameOfOther",
        /// 氏名カナ, half-width katakana.
        name_kana: Option<Text> = "NameKana",
        /// 氏名カナ（その他）.
        other_name_kana: Option<Text> = "NameOfOtherKana",
        /// 性別1, OQSCD007.
        sex1: Option<Text> = "Sex1" always,
        /// 性別2, OQSCD007: only under the special rule on sex notation.
        sex2: Option<Text> = "Sex2",
        /// 生年月日.
        birth_date: Option<Text> = "Birthdate" always,
        /// 住所; its absence is a normal, meaningful state.
        address: Option<Text> = "Address",
        /// 郵便番号, `nnn-nnnn`.
        post_number: Option<Text> = "PostNumber",
        /// 資格取得年月日.
        qualified_on: Option<Text> = "QualificationDate" always,
        /// 資格喪失年月日.
        disqualified_on: Option<Text> = "DisqualificationDate",
        /// 証交付年月日.
        issued_on: Option<Text> = "InsuredCertificateIssuanceDate",
        /// 証有効開始年月日.
        valid_from: Option<Text> = "InsuredCardValidDate",
        /// 証有効終了年月日.
        valid_until: Option<Text> = "InsuredCardExpirationDate",
        /// 一部負担金割合 (後期), three digits of percent.
        copayment_ratio: Option<Text> = "InsuredPartialContributionRatio",
        /// 未就学区分, OQSCD015.
        preschool: Option<Text> = "PreschoolClassification",
        /// 資格喪失事由, OQSCD008.
        reason_of_loss: Option<Text> = "ReasonOfLoss",
        /// 保険者名称; for 医療扶助 the 福祉事務所名.
        insurer_name: Option<Text> = "InsurerName" | "WelfareOfficeName" always,
        /// 高齢受給者証情報.
        elderly_certificate: Option<ElderlyCertificateInfo> = "ElderlyRecipientCertificateInfo",
        /// 限度額適用認定証 提供同意.
        cost_limit_consent: ViewingConsent = "LimitApplicationCertificateRelated",
        /// 限度額適用認定証関連情報.
        cost_limit: Option<CostLimitInfo> = "LimitApplicationCertificateRelatedInfo",
        /// 特定疾病療養受療証 提供同意.
        specific_disease_consent: ViewingConsent = "SpecificDiseasesCertificateRelated",
        /// 特定疾病療養受療証.
        specific_diseases: Vec<SpecificDiseaseInfo> = "SpecificDiseasesCertificateList/SpecificDiseasesCertificateInfo",
        /// 医療券・調剤券 of 医療扶助.
        medical_tickets: Vec<MedicalTicketInfo> = "PublicExpenseResultList/MedicalTicketInfo",
        /// 特定健診情報 閲覧同意.
        check_up_consent: ViewingConsent = "SpecificHealthCheckupsInfo",
        /// 薬剤情報 閲覧同意.
        drug_consent: ViewingConsent = "PharmacistsInfo",
        /// 診療情報 閲覧同意.
        treatment_consent: ViewingConsent = "DiagnosisInfo",
        /// 手術情報 閲覧同意.
        surgery_consent: ViewingConsent = "OperationInfo",
        /// 傷病名 閲覧同意; this and the next five are newer and presumed from a chart's interface.
        disease_name_consent: ViewingConsent = "DiagnosisName",
        /// 感染症 閲覧同意.
        infection_consent: ViewingConsent = "InfectiousInfo",
        /// その他アレルギー等 閲覧同意.
        allergy_consent: ViewingConsent = "AllergyInfo",
        /// 薬剤アレルギー等 閲覧同意.
        contraindication_consent: ViewingConsent = "ContraindicationInfo",
        /// 検査 閲覧同意.
        test_consent: ViewingConsent = "TestInfo",
        /// 処方 閲覧同意.
        prescription_consent: ViewingConsent = "PrescriptionInfo",
        /// 照会番号, up to 50 characters; may repeat.
        reference_numbers: Vec<Text> = "ReferenceNumber",
        /// 任意の識別子, echoed.
        identifier: Option<Text> = "ArbitraryIdentifier",
        /// Seen in genuine face files; its purpose is not public.
        confirmation_key: Option<Text> = "QualificationConfirmationKey",
    }

    /// Elderly recipient certificate (高齢受給者証情報).
    #[derive(Default)]
    pub struct ElderlyCertificateInfo {
        /// 交付年月日.
        issued_on: Option<Text> = "ElderlyRecipientCertificateDate",
        /// 有効開始年月日.
        valid_from: Option<Text> = "ElderlyRecipientValidStartDate",
        /// 有効終了年月日.
        valid_until: Option<Text> = "ElderlyRecipientValidEndDate",
        /// 負担割合, three digits of percent.
        copayment_ratio: Option<Text> = "ElderlyRecipientContributionRatio",
    }

    /// Cost limit certificate (限度額適用認定証関連情報).
    #[derive(Default)]
    pub struct CostLimitInfo {
        /// 認定証区分, OQSCD011.
        classification: Option<Text> = "LimitApplicationCertificateClassification",
        /// 適用区分, OQSCD012.
        class: Option<Text> = "LimitApplicationCertificateClassificationFlag",
        /// 交付年月日.
        issued_on: Option<Text> = "LimitApplicationCertificateDate",
        /// 有効開始年月日.
        valid_from: Option<Text> = "LimitApplicationCertificateValidStartDate",
        /// 有効終了年月日.
        valid_until: Option<Text> = "LimitApplicationCertificateValidEndDate",
        /// 長期入院該当年月日.
        long_term_on: Option<Text> = "LimitApplicationCertificateLongTermDate",
    }

    /// Specific disease certificate (特定疾病療養受療証).
    #[derive(Default)]
    pub struct SpecificDiseaseInfo {
        /// 認定疾病区分, OQSCD013.
        category: Option<Text> = "SpecificDiseasesDiseaseCategory",
        /// 交付年月日.
        issued_on: Option<Text> = "SpecificDiseasesCertificateDate",
        /// 有効開始年月日.
        valid_from: Option<Text> = "SpecificDiseasesValidStartDate",
        /// 有効終了年月日.
        valid_until: Option<Text> = "SpecificDiseasesValidEndDate",
        /// 自己負担限度額, yen.
        self_pay: Option<Text> = "SpecificDiseasesSelfPay",
    }

    /// Medical or dispensing ticket of 医療扶助 (医療券・調剤券).
    #[derive(Default)]
    pub struct MedicalTicketInfo {
        /// 医療券・調剤券別, OQSCD018.
        ticket_type: Option<Text> = "TicketType",
        /// 有効開始年月日.
        valid_from: Option<Text> = "MedicalTicketValidDate",
        /// 有効終了年月日.
        valid_until: Option<Text> = "MedicalTicketExpirationDate",
        /// 交付番号.
        issue_number: Option<Text> = "IssueNumber",
        /// 診療年月, `yyyyMM`.
        month: Option<Text> = "MedicalTreatmentMonth",
        /// 指定医療機関コード.
        designated_institution_code: Option<Text> = "DesignatedMedicalInstitutionCode",
        /// 指定医療機関確認, OQSCD026.
        designated_institution_flag: Option<Text> = "DesignatedMedicalInstitutionFlag",
        /// 指定医療機関名.
        designated_institution_name: Option<Text> = "DesignatedMedicalInstitutionName",
        /// 処方箋発行元医療機関コード.
        prescription_issuer_code: Option<Text> = "PrescriptionIssuerMedicalInstitutionCode",
        /// 処方箋発行元医療機関名.
        prescription_issuer_name: Option<Text> = "PrescriptionIssuerMedicalInstitutionName",
        /// 傷病名1.
        injury_name1: Option<Text> = "InjuryName1",
        /// 傷病名2.
        injury_name2: Option<Text> = "InjuryName2",
        /// 傷病名3.
        injury_name3: Option<Text> = "InjuryName3",
        /// 診療別, OQSCD019.
        treatment_type: Option<Text> = "MedicalTreatmentType",
        /// 本人支払額, yen.
        self_pay_amount: Option<Text> = "SelfPayAmount",
        /// 地区担当員名.
        district_contact_name: Option<Text> = "DistrictContactName",
        /// 取扱担当者名.
        handling_contact_name: Option<Text> = "HandlingContactName",
        /// 単独・併用, OQSCD020.
        single_or_combined_use: Option<Text> = "SingleOrCombinedUse",
        /// 社会保険状況, OQSCD021.
        social_insurance: Option<Text> = "StatusOfSocialInsurance",
        /// 整合性フラグ, OQSCD022.
        consistency_flag: Option<Text> = "ConsistencyFlag",
        /// 感染症法37条の2, OQSCD023; the misspelt tag is the real one.
        infection: Option<Text> = "StatusOfInfecton",
        /// 後期高齢者医療, OQSCD024.
        elderly_medical_care: Option<Text> = "StatusOfElderlyMedicalCare",
        /// 都道府県費, OQSCD025.
        prefectural_expenses: Option<Text> = "StatusOfPrefecturalExpenses",
        /// 備考1.
        remarks1: Option<Text> = "Remarks1",
        /// 備考2.
        remarks2: Option<Text> = "Remarks2",
        /// 備考3.
        remarks3: Option<Text> = "Remarks3",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::samples::{Sample, Source};
    use proptest::prelude::*;

    fn sample(bytes: Vec<u8>, texts: Vec<Text>, has_strangers: bool) -> ResultMessage {
        let mut source = Source { bytes: bytes.into_iter(), texts, has_strangers };
        ResultMessage { header: Sample::sample(&mut source), body: Sample::sample(&mut source) }
    }

    fn texts() -> impl Strategy<Value = Vec<Text>> {
        let text = prop_oneof![
            "\\PC{1,12}",
            "[ \\t\\r\\n<>&'\"\\]a●]{1,8}",
            Just("  138057".to_owned()),
            Just("20261121".to_owned()),
        ];
        prop::collection::vec(text.prop_filter_map("blank", |text| Text::new(text).ok()), 1..8)
    }

    /// Any order, but that elements of one tag, a list, keep theirs.
    fn shuffle(element: &mut Element, keys: &[u8]) {
        let Elements(elements) = &mut element.content else { return };
        elements.iter_mut().for_each(|element| shuffle(element, keys));
        elements.sort_by_key(|element| keys[element.tag.bytes().map(usize::from).sum::<usize>() % keys.len()]);
    }

    proptest! {
        #[test]
        fn reading_is_the_inverse_of_writing(bytes in prop::collection::vec(any::<u8>(), 0..1500), texts in texts()) {
            let message = sample(bytes, texts, true);
            prop_assert_eq!(parse(&message.to_xml()), Ok(message));
        }

        #[test]
        fn order_does_not_matter(
            bytes in prop::collection::vec(any::<u8>(), 0..1500),
            texts in texts(),
            keys in prop::collection::vec(any::<u8>(), 200),
        ) {
            let message = sample(bytes, texts, false);
            let mut root = tree::read(&message.to_xml()).unwrap();
            shuffle(&mut root, &keys);
            prop_assert_eq!(parse(&tree::write(&root)), Ok(message));
        }

        #[test]
        fn what_was_read_once_is_read_again_the_same(
            tags in prop::collection::vec((0_usize..12, any::<bool>()), 0..12),
        ) {
            let names = [
                "ResultList", "ResultOfQualificationConfirmation", "Name", "InsurerNumber", "PublicExpenseNumber",
                "ReferenceNumber", "PublicExpenseResultList", "MedicalTicketInfo", "Remarks1", "ResultLists",
                "DiagnosisInfoConsFlg", "NewElement",
            ];
            let body: String = tags.iter().rev().fold(String::new(), |inside, (name, is_beside)| {
                let name = names[*name];
                if *is_beside { format!("{inside}<{name}>x</{name}>") } else { format!("<{name}>{inside}</{name}>") }
            });
            let document = format!(
                "<XmlMsg><MessageBody>{body}</MessageBody><MessageHeader><SegmentOfResult>1</SegmentOfResult>\
                 <MedicalInstitutionCode>9918000010</MedicalInstitutionCode>\
                 <QualificationConfirmationDate>20261121</QualificationConfirmationDate></MessageHeader></XmlMsg>"
            );
            if let Ok(message) = parse(document.as_bytes()) {
                prop_assert_eq!(parse(&message.to_xml()), Ok(message));
            }
        }
    }
}
