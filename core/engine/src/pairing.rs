use std::{fmt, sync::Arc, time::Duration};

use rcgen::{CertificateParams, DistinguishedName, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm};
use serde::{Deserialize, Serialize};
use tazune_card::TrustAnchors;
use tazune_link::{
    V1,
    front_api::PairingAnswer,
    keys::{OpeningKey, SealingKey, VerifyingKey},
    pairing::{
        DeviceEvent, DevicePairing, DeviceState, Hello, PairingCode, PairingError, PairingOffer, Reply, SealedHello,
        Settings,
    },
    revocation::{Revocation, Revoked},
};
use tazune_model::{Bytes, DeviceId, InstitutionCode, Sha256, Timestamp};

use crate::{
    Device,
    clock::system_generator,
    delivery::is_undelivered,
    error::{EngineError, FrontError},
    front_client::FrontClient,
    https::{self, Identity},
    keys::{KeyStoreError, Keys},
    store::Database,
};

/// Name in `meta` of the [`Pairing`].
pub(crate) const PAIRING: &str = "pairing";

/// How long one question to the front waits for the clinic's decision.
const DECISION_WAIT: Duration = Duration::from_secs(25);

/// Pause before a front that could not be reached is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// How often the hello is sent when no answer comes.
const HELLO_TRIES: usize = 3;

/// What the clinic's admin is shown of the device; each at most 100 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AboutDevice {
    /// What the staff call it.
    pub name: String,
    /// Make and model.
    pub model: String,
    /// System and version.
    pub os: String,
}

/// The clinic this device belongs to, and all it needs to talk to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    /// The device's id at the clinic.
    pub device_id: DeviceId,
    /// The clinic.
    pub tenant: InstitutionCode,
    /// The clinic's settings.
    pub settings: Settings,
    /// Addresses of the front, best first.
    pub fronts: Vec<String>,
    /// When the device was paired, on its own clock.
    pub paired_at: Timestamp,
    pub(crate) spki_sha256: Sha256,
    pub(crate) certificates: Vec<Bytes>,
    pub(crate) clinic_key: SealingKey,
    pub(crate) receipt_key: VerifyingKey,
    /// The device's own opening key, wrapped by the staff key.
    opening_key: Bytes,
}

impl Pairing {
    /// The authorities whose cards the clinic takes.
    pub(crate) fn card_anchors(&self) -> Result<TrustAnchors, EngineError> {
        Ok(TrustAnchors::from_der(&self.settings.card_anchors).map_err(|_| FrontError::Garbage)?)
    }

    /// Whether it is the same pairing, whatever was renewed meanwhile.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        (&self.device_id, &self.receipt_key, self.spki_sha256)
            == (&other.device_id, &other.receipt_key, other.spki_sha256)
    }

    /// What a revoked device needs to hand in what it holds, and no more.
    pub(crate) fn without_secrets(mut self) -> Self {
        self.opening_key = Bytes(Vec::new());
        self.settings.card_anchors.clear();
        self.settings.gateway.url.clear();
        self.settings.gateway.ca_certificates.clear();
        self.settings.gateway.client_certificates.clear();
        self
    }

    /// The last instant of the device's certificate at the hub.
    #[must_use]
    pub fn certified_until(&self) -> Option<Timestamp> {
        self.certificates.first().and_then(https::validity).map(|(_, ends)| ends)
    }

    /// A client of this clinic's front.
    pub(crate) fn front(&self, keys: &Keys) -> FrontClient {
        let identity = Identity { certificates: self.certificates.clone(), keys: keys.clone() };
        FrontClient::paired(self.fronts.clone(), self.spki_sha256, identity)
    }
}

impl Device {
    /// The present pairing.
    ///
    /// # Errors
    /// [`EngineError::NotPaired`] when there is none, [`EngineError::Revoked`] when the clinic ended it.
    pub async fn pairing(&self) -> Result<Pairing, EngineError> {
        self.store().run(paired).await
    }

    /// Answers the offer of a scanned code: from now on the clinic decides, see [`PairingAttempt::finish`].
    ///
    /// Makes the device's keys the first time. Nothing is sent from a device that still holds visits for a clinic.
    ///
    /// # Errors
    /// [`EngineError`]; the device is then as it was, and a new offer is needed.
    pub async fn pair(self: &Arc<Self>, offer_text: &str, about: AboutDevice) -> Result<PairingAttempt, EngineError> {
        let mut machine = DevicePairing::scan(offer_text, self.now())?;
        self.store().run(refuse_while_undelivered).await?;
        // Those of a finished revocation are destroyed.
        let is_new = matches!(self.pairing().await, Err(EngineError::NotPaired | EngineError::Revoked(_)));
        let keys = self.keys().clone();
        let made = self.worker().run(move || {
            if is_new {
                keys.make_keys()?;
            }
            hello(&keys, about)
        });
        let (hello, opening_key) = made.await?;
        let sealed = machine
            .make_hello(&hello, self.now(), &mut system_generator())
            .map_err(|_refused| PairingError::Expired)?;
        let code = machine.code().expect("the hello was made");
        let offer = machine.offer();
        let front = FrontClient::unpaired(offer.fronts.clone(), offer.spki_sha256);
        send_hello(&front, offer, &sealed).await?;
        Ok(PairingAttempt { device: self.clone(), machine, front, code, opening_key })
    }
}

/// A pairing that waits for the clinic; dropping it ends it.
pub struct PairingAttempt {
    device: Arc<Device>,
    machine: DevicePairing,
    front: FrontClient,
    code: PairingCode,
    opening_key: Bytes,
}

impl PairingAttempt {
    /// The six digits to show: the admin types them at the clinic.
    #[must_use]
    pub const fn code(&self) -> PairingCode {
        self.code
    }

    /// Waits, 5 minutes at most, until the clinic has decided, and keeps what it gave.
    ///
    /// # Errors
    /// [`EngineError::Pairing`] when the clinic did not approve in time, or at all.
    pub async fn finish(mut self) -> Result<Pairing, EngineError> {
        loop {
            let event = self.ask().await?;
            // What the machine refuses changes nothing, and its state is looked at next.
            let _ = self.machine.on(event, self.device.now());
            match self.machine.state() {
                DeviceState::Scanned | DeviceState::HelloSent { .. } => {}
                DeviceState::Failed(error) => return Err((*error).into()),
                DeviceState::Paired(reply) => return self.keep(reply).await,
            }
        }
    }

    async fn ask(&self) -> Result<DeviceEvent, EngineError> {
        match self.front.pairing_answer(&self.machine.offer().session, DECISION_WAIT).await {
            Ok(PairingAnswer::Waiting) => {
                // A front that does not wait must not be asked in a tight loop.
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(DeviceEvent::TimePassed)
            }
            Ok(answer) => Ok(DeviceEvent::Answered(answer)),
            Err(EngineError::Front(FrontError::Refused(error))) => Ok(DeviceEvent::FrontRefused(error)),
            Err(EngineError::Front(FrontError::Unreachable)) => {
                tokio::time::sleep(PAUSE).await;
                Ok(DeviceEvent::TimePassed)
            }
            Err(error) => Err(error),
        }
    }

    async fn keep(&self, reply: &Reply) -> Result<Pairing, EngineError> {
        let keys = self.device.keys().clone();
        let public = self.device.worker().run(move || keys.transport_public().map_err(EngineError::from));
        let device_key = public.await?;
        if !reply.hub_certificates.first().is_some_and(|certificate| https::is_for_key(certificate, &device_key)) {
            return Err(PairingError::AnswerInvalid.into());
        }
        let offer = self.machine.offer();
        let pairing = Pairing {
            device_id: reply.device_id.clone(),
            tenant: reply.tenant.clone(),
            settings: reply.settings.clone(),
            fronts: offer.fronts.clone(),
            paired_at: self.device.now(),
            spki_sha256: offer.spki_sha256,
            certificates: reply.hub_certificates.clone(),
            clinic_key: reply.clinic_key.clone(),
            receipt_key: reply.receipt_key.clone(),
            opening_key: self.opening_key.clone(),
        };
        let kept = pairing.clone();
        self.device
            .store()
            .run(move |database| {
                refuse_while_undelivered(database)?;
                if database.keep_pairing(&kept)? { Ok(()) } else { Err(EngineError::from(Revoked)) }
            })
            .await?;
        Ok(pairing)
    }
}

impl fmt::Debug for PairingAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingAttempt")
    }
}

/// The present pairing, as part of a larger operation.
pub(crate) fn paired(database: &mut Database) -> Result<Pairing, EngineError> {
    match database.revocation()? {
        None => stored_pairing(database),
        Some(_) => Err(Revoked.into()),
    }
}

/// The present pairing, also of a revoked device.
pub(crate) fn stored_pairing(database: &mut Database) -> Result<Pairing, EngineError> {
    database.meta(PAIRING)?.ok_or(EngineError::NotPaired)
}

/// Puts new certificates in place of the old ones, unless the device was paired anew meanwhile.
pub(crate) fn keep_certificates(
    database: &mut Database,
    renewed: &Pairing,
    at_hub: Vec<Bytes>,
    at_gateway: Option<Vec<Bytes>>,
) -> Result<(), EngineError> {
    let mut pairing = paired(database)?;
    if pairing.is_same_as(renewed) {
        pairing.certificates = at_hub;
        if let Some(at_gateway) = at_gateway {
            pairing.settings.gateway.client_certificates = at_gateway;
        }
        database.set_meta(PAIRING, &pairing)?;
    }
    Ok(())
}

fn refuse_while_undelivered(database: &mut Database) -> Result<(), EngineError> {
    if database.revocation()?.is_some_and(|revocation| revocation.state != Revocation::Finished) {
        return Err(Revoked.into());
    }
    let undelivered = database.records()?.iter().filter(|record| is_undelivered(record.delivery)).count();
    match undelivered + database.drafts()?.len() {
        0 => Ok(()),
        count => Err(EngineError::Undelivered { count }),
    }
}

/// What the device says of itself, and its new opening key, wrapped.
fn hello(keys: &Keys, about: AboutDevice) -> Result<(Hello, Bytes), EngineError> {
    let opening_key = OpeningKey::make(&mut system_generator());
    let wrapped = Bytes(keys.wrap_key(&opening_key.to_bytes())?);
    let device_key = keys.transport_public()?;
    let AboutDevice { name, model, os } = about;
    let csr = certificate_request(keys, &device_key)?;
    Ok((Hello { version: V1, csr, device_key, sealing_key: opening_key.sealing_key(), name, model, os }, wrapped))
}

async fn send_hello(front: &FrontClient, offer: &PairingOffer, hello: &SealedHello) -> Result<(), EngineError> {
    let mut tries = 1;
    loop {
        match front.send_hello(&offer.session, hello).await {
            Err(EngineError::Front(FrontError::Unreachable)) if tries < HELLO_TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(EngineError::Front(FrontError::Refused(error))) => return Err(PairingError::from(error).into()),
            outcome => return outcome,
        }
    }
}

/// A PKCS#10 request (DER) for the transport key; it names nobody, because the clinic decides the name.
pub(crate) fn certificate_request(keys: &Keys, device_key: &VerifyingKey) -> Result<Bytes, EngineError> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    let key = RequestKey { public: device_key, keys };
    let request = parameters.serialize_request(&key).map_err(|_| {
        // Only the signature can fail, and rcgen does not say why: the key store does.
        keys.sign(&[]).err().unwrap_or(KeyStoreError::Missing)
    })?;
    Ok(Bytes(request.der().to_vec()))
}

/// The transport key as rcgen sees it.
struct RequestKey<'a> {
    public: &'a VerifyingKey,
    keys: &'a Keys,
}

impl PublicKeyData for RequestKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for RequestKey<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.keys.sign(message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}
