//! Network addresses: `inet`, `cidr`, `macaddr`, `macaddr8`.

use alloc::{format, string::String};
use core::{cmp::Ordering, fmt::Write};

use crate::{
    error::{Result, SqlError, SqlState},
    io::invalid_syntax,
};

/// An IPv4 or IPv6 address with the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inet {
    /// IPv6.
    pub v6: bool,
    /// Bits of the prefix: at most 32 or 128.
    pub bits: u8,
    /// It is of type `cidr`: only the prefix is set.
    pub cidr: bool,
    /// The address; IPv4 uses the first four bytes, the rest is zero.
    pub address: [u8; 16],
}

impl Inet {
    /// Bits of an address of this family.
    pub fn max_bits(&self) -> u8 {
        if self.v6 { 128 } else { 32 }
    }
    /// Bytes of an address of this family.
    pub fn bytes(&self) -> &[u8] {
        self.address.get(..usize::from(self.max_bits() / 8)).unwrap_or_default()
    }
    /// The bits of the prefix set.
    pub fn mask(&self) -> [u8; 16] {
        let mut mask = [0; 16];
        for i in 0..usize::from(self.bits.min(self.max_bits())) {
            if let Some(b) = mask.get_mut(i / 8) {
                *b |= 0x80 >> (i % 8);
            }
        }
        mask
    }
    /// The address with what lies behind the prefix zero.
    pub fn network(&self) -> [u8; 16] {
        let mut out = self.address;
        out.iter_mut().zip(self.mask()).for_each(|(b, m)| *b &= m);
        out
    }
    /// Does the prefix of `self` hold `other`, at least as long a prefix assumed?
    pub fn covers(&self, other: &Self) -> bool {
        let same = Self { bits: self.bits, ..*other };
        self.v6 == other.v6 && self.network() == same.network()
    }
    /// Reads an address; for `cidr` parts may be left out, and nothing may lie behind the prefix.
    pub fn parse(text: &str, cidr: bool) -> Result<Self> {
        let name = if cidr { "cidr" } else { "inet" };
        let bad = || invalid_syntax(name, text);
        let (host, bits) = match text.split_once('/') {
            None => (text, None),
            Some((host, bits)) => {
                if bits.is_empty() || bits.len() > 3 || !bits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(bad());
                }
                (host, Some(bits.parse::<u16>().map_err(|_| bad())?))
            }
        };
        let v6 = host.contains(':');
        let (address, implied) = if v6 {
            (six(host).ok_or_else(bad)?, 128)
        } else {
            four(host, cidr && bits.is_none(), cidr || bits.is_some()).ok_or_else(bad)?
        };
        let most = if v6 { 128 } else { 32 };
        let bits = bits.unwrap_or(implied);
        if bits > most {
            return Err(bad());
        }
        let inet = Self { v6, bits: bits as u8, cidr, address };
        if cidr && inet.network() != inet.address {
            return Err(SqlError::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                format!("invalid cidr value: \"{text}\""),
            )
            .detail("Value has bits set to right of mask."));
        }
        Ok(inet)
    }
    /// The address alone.
    pub fn host(&self) -> String {
        if self.v6 { show_six(&self.address) } else { show_four(&self.address) }
    }
    /// With the prefix, which an inet of all bits is shown without.
    pub fn shown(&self, cidr: bool) -> String {
        if cidr || self.bits != self.max_bits() {
            format!("{}/{}", self.host(), self.bits)
        } else {
            self.host()
        }
    }
}

impl Ord for Inet {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |a: &Self| (a.v6, a.network(), a.bits, a.address);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Inet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Bits that an IPv4 network's class implies, given its bytes and how many were written.
fn class_bits(first: u8, written: usize) -> u16 {
    let class = match first {
        240.. => 32,
        224..=239 => 8,
        192..=223 => 24,
        128..=191 => 16,
        _ => 8,
    };
    class.max(8 * written as u16)
}

/// Dotted bytes; fewer than four where `short` says so. Gives the prefix that the form implies.
fn four(text: &str, classes: bool, short: bool) -> Option<([u8; 16], u16)> {
    let mut address = [0; 16];
    let mut count = 0;
    let text = if short { text.strip_suffix('.').filter(|t| !t.is_empty()).unwrap_or(text) } else { text };
    for part in text.split('.') {
        if part.is_empty() || part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) || count == 4 {
            return None;
        }
        *address.get_mut(count)? = part.parse().ok()?;
        count += 1;
    }
    if count < 4 && !short {
        return None;
    }
    let bits = match (classes, count) {
        (true, 1..4) => class_bits(address[0], count),
        _ => 32,
    };
    Some((address, bits))
}

fn six(text: &str) -> Option<[u8; 16]> {
    let mut address = [0; 16];
    let parsed: core::net::Ipv6Addr = text.parse().ok()?;
    address.copy_from_slice(&parsed.octets());
    Some(address)
}

fn show_four(a: &[u8; 16]) -> String {
    format!("{}.{}.{}.{}", a[0], a[1], a[2], a[3])
}

/// The longest run of two or more zero words (the first of equal ones) as `::`; embedded IPv4 as dotted bytes.
fn show_six(address: &[u8; 16]) -> String {
    let mut words = [0u16; 8];
    for (w, pair) in words.iter_mut().zip(address.chunks_exact(2)) {
        *w = u16::from_be_bytes([pair[0], pair[1]]);
    }
    let (mut best, mut current) = ((0, 0), (0, 0));
    for (i, w) in words.iter().enumerate() {
        current = match (*w, current.1) {
            (0, 0) => (i, 1),
            (0, n) => (current.0, n + 1),
            _ => (0, 0),
        };
        if current.1 > best.1 {
            best = current;
        }
    }
    if best.1 < 2 {
        best = (8, 0);
    }
    let mut out = String::new();
    let mut i = 0;
    while i < 8 {
        if i == best.0 {
            out.push_str(if i == 0 { "::" } else { ":" });
            i += best.1;
            continue;
        }
        let embedded = i == 6
            && best.0 == 0
            && (best.1 == 6 || (best.1 == 7 && words[7] != 1) || (best.1 == 5 && words[5] == 0xffff));
        if embedded {
            let tail = &address[12..];
            let _ = write!(out, "{}.{}.{}.{}", tail[0], tail[1], tail[2], tail[3]);
            return out;
        }
        let _ = write!(out, "{:x}", words[i]);
        i += 1;
        if i < 8 {
            out.push(':');
        }
    }
    out
}

#[cold]
fn out_of_range(name: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("invalid octet value in \"{name}\" value: \"{text}\""),
    )
}

/// Pieces of hexadecimal digits as they may be written: `2:2:2..`, `2-2-2..`, `6:6`, `6-6`, `4.4.4`, `4-4-4`, `12`.
pub fn parse_mac(text: &str) -> Result<[u8; 6]> {
    let bad = || invalid_syntax("macaddr", text);
    let body = text.trim_matches(crate::io::is_space);
    let pieces = |separator: char| -> alloc::vec::Vec<&str> { body.split(separator).collect() };
    let separator = body.chars().find(|c| matches!(c, ':' | '-' | '.'));
    let parts = separator.map_or_else(|| alloc::vec![body], pieces);
    if parts.iter().any(|p| p.is_empty() || !p.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Err(bad());
    }
    let mut mac = [0u8; 6];
    match (separator, parts.as_slice()) {
        (Some(':' | '-'), [_, _, _, _, _, _]) => {
            for (slot, part) in mac.iter_mut().zip(&parts) {
                let value = u64::from_str_radix(part, 16).map_err(|_| out_of_range("macaddr", text))?;
                *slot = u8::try_from(value).map_err(|_| out_of_range("macaddr", text))?;
            }
            return Ok(mac);
        }
        (Some(':' | '-'), [a, b]) if a.len() == 6 && b.len() == 6 => {}
        (Some('.' | '-'), [a, b, c]) if a.len() == 4 && b.len() == 4 && c.len() == 4 => {}
        (None, [a]) if a.len() == 12 => {}
        _ => return Err(bad()),
    }
    let digits: String = parts.concat();
    let value = u64::from_str_radix(&digits, 16).map_err(|_| bad())?;
    if let Some(low) = value.to_be_bytes().get(2..) {
        mac.copy_from_slice(low);
    }
    Ok(mac)
}

/// Six or eight bytes, two digits each, any one separator between; six are made eight by FF FE in the middle.
pub fn parse_mac8(text: &str) -> Result<[u8; 8]> {
    let bad = || invalid_syntax("macaddr8", text);
    let mut rest = text.trim_matches(crate::io::is_space).as_bytes();
    let mut bytes = alloc::vec::Vec::with_capacity(8);
    let mut separator = None;
    while let [high, low, after @ ..] = rest {
        let digit = |b: u8| (b as char).to_digit(16).ok_or_else(bad);
        if bytes.len() == 8 {
            return Err(bad());
        }
        bytes.push((digit(*high)? << 4 | digit(*low)?) as u8);
        rest = match after {
            [s @ (b':' | b'-' | b'.'), next @ ..] => {
                if separator.is_some_and(|before| before != *s) || next.is_empty() {
                    return Err(bad());
                }
                separator = Some(*s);
                next
            }
            other => other,
        };
    }
    if !rest.is_empty() {
        return Err(bad());
    }
    match bytes.as_slice() {
        [a, b, c, d, e, f] => Ok([*a, *b, *c, 0xff, 0xfe, *d, *e, *f]),
        other => other.try_into().map_err(|_| bad()),
    }
}

/// Two digits a byte, colons between.
pub fn show_mac(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 3);
    for (i, b) in bytes.iter().enumerate() {
        let _ = write!(out, "{}{b:02x}", if i > 0 { ":" } else { "" });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let inet = |t: &str| Inet::parse(t, false).map(|i| i.shown(false));
        let cidr = |t: &str| Inet::parse(t, true).map(|i| i.shown(true));
        assert_eq!(inet("192.168.1.226/24").unwrap(), "192.168.1.226/24");
        assert_eq!(inet("10.1.2.3/32").unwrap(), "10.1.2.3");
        assert_eq!(cidr("10").unwrap(), "10.0.0.0/8");
        assert_eq!(cidr("192.168.1").unwrap(), "192.168.1.0/24");
        assert_eq!(cidr("10.1.2.3").unwrap(), "10.1.2.3/32");
        assert!(cidr("192.168.1.2/30").is_err() && inet("10").is_err() && inet("1.2.3.4/33").is_err());
        assert_eq!(inet("::ffff:1.2.3.4").unwrap(), "::ffff:1.2.3.4");
        assert_eq!(inet("10:23::f1").unwrap(), "10:23::f1");
        assert_eq!(cidr("::1").unwrap(), "::1/128");
        assert_eq!(inet("1:2:3:0:0:6::").unwrap(), "1:2:3::6:0:0");
    }

    #[test]
    fn cards() {
        let forms = ["08:00:2b:01:02:03", "08002b:010203", "08002b-010203", "0800.2b01.0203", "08002b010203"];
        for form in forms {
            assert_eq!(show_mac(&parse_mac(form).unwrap()), "08:00:2b:01:02:03", "{form}");
        }
        assert!(parse_mac("not even close").is_err() && parse_mac("0800:2b01:0203:1").is_err());
        assert_eq!(show_mac(&parse_mac8("08002b:010203").unwrap()), "08:00:2b:ff:fe:01:02:03");
        assert_eq!(show_mac(&parse_mac8("08002b01:02030405").unwrap()), "08:00:2b:01:02:03:04:05");
        assert!(parse_mac8("08-00:2b-01-02-03").is_err());
    }
}
