//! The cipher suites, most wanted first.

use rustls::{
    CipherSuite, CipherSuiteCommon, SignatureScheme, SupportedCipherSuite, Tls12CipherSuite,
    Tls13CipherSuite,
    crypto::{KeyExchangeAlgorithm, tls12::PrfUsingHmac, tls13::HkdfUsingHmac},
};

use super::{aead, hash};

/// Records under one key of AES-GCM before it must change (RFC 8446, 5.5).
const GCM_RECORDS: u64 = 1 << 24;

/// All of them. Those of TLS 1.2 are for keys of elliptic curves, the only ones a server's certificate may have.
pub static ALL: &[SupportedCipherSuite] = &[
    SupportedCipherSuite::Tls13(&TLS13_AES_256_GCM_SHA384),
    SupportedCipherSuite::Tls13(&TLS13_AES_128_GCM_SHA256),
    SupportedCipherSuite::Tls13(&TLS13_CHACHA20_POLY1305_SHA256),
    SupportedCipherSuite::Tls12(&ECDHE_ECDSA_AES_256_GCM_SHA384),
    SupportedCipherSuite::Tls12(&ECDHE_ECDSA_AES_128_GCM_SHA256),
    SupportedCipherSuite::Tls12(&ECDHE_ECDSA_CHACHA20_POLY1305),
];

const fn common(
    suite: CipherSuite,
    hash_provider: &'static dyn rustls::crypto::hash::Hash,
    confidentiality_limit: u64,
) -> CipherSuiteCommon {
    CipherSuiteCommon { suite, hash_provider, confidentiality_limit }
}

static TLS13_AES_256_GCM_SHA384: Tls13CipherSuite = Tls13CipherSuite {
    common: common(CipherSuite::TLS13_AES_256_GCM_SHA384, &hash::SHA384, GCM_RECORDS),
    hkdf_provider: &HkdfUsingHmac(&hash::HmacSha384),
    aead_alg: &aead::AES_256_GCM,
    quic: None,
};
static TLS13_AES_128_GCM_SHA256: Tls13CipherSuite = Tls13CipherSuite {
    common: common(CipherSuite::TLS13_AES_128_GCM_SHA256, &hash::SHA256, GCM_RECORDS),
    hkdf_provider: &HkdfUsingHmac(&hash::HmacSha256),
    aead_alg: &aead::AES_128_GCM,
    quic: None,
};
static TLS13_CHACHA20_POLY1305_SHA256: Tls13CipherSuite = Tls13CipherSuite {
    common: common(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, &hash::SHA256, u64::MAX),
    hkdf_provider: &HkdfUsingHmac(&hash::HmacSha256),
    aead_alg: &aead::CHACHA20_POLY1305,
    quic: None,
};

static ECDSA: &[SignatureScheme] =
    &[SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ECDSA_NISTP384_SHA384];

static ECDHE_ECDSA_AES_256_GCM_SHA384: Tls12CipherSuite = Tls12CipherSuite {
    common: common(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, &hash::SHA384, GCM_RECORDS),
    prf_provider: &PrfUsingHmac(&hash::HmacSha384),
    kx: KeyExchangeAlgorithm::ECDHE,
    sign: ECDSA,
    aead_alg: &aead::AES_256_GCM,
};
static ECDHE_ECDSA_AES_128_GCM_SHA256: Tls12CipherSuite = Tls12CipherSuite {
    common: common(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, &hash::SHA256, GCM_RECORDS),
    prf_provider: &PrfUsingHmac(&hash::HmacSha256),
    kx: KeyExchangeAlgorithm::ECDHE,
    sign: ECDSA,
    aead_alg: &aead::AES_128_GCM,
};
static ECDHE_ECDSA_CHACHA20_POLY1305: Tls12CipherSuite = Tls12CipherSuite {
    common: common(CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, &hash::SHA256, u64::MAX),
    prf_provider: &PrfUsingHmac(&hash::HmacSha256),
    kx: KeyExchangeAlgorithm::ECDHE,
    sign: ECDSA,
    aead_alg: &aead::CHACHA20_POLY1305,
};
