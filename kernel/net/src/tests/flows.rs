//! Data comes through whole, whatever the link does, and connections end as they should.

use super::link::{Faults, PORT, SERVER, Sim};
use crate::config::Limits;
use alloc::vec::Vec;
use platform::net::{NetError, ReadOutcome};
use proptest::{prelude::*, test_runner::RngSeed};
use smoltcp::{socket::tcp, wire::IpAddress};

fn pattern(i: usize) -> u8 {
    (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]
}

/// The client sends `len` bytes, the server echoes them, both close; every byte must arrive.
fn echo(faults: Faults, seed: u64, len: usize) {
    let mut sim = Sim::new(Limits::default(), faults, seed);
    let c = sim.connect();
    let id = sim.accepted();
    let (mut sent, mut got) = (0, 0);
    let mut backlog: Vec<u8> = Vec::new();
    let mut eof = false;
    sim.until("echo and close", |sim| {
        let now = sim.now;
        let s = sim.socket(c);
        if s.can_send() && sent < len {
            let chunk: Vec<u8> = (sent..len.min(sent + 3000)).map(pattern).collect();
            sent += s.send_slice(&chunk).unwrap();
            if sent == len {
                s.close();
            }
        }
        let mut buf = [0; 2000];
        while let Ok(n @ 1..) = s.recv_slice(&mut buf) {
            for b in &buf[..n] {
                assert_eq!(*b, pattern(got));
                got += 1;
            }
        }
        let mut buf = [0; 1777];
        match sim.read_into(id, &mut buf).unwrap() {
            ReadOutcome::Data(n) => backlog.extend_from_slice(&buf[..n]),
            ReadOutcome::WouldBlock => {}
            ReadOutcome::Eof => eof = true,
        }
        if !backlog.is_empty() {
            let n = sim.server.write(now, id, &backlog).unwrap();
            backlog.drain(..n);
        }
        if eof && backlog.is_empty() {
            sim.server.close(now, id);
        }
        got == len && !sim.socket(c).may_recv()
    });
    assert!(eof);
    let now = sim.now;
    sim.server.release(now, id);
    sim.until("burial", |sim| sim.server.stats().open == 0);
}

#[test]
fn echo_over_a_good_link() {
    echo(Faults::default(), 1, 300_000);
}

proptest! {
    // The same cases each time. Two smoltcps, both sending again what the other has, reject each other's
    // acknowledgements for ever: their sequence numbers are set back while they repeat themselves. Other peers
    // acknowledge from where they really are.
    #![proptest_config(ProptestConfig { cases: 12, rng_seed: RngSeed::Fixed(3), ..ProptestConfig::default() })]
    #[test]
    fn echo_over_a_bad_link(seed in 1u64.., lose in 0u8..25, double in 0u8..25, reorder in 0u8..25) {
        echo(Faults { lose, double, reorder }, seed, 60_000);
    }
}

#[test]
fn the_first_handshake_takes_no_second() {
    let mut sim = Sim::new(Limits::default(), Faults::default(), 1);
    let c = sim.connect();
    // Both ends ask for each other's hardware address first; smoltcp's client waits a second after its question.
    sim.until("SYN received", |sim| sim.server.stats().open == 1);
    sim.run(10);
    assert!(sim.accept().is_some());
    assert!(sim.socket(c).may_send());
}

#[test]
fn one_write_is_one_segment_and_carries_the_acknowledgement() {
    let mut sim = Sim::new(Limits::default(), Faults::default(), 1);
    let c = sim.connect();
    let id = sim.accepted();
    sim.run(200);
    sim.seen.clear();
    sim.socket(c).send_slice(b"select 1").unwrap();
    sim.step();
    assert_eq!(sim.read(id), Ok(ReadOutcome::Data(8)));
    let now = sim.now;
    sim.server.write(now, id, &[7; 1000]).unwrap();
    sim.step();
    assert_eq!(sim.socket(c).recv_queue(), 1000);
    assert_eq!(sim.socket(c).send_queue(), 0, "the answer acknowledged the question");
    assert_eq!(sim.seen.len(), 1, "in one frame");
    // An unanswered question is acknowledged soon all the same.
    sim.socket(c).send_slice(b"select 2").unwrap();
    sim.run(4);
    assert_eq!(sim.socket(c).send_queue(), 0);
}

#[test]
fn simultaneous_close_loses_nothing() {
    let mut sim = Sim::new(Limits::default(), Faults::default(), 1);
    let c = sim.connect();
    let id = sim.accepted();
    sim.run(10);
    let (now, sent) = (sim.now, 8000);
    assert_eq!(sim.socket(c).send_slice(&[1; 8000]), Ok(sent));
    sim.socket(c).close();
    assert_eq!(sim.server.write(now, id, &[2; 8000]), Ok(sent));
    sim.server.close(now, id);
    let (mut up, mut down, mut eof) = (0, 0, false);
    sim.until("both ends drained", |sim| {
        match sim.read(id) {
            Ok(ReadOutcome::Data(n)) => up += n,
            Ok(ReadOutcome::Eof) => eof = true,
            _ => {}
        }
        let mut buf = [0; 500];
        if let Ok(n) = sim.socket(c).recv_slice(&mut buf) {
            down += n;
        }
        up == sent && down == sent && eof
    });
}

#[test]
fn data_before_a_reset_is_still_read() {
    let mut sim = Sim::new(Limits::default(), Faults::default(), 1);
    let c = sim.connect();
    let id = sim.accepted();
    sim.socket(c).send_slice(b"last words").unwrap();
    sim.run(5);
    sim.socket(c).abort();
    sim.run(5);
    assert_eq!(sim.read(id), Ok(ReadOutcome::Data(10)));
    assert_eq!(sim.read(id), Err(NetError::Reset));
    let now = sim.now;
    assert_eq!(sim.server.write(now, id, b"x"), Err(NetError::Reset));
    assert_eq!(sim.server.stats().open, 0);
}

#[test]
fn a_dropped_stream_delivers_its_queue_then_ends() {
    let mut sim = Sim::new(Limits::default(), Faults::default(), 1);
    let c = sim.connect();
    let id = sim.accepted();
    let now = sim.now;
    assert_eq!(sim.server.write(now, id, &[9; 30_000]), Ok(30_000));
    sim.server.release(now, id);
    let mut got = 0;
    sim.until("queue and FIN", |sim| {
        let mut buf = [0; 4000];
        got += sim.socket(c).recv_slice(&mut buf).unwrap_or(0);
        got == 30_000 && !sim.socket(c).may_recv()
    });
    sim.socket(c).close();
    sim.until("burial", |sim| sim.server.stats().open == 0);
}

#[test]
fn an_orphan_whose_peer_never_closes_is_reset() {
    let mut sim = Sim::new(Limits::default(), Faults::default(), 1);
    let c = sim.connect();
    let id = sim.accepted();
    let now = sim.now;
    sim.server.release(now, id);
    sim.run(30_000);
    assert_eq!(sim.server.stats().open, 1);
    sim.run(40_000);
    assert_eq!(sim.server.stats().open, 0);
    assert_eq!(sim.socket(c).state(), tcp::State::Closed);
}

#[test]
fn a_four_tuple_in_time_wait_connects_again_at_once() {
    let mut sim = Sim::new(Limits::default(), Faults::default(), 1);
    let c = sim.connect_from(50_000);
    for _ in 0..20 {
        let id = sim.accepted();
        let now = sim.now;
        // We close first, so our side is the one in TIME-WAIT.
        sim.server.release(now, id);
        sim.until("peer sees FIN", |sim| sim.socket(c).state() == tcp::State::CloseWait);
        sim.socket(c).close();
        sim.until("peer closed", |sim| sim.socket(c).state() == tcp::State::Closed);
        let (s, cx) = (sim.sockets.get_mut::<tcp::Socket<'_>>(c), sim.client.context());
        s.connect(cx, (IpAddress::from(SERVER), PORT), 50_000).unwrap();
    }
    assert_eq!(sim.server.stats().established, 20);
    assert_eq!(sim.server.stats().memory, 48 << 10, "one socket served them all");
}
