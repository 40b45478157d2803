//! TLS 1.3 as the hub uses it: who may talk to the front, and how the desk talks to front and gateway.

use std::{fmt, sync::Arc, time::Duration};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::CryptoProvider,
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    time_provider::TimeProvider,
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use tazune_model::{Clock, Timestamp};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

use crate::ca::Identity;

/// Longest time of a call over the network; a question for work waits 25 seconds of it.
const CALL_WITHIN: Duration = Duration::from_secs(40);
/// Longest time of a command's call to the desk, which may make two calls over the network for it.
const LOCAL_CALL_WITHIN: Duration = Duration::from_secs(120);
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A certificate or key of the hub cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
#[error("the certificate or key cannot be used: {0}")]
pub(crate) struct TlsError(String);

impl TlsError {
    fn from(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// The names and the key in a client certificate that the hub's CA signed; it may have expired since.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// CN: the device id, or `desk`.
    pub(crate) name: String,
    /// O: the institution.
    pub(crate) institution: String,
    /// OU, which only the desk has.
    pub(crate) unit: Option<String>,
    /// The public key as it stands in the certificate: for P-256 an uncompressed point.
    pub(crate) public_key: Vec<u8>,
    /// The last instant of its validity.
    pub(crate) expires_at: Timestamp,
}

impl Peer {
    /// Reads the names out of a certificate that the handshake has already verified.
    pub(crate) fn from_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let subject = certificate.subject();
        let first = |mut values: Vec<&str>| (!values.is_empty()).then(|| values.remove(0).to_owned());
        Some(Self {
            name: first(texts(subject, X509Name::iter_common_name))?,
            institution: first(texts(subject, X509Name::iter_organization))?,
            unit: first(texts(subject, X509Name::iter_organizational_unit)),
            public_key: certificate.public_key().subject_public_key.data.to_vec(),
            expires_at: Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?,
        })
    }
}

fn texts<'a, I>(name: &'a X509Name<'a>, values: impl Fn(&'a X509Name<'a>) -> I) -> Vec<&'a str>
where
    I: Iterator<Item = &'a x509_parser::x509::AttributeTypeAndValue<'a>>,
{
    values(name).filter_map(|value| value.as_str().ok()).collect()
}

/// The front's side: its own certificate, and a client certificate of this hub's CA or none.
///
/// An expired certificate passes, because its device may still hand in what it holds; the handler decides. A
/// certificate of another CA ends the handshake.
pub(crate) fn front_config(identity: Identity, hub_ca: &[u8], clock: Arc<dyn Clock>) -> Result<ServerConfig, TlsError> {
    let provider = provider();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots([hub_ca])?), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(TlsError::from)?;
    let (chain, key) = chain_and_key(identity);
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(ClockTime(clock)))
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::from)?
        .with_client_cert_verifier(Arc::new(AlsoExpired(verifier)))
        .with_single_cert(chain, key)
        .map_err(TlsError::from)?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

/// An HTTPS client that trusts `authorities` and nothing else, with a client certificate if `identity` is given.
pub(crate) fn https_client<'a>(
    authorities: impl IntoIterator<Item = &'a [u8]>,
    identity: Option<Identity>,
    clock: Arc<dyn Clock>,
) -> Result<reqwest::Client, TlsError> {
    let config = ClientConfig::builder_with_details(provider(), Arc::new(ClockTime(clock)))
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::from)?
        .with_root_certificates(roots(authorities)?);
    let mut config = match identity.map(chain_and_key) {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).map_err(TlsError::from)?,
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    http_client_builder().tls_backend_preconfigured(config).https_only(true).build().map_err(TlsError::from)
}

/// A plain HTTP client for a port of this computer; it trusts nobody beyond.
pub(crate) fn local_client() -> Result<reqwest::Client, TlsError> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::from)?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    http_client_builder().timeout(LOCAL_CALL_WITHIN).tls_backend_preconfigured(config).build().map_err(TlsError::from)
}

/// Why an answer has no body that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The connection broke.
    #[error("it broke off: {0}")]
    Interrupted(#[from] reqwest::Error),
    /// It is longer than any answer of its kind.
    #[error("it is too long")]
    TooLarge,
}

/// Reads an answer's body, but not more than `limit_bytes`.
pub(crate) async fn read_body(mut response: reqwest::Response, limit_bytes: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit_bytes {
            return Err(BodyError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What every HTTP client of the hub has in common: no proxy of the environment, no redirects, no delay of small packets.
fn http_client_builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(10))
        .timeout(CALL_WITHIN)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots<'a>(authorities: impl IntoIterator<Item = &'a [u8]>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(CertificateDer::from(authority)).map_err(TlsError::from)?;
    }
    Ok(roots)
}

fn chain_and_key(identity: Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    (vec![identity.certificate.into()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key)))
}

struct ClockTime(Arc<dyn Clock>);

impl fmt::Debug for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClockTime")
    }
}

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        unix_time(self.0.now())
    }
}

fn unix_time(at: Timestamp) -> Option<UnixTime> {
    u64::try_from(at.as_second()).ok().map(|seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

/// The ordinary verifier, except that a certificate past its end is judged as on its last day.
#[derive(Debug)]
struct AlsoExpired(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for AlsoExpired {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let expired = |error: &rustls::Error| {
            matches!(
                error,
                rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })
            )
        };
        match self.0.verify_client_cert(end_entity, intermediates, now) {
            // Expiry is found before the signature is looked at, so everything is verified again at the last instant.
            Err(error) if expired(&error) => {
                let last = Peer::from_certificate(end_entity).and_then(|peer| unix_time(peer.expires_at));
                self.0.verify_client_cert(end_entity, intermediates, last.ok_or(error)?)
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::get};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn no_more_of_an_answer_is_read_than_allowed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(axum::serve(listener, Router::new().route("/", get(async || "hello"))).into_future());
        let ask = async || local_client().unwrap().get(&url).send().await.unwrap();
        assert_eq!(read_body(ask().await, 5).await.unwrap(), b"hello");
        assert!(matches!(read_body(ask().await, 4).await, Err(BodyError::TooLarge)));
        server.abort();
    }
}
