//! What certificates say, in the forms PostgreSQL shows: names as `/CN=client/O=company`, serial numbers in decimal.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::{
    Certificate,
    der::{
        Decode, Tag, Tagged,
        asn1::{BmpString, ObjectIdentifier},
    },
    name::Name,
};

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Whose it is: all of the name.
    pub subject: String,
    /// The first common name of the subject.
    pub common_name: Option<String>,
    /// Who signed it.
    pub issuer: String,
    /// Its number with that issuer, in decimal.
    pub serial: String,
    /// Seconds since 1970-01-01 UTC from which it is valid.
    pub not_before: u64,
    /// Seconds since 1970-01-01 UTC until which it is valid.
    pub not_after: u64,
}

/// Reads a certificate in DER. `None`: it is not one.
pub fn describe(der: &[u8]) -> Option<Described> {
    let certificate = Certificate::from_der(der).ok()?;
    let tbs = certificate.tbs_certificate();
    Some(Described {
        subject: name(tbs.subject()),
        common_name: common_name(tbs.subject()),
        issuer: name(tbs.issuer()),
        serial: decimal(tbs.serial_number().as_bytes()),
        not_before: tbs.validity().not_before.to_unix_duration().as_secs(),
        not_after: tbs.validity().not_after.to_unix_duration().as_secs(),
    })
}

/// What `tls-server-end-point` binds a channel to (RFC 5929, 4.1): the certificate's hash under the hash function of its
/// signature; SHA-256 where that is an older one, or none.
pub fn end_point(der: &[u8]) -> Vec<u8> {
    let algorithm = Certificate::from_der(der).ok().map(|c| c.signature_algorithm().oid.to_string());
    match algorithm.as_deref() {
        // ECDSA and RSA with SHA-384, ECDSA and RSA with SHA-512.
        Some("1.2.840.10045.4.3.3" | "1.2.840.113549.1.1.12") => Sha384::digest(der).to_vec(),
        Some("1.2.840.10045.4.3.4" | "1.2.840.113549.1.1.13") => Sha512::digest(der).to_vec(),
        _ => Sha256::digest(der).to_vec(),
    }
}

/// Short names of attributes, as OpenSSL has them.
const ATTRIBUTES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "GN"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

fn name(name: &Name) -> String {
    let mut text = String::new();
    for attribute in name.iter() {
        let oid = attribute.oid.to_string();
        let short = ATTRIBUTES.iter().find(|a| a.0 == oid).map_or(oid.as_str(), |a| a.1);
        text.push('/');
        text.push_str(short);
        text.push('=');
        text.push_str(&escaped(&value(attribute)));
    }
    text
}

fn common_name(name: &Name) -> Option<String> {
    name.iter().find(|a| a.oid == COMMON_NAME).map(value)
}

fn value(attribute: &x509_cert::attr::AttributeTypeAndValue) -> String {
    let bytes = attribute.value.value();
    match attribute.value.tag() {
        Tag::BmpString => BmpString::from_ucs2(bytes).map_or_else(|_| String::new(), |s| s.to_string()),
        // Latin-1, as everybody reads what is called T.61.
        Tag::TeletexString => bytes.iter().map(|b| char::from(*b)).collect(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Escapes as in RFC 2253, but for letters beyond ASCII, which stay.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    let last = text.chars().count().saturating_sub(1);
    for (i, c) in text.chars().enumerate() {
        match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => out.extend(['\\', c]),
            '#' | ' ' if i == 0 => out.extend(['\\', c]),
            ' ' if i == last => out.extend(['\\', c]),
            c if c.is_ascii_control() => out.push_str(&format!("\\{:02X}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

/// A number of any length, most significant byte first.
fn decimal(bytes: &[u8]) -> String {
    // Least significant digit first.
    let mut digits: Vec<u8> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            let n = u32::from(*digit) * 256 + carry;
            *digit = (n % 10) as u8;
            carry = n / 10;
        }
        while carry > 0 {
            digits.push((carry % 10) as u8);
            carry /= 10;
        }
    }
    if digits.is_empty() {
        digits.push(0);
    }
    digits.iter().rev().map(|d| char::from(b'0' + d)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length() {
        assert_eq!(decimal(&[]), "0");
        assert_eq!(decimal(&[0]), "0");
        assert_eq!(decimal(&[1, 0]), "256");
        assert_eq!(decimal(&[0xff; 16]), u128::MAX.to_string());
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(escaped(" a,b+c "), "\\ a\\,b\\+c\\ ");
        assert_eq!(escaped("#é"), "\\#é");
        assert_eq!(escaped("a\nb"), "a\\0Ab");
    }
}
