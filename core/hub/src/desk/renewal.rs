use std::sync::Arc;

use tazune_link::{
    front_api::DeviceStanding,
    keys::sha256,
    renewal::{ArrivedRenewal, RenewalAnswer},
};
use tazune_model::{Bytes, Clock};

use super::enrolment::Enrolment;
use crate::{
    ca::{DeviceRequest, HubCa, device_certificate_end},
    store::{DeskStore, StoreError},
};

/// Gives paired devices new certificates for the key that the desk knows them by.
pub(super) struct Renewals {
    pub(super) ca: Arc<HubCa>,
    pub(super) enrolment: Arc<Enrolment>,
    pub(super) store: Arc<dyn DeskStore>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Renewals {
    /// Judges a request. A device that was killed before it kept the answer asks again, and is given others.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was given, and the request is to be judged again.
    pub(super) async fn judge(&self, arrived: ArrivedRenewal) -> Result<RenewalAnswer, StoreError> {
        let ArrivedRenewal { device, csr } = arrived;
        let refused = |why: &str| {
            tracing::warn!(%device, why, "renewal refused");
            Ok(RenewalAnswer::Refused)
        };
        let Some(known) = self.store.device(&device).await? else { return refused("unknown_device") };
        let Ok(request) = DeviceRequest::parse(csr.as_slice()) else { return refused("malformed") };
        if request.public_key() != known.device_key.as_bytes().as_slice() {
            return refused("key_swapped");
        }
        if known.standing != DeviceStanding::Active {
            return refused("not_active");
        }
        let now = self.clock.now();
        let Ok(certificate) = self.ca.issue_device(&request, &device, now) else { return refused("malformed") };
        let (ends, digest) = (device_certificate_end(now), sha256(&certificate));
        if !self.store.certificate_renewed(&device, ends, digest, now).await? {
            // Suspended or revoked since it was looked up.
            return refused("not_active");
        }
        let gateway_certificates = self.enrolment.enrol(&device, &csr).await.inspect_err(|error| {
            let code = error.failure_code();
            tracing::warn!(%device, %code, %error, "the device keeps its certificate at the gateway");
        });
        tracing::info!(%device, "certificate renewed");
        Ok(RenewalAnswer::Renewed {
            hub_certificates: vec![Bytes(certificate), Bytes(self.ca.certificate().to_vec())],
            gateway_certificates: gateway_certificates.ok(),
        })
    }
}
