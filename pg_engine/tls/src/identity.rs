//! The server's certificate and private key.

use alloc::{
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{fmt, net::IpAddr, str::FromStr, time::Duration};

use p256::{
    elliptic_curve::Generate,
    pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding},
};
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use x509_cert::{
    builder::{self, Builder, CertificateBuilder, profile::BuilderProfile},
    certificate::TbsCertificate,
    der::{
        DateTime, Decode, EncodePem,
        asn1::{GeneralizedTime, Ia5String, OctetString},
        flagset::FlagSet,
    },
    ext::{
        Extension, ToExtension,
        pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName, name::GeneralName},
    },
    name::Name,
    serial_number::SerialNumber,
    spki::{SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef},
    time::{Time, Validity},
};

use crate::{
    certificate,
    provider::{Clock, Entropy, Key},
};

/// Why a certificate, a key or a connection is refused.
#[derive(Debug)]
pub enum TlsError {
    /// No certificate in the text.
    NoCertificate,
    /// What is there is not a certificate.
    CertificateMalformed,
    /// No private key in the text, or none that is readable without a password.
    NoKey,
    /// A key that cannot sign here.
    KeyKind,
    /// The key belongs to another certificate.
    KeyMismatch,
    /// The least version allowed is above the highest.
    Versions,
    /// A name that no certificate can have.
    Name,
    /// The text is longer than [`MOST_TEXT`].
    TooLong,
    /// What the protocol's state machine says.
    Protocol(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("there is no certificate in PEM format"),
            Self::CertificateMalformed => f.write_str("the certificate is malformed"),
            Self::NoKey => f.write_str("there is no unencrypted private key in PEM format"),
            Self::KeyKind => f.write_str("only private keys on the curves P-256 and P-384 are supported"),
            Self::KeyMismatch => f.write_str("the private key does not belong to the certificate"),
            Self::Versions => f.write_str("no protocol version is left"),
            Self::Name => f.write_str("the name cannot be put into a certificate"),
            Self::TooLong => f.write_str("the text is too long"),
            Self::Protocol(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for TlsError {}

impl From<rustls::Error> for TlsError {
    fn from(e: rustls::Error) -> Self {
        Self::Protocol(e)
    }
}

/// Longest text of certificates or keys.
pub const MOST_TEXT: usize = 64 << 10;
/// Most certificates in a text.
const MOST_CERTIFICATES: usize = 64;
/// How long a certificate made here is valid.
const VALID_FOR: Duration = Duration::from_secs(10 * 365 * 86_400);
/// How long before it was made it is valid already: clocks differ.
const VALID_BEFORE: Duration = Duration::from_secs(86_400);

/// See the module.
#[derive(Clone)]
pub struct Identity {
    certificate_pem: String,
    key_pem: String,
    pub(crate) certified: Arc<CertifiedKey>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.describe()).finish_non_exhaustive()
    }
}

impl Identity {
    /// From certificates (the server's first, then those that lead to a root) and the server's key, as PEM: PKCS #8 or SEC 1.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, TlsError> {
        let chain = certificates(certificate_pem)?;
        if key_pem.len() > MOST_TEXT {
            return Err(TlsError::TooLong);
        }
        let der = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| TlsError::NoKey)?;
        let key = Key::read(&der).ok_or(TlsError::KeyKind)?;
        let certified = CertifiedKey::new(chain, Arc::new(key));
        match certified.keys_match() {
            Ok(()) => {}
            Err(rustls::Error::InconsistentKeys(_)) => return Err(TlsError::KeyMismatch),
            Err(_) => return Err(TlsError::CertificateMalformed),
        }
        Ok(Self {
            certificate_pem: certificate_pem.into(),
            key_pem: key_pem.into(),
            certified: Arc::new(certified),
        })
    }

    /// A new key on P-256 with a certificate of its own signing for these names, addresses among them. The first is the
    /// subject's common name.
    pub fn generate(names: &[&str]) -> Result<Self, TlsError> {
        let key = p256::SecretKey::generate_from_rng(&mut Entropy);
        let signer = p256::ecdsa::SigningKey::from(&key);
        let failed = |_| TlsError::CertificateMalformed;
        let public = key.public_key().to_public_key_der().map_err(|_| TlsError::KeyKind)?;
        let public = SubjectPublicKeyInfoOwned::from_der(public.as_bytes()).map_err(|_| TlsError::KeyKind)?;
        let serial = SerialNumber::generate(&mut Entropy);
        let profile = SelfSigned::new(names)?;
        let builder = CertificateBuilder::new(profile, serial, validity()?, public).map_err(failed)?;
        let certificate = builder.build::<_, p256::ecdsa::DerSignature>(&signer).map_err(failed)?;
        let pem = certificate.to_pem(LineEnding::LF).map_err(|_| TlsError::CertificateMalformed)?;
        let key = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| TlsError::KeyKind)?;
        Self::from_pem(&pem, &key)
    }

    /// The certificates, as PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key, as PEM. For storage only.
    pub fn private_key(&self) -> &str {
        &self.key_pem
    }

    /// What the server's certificate says.
    pub fn describe(&self) -> Option<certificate::Described> {
        certificate::describe(self.certified.cert.first()?)
    }
}

/// The certificates in a text one by one, each as PEM with what it says.
pub fn split(pem: &str) -> Result<Vec<(String, certificate::Described)>, TlsError> {
    let one = |der: &CertificateDer<'static>| {
        let pem = x509_cert::der::pem::encode_string("CERTIFICATE", LineEnding::LF, der);
        Some((pem.ok()?, certificate::describe(der)?))
    };
    certificates(pem)?.iter().map(|der| one(der).ok_or(TlsError::CertificateMalformed)).collect()
}

/// The certificates in a text, at least one, each readable.
pub(crate) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    if pem.len() > MOST_TEXT {
        return Err(TlsError::TooLong);
    }
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes())
        .take(MOST_CERTIFICATES + 1)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| TlsError::CertificateMalformed)?;
    match chain.len() {
        0 => Err(TlsError::NoCertificate),
        n if n > MOST_CERTIFICATES => Err(TlsError::TooLong),
        _ if chain.iter().any(|c| certificate::describe(c).is_none()) => Err(TlsError::CertificateMalformed),
        _ => Ok(chain),
    }
}

fn validity() -> Result<Validity, TlsError> {
    let now = Clock::now();
    let time = |t| {
        let date = DateTime::from_unix_duration(t).map_err(|_| TlsError::CertificateMalformed)?;
        Ok::<_, TlsError>(Time::GeneralTime(GeneralizedTime::from_date_time(date)))
    };
    Ok(Validity::new(time(now.saturating_sub(VALID_BEFORE))?, time(now.saturating_add(VALID_FOR))?))
}

/// A server's certificate that nobody else has signed.
struct SelfSigned {
    subject: Name,
    names: Vec<GeneralName>,
}

impl SelfSigned {
    fn new(names: &[&str]) -> Result<Self, TlsError> {
        let first = names.first().ok_or(TlsError::Name)?;
        let plain = |n: &str| {
            !n.is_empty()
                && n.len() <= 253
                && n.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b))
        };
        if !names.iter().all(|n| plain(n)) {
            return Err(TlsError::Name);
        }
        let subject = Name::from_str(&alloc::format!("CN={first}")).map_err(|_| TlsError::Name)?;
        let names = names.iter().map(|n| general_name(n)).collect::<Result<_, _>>()?;
        Ok(Self { subject, names })
    }
}

fn general_name(name: &str) -> Result<GeneralName, TlsError> {
    let address = |bytes: &[u8]| OctetString::new(bytes).map(GeneralName::IpAddress);
    match name.parse() {
        Ok(IpAddr::V4(a)) => address(&a.octets()),
        Ok(IpAddr::V6(a)) => address(&a.octets()),
        Err(_) => Ia5String::new(&name.to_string()).map(GeneralName::DnsName),
    }
    .map_err(|_| TlsError::Name)
}

impl BuilderProfile for SelfSigned {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }
    fn get_subject(&self) -> Name {
        self.subject.clone()
    }
    fn build_extensions(
        &self,
        _: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        /// `id-kp-serverAuth`.
        const SERVER: &str = "1.3.6.1.5.5.7.3.1";
        let (subject, none) = (tbs.subject(), &[][..]);
        let usage = FlagSet::from(KeyUsages::DigitalSignature);
        let server = x509_cert::der::asn1::ObjectIdentifier::new_unwrap(SERVER);
        Ok(Vec::from([
            BasicConstraints { ca: false, path_len_constraint: None }.to_extension(subject, none)?,
            KeyUsage(usage).to_extension(subject, none)?,
            ExtendedKeyUsage(Vec::from([server])).to_extension(subject, none)?,
            SubjectAltName(self.names.clone()).to_extension(subject, none)?,
        ]))
    }
}
