use std::time::Duration;

use jiff::SignedDuration;
use tazune_link::{
    V1,
    renewal::{RenewalAnswer, RenewalRefused, RenewalRequest, is_due},
};
use tazune_model::{Bytes, Timestamp};

use crate::{
    Device,
    error::{EngineError, FrontError},
    https,
    pairing::{Pairing, certificate_request, keep_certificates},
};

/// Name in `meta` of the instant of the last answer.
const ANSWERED_AT: &str = "renewal_answered_at";

/// After an answer that brought nothing new, the clinic is not asked again for this time.
const ASK_AGAIN: SignedDuration = SignedDuration::from_hours(24);

impl Device {
    /// Asks the clinic for new certificates if it is time, and keeps them for the next connection; true if they came.
    ///
    /// Waits up to `wait` for the desk. Nothing is kept before the answer is, so a device killed anywhere asks again;
    /// the old certificates work until they end.
    ///
    /// # Errors
    /// [`EngineError::Renewal`] when the clinic refuses and the certificate has run out; [`EngineError`] when it could not
    /// be asked.
    pub(crate) async fn renew_if_due(&self, wait: Duration) -> Result<bool, EngineError> {
        let pairing = self.pairing().await?;
        let now = self.now();
        let answered_at = self.store().run(|database| Ok::<_, EngineError>(database.meta(ANSWERED_AT)?)).await?;
        let Some(ends) = due_end(&pairing, now, answered_at) else { return Ok(false) };
        let csr = certificate_request(self.keys(), &self.keys().transport_public()?)?;
        let answer = self.front(&pairing).renew(&RenewalRequest { version: V1, csr }, wait).await;
        let answer = self.heed(&pairing, answer).await?;
        match answer {
            RenewalAnswer::Waiting => Ok(false),
            RenewalAnswer::Renewed { hub_certificates, gateway_certificates } => {
                self.check(&hub_certificates, ends)?;
                self.store()
                    .run(move |database| {
                        keep_certificates(database, &pairing, hub_certificates, gateway_certificates)?;
                        Ok::<_, EngineError>(database.set_meta(ANSWERED_AT, &now)?)
                    })
                    .await?;
                tracing::info!("the device's certificate was renewed");
                Ok(true)
            }
            RenewalAnswer::Refused => {
                self.store().run(move |database| Ok::<_, EngineError>(database.set_meta(ANSWERED_AT, &now)?)).await?;
                tracing::warn!("the clinic did not renew the device's certificate");
                if ends < now { Err(RenewalRefused.into()) } else { Ok(false) }
            }
        }
    }

    /// A new certificate is for this device's key and lasts longer than the old one.
    fn check(&self, certificates: &[Bytes], ends: Timestamp) -> Result<(), EngineError> {
        let key = self.keys().transport_public()?;
        let is_good = certificates.first().is_some_and(|certificate| {
            https::is_for_key(certificate, &key) && https::validity(certificate).is_some_and(|(_, newer)| newer > ends)
        });
        if is_good { Ok(()) } else { Err(FrontError::Garbage.into()) }
    }
}

/// The end of the device's certificate at the hub, if that or the one at the gateway is to be renewed now.
fn due_end(pairing: &Pairing, now: Timestamp, answered_at: Option<Timestamp>) -> Option<Timestamp> {
    let (begins, ends) = https::validity(pairing.certificates.first()?)?;
    let at_gateway = pairing.settings.gateway.client_certificates.first().and_then(https::validity);
    let is_wanted = is_due(begins, ends, now) || at_gateway.is_some_and(|(begins, ends)| is_due(begins, ends, now));
    // One that has run out is a matter of every try.
    let is_too_soon = now <= ends && answered_at.is_some_and(|at| at <= now && at.duration_until(now) < ASK_AGAIN);
    (is_wanted && !is_too_soon).then_some(ends)
}
