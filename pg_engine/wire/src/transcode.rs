//! Messages of a client that does not speak UTF-8.

use alloc::{borrow::Cow, vec::Vec};

use pg_encoding::Encoding;
use pg_types::Result;

use crate::frame::Packet;

/// Where a message's strings are: bytes before them, and how many.
fn strings(tag: u8) -> Option<(usize, usize)> {
    match tag {
        b'Q' | b'E' | b'f' => Some((0, 1)),
        b'P' | b'B' => Some((0, 2)),
        b'C' | b'D' => Some((1, 1)),
        _ => None,
    }
}

/// The body with its strings in UTF-8. Values of parameters stay as they are: what they mean depends on their types.
///
/// # Errors
/// As [`Encoding::decode`].
pub fn body(packet: Packet<'_>, encoding: Encoding) -> Result<Cow<'_, [u8]>> {
    let same = Cow::Borrowed(packet.body);
    let Some((before, count)) = strings(packet.tag) else { return Ok(same) };
    let ends = || packet.body.iter().enumerate().skip(before).filter(|(_, b)| **b == 0).map(|(at, _)| at);
    // A message without its strings' ends is refused by the decoder.
    let Some(last) = ends().nth(count - 1) else { return Ok(same) };
    if packet.body.get(..last).is_some_and(<[u8]>::is_ascii) {
        return Ok(same);
    }
    let mut out = Vec::with_capacity(packet.body.len() * 2);
    out.extend_from_slice(packet.body.get(..before).unwrap_or_default());
    let mut start = before;
    for end in ends().take(count) {
        out.extend_from_slice(encoding.decode(packet.body.get(start..end).unwrap_or_default())?.as_bytes());
        out.push(0);
        start = end + 1;
    }
    out.extend_from_slice(packet.body.get(start..).unwrap_or_default());
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::Frontend;

    #[test]
    fn strings_are_decoded_and_the_rest_is_not() {
        let latin = Encoding::by_name("LATIN1").unwrap();
        let packet = Packet { tag: b'B', body: b"p\xe9\0s\0\0\0\0\x01\0\0\0\x01\xe9\0\0" };
        let body = body(packet, latin).unwrap();
        let Frontend::Bind(bind) = Frontend::decode(Packet { tag: b'B', body: &body }).unwrap() else {
            panic!("not a Bind")
        };
        assert_eq!((bind.portal, bind.statement), ("pé", "s"));
        assert_eq!(bind.params.iter().next(), Some(Some(&b"\xe9"[..])));
        assert!(matches!(super::body(Packet { tag: b'Q', body: b"a\0" }, latin), Ok(Cow::Borrowed(_))));
        assert!(matches!(super::body(Packet { tag: b'Q', body: b"\xe9" }, latin), Ok(Cow::Borrowed(_))));
    }
}
