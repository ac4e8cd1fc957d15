//! Signatures with the server's key: ECDSA on P-256 or P-384.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::fmt;

use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::DecodePrivateKey;
use rustls::{
    Error, SignatureAlgorithm, SignatureScheme,
    crypto::KeyProvider,
    pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer, alg_id},
    sign::{Signer, SigningKey, public_key_to_spki},
};

/// Reads keys.
#[derive(Debug)]
pub struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(&self, der: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        let key = Key::read(&der).ok_or_else(|| Error::General("unsupported private key".into()))?;
        Ok(Arc::new(key))
    }
}

/// A private key that can sign.
#[derive(Clone)]
pub enum Key {
    /// On P-256.
    P256(Arc<p256::ecdsa::SigningKey>),
    /// On P-384.
    P384(Arc<p384::ecdsa::SigningKey>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// Reads PKCS #8 or SEC 1.
    pub fn read(der: &PrivateKeyDer<'_>) -> Option<Self> {
        match der {
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                let p256 = p256::ecdsa::SigningKey::from_pkcs8_der(der).ok();
                let p384 = || p384::ecdsa::SigningKey::from_pkcs8_der(der).ok();
                p256.map(|k| Self::P256(Arc::new(k))).or_else(|| Some(Self::P384(Arc::new(p384()?))))
            }
            PrivateKeyDer::Sec1(der) => {
                let der = der.secret_sec1_der();
                let p256 = p256::SecretKey::from_sec1_der(der).ok();
                let p384 = || p384::SecretKey::from_sec1_der(der).ok();
                p256.map(|k| Self::P256(Arc::new(k.into())))
                    .or_else(|| Some(Self::P384(Arc::new(p384()?.into()))))
            }
            _ => None,
        }
    }
    fn scheme(&self) -> SignatureScheme {
        match self {
            Self::P256(_) => SignatureScheme::ECDSA_NISTP256_SHA256,
            Self::P384(_) => SignatureScheme::ECDSA_NISTP384_SHA384,
        }
    }
}

impl SigningKey for Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.scheme()).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }
    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(match self {
            Self::P256(k) => {
                public_key_to_spki(&alg_id::ECDSA_P256, k.verifying_key().to_sec1_point(false).as_bytes())
            }
            Self::P384(k) => {
                public_key_to_spki(&alg_id::ECDSA_P384, k.verifying_key().to_sec1_point(false).as_bytes())
            }
        })
    }
    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = |_| Error::General("signing failed".into());
        match self {
            Self::P256(k) => {
                let s: p256::ecdsa::DerSignature = k.try_sign(message).map_err(failed)?;
                Ok(s.as_bytes().into())
            }
            Self::P384(k) => {
                let s: p384::ecdsa::DerSignature = k.try_sign(message).map_err(failed)?;
                Ok(s.as_bytes().into())
            }
        }
    }
    fn scheme(&self) -> SignatureScheme {
        Self::scheme(self)
    }
}
