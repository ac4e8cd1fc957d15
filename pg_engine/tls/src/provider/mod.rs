//! The cryptography rustls works with, put together from RustCrypto's algorithms.

mod aead;
mod exchange;
mod hash;
mod sign;
mod suites;
mod verify;

use alloc::{sync::Arc, vec::Vec};
use core::{convert::Infallible, time::Duration};

use rand_core::{TryCryptoRng, TryRng};
use rustls::{
    crypto::{CryptoProvider, GetRandomFailed, SecureRandom},
    pki_types::UnixTime,
    time_provider::TimeProvider,
};

pub(crate) use sign::Key;

/// The provider.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: suites::ALL.to_vec(),
        kx_groups: Vec::from([exchange::X25519, exchange::SECP256R1]),
        signature_verification_algorithms: verify::ALGORITHMS,
        secure_random: &Entropy,
        key_provider: &sign::Keys,
    })
}

/// The platform's generator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entropy;

impl SecureRandom for Entropy {
    fn fill(&self, buf: &mut [u8]) -> Result<(), GetRandomFailed> {
        platform::entropy::fill(buf);
        Ok(())
    }
}

impl TryRng for Entropy {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut b = [0; 4];
        platform::entropy::fill(&mut b);
        Ok(u32::from_le_bytes(b))
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut b = [0; 8];
        platform::entropy::fill(&mut b);
        Ok(u64::from_le_bytes(b))
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        platform::entropy::fill(dst);
        Ok(())
    }
}

impl TryCryptoRng for Entropy {}

/// The platform's wall clock.
#[derive(Debug)]
pub(crate) struct Clock;

impl Clock {
    /// Time since 1970-01-01 UTC.
    pub(crate) fn now() -> Duration {
        Duration::from_micros(u64::try_from(platform::time::wall_clock_micros()).unwrap_or(0))
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Self::now()))
    }
}
