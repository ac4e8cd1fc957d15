//! Many connections, too many connections, floods and rubbish.

use super::link::{CLIENT_MAC, Faults, PORT, SERVER, SERVER_MAC, Sim};
use crate::{
    config::Limits,
    nic::{RxChecksum, RxFrame},
};
use alloc::{vec, vec::Vec};
use core::net::Ipv4Addr;
use platform::net::ReadOutcome;
use proptest::prelude::*;
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv4Packet,
        Icmpv4Repr, IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
    },
};

fn ethernet(protocol: EthernetProtocol, payload: usize) -> Vec<u8> {
    let mut frame = vec![0; 14 + payload];
    let mut eth = EthernetFrame::new_unchecked(&mut frame);
    eth.set_src_addr(EthernetAddress(CLIENT_MAC));
    eth.set_dst_addr(EthernetAddress(SERVER_MAC));
    eth.set_ethertype(protocol);
    frame
}

/// Tells the server where `ip` lives.
fn introduce(sim: &mut Sim, ip: Ipv4Addr) {
    let repr = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: EthernetAddress(CLIENT_MAC),
        source_protocol_addr: ip,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: SERVER,
    };
    let mut frame = ethernet(EthernetProtocol::Arp, repr.buffer_len());
    repr.emit(&mut ArpPacket::new_unchecked(&mut frame[14..]));
    sim.deliver(&frame);
}

fn tcp(src: (Ipv4Addr, u16), control: TcpControl, seq: i32, ack: Option<i32>, payload: &[u8]) -> Vec<u8> {
    let repr = TcpRepr {
        src_port: src.1,
        dst_port: PORT,
        control,
        seq_number: TcpSeqNumber(seq),
        ack_number: ack.map(TcpSeqNumber),
        window_len: 60_000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload,
    };
    let ip = Ipv4Repr {
        src_addr: src.0,
        dst_addr: SERVER,
        next_header: IpProtocol::Tcp,
        payload_len: repr.buffer_len(),
        hop_limit: 64,
    };
    let caps = ChecksumCapabilities::default();
    let mut frame = ethernet(EthernetProtocol::Ipv4, ip.buffer_len() + repr.buffer_len());
    ip.emit(&mut Ipv4Packet::new_unchecked(&mut frame[14..]), &caps);
    let at = 14 + ip.buffer_len();
    let mut packet = TcpPacket::new_unchecked(&mut frame[at..]);
    repr.emit(&mut packet, &src.0.into(), &SERVER.into(), &caps);
    frame
}

fn parse(frame: &[u8]) -> TcpPacket<&[u8]> {
    TcpPacket::new_checked(&frame[34..]).unwrap()
}

/// Completes a handshake by hand; gives the server's next sequence number.
fn handshake(sim: &mut Sim, src: (Ipv4Addr, u16)) -> i32 {
    sim.deliver(&tcp(src, TcpControl::Syn, 100, None, &[]));
    let answer = sim.drain_server().pop().expect("an answer to SYN");
    let (syn_ack, seq) = (parse(&answer).syn() && parse(&answer).ack(), parse(&answer).seq_number().0);
    assert!(syn_ack);
    sim.deliver(&tcp(src, TcpControl::None, 101, Some(seq.wrapping_add(1)), &[]));
    seq.wrapping_add(1)
}

#[test]
fn ten_thousand_connections_each_get_their_own() {
    let peer = Ipv4Addr::new(10, 0, 0, 2);
    let limits = Limits { receive_buffer: 512, send_buffer: 512, ..Limits::default() };
    let mut sim = Sim::new(limits, Faults::default(), 1);
    introduce(&mut sim, peer);
    sim.drain_server();
    let mut ids = Vec::new();
    for i in 0..10_000u16 {
        let seq = handshake(&mut sim, (peer, 10_000 + i));
        ids.push((sim.accept().expect("accepted"), seq));
    }
    assert_eq!(sim.server.stats().open, 10_000);
    for i in (0..10_000u16).rev().step_by(7) {
        let text = i.to_be_bytes();
        let (id, seq) = ids[usize::from(i)];
        sim.deliver(&tcp((peer, 10_000 + i), TcpControl::Psh, 101, Some(seq), &text));
        let mut buf = [0; 16];
        assert_eq!(sim.read_into(id, &mut buf), Ok(ReadOutcome::Data(2)));
        assert_eq!(buf[..2], text);
        sim.drain_server();
    }
}

#[test]
fn connections_past_the_memory_limit_are_told_so() {
    let limits = Limits { memory: 3 * (6 << 10), refusals: 2, ..Limits::default() };
    let mut sim = Sim::new(limits, Faults::default(), 1);
    let clients: Vec<_> = (0..6).map(|_| sim.connect()).collect();
    sim.run(50);
    let mut refused = Vec::new();
    let mut good = Vec::new();
    while let Some((id, _, _, over)) = sim.server.accept(sim.listener) {
        if over { refused.push(id) } else { good.push(id) }
    }
    assert_eq!((good.len(), refused.len()), (3, 2));
    let now = sim.now;
    for id in refused {
        assert_eq!(sim.server.write(now, id, b"53300"), Ok(5));
        sim.server.release(now, id);
    }
    sim.run(50);
    let told =
        clients.iter().filter(|c| sim.sockets.get::<smoltcp::socket::tcp::Socket<'_>>(**c).recv_queue() == 5);
    assert_eq!(told.count(), 2);
    let s = sim.server.stats();
    assert_eq!((s.established, s.refused, s.overflowed), (5, 2, 1));
    assert!(s.memory <= limits.memory + 2 * 4096);
    // Places come back.
    for c in clients {
        sim.socket(c).close();
    }
    for id in good {
        sim.server.release(now, id);
    }
    sim.run(100);
    let c = sim.connect();
    sim.run(50);
    assert!(sim.server.accept(sim.listener).is_some_and(|a| !a.3));
    assert!(sim.socket(c).may_send());
}

#[test]
fn buffers_shrink_as_memory_runs_out() {
    let limits = Limits { memory: 4 * (48 << 10), ..Limits::default() };
    let mut sim = Sim::new(limits, Faults::default(), 1);
    let mut used = vec![0];
    for _ in 0..12 {
        sim.connect();
        sim.run(50);
        used.push(sim.server.stats().memory >> 10);
    }
    assert_eq!(used, [0, 48, 96, 120, 144, 150, 156, 162, 168, 174, 180, 186, 192]);
}

#[test]
fn a_full_backlog_only_delays() {
    let mut sim = Sim::new(Limits::default(), Faults::default(), 1);
    sim.server.close_listener(sim.now, sim.listener);
    sim.listener = sim.server.listen(PORT, None, 2).unwrap();
    let clients: Vec<_> = (0..3).map(|_| sim.connect()).collect();
    sim.run(100);
    assert_eq!(sim.server.stats().established, 2);
    assert!(sim.accept().is_some());
    sim.until("third one comes in", |sim| sim.server.stats().established == 3);
    for c in clients {
        assert!(sim.socket(c).may_send());
    }
}

#[test]
fn a_closed_port_is_answered_with_a_reset() {
    let mut sim = Sim::new(Limits::default(), Faults::default(), 1);
    sim.server.close_listener(sim.now, sim.listener);
    let c = sim.connect();
    sim.run(50);
    assert_eq!(sim.socket(c).state(), smoltcp::socket::tcp::State::Closed);
}

#[test]
fn a_flood_of_handshakes_locks_nobody_out() {
    let limits = Limits { half_open: 16, ..Limits::default() };
    let mut sim = Sim::new(limits, Faults::default(), 1);
    introduce(&mut sim, Ipv4Addr::new(10, 0, 0, 9));
    for port in 1..5000u16 {
        let frame = tcp((Ipv4Addr::new(10, 0, 0, 9), port), TcpControl::Syn, 1, None, &[]);
        sim.deliver(&frame);
        sim.drain_server();
    }
    assert!(sim.server.stats().open <= 16);
    let c = sim.connect();
    sim.until("connected", |sim| sim.accept().is_some());
    assert!(sim.socket(c).may_send());
    sim.run(25_000);
    assert_eq!(sim.server.stats().open, 1, "half-open ones timed out");
}

/// A pool of clients that starts: more than may be half open come at the same moment, and none is turned away.
#[test]
fn clients_of_the_same_instant_all_get_in() {
    let mut sim = Sim::new(Limits { half_open: 16, ..Limits::default() }, Faults::default(), 1);
    let clients: Vec<_> = (0..50).map(|_| sim.connect()).collect();
    let mut accepted = 0;
    sim.until("all are in", |sim| {
        accepted += usize::from(sim.accept().is_some());
        accepted == clients.len()
    });
    for c in clients {
        assert!(sim.socket(c).may_send());
    }
}

#[test]
fn ping_is_answered() {
    let mut sim = Sim::new(Limits::default(), Faults::default(), 1);
    introduce(&mut sim, Ipv4Addr::new(10, 0, 0, 2));
    sim.drain_server();
    let caps = ChecksumCapabilities::default();
    let icmp = Icmpv4Repr::EchoRequest { ident: 1, seq_no: 2, data: b"abc" };
    let ip = Ipv4Repr {
        src_addr: Ipv4Addr::new(10, 0, 0, 2),
        dst_addr: SERVER,
        next_header: IpProtocol::Icmp,
        payload_len: icmp.buffer_len(),
        hop_limit: 64,
    };
    let mut frame = ethernet(EthernetProtocol::Ipv4, ip.buffer_len() + icmp.buffer_len());
    ip.emit(&mut Ipv4Packet::new_unchecked(&mut frame[14..]), &caps);
    icmp.emit(&mut Icmpv4Packet::new_unchecked(&mut frame[34..]), &caps);
    sim.deliver(&frame);
    let reply = sim.drain_server().pop().expect("a reply");
    let packet = Icmpv4Packet::new_checked(&reply[34..]).unwrap();
    let Icmpv4Repr::EchoReply { ident: 1, seq_no: 2, data: b"abc" } =
        Icmpv4Repr::parse(&packet, &caps).unwrap()
    else {
        panic!("not an echo reply");
    };
}

#[test]
fn wrong_checksums_are_dropped() {
    let mut sim = Sim::new(Limits::default(), Faults::default(), 1);
    let mut frame = tcp((Ipv4Addr::new(10, 0, 0, 2), 4000), TcpControl::Syn, 1, None, &[]);
    frame[50] ^= 0xff;
    sim.deliver(&frame);
    assert_eq!((sim.server.stats().bad_checksum, sim.server.stats().open), (1, 0));
    // The card's word is taken for it.
    let now = sim.now;
    sim.server.ingress(now, &RxFrame { bytes: &frame, checksum: RxChecksum::Valid });
    assert_eq!(sim.server.stats().open, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn rubbish_is_survived(
        noise in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 1..20),
        at in 12usize..70,
    ) {
        let peer = Ipv4Addr::new(10, 0, 0, 2);
        let mut sim = Sim::new(Limits::default(), Faults::default(), 1);
        introduce(&mut sim, peer);
        let seq = handshake(&mut sim, (peer, 999));
        for bytes in noise {
            sim.deliver(&bytes);
            // A good frame with a broken middle, past the checksum.
            let mut frame = tcp((peer, 999), TcpControl::Psh, 101, Some(seq), b"0123456789");
            for (a, b) in frame.iter_mut().skip(at).zip(&bytes) {
                *a = *b;
            }
            let now = sim.now;
            sim.server.ingress(now, &RxFrame { bytes: &frame, checksum: RxChecksum::Valid });
            sim.step();
        }
    }
}
