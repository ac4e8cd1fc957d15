//! What new connections are encrypted with.

use alloc::{string::String, sync::Arc, vec::Vec};

use platform::{net::Stream, sync::Mutex};
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

use crate::{
    certificate,
    identity::{self, Identity, TlsError},
    provider::{Clock, provider},
    stream::TlsStream,
};

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 1.2
    Tls12,
    /// 1.3
    Tls13,
}

/// How connections are made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Least version.
    pub least: Version,
    /// Highest version.
    pub most: Version,
    /// Certificates of authorities whose signature on a client's certificate counts, as PEM. `None`: clients are not asked
    /// for certificates. Otherwise they may have one, and one that is not signed so ends the handshake.
    pub client_authorities: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { least: Version::Tls12, most: Version::Tls13, client_authorities: None }
    }
}

struct Current {
    config: Arc<ServerConfig>,
    end_point: Arc<[u8]>,
}

/// See the module. Without an identity it accepts nothing.
#[derive(Default)]
pub struct Acceptor {
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct One(Arc<CertifiedKey>);

impl ResolvesServerCert for One {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

impl Acceptor {
    /// Connections from now on are made so; those there are stay as they are. After an error all stays as it was.
    pub fn install(&self, identity: &Identity, settings: &Settings) -> Result<(), TlsError> {
        let versions: Vec<&'static SupportedProtocolVersion> =
            [(Version::Tls13, &TLS13), (Version::Tls12, &TLS12)]
                .into_iter()
                .filter(|(v, _)| (settings.least..=settings.most).contains(v))
                .map(|(_, v)| v)
                .collect();
        if versions.is_empty() {
            return Err(TlsError::Versions);
        }
        let provider = provider();
        let builder = ServerConfig::builder_with_details(provider.clone(), Arc::new(Clock))
            .with_protocol_versions(&versions)?;
        let builder = match &settings.client_authorities {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let roots = Arc::new(authorities(pem)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|_| TlsError::CertificateMalformed)?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(One(identity.certified.clone())));
        config.ignore_client_order = true;
        config.send_tls13_tickets = 0;
        let first = identity.certified.cert.first().ok_or(TlsError::NoCertificate)?;
        let end_point = certificate::end_point(first).into();
        *self.current.lock() = Some(Current { config: Arc::new(config), end_point });
        Ok(())
    }

    /// Connections from now on are not encrypted.
    pub fn uninstall(&self) {
        *self.current.lock() = None;
    }

    /// Are connections encrypted on request?
    pub fn is_on(&self) -> bool {
        self.current.lock().is_some()
    }

    /// The encrypted side of a stream whose client begins a handshake with its next byte. `None`: nothing is installed.
    pub fn accept(&self, stream: Arc<dyn Stream>) -> Option<Result<Arc<TlsStream>, TlsError>> {
        let current = self.current.lock();
        let (config, end_point) = current.as_ref().map(|c| (c.config.clone(), c.end_point.clone()))?;
        drop(current);
        Some(TlsStream::new(stream, config, end_point).map(Arc::new))
    }
}

/// Checks that a text holds certificates of authorities.
pub fn check_authorities(pem: &str) -> Result<(), TlsError> {
    authorities(pem).map(|_| ())
}

fn authorities(pem: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in identity::certificates(pem)? {
        roots.add(certificate).map_err(|_| TlsError::CertificateMalformed)?;
    }
    Ok(roots)
}
