//! Just enough reading of frames to find the connection they belong to, and the TCP checksum.
//!
//! Everything here reads outside input: every access is checked, and a frame that does not parse is simply not TCP.

use crate::nic::TxChecksum;
use core::{
    hash::{Hash, Hasher},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

pub(crate) const ETHERNET_HEADER: usize = 14;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const PROTOCOL_TCP: u8 = 6;
const TCP_CHECKSUM_OFFSET: usize = 16;

/// The four-tuple that names a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
}

impl Hash for FlowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match (self.remote.ip(), self.local.ip()) {
            (IpAddr::V4(r), IpAddr::V4(l)) => {
                state.write_u64(u64::from(r.to_bits()) << 32 | u64::from(l.to_bits()));
            }
            (r, l) => {
                for ip in [r, l] {
                    match ip {
                        IpAddr::V4(a) => state.write_u32(a.to_bits()),
                        IpAddr::V6(a) => state.write_u128(a.to_bits()),
                    }
                }
            }
        }
        state.write_u32(u32::from(self.remote.port()) << 16 | u32::from(self.local.port()));
    }
}

/// A TCP segment found in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpSegment {
    pub key: FlowKey,
    /// Flags byte: FIN 1, SYN 2, RST 4, PSH 8, ACK 16.
    pub flags: u8,
    /// Offset of the TCP header in the frame.
    start: usize,
    /// End of the segment in the frame (Ethernet padding is cut off).
    end: usize,
}

impl TcpSegment {
    /// SYN without ACK or RST: somebody wants to connect.
    pub fn opens(&self) -> bool {
        self.flags & 0b1_0110 == 0b0_0010
    }
}

/// What a frame is to the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A TCP segment.
    Tcp(TcpSegment),
    /// Anything else that the interface may want: ARP, ICMP, DHCP, neighbour discovery.
    Other,
    /// TCP that cannot be taken: a fragment or a broken header.
    Drop,
}

fn be16(b: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*b.get(at..)?.first_chunk::<2>()?))
}

/// Reads the headers of a frame.
pub(crate) fn classify(frame: &[u8]) -> Class {
    match be16(frame, 12) {
        Some(0x0800) => classify_v4(frame).unwrap_or(Class::Drop),
        Some(0x86dd) => classify_v6(frame).unwrap_or(Class::Drop),
        _ => Class::Other,
    }
}

fn classify_v4(frame: &[u8]) -> Option<Class> {
    let ip = frame.get(ETHERNET_HEADER..)?;
    let header: &[u8; IPV4_HEADER] = ip.first_chunk()?;
    if header[9] != PROTOCOL_TCP {
        return Some(Class::Other);
    }
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let total = usize::from(be16(header, 2)?);
    let fragment = be16(header, 6)? & 0x3fff != 0;
    if header[0] >> 4 != 4 || header_len < IPV4_HEADER || total < header_len || total > ip.len() || fragment {
        return None;
    }
    let src = Ipv4Addr::from(*header[12..].first_chunk::<4>()?);
    let dst = Ipv4Addr::from(*header[16..].first_chunk::<4>()?);
    segment(frame, ETHERNET_HEADER + header_len, ETHERNET_HEADER + total, src.into(), dst.into())
}

fn classify_v6(frame: &[u8]) -> Option<Class> {
    let ip = frame.get(ETHERNET_HEADER..)?;
    let header: &[u8; IPV6_HEADER] = ip.first_chunk()?;
    // Extension headers before TCP are not followed: nobody sends them on a database connection.
    if header[6] != PROTOCOL_TCP {
        return Some(Class::Other);
    }
    let payload = usize::from(be16(header, 4)?);
    if header[0] >> 4 != 6 || IPV6_HEADER + payload > ip.len() {
        return None;
    }
    let src = Ipv6Addr::from(*header[8..].first_chunk::<16>()?);
    let dst = Ipv6Addr::from(*header[24..].first_chunk::<16>()?);
    let start = ETHERNET_HEADER + IPV6_HEADER;
    segment(frame, start, start + payload, src.into(), dst.into())
}

fn segment(frame: &[u8], start: usize, end: usize, src: IpAddr, dst: IpAddr) -> Option<Class> {
    let tcp: &[u8; 20] = frame.get(start..end)?.first_chunk()?;
    let key =
        FlowKey { local: SocketAddr::new(dst, be16(tcp, 2)?), remote: SocketAddr::new(src, be16(tcp, 0)?) };
    Some(Class::Tcp(TcpSegment { key, flags: tcp[13], start, end }))
}

/// One's complement sum of `data` in native byte order, eight bytes at a time; a last odd byte counts as padded with
/// a zero. The result is at most 17 bits before [`fold`].
fn sum(data: &[u8], seed: u64) -> u64 {
    let mut acc = seed;
    let mut chunks = data.chunks_exact(8);
    for c in &mut chunks {
        let word = u64::from_ne_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]);
        let (s, carry) = acc.overflowing_add(word);
        acc = s + u64::from(carry);
    }
    let tail = chunks.remainder();
    if !tail.is_empty() {
        let mut last = [0u8; 8];
        last[..tail.len()].copy_from_slice(tail);
        let (s, carry) = acc.overflowing_add(u64::from_ne_bytes(last));
        acc = s + u64::from(carry);
    }
    acc
}

fn fold(acc: u64) -> u16 {
    let a = (acc & 0xffff_ffff) + (acc >> 32);
    let a = (a & 0xffff) + ((a >> 16) & 0xffff) + (a >> 32);
    let a = (a & 0xffff) + (a >> 16);
    let a = (a & 0xffff) + (a >> 16);
    // The mask makes the conversion exact.
    (a & 0xffff) as u16
}

/// Sum of the pseudo-header, to seed the segment's own.
fn pseudo_header(key: &FlowKey, len: usize) -> u64 {
    let tail = [0, 0, (len >> 8) as u8, len as u8, 0, 0, 0, PROTOCOL_TCP];
    let seed = sum(&tail, 0);
    match (key.remote.ip(), key.local.ip()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => sum(&b.octets(), sum(&a.octets(), seed)),
        (IpAddr::V6(a), IpAddr::V6(b)) => sum(&b.octets(), sum(&a.octets(), seed)),
        // Both ends come from one header.
        _ => seed,
    }
}

/// True when the segment's checksum is right.
pub(crate) fn checksum_valid(frame: &[u8], seg: &TcpSegment) -> bool {
    frame
        .get(seg.start..seg.end)
        .is_some_and(|tcp| fold(sum(tcp, pseudo_header(&seg.key, tcp.len()))) == 0xffff)
}

/// Completes an outgoing frame: its TCP checksum is computed here, or prepared for the card to finish.
pub(crate) fn finish_checksum(frame: &mut [u8], by_card: bool) -> TxChecksum {
    if let Some(done) = finish_plain(frame, by_card) {
        return done;
    }
    let Class::Tcp(seg) = classify(frame) else { return TxChecksum::Complete };
    let Some(tcp) = frame.get_mut(seg.start..seg.end) else { return TxChecksum::Complete };
    let pseudo = pseudo_header(&seg.key, tcp.len());
    let at = TCP_CHECKSUM_OFFSET;
    if by_card {
        tcp[at..at + 2].copy_from_slice(&fold(pseudo).to_ne_bytes());
        // A header start lies within the first hundred bytes of a frame.
        return TxChecksum::Partial { start: seg.start as u16, offset: at as u16 };
    }
    tcp[at..at + 2].copy_from_slice(&[0, 0]);
    let value = !fold(sum(tcp, pseudo));
    tcp[at..at + 2].copy_from_slice(&value.to_ne_bytes());
    TxChecksum::Complete
}

/// The commonest frame, TCP over IPv4 without options, need not be taken apart.
#[inline]
fn finish_plain(frame: &mut [u8], by_card: bool) -> Option<TxChecksum> {
    const TCP: usize = ETHERNET_HEADER + IPV4_HEADER;
    let total = frame.len().checked_sub(ETHERNET_HEADER)?;
    let head = frame.first_chunk_mut::<{ TCP + 20 }>()?;
    if head[12..15] != [8, 0, 0x45] || head[23] != PROTOCOL_TCP || be16(head, 16) != u16::try_from(total).ok()
    {
        return None;
    }
    let len = total - IPV4_HEADER;
    let tail = [0, 0, (len >> 8) as u8, len as u8, 0, 0, 0, PROTOCOL_TCP];
    let pseudo = sum(&head[26..34], sum(&tail, 0));
    let at = TCP + TCP_CHECKSUM_OFFSET;
    if by_card {
        head[at..at + 2].copy_from_slice(&fold(pseudo).to_ne_bytes());
        return Some(TxChecksum::Partial { start: TCP as u16, offset: TCP_CHECKSUM_OFFSET as u16 });
    }
    head[at..at + 2].copy_from_slice(&[0, 0]);
    let value = !fold(sum(frame.get(TCP..)?, pseudo));
    frame.get_mut(at..at + 2)?.copy_from_slice(&value.to_ne_bytes());
    Some(TxChecksum::Complete)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use smoltcp::{phy::ChecksumCapabilities, wire};
    use std::{vec, vec::Vec};

    fn frame(v6: bool, payload: &[u8]) -> Vec<u8> {
        let tcp = wire::TcpRepr {
            src_port: 4711,
            dst_port: 5432,
            control: wire::TcpControl::Syn,
            seq_number: wire::TcpSeqNumber(7),
            ack_number: None,
            window_len: 1000,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload,
        };
        let (src, dst): (wire::IpAddress, wire::IpAddress) = if v6 {
            (wire::Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).into(), wire::Ipv6Address::LOCALHOST.into())
        } else {
            (wire::Ipv4Address::new(10, 0, 2, 2).into(), wire::Ipv4Address::new(10, 0, 2, 15).into())
        };
        let ip = wire::IpRepr::new(src, dst, wire::IpProtocol::Tcp, tcp.buffer_len(), 64);
        let mut out = vec![0; ETHERNET_HEADER + ip.buffer_len()];
        let mut eth = wire::EthernetFrame::new_unchecked(&mut out);
        eth.set_ethertype(if v6 { wire::EthernetProtocol::Ipv6 } else { wire::EthernetProtocol::Ipv4 });
        let caps = ChecksumCapabilities::default();
        ip.emit(&mut out[ETHERNET_HEADER..], &caps);
        let at = ETHERNET_HEADER + ip.header_len();
        tcp.emit(&mut wire::TcpPacket::new_unchecked(&mut out[at..]), &src, &dst, &caps);
        out
    }

    proptest! {
        #[test]
        fn checksum_agrees_with_smoltcp(v6: bool, payload in proptest::collection::vec(any::<u8>(), 0..1400)) {
            let good = frame(v6, &payload);
            let Class::Tcp(seg) = classify(&good) else { panic!("not taken for TCP") };
            prop_assert!(seg.opens());
            prop_assert_eq!((seg.key.local.port(), seg.key.remote.port()), (5432, 4711));
            prop_assert!(checksum_valid(&good, &seg));
            let mut again = good.clone();
            again[seg.start + 16] ^= 0x55;
            prop_assert!(!checksum_valid(&again, &seg));
            prop_assert_eq!(finish_checksum(&mut again, false), TxChecksum::Complete);
            prop_assert_eq!(&again, &good);
            // What the card would do with a partial checksum gives the same frame.
            let mut partial = good.clone();
            let TxChecksum::Partial { start, offset } = finish_checksum(&mut partial, true) else { panic!() };
            let (start, at) = (usize::from(start), usize::from(start + offset));
            let value = !fold(sum(&partial[start..seg.end], 0));
            partial[at..at + 2].copy_from_slice(&value.to_ne_bytes());
            prop_assert_eq!(&partial, &good);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), v6: bool, cut in 0usize..120) {
            let _ = classify(&bytes);
            let mut f = frame(v6, b"hello");
            for (a, b) in f.iter_mut().skip(cut).zip(&bytes) {
                *a = *b;
            }
            if let Class::Tcp(seg) = classify(&f) {
                let _ = checksum_valid(&f, &seg);
                let _ = finish_checksum(&mut f, true);
            }
            f.truncate(cut);
            let _ = classify(&f);
        }
    }
}
