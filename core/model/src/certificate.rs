use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};

/// Where a user certificate (利用者証明用電子証明書) stands on a given day (証明書の時期); advice for the screen, never a verdict.
///
/// The card is read in every phase but `NotYetValid`, and the answer of the national system decides.
/// Source: shared facts "visit-eligibility-rules", section C0 `cert_phase`; month end is the product rule there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificatePhase {
    /// The first day of validity is still to come; nothing can be signed with it.
    NotYetValid,
    /// Valid, and more than three months from its end.
    Valid,
    /// Valid, in the last three months: the patient should renew.
    Expiring,
    /// Past its end, up to the last day of the third month after the month of expiry: eligibility only.
    Grace,
    /// Past the grace period.
    Expired,
}

impl CertificatePhase {
    /// The phase on `day` of a certificate valid from `begins_on` to `expires_on`, both inclusive, as days in Japan.
    #[must_use]
    pub fn on(day: Date, begins_on: Date, expires_on: Date) -> Self {
        if day < begins_on {
            Self::NotYetValid
        } else if day <= expires_on {
            // `saturating_sub` goes to the last day of a shorter month: three months before 31 May is 28 February.
            if day >= expires_on.saturating_sub(3.months()) { Self::Expiring } else { Self::Valid }
        } else if day <= expires_on.first_of_month().saturating_add(3.months()).last_of_month() {
            Self::Grace
        } else {
            Self::Expired
        }
    }
}

/// All that a visit record keeps of a certificate: no serial, no key, no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateSummary {
    /// Phase on the day of the visit.
    pub phase: CertificatePhase,
    /// Last day of validity in Japan, read from the certificate, never computed.
    pub expires_on: Date,
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn phase_changes_on_the_stated_days() {
        use CertificatePhase::*;
        let (begins, expires) = (date(2021, 11, 2), date(2026, 2, 17));
        let table = [
            (date(2021, 11, 1), NotYetValid),
            (date(2021, 11, 2), Valid),
            (date(2025, 11, 16), Valid),
            (date(2025, 11, 17), Expiring),
            (date(2026, 2, 17), Expiring),
            (date(2026, 2, 18), Grace),
            (date(2026, 5, 31), Grace),
            (date(2026, 6, 1), Expired),
        ];
        for (day, phase) in table {
            assert_eq!(CertificatePhase::on(day, begins, expires), phase, "{day}");
        }
    }

    #[test]
    fn grace_ends_with_the_month_also_from_a_long_month_and_over_a_new_year() {
        let begins = date(2019, 1, 1);
        assert_eq!(CertificatePhase::on(date(2027, 2, 28), begins, date(2026, 11, 30)), CertificatePhase::Grace);
        assert_eq!(CertificatePhase::on(date(2027, 3, 1), begins, date(2026, 11, 30)), CertificatePhase::Expired);
        assert_eq!(CertificatePhase::on(date(2028, 2, 29), begins, date(2027, 11, 30)), CertificatePhase::Grace);
        assert_eq!(CertificatePhase::on(date(2026, 2, 28), begins, date(2026, 5, 31)), CertificatePhase::Expiring);
    }
}
