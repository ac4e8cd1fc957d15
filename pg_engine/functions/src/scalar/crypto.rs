//! What the extensions `pgcrypto` and `uuid-ossp` are made of: digests by name, salted hashes of passwords, random bytes,
//! uuids of versions 1, 3 and 5.
//!
//! These functions have names of our own in `pg_catalog`; the extensions' functions are SQL functions that call them.
//! Dependencies: `md-5`, `sha1`, `sha2` and `hmac` (RustCrypto's digests), `blowfish` (the cipher that bcrypt is made of; the
//! loop over it is here, so that it can be cancelled), `base64` (bcrypt's alphabet).

use alloc::{format, string::String, vec::Vec};

use base64::{
    Engine,
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};
use hmac::{KeyInit, Mac, SimpleHmac};
use pg_types::{Result, SqlError, SqlState, oid::*};
use sha2::Digest;

use crate::{
    call::row,
    def::{EvalContext, Function},
    errors::{cancelled, invalid},
    table::def,
};

/// bcrypt writes base64 with letters of its own; the last letter of a salt may have bits that mean nothing.
const BCRYPT: GeneralPurpose =
    GeneralPurpose::new(&base64::alphabet::BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));
/// Letters of a bcrypt salt, behind `$2a$06$`.
const SALT_LETTERS: usize = 22;
/// Bytes of a password that bcrypt looks at.
const PASSWORD_BYTES: usize = 72;
/// Rounds of bcrypt (a logarithm) that `gen_salt` takes by itself.
const DEFAULT_ROUNDS: i32 = 6;
const MAX_RANDOM: usize = 1024;
/// From the beginning of the Gregorian calendar to 1970 (RFC 4122), and on to 2000-01-01, in units of 100 ns.
const GREGORIAN_TO_2000: u64 = 0x01b2_1dd2_1381_4000 + 946_684_800 * 10_000_000;

/// Runs `$use` with the digest of a name.
macro_rules! with_digest {
    ($name:expr, $digest:ident => $use:expr) => {{
        let folded: String = $name.to_ascii_lowercase();
        match folded.as_str() {
            "md5" => {
                type $digest = md5::Md5;
                $use
            }
            "sha1" | "sha-1" => {
                type $digest = sha1::Sha1;
                $use
            }
            "sha224" => {
                type $digest = sha2::Sha224;
                $use
            }
            "sha256" => {
                type $digest = sha2::Sha256;
                $use
            }
            "sha384" => {
                type $digest = sha2::Sha384;
                $use
            }
            "sha512" => {
                type $digest = sha2::Sha512;
                $use
            }
            _ => Err(invalid(format!("Cannot use \"{}\": No such hash algorithm", $name))),
        }
    }};
}

fn digest(data: &[u8], name: &str) -> Result<Vec<u8>> {
    with_digest!(name, D => Ok(D::digest(data).to_vec()))
}

fn hmac(data: &[u8], key: &[u8], name: &str) -> Result<Vec<u8>> {
    with_digest!(name, D => {
        let mac = <SimpleHmac<D> as KeyInit>::new_from_slice(key);
        let mut mac = mac.map_err(|_| invalid("Cannot use this key"))?;
        mac.update(data);
        Ok(mac.finalize().into_bytes().to_vec())
    })
}

fn random_bytes(ctx: &EvalContext<'_>, count: i32) -> Result<Vec<u8>> {
    let count = usize::try_from(count).ok().filter(|n| (1..=MAX_RANDOM).contains(n)).ok_or_else(|| {
        SqlError::new(SqlState::EXTERNAL_ROUTINE_INVOCATION_EXCEPTION, "Length not in range")
    })?;
    let mut bytes = alloc::vec![0; count];
    ctx.host.random(&mut bytes);
    Ok(bytes)
}

/// `gen_salt`; rounds 0: as many as the algorithm has by itself.
fn salt(ctx: &EvalContext<'_>, algorithm: &str, rounds: i32) -> Result<String> {
    match algorithm.to_ascii_lowercase().as_str() {
        "bf" => {}
        "md5" | "des" | "xdes" => {
            return Err(SqlError::unsupported(format!("gen_salt of {algorithm}")));
        }
        _ => return Err(invalid("gen_salt: Unknown salt algorithm")),
    }
    let rounds = if rounds == 0 { DEFAULT_ROUNDS } else { rounds };
    if !(4..=31).contains(&rounds) {
        return Err(invalid("gen_salt: Incorrect number of rounds"));
    }
    let mut bytes = [0; 16];
    ctx.host.random(&mut bytes);
    Ok(format!("$2a${rounds:02}${}", BCRYPT.encode(bytes)))
}

/// `crypt` with a salt of bcrypt's; what follows the salt is not looked at.
fn crypt(ctx: &EvalContext<'_>, password: &str, salt: &str) -> Result<String> {
    let invalid_salt = || invalid("invalid salt");
    let Some(rest) = salt.strip_prefix("$2a$") else {
        // Two letters are a salt of DES, the others begin so.
        let known = ["$1$", "$2x$", "$2y$", "_"].iter().any(|p| salt.starts_with(p));
        let des = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '/';
        if known || salt.len() >= 2 && salt.chars().take(2).all(des) {
            return Err(SqlError::unsupported("crypt with another salt than one of gen_salt('bf')"));
        }
        return Err(invalid_salt());
    };
    let (rounds, letters) = rest.split_once('$').ok_or_else(invalid_salt)?;
    let letters = letters.get(..SALT_LETTERS).ok_or_else(invalid_salt)?;
    let cost: u32 = rounds.parse().ok().filter(|r| (4..=31).contains(r)).ok_or_else(invalid_salt)?;
    let bytes = BCRYPT.decode(letters).map_err(|_| invalid_salt())?;
    let hash = bcrypt(ctx, password.as_bytes(), &bytes, cost)?;
    // Bits of the last letter that mean nothing are not kept.
    Ok(format!("$2a${cost:02}${}{}", BCRYPT.encode(bytes), BCRYPT.encode(&hash[..23])))
}

/// bcrypt (Provos and Mazières, "A Future-Adaptable Password Scheme", 1999): 24 bytes, of which the last is not used.
fn bcrypt(ctx: &EvalContext<'_>, password: &[u8], salt: &[u8], cost: u32) -> Result<[u8; 24]> {
    let mut key: Vec<u8> = password.iter().copied().take(PASSWORD_BYTES).collect();
    if key.len() < PASSWORD_BYTES {
        key.push(0);
    }
    let mut state = blowfish::Blowfish::bc_init_state();
    state.salted_expand_key(salt, &key);
    for round in 0..1u64 << cost {
        state.bc_expand_key(&key);
        state.bc_expand_key(salt);
        if round.is_multiple_of(128) && ctx.host.cancelled() {
            return Err(cancelled());
        }
    }
    let mut out = [0; 24];
    for (plain, cipher) in b"OrpheanBeholderScryDoubt".chunks_exact(8).zip(out.chunks_exact_mut(8)) {
        let word = |b: &[u8]| b.iter().fold(0, |w, &b| w << 8 | u32::from(b));
        let mut pair = [word(&plain[..4]), word(&plain[4..])];
        for _ in 0..64 {
            pair = state.bc_encrypt(pair);
        }
        cipher[..4].copy_from_slice(&pair[0].to_be_bytes());
        cipher[4..].copy_from_slice(&pair[1].to_be_bytes());
    }
    Ok(out)
}

/// Version and variant of RFC 4122 in the first 16 bytes.
fn stamp(bytes: &[u8], version: u8) -> [u8; 16] {
    let mut out = [0; 16];
    out.iter_mut().zip(bytes).for_each(|(o, b)| *o = *b);
    out[6] = out[6] & 0x0f | version << 4;
    out[8] = out[8] & 0x3f | 0x80;
    out
}

/// A uuid of the time. Its node is random, with the bit that says so: there may be no network card to take one from.
fn timed(ctx: &EvalContext<'_>) -> [u8; 16] {
    let ticks = (ctx.host.clock_timestamp() as u64).wrapping_mul(10).wrapping_add(GREGORIAN_TO_2000);
    let mut bytes = [0; 16];
    // The clock has microseconds: the last digit, the sequence and the node are random.
    ctx.host.random(&mut bytes);
    let ticks = ticks + u64::from(bytes[0] % 10);
    bytes[..4].copy_from_slice(&(ticks as u32).to_be_bytes());
    bytes[4..6].copy_from_slice(&((ticks >> 32) as u16).to_be_bytes());
    bytes[6..8].copy_from_slice(&((ticks >> 48) as u16).to_be_bytes());
    bytes[10] |= 1;
    stamp(&bytes, 1)
}

/// A uuid of a name in a name space, by MD5 (version 3) or SHA-1 (version 5).
fn named(version: i32, space: [u8; 16], name: &str) -> [u8; 16] {
    let text = [&space[..], name.as_bytes()].concat();
    match version {
        3 => stamp(&md5::Md5::digest(text), 3),
        _ => stamp(&sha1::Sha1::digest(text), 5),
    }
}

pub(crate) static FUNCTIONS: &[Function] = &[
    def(12_010, "intralith_digest", &[BYTEA, TEXT], BYTEA).imp(row!(|s: &[u8], name: &str| digest(s, name))),
    def(12_011, "intralith_hmac", &[BYTEA, BYTEA, TEXT], BYTEA)
        .imp(row!(|s: &[u8], key: &[u8], name: &str| hmac(s, key, name))),
    def(12_012, "intralith_random_bytes", &[INT4], BYTEA)
        .volatile()
        .imp(row!(ctx; |n: i32| random_bytes(ctx, n))),
    def(12_013, "intralith_gen_salt", &[TEXT, INT4], TEXT)
        .volatile()
        .imp(row!(ctx; |name: &str, rounds: i32| salt(ctx, name, rounds))),
    def(12_014, "intralith_crypt", &[TEXT, TEXT], TEXT)
        .imp(row!(ctx; |password: &str, salt: &str| crypt(ctx, password, salt))),
    def(12_015, "intralith_uuid_timed", &[], UUID).volatile().imp(row!(ctx; || timed(ctx))),
    def(12_016, "intralith_uuid_named", &[INT4, UUID, TEXT], UUID)
        .imp(row!(|version: i32, space: [u8; 16], name: &str| named(version, space, name))),
];
