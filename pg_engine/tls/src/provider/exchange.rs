//! Key exchange: X25519 and P-256, ephemeral keys only.

use alloc::boxed::Box;
use core::fmt;

use p256::elliptic_curve::{Generate, sec1::ToSec1Point};
use rustls::{
    Error, NamedGroup, PeerMisbehaved,
    crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup},
};

use super::Entropy;

/// Curve25519 (RFC 7748).
pub static X25519: &dyn SupportedKxGroup = &Group(NamedGroup::X25519);
/// P-256.
pub static SECP256R1: &dyn SupportedKxGroup = &Group(NamedGroup::secp256r1);

struct Group(NamedGroup);

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl SupportedKxGroup for Group {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(match self.0 {
            NamedGroup::X25519 => Box::new(Curve25519::new()),
            _ => Box::new(P256::new()),
        })
    }
    fn name(&self) -> NamedGroup {
        self.0
    }
}

struct Curve25519 {
    secret: x25519_dalek::EphemeralSecret,
    public: x25519_dalek::PublicKey,
}

impl Curve25519 {
    fn new() -> Self {
        let secret = x25519_dalek::EphemeralSecret::random_from_rng(&mut Entropy);
        let public = x25519_dalek::PublicKey::from(&secret);
        Self { secret, public }
    }
}

impl ActiveKeyExchange for Curve25519 {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer: [u8; 32] = peer.try_into().map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        let shared = self.secret.diffie_hellman(&x25519_dalek::PublicKey::from(peer));
        // A point of small order would make the secret known to everybody (RFC 8446, 7.4.2).
        if !shared.was_contributory() {
            return Err(PeerMisbehaved::InvalidKeyShare.into());
        }
        Ok(SharedSecret::from(shared.as_bytes().as_slice()))
    }
    fn pub_key(&self) -> &[u8] {
        self.public.as_bytes()
    }
    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct P256 {
    secret: p256::ecdh::EphemeralSecret,
    /// The uncompressed point.
    public: Box<[u8]>,
}

impl P256 {
    fn new() -> Self {
        let secret = p256::ecdh::EphemeralSecret::generate_from_rng(&mut Entropy);
        let public = secret.public_key().to_sec1_point(false).as_bytes().into();
        Self { secret, public }
    }
}

impl ActiveKeyExchange for P256 {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        // Only uncompressed points are allowed (RFC 8446, 4.2.8.2).
        let peer = Some(peer)
            .filter(|p| p.first() == Some(&4))
            .and_then(|p| p256::PublicKey::from_sec1_bytes(p).ok())
            .ok_or(PeerMisbehaved::InvalidKeyShare)?;
        let shared = self.secret.diffie_hellman(&peer);
        Ok(SharedSecret::from(shared.raw_secret_bytes().as_slice()))
    }
    fn pub_key(&self) -> &[u8] {
        &self.public
    }
    fn group(&self) -> NamedGroup {
        NamedGroup::secp256r1
    }
}
