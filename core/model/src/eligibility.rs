use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{BranchNumber, InstitutionCode, InsuredNumber, InsuredSymbol, InsurerNumber, Personal, Sex};

/// Whether the national system could process the person (処理結果状況, `ProcessingResultStatus`, code table 004).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessingStatus {
    /// 正常終了, code 1.
    Normal,
    /// エラー, code 2.
    Error,
}

/// Validity of the qualification (資格有効性, `QualificationValidity`, code table 006).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// 有効, code 1.
    Valid,
    /// 無効, code 2.
    Invalid,
    /// 無効（新しい資格あり）, code 3.
    InvalidNewerExists,
    /// 該当資格なし, code 4.
    None,
    /// 複数該当, code 5 (medical insurance only).
    Several,
    /// 有効（未登録）, code 6 (医療扶助 only): valid, no ticket for this institution yet.
    ValidUnregistered,
}

/// Own or family (本人・家族の別, `PersonalFamilyClassification`, code table 009).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InsuredOrDependent {
    /// 本人, code 1.
    Insured,
    /// 家族, code 2.
    Dependent,
}

/// Cost limit certificate (限度額適用認定証, `LimitApplicationCertificateRelatedInfo`), as far as a screen needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostLimitCertificate {
    /// 適用区分, code table 012, for example `B09`; kept as text because the table grows.
    pub class: String,
    /// First day it applies.
    pub valid_from: Option<Date>,
    /// Last day it applies.
    pub valid_until: Option<Date>,
}

/// One qualification of the person (資格情報, `ResultOfQualificationConfirmation`), as far as a screen or a rule needs it.
///
/// The whole message is kept beside it as untouched bytes. Fields are `None` when the answer leaves them out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Qualification {
    /// 氏名, family and given name separated by one full-width space; may hold `●`.
    pub name: Personal<String>,
    /// 氏名カナ, half-width katakana.
    pub name_kana: Option<Personal<String>>,
    /// 性別1.
    pub sex: Personal<Sex>,
    /// 生年月日.
    pub birth_date: Personal<Date>,
    /// 住所; its absence is a normal, meaningful state: never asked for, never filled in.
    pub address: Option<Personal<String>>,
    /// 保険者番号.
    pub insurer_number: InsurerNumber,
    /// 保険者名称.
    pub insurer_name: Option<String>,
    /// 被保険者証記号.
    pub symbol: Option<InsuredSymbol>,
    /// 被保険者証番号.
    pub number: Option<InsuredNumber>,
    /// 枝番.
    pub branch: Option<BranchNumber>,
    /// 本人・家族の別.
    pub insured_or_dependent: Option<InsuredOrDependent>,
    /// 資格取得年月日.
    pub qualified_on: Option<Date>,
    /// 資格喪失年月日.
    pub disqualified_on: Option<Date>,
    /// 証有効開始年月日.
    pub valid_from: Option<Date>,
    /// 証有効終了年月日.
    pub valid_until: Option<Date>,
    /// 一部負担金割合 in percent (10, 20, 30), only where the answer gives it.
    pub copayment_percent: Option<u8>,
    /// 限度額適用認定証, where disclosed.
    pub cost_limit: Option<CostLimitCertificate>,
}

/// What the national system answered about one person (資格確認結果), read from message 002.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eligibility {
    /// 資格確認日.
    pub confirmed_on: Date,
    /// 医療機関コード the answer was made for.
    pub institution: InstitutionCode,
    /// 処理結果状況.
    pub status: ProcessingStatus,
    /// 処理結果コード; may accompany a normal status. Not for branching: the list is not public.
    pub code: Option<String>,
    /// 処理結果メッセージ, to be shown as it is.
    pub message: Option<String>,
    /// 資格有効性; missing when the person could not be processed.
    pub validity: Option<Validity>,
    /// The qualifications, in the order of the answer; empty when nothing was found.
    pub qualifications: Vec<Qualification>,
}

impl Eligibility {
    /// Whether the answer can be used as it stands: processed, and valid.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.status == ProcessingStatus::Normal
            && matches!(self.validity, Some(Validity::Valid | Validity::ValidUnregistered))
            && !self.qualifications.is_empty()
    }
}
