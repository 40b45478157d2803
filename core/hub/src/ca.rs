//! The hub's certificate authority: it names the front, the desk and every device of one institution.

use std::net::IpAddr;

use jiff::ToSpan;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};
use tazune_model::{DeviceId, InstitutionCode, Timestamp};
use time::OffsetDateTime;

use crate::Random;

/// CN and OU of the desk's client certificate; a device can never be given this id.
pub(crate) const DESK: &str = "desk";

/// Life of a device certificate; its renewal at 60 days is the device's matter.
const DEVICE_DAYS: i64 = 90;
/// Life of the CA and of the hub's own certificates: their keys never leave the hub, and devices pin the front's.
const HUB_DAYS: i64 = 20 * 365;
/// Certificates begin this much earlier, because the clocks of tablets are not exact.
const CLOCK_MINUTES: i64 = 10;

/// A certificate cannot be made: the request or the stored CA is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("the certificate cannot be made: {0}")]
pub(crate) struct CaError(String);

impl From<rcgen::Error> for CaError {
    fn from(error: rcgen::Error) -> Self {
        Self(error.to_string())
    }
}

/// A fresh P-256 key with its certificate, both DER; the key as PKCS#8.
pub(crate) struct Identity {
    pub(crate) key: Vec<u8>,
    pub(crate) certificate: Vec<u8>,
}

/// A certification request whose signature proved that the sender holds the key.
pub(crate) struct DeviceRequest(CertificateSigningRequestParams);

impl DeviceRequest {
    /// Parses a PKCS#10 request and checks its signature.
    pub(crate) fn parse(csr: &[u8]) -> Result<Self, CaError> {
        Ok(Self(CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr))?))
    }

    /// The public key as it stands in the request: for P-256 an uncompressed point.
    pub(crate) fn public_key(&self) -> &[u8] {
        self.0.public_key.der_bytes()
    }
}

/// The hub's certificate authority with its private key, which never leaves the desk.
pub(crate) struct HubCa {
    issuer: Issuer<'static, KeyPair>,
    certificate: Vec<u8>,
    institution: InstitutionCode,
    random: Random,
}

impl HubCa {
    /// Makes the authority of an institution; returns its identity, which is to be stored.
    pub(crate) fn make(institution: &InstitutionCode, random: &Random, now: Timestamp) -> Result<Identity, CaError> {
        let key = KeyPair::generate()?;
        let mut params = params(institution, "Tazune hub CA", random, now, HUB_DAYS);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key)?.der().to_vec();
        Ok(Identity { key: key.serialize_der(), certificate })
    }

    /// The authority as it was stored.
    pub(crate) fn load(identity: Identity, institution: InstitutionCode, random: Random) -> Result<Self, CaError> {
        let key = KeyPair::try_from(identity.key)?;
        let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(identity.certificate.as_slice()), key)?;
        Ok(Self { issuer, certificate: identity.certificate, institution, random })
    }

    /// The authority's own certificate, DER.
    pub(crate) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Names a device: the certificate has its key, whatever else the request asked for is left out.
    pub(crate) fn issue_device(
        &self,
        request: &DeviceRequest,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<Vec<u8>, CaError> {
        let params = self.client_params(device.as_str(), now, DEVICE_DAYS);
        Ok(params.signed_by(&request.0.public_key, &self.issuer)?.der().to_vec())
    }

    /// Names the desk, the one client that may take work from the front.
    pub(crate) fn issue_desk(&self, now: Timestamp) -> Result<Identity, CaError> {
        let mut params = self.client_params(DESK, now, HUB_DAYS);
        params.distinguished_name.push(DnType::OrganizationalUnitName, DESK);
        self.issue(&params)
    }

    /// Names the front under every host it is reached at, and for a desk on the same computer.
    pub(crate) fn issue_front(&self, hosts: &[String], now: Timestamp) -> Result<Identity, CaError> {
        let mut params = params(&self.institution, "Tazune front", &self.random, now, HUB_DAYS);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = hosts
            .iter()
            .map(String::as_str)
            .chain(["127.0.0.1", "::1"])
            .map(|host| match host.parse::<IpAddr>() {
                Ok(address) => Ok(SanType::IpAddress(address)),
                Err(_) => host.try_into().map(SanType::DnsName),
            })
            .collect::<Result<_, _>>()?;
        self.issue(&params)
    }

    fn issue(&self, params: &CertificateParams) -> Result<Identity, CaError> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.der().to_vec();
        Ok(Identity { key: key.serialize_der(), certificate })
    }

    fn client_params(&self, name: &str, now: Timestamp, days: i64) -> CertificateParams {
        let mut params = params(&self.institution, name, &self.random, now, days);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params
    }
}

/// The last instant of a device's certificate that is made now.
pub(crate) fn device_certificate_end(now: Timestamp) -> Timestamp {
    end(now, DEVICE_DAYS)
}

fn end(now: Timestamp, days: i64) -> Timestamp {
    now.saturating_add((days * 24).hours()).unwrap_or(now)
}

fn params(institution: &InstitutionCode, name: &str, random: &Random, now: Timestamp, days: i64) -> CertificateParams {
    let mut names = DistinguishedName::new();
    names.push(DnType::OrganizationName, institution.as_str());
    names.push(DnType::CommonName, name);
    let mut serial = random.bytes::<16>();
    // A serial number is a positive integer of at most 20 bytes (RFC 5280 4.1.2.2).
    serial[0] &= 0x7f;
    let mut params = CertificateParams::default();
    params.distinguished_name = names;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = instant(now.saturating_sub(CLOCK_MINUTES.minutes()).unwrap_or(now));
    params.not_after = instant(end(now, days));
    params.use_authority_key_identifier_extension = true;
    params
}

fn instant(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
