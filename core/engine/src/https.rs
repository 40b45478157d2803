use std::{error::Error, io, sync::Arc, time::Duration};

use reqwest::{Client, Response, redirect};
use ring::digest;
use rustls::{
    ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureAlgorithm, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring as provider, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
    sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey},
    version::TLS13,
};
use tazune_link::keys::VerifyingKey;
use tazune_model::{Bytes, Sha256, Timestamp};
use tokio::runtime::{Handle, RuntimeFlavor};
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use crate::keys::{KeyStoreError, Keys};

/// How long the making of a connection may take, one address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client certificate chain, the device's own first, whose key stays in the key store.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificates: Vec<Bytes>,
    pub(crate) keys: Keys,
}

/// TLS 1.3 with the one server whose public key (SPKI, DER) has this digest; the certificate's names and dates do not count.
pub(crate) fn pinned(pin: Sha256, identity: Option<Identity>) -> ClientConfig {
    let provider = Arc::new(provider::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .expect("the provider knows TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(SpkiPin { pin, provider }));
    with_identity(builder, identity)
}

/// TLS 1.3 with a server whose chain ends in one of these certificates (DER); one that cannot be read is left out.
pub(crate) fn trusting(anchors: &[Bytes], identity: Option<Identity>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(anchors.iter().map(der));
    let builder = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("the provider knows TLS 1.3")
        .with_root_certificates(roots);
    with_identity(builder, identity)
}

/// An HTTPS client of our own settings only: no proxy of the environment, no redirect.
pub(crate) fn client(config: ClientConfig) -> Client {
    Client::builder()
        .tls_backend_preconfigured(config)
        .https_only(true)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .build()
        .expect("the TLS settings are of the version that the client uses")
}

/// What the key store said when it was asked for the handshake's signature, if that is why there is no connection.
pub(crate) fn key_failure(error: &reqwest::Error) -> Option<KeyStoreError> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(rustls::Error::Other(OtherError(refusal))) = error.downcast_ref() {
            return refusal.downcast_ref().copied();
        }
        cause = match error.downcast_ref::<io::Error>() {
            // What it holds is not its source, only that one's source is.
            Some(error) => error.get_ref().map(|held| held as _),
            None => error.source(),
        };
    }
    None
}

/// Why an answer's body is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The connection ended before the body did.
    Interrupted,
    /// More bytes than allowed.
    TooLarge,
}

/// Reads an answer's body, but not more than `limit_bytes`.
pub(crate) async fn read_body(mut response: Response, limit_bytes: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| BodyError::Interrupted)? {
        if body.len() + chunk.len() > limit_bytes {
            return Err(BodyError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Whether a certificate (DER) was issued for this key.
pub(crate) fn is_for_key(certificate: &Bytes, key: &VerifyingKey) -> bool {
    // On P-256 an SPKI is a fixed prefix and the point.
    ParsedCertificate::try_from(&der(certificate))
        .is_ok_and(|parsed| parsed.subject_public_key_info().ends_with(key.as_bytes()))
}

/// First and last instant of a certificate's (DER) validity; `None` when it is none.
pub(crate) fn validity(certificate: &Bytes) -> Option<(Timestamp, Timestamp)> {
    let (_, parsed) = X509Certificate::from_der(certificate.as_slice()).ok()?;
    let instant = |time: ASN1Time| Timestamp::from_second(time.timestamp()).ok();
    Some((instant(parsed.validity().not_before)?, instant(parsed.validity().not_after)?))
}

fn with_identity(
    builder: rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>,
    identity: Option<Identity>,
) -> ClientConfig {
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = identity.certificates.iter().map(der).collect();
            let key = CertifiedKey::new(chain, Arc::new(PortKey(identity.keys)));
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

fn der(bytes: &Bytes) -> CertificateDer<'static> {
    CertificateDer::from(bytes.as_slice().to_vec())
}

/// The transport key as TLS sees it: every signature is asked of the key store.
#[derive(Clone)]
struct PortKey(Keys);

impl std::fmt::Debug for PortKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PortKey")
    }
}

impl SigningKey for PortKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ECDSA_NISTP256_SHA256).then(|| Box::new(self.clone()) as _)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for PortKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let sign = || self.0.sign(message);
        // A key store may take its time, and other work shall not stand still meanwhile.
        let signature = match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(sign),
            _ => sign(),
        };
        signature.map_err(|error| rustls::Error::Other(OtherError(Arc::new(error))))
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

/// Accepts one public key, learned from the pairing code, in whatever certificate it comes; the only verifier of our own.
///
/// The handshake's signature is still checked with that key, so a copied certificate is of no use.
#[derive(Debug)]
struct SpkiPin {
    pin: Sha256,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for SpkiPin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let spki = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        if digest::digest(&digest::SHA256, &spki).as_ref() == self.pin.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not offered".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData, date_time_ymd};
    use rustls::{ServerConfig, pki_types::PrivateKeyDer, server::WebPkiClientVerifier};
    use tazune_link::keys::sha256;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::keys::{KeyStore, MemoryKeyStore};

    struct Server {
        url: String,
        authority: Bytes,
        pin: Sha256,
    }

    /// A server on 127.0.0.1 whose certificate has this name and, perhaps, ended long ago; it asks for one, and does without.
    async fn server(name: &str, is_expired: bool) -> Server {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = parameters.self_signed(&key).unwrap().der().to_vec();
        let issuer = Issuer::new(parameters, key);
        let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
        if is_expired {
            parameters.not_after = date_time_ymd(2000, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &issuer).unwrap().der().clone();
        let pin = sha256(&key.subject_public_key_info());
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider::default_provider().into());
        let clients = clients.allow_unauthenticated().build().unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await;
            }
        });
        Server { url, authority: Bytes(authority), pin }
    }

    async fn answers(config: ClientConfig, server: &Server) -> bool {
        client(config).get(&server.url).send().await.is_ok()
    }

    #[tokio::test]
    async fn a_trusted_server_has_a_chain_to_its_authority_and_its_name_and_its_time() {
        let (right, other) = (server("127.0.0.1", false).await, server("127.0.0.1", false).await);
        let (misnamed, expired) = (server("gateway.invalid", false).await, server("127.0.0.1", true).await);
        assert!(answers(trusting(std::slice::from_ref(&right.authority), None), &right).await);
        assert!(answers(trusting(&[Bytes(vec![7]), right.authority.clone()], None), &right).await);
        for (server, authorities) in [
            (&right, vec![]),
            (&right, vec![other.authority.clone()]),
            (&misnamed, vec![misnamed.authority.clone()]),
            (&expired, vec![expired.authority.clone()]),
        ] {
            assert!(!answers(trusting(&authorities, None), server).await);
        }
    }

    #[tokio::test]
    async fn a_pinned_server_is_known_by_its_key_alone() {
        let (right, other) = (server("127.0.0.1", false).await, server("127.0.0.1", false).await);
        let odd = server("front.invalid", true).await;
        assert!(answers(pinned(right.pin, None), &right).await);
        assert!(answers(pinned(odd.pin, None), &odd).await, "names and dates do not count");
        assert!(!answers(pinned(right.pin, None), &other).await);
        assert!(!answers(pinned(sha256(right.authority.as_slice()), None), &right).await);
    }

    /// Also on a runtime that may not block a thread, and on one that may.
    #[test]
    fn a_key_store_that_refuses_the_handshakes_signature_is_told_from_a_server_that_is_away() {
        use tokio::runtime::Builder;
        for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
            builder.enable_all().build().unwrap().block_on(async {
                let server = server("127.0.0.1", false).await;
                let keys = Arc::new(MemoryKeyStore::new());
                keys.make_keys().unwrap();
                keys.set_locked(true);
                let identity = Identity { certificates: vec![server.authority.clone()], keys };
                let client = client(pinned(server.pin, Some(identity)));
                let refused = client.get(&server.url).send().await.unwrap_err();
                assert!(refused.is_connect());
                assert_eq!(key_failure(&refused), Some(KeyStoreError::Locked));
                let away = client.get("https://127.0.0.1:1").send().await.unwrap_err();
                assert_eq!(key_failure(&away), None);
            });
        }
    }

    #[tokio::test]
    async fn no_more_of_an_answer_is_read_than_allowed() {
        let server = server("127.0.0.1", false).await;
        let ask = async || client(pinned(server.pin, None)).get(&server.url).send().await.unwrap();
        assert_eq!(read_body(ask().await, 5).await.unwrap(), b"hello");
        assert_eq!(read_body(ask().await, 4).await, Err(BodyError::TooLarge));
    }
}
