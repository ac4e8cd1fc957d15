//! SHA-256, SHA-384 and HMAC over them.

use alloc::boxed::Box;

use hmac::{Hmac as Mac, KeyInit, Mac as _};
use rustls::crypto::{hash, hmac as tls_hmac};
use sha2::{Digest, Sha256, Sha384};

/// A hash function.
pub struct Hash<D>(core::marker::PhantomData<fn() -> D>, hash::HashAlgorithm);

/// SHA-256.
pub static SHA256: Hash<Sha256> = Hash(core::marker::PhantomData, hash::HashAlgorithm::SHA256);
/// SHA-384.
pub static SHA384: Hash<Sha384> = Hash(core::marker::PhantomData, hash::HashAlgorithm::SHA384);

impl<D: Digest + Clone + Send + Sync + 'static> hash::Hash for Hash<D> {
    fn start(&self) -> Box<dyn hash::Context> {
        Box::new(Running(D::new()))
    }
    fn hash(&self, data: &[u8]) -> hash::Output {
        hash::Output::new(&D::digest(data))
    }
    fn output_len(&self) -> usize {
        <D as Digest>::output_size()
    }
    fn algorithm(&self) -> hash::HashAlgorithm {
        self.1
    }
}

struct Running<D>(D);

impl<D: Digest + Clone + Send + Sync + 'static> hash::Context for Running<D> {
    fn fork_finish(&self) -> hash::Output {
        hash::Output::new(&self.0.clone().finalize())
    }
    fn fork(&self) -> Box<dyn hash::Context> {
        Box::new(Self(self.0.clone()))
    }
    fn finish(self: Box<Self>) -> hash::Output {
        hash::Output::new(&self.0.finalize())
    }
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

macro_rules! hmac_over {
    ($name:ident, $digest:ty, $len:literal) => {
        /// HMAC over the hash function of this name.
        pub struct $name;

        impl tls_hmac::Hmac for $name {
            fn with_key(&self, key: &[u8]) -> Box<dyn tls_hmac::Key> {
                // HMAC takes keys of any length; an empty key stands in for the error that cannot happen.
                let mac = Mac::<$digest>::new_from_slice(key)
                    .unwrap_or_else(|_| Mac::<$digest>::new(&hmac::digest::Key::<Mac<$digest>>::default()));
                Box::new(Keyed(mac))
            }
            fn hash_output_len(&self) -> usize {
                $len
            }
        }

        impl tls_hmac::Key for Keyed<Mac<$digest>> {
            fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> tls_hmac::Tag {
                let mut mac = self.0.clone();
                mac.update(first);
                middle.iter().for_each(|m| mac.update(m));
                mac.update(last);
                tls_hmac::Tag::new(&mac.finalize().into_bytes())
            }
            fn tag_len(&self) -> usize {
                $len
            }
        }
    };
}

struct Keyed<M>(M);

hmac_over!(HmacSha256, Sha256, 32);
hmac_over!(HmacSha384, Sha384, 48);
