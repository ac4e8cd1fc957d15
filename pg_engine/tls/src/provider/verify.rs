//! Signatures of others: client certificates and what clients sign with them.

use core::{fmt, marker::PhantomData};

use p256::ecdsa::signature::{Verifier, hazmat::PrehashVerifier};
use rsa::{BoxedUint, RsaPublicKey, pkcs1v15, pss};
use rustls::{
    SignatureScheme,
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id},
};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::der::{Decode, Reader, SliceReader, asn1::UintRef};

/// All of them.
pub const ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        P256_SHA256,
        P256_SHA384,
        P384_SHA256,
        P384_SHA384,
        ED25519,
        PKCS1_SHA256,
        PKCS1_SHA384,
        PKCS1_SHA512,
        PSS_SHA256,
        PSS_SHA384,
        PSS_SHA512,
    ],
    // TLS 1.3 tries the first of each only.
    mapping: &[
        (SignatureScheme::ECDSA_NISTP256_SHA256, &[P256_SHA256, P384_SHA256]),
        (SignatureScheme::ECDSA_NISTP384_SHA384, &[P384_SHA384, P256_SHA384]),
        (SignatureScheme::ED25519, &[ED25519]),
        (SignatureScheme::RSA_PSS_SHA256, &[PSS_SHA256]),
        (SignatureScheme::RSA_PSS_SHA384, &[PSS_SHA384]),
        (SignatureScheme::RSA_PSS_SHA512, &[PSS_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[PKCS1_SHA256]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[PKCS1_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[PKCS1_SHA512]),
    ],
};

type Check = fn(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()>;
type Dyn = &'static dyn SignatureVerificationAlgorithm;

/// An algorithm: of keys, of signatures, and how one is checked.
struct Algorithm(AlgorithmIdentifier, AlgorithmIdentifier, Check);

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Algorithm").field(&self.0).field(&self.1).finish()
    }
}

impl SignatureVerificationAlgorithm for Algorithm {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        (self.2)(key, message, signature).ok_or(InvalidSignature)
    }
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.0
    }
    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.1
    }
}

const P256_SHA256: Dyn = &Algorithm(alg_id::ECDSA_P256, alg_id::ECDSA_SHA256, on_p256::<Sha256>);
const P256_SHA384: Dyn = &Algorithm(alg_id::ECDSA_P256, alg_id::ECDSA_SHA384, on_p256::<Sha384>);
const P384_SHA256: Dyn = &Algorithm(alg_id::ECDSA_P384, alg_id::ECDSA_SHA256, on_p384::<Sha256>);
const P384_SHA384: Dyn = &Algorithm(alg_id::ECDSA_P384, alg_id::ECDSA_SHA384, on_p384::<Sha384>);
const ED25519: Dyn = &Algorithm(alg_id::ED25519, alg_id::ED25519, on_ed25519);
const PKCS1_SHA256: Dyn =
    &Algorithm(alg_id::RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA256, Pkcs1::<Sha256>::check);
const PKCS1_SHA384: Dyn =
    &Algorithm(alg_id::RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA384, Pkcs1::<Sha384>::check);
const PKCS1_SHA512: Dyn =
    &Algorithm(alg_id::RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA512, Pkcs1::<Sha512>::check);
const PSS_SHA256: Dyn = &Algorithm(alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA256, Pss::<Sha256>::check);
const PSS_SHA384: Dyn = &Algorithm(alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA384, Pss::<Sha384>::check);
const PSS_SHA512: Dyn = &Algorithm(alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA512, Pss::<Sha512>::check);

fn on_p256<D: Digest>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
    let signature = p256::ecdsa::DerSignature::from_bytes(signature).ok()?;
    key.verify_prehash(&D::digest(message), &signature).ok()
}

fn on_p384<D: Digest>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
    let signature = p384::ecdsa::DerSignature::from_bytes(signature).ok()?;
    key.verify_prehash(&D::digest(message), &signature).ok()
}

fn on_ed25519(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(key.try_into().ok()?).ok()?;
    let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
    // Also refuses keys and points of small order.
    key.verify_strict(message, &signature).ok()
}

/// Fewest bits of an RSA modulus; `rsa` itself refuses more than 4,096.
const LEAST_BITS: u32 = 2048;

/// `RSAPublicKey` of PKCS #1: modulus and exponent.
fn rsa_key(der: &[u8]) -> Option<RsaPublicKey> {
    let mut reader = SliceReader::new(der).ok()?;
    let key = reader
        .sequence(|r| {
            let (n, e) = (UintRef::decode(r)?, UintRef::decode(r)?);
            Ok::<_, x509_cert::der::Error>((
                BoxedUint::from_be_slice_vartime(n.as_bytes()),
                BoxedUint::from_be_slice_vartime(e.as_bytes()),
            ))
        })
        .ok()?;
    reader.finish().ok()?;
    if key.0.bits() < LEAST_BITS {
        return None;
    }
    RsaPublicKey::new(key.0, key.1).ok()
}

struct Pkcs1<D>(PhantomData<D>);
struct Pss<D>(PhantomData<D>);

macro_rules! rsa_checks {
    ($($digest:ty)*) => {$(
        impl Pkcs1<$digest> {
            fn check(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
                let signature = pkcs1v15::Signature::try_from(signature).ok()?;
                pkcs1v15::VerifyingKey::<$digest>::new(rsa_key(key)?).verify(message, &signature).ok()
            }
        }
        impl Pss<$digest> {
            fn check(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
                let signature = pss::Signature::try_from(signature).ok()?;
                pss::VerifyingKey::<$digest>::new(rsa_key(key)?).verify(message, &signature).ok()
            }
        }
    )*};
}

rsa_checks!(Sha256 Sha384 Sha512);
