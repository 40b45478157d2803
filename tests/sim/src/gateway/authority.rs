use std::sync::Arc;

use der::Decode as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use x509_cert::Certificate;

/// The gateway's own CA: for its server certificate and the certificates of devices.
pub(crate) struct Authority {
    pub(crate) certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// Who a device is by its certificate.
#[derive(Clone)]
pub(super) struct DeviceIdentity {
    pub(super) institution: String,
}

impl Authority {
    /// Makes a new CA.
    pub(crate) fn make() -> Self {
        let key = KeyPair::generate().expect("the system gives random bytes");
        let mut params = params("TAZUNE-SIMULATED", "Gateway of a simulated direct check");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("fixed parameters can be signed").der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// The CA of a certificate and a PKCS#8 key; `None` when they are none.
    pub(crate) fn load(certificate: &[u8], key: &[u8]) -> Option<Self> {
        let certificate = CertificateDer::from(certificate.to_vec());
        let key = KeyPair::try_from(key).ok()?;
        Some(Self { issuer: Issuer::from_ca_cert_der(&certificate, key).ok()?, certificate })
    }

    /// Its private key, PKCS#8.
    pub(crate) fn private_key(&self) -> &[u8] {
        self.issuer.key().serialized_der()
    }

    /// TLS 1.3 with a fresh server certificate for `127.0.0.1` and `localhost`. A client may come without a certificate; one of
    /// another CA ends the handshake.
    pub(super) fn server_config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = KeyPair::generate().expect("the system gives random bytes");
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut params = self::params("TAZUNE-SIMULATED", "localhost");
        params.subject_alt_names = CertificateParams::new(names).expect("loopback has sound names").subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("fixed parameters can be signed").der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));

        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("our own CA certificate is one");
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .expect("there is one root");
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring knows TLS 1.3")
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate], key)
            .expect("the key belongs to the certificate");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// A certificate for the key of a PKCS#10 request, which names what the gateway was told and nothing the request asks for;
    /// `None` when the request is broken, its signature does not verify, or its key is not P-256.
    pub(super) fn issue(&self, csr: &[u8], institution: &str, device: &str) -> Option<CertificateDer<'static>> {
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr)).ok()?;
        if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return None;
        }
        let mut params = self::params(institution, device);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Some(params.signed_by(&request.public_key, &self.issuer).ok()?.der().clone())
    }
}

impl DeviceIdentity {
    /// Reads a certificate that the TLS handshake has verified.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let organization = certificate.tbs_certificate().subject().organization().ok()??;
        Some(Self { institution: organization.into() })
    }
}

/// A subject, and a validity wide enough for every clock: TLS libraries ask the system's, the simulator has its own.
fn params(organization: &str, common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, organization);
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    params.use_authority_key_identifier_extension = true;
    params
}
