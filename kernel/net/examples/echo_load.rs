//! Load for an echo server: `echo_load ADDRESS CLIENTS SECONDS BYTES`. Each client sends a message and waits for it to
//! come back; prints round trips per second. `echo_load ADDRESS stream MIB` measures throughput, `echo_load ADDRESS
//! connect COUNT` connections per second, `echo_load ADDRESS close` how connections end.
use std::{
    env,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

fn connect(address: &str) -> TcpStream {
    let s = TcpStream::connect(address).expect("connect");
    s.set_nodelay(true).expect("nodelay");
    s.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
    s
}

fn round_trips(address: &str, clients: usize, seconds: u64, bytes: usize) {
    let until = Instant::now() + Duration::from_secs(seconds);
    let tasks: Vec<_> = (0..clients)
        .map(|c| {
            let mut s = connect(address);
            thread::spawn(move || {
                let (message, mut back) = (vec![c as u8; bytes], vec![0; bytes]);
                let (mut count, mut worst) = (0u64, Duration::ZERO);
                while Instant::now() < until {
                    let start = Instant::now();
                    s.write_all(&message).expect("write");
                    s.read_exact(&mut back).expect("read");
                    worst = worst.max(start.elapsed());
                    assert!(back == message, "wrong bytes");
                    count += 1;
                }
                (count, worst)
            })
        })
        .collect();
    let done: Vec<_> = tasks.into_iter().map(|t| t.join().expect("client")).collect();
    let total: u64 = done.iter().map(|d| d.0).sum();
    let worst = done.iter().map(|d| d.1).max();
    println!("{clients} clients, {bytes} bytes: {} round trips/s, worst {worst:?}", total / seconds);
}

fn stream(address: &str, mib: usize) {
    let s = connect(address);
    let mut reader = s.try_clone().expect("clone");
    let start = Instant::now();
    let total = mib << 20;
    let task = thread::spawn(move || {
        let (mut got, mut buf) = (0usize, vec![0; 1 << 16]);
        loop {
            let n = reader.read(&mut buf).expect("read");
            if n == 0 {
                return got;
            }
            for (i, b) in buf[..n].iter().enumerate() {
                assert!(*b == ((got + i) % 251) as u8, "byte {} is wrong", got + i);
            }
            got += n;
        }
    });
    let mut s = s;
    let mut sent = 0;
    while sent < total {
        let n = (64 << 10).min(total - sent);
        let chunk: Vec<u8> = (sent..sent + n).map(|i| (i % 251) as u8).collect();
        s.write_all(&chunk).expect("write");
        sent += n;
    }
    s.shutdown(Shutdown::Write).expect("shutdown");
    let got = task.join().expect("reader");
    assert_eq!(got, total);
    println!("{:.1} MiB/s both ways", mib as f64 / start.elapsed().as_secs_f64());
}

fn connects(address: &str, count: usize) {
    let start = Instant::now();
    for i in 0..count {
        let mut s = connect(address);
        s.write_all(&[i as u8]).expect("write");
        s.read_exact(&mut [0]).expect("read");
    }
    println!("{:.0} connections/s", count as f64 / start.elapsed().as_secs_f64());
}

fn close(address: &str) {
    for len in [0, 1, 1460, 100_000] {
        let mut s = connect(address);
        let data: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        let mut writer = s.try_clone().expect("clone");
        let sent = data.clone();
        let task = thread::spawn(move || {
            writer.write_all(&sent).expect("write");
            writer.shutdown(Shutdown::Write).expect("shutdown");
        });
        let mut back = Vec::new();
        s.read_to_end(&mut back).expect("read");
        task.join().expect("writer");
        assert!(back == data, "{len} bytes and then the end");
    }
    // Peers that vanish without a word.
    for _ in 0..20 {
        let mut s = connect(address);
        s.write_all(&[0; 5000]).expect("write");
    }
    println!("close: ok");
}

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let arg = |i: usize| args.get(i).map(String::as_str);
    let number = |i: usize, default: usize| arg(i).and_then(|a| a.parse().ok()).unwrap_or(default);
    let address = arg(0).unwrap_or("127.0.0.1:5432");
    match arg(1) {
        Some("stream") => stream(address, number(2, 64)),
        Some("connect") => connects(address, number(2, 500)),
        Some("close") => close(address),
        _ => round_trips(address, number(1, 8), number(2, 5) as u64, number(3, 100)),
    }
}
