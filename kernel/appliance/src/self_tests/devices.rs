//! Devices as the machine has them: disk patterns, and an echo server for clients on the host.

use super::Test;
use crate::devices;
use alloc::{collections::VecDeque, sync::Arc, vec, vec::Vec};
use compute_protocol::{Answer, Command, Span};
use core::{
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use driver_nvme::NvmeDisk;
use driver_virtio::messages::SLOTS;
use driver_virtio_gpu::VirtioGpu;
use intralith_config::Network;
use kernel_task::{WaitQueue, core_count, spawn, spawn_on, time};
use platform::{
    block::{BlockDevice, BlockError, Durability, IoClass, WriteRequest},
    compute::{Buffer, ComputeDevice, ComputeError},
    net::{Listener, ReadOutcome, ReadyHook, Stream},
    sync::Mutex,
};

pub const TESTS: &[Test] = &[("nvme", nvme), ("gpu", gpu)];

/// Measurements and servers for clients on the host: run by name only.
pub const BY_NAME: &[Test] =
    &[("nvme_speed", nvme_speed), ("nvme_errors", nvme_errors), ("gpu_losses", gpu_losses), ("echo", echo)];

fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| ((i + seed).wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn disk() -> Arc<NvmeDisk> {
    devices::disks(&devices::enumerate()).into_iter().next().expect("the test needs an NVMe disk")
}

/// Patterns of all sizes and alignments come back; all cores at once.
fn nvme() {
    let disk = disk();
    let g = disk.geometry();
    log::info!("{g:?}");
    let block = g.block_size as usize;
    for (i, (len, shift)) in
        [(block, 0), (8192, 0), (8192, 1), (8192, 4), (65536, 3), (1 << 20, 0), (3 << 20, 2), (5 << 20, 512)]
            .into_iter()
            .enumerate()
    {
        let data = pattern(len + shift, i);
        let offset = (i as u64) << 23;
        disk.write(offset, &data[shift..], Durability::Fua, IoClass::Wal).expect("write");
        let mut back = vec![0; len + shift];
        disk.read(offset, &mut back[shift..], IoClass::Read).expect("read");
        assert!(back[shift..] == data[shift..], "pattern {i}: {len} bytes at {shift}");
    }
    disk.flush().expect("flush");
    let mut buf = vec![1; 8192];
    disk.write_zeroes(0, 8192).expect("write zeroes");
    disk.read(0, &mut buf, IoClass::Read).expect("read");
    assert!(buf.iter().all(|b| *b == 0), "zeroes");
    disk.discard(1 << 23, 1 << 20).expect("discard");
    let end = g.capacity;
    assert!(disk.read(end, &mut buf, IoClass::Read).is_err(), "past the end");
    assert!(disk.read(end - 8192, &mut buf, IoClass::Read).is_ok(), "the last page");
    let tasks: Vec<_> = (0..4 * core_count())
        .map(|t| {
            let disk = disk.clone();
            spawn_on(t, "nvme test", move || {
                for i in 0..100 {
                    let offset = (64 << 20) + ((t * 100 + i) * 8192) as u64;
                    let data = pattern(8192, t * 7919 + i);
                    let durability = if i % 10 == 0 { Durability::Fua } else { Durability::Cached };
                    disk.write(offset, &data, durability, IoClass::Background).expect("write");
                    let mut back = vec![0; 8192];
                    disk.read(offset, &mut back, IoClass::Read).expect("read");
                    assert!(back == data, "task {t}, page {i}");
                }
            })
        })
        .collect();
    for t in tasks {
        t.join().expect("task");
    }
    let pages: Vec<_> = (0..300).map(|i| pattern(8192, i)).collect();
    let writes: Vec<_> = pages
        .iter()
        .enumerate()
        .map(|(i, p)| WriteRequest { offset: (32 << 20) + (i * 8192) as u64, data: p })
        .collect();
    disk.write_batch(&writes, Durability::Cached, IoClass::Background).expect("batch");
    disk.flush().expect("flush");
    let mut back = vec![0; 300 * 8192];
    disk.read(32 << 20, &mut back, IoClass::ReadAhead).expect("read");
    assert!(back.chunks(8192).zip(&pages).all(|(a, b)| a == b), "batch");
    assert_eq!((disk.controller().aborts(), disk.controller().resets()), (0, 0));
}

/// With a disk whose sector 2048 cannot be read (the harness injects that): the error comes back as what it is, from
/// single and large reads, and nothing else suffers.
fn nvme_errors() {
    let disk = disk();
    let bad = 2048 * 512;
    let mut buf = vec![0; 8192];
    for round in 0..5 {
        assert_eq!(disk.read(bad, &mut buf, IoClass::Read), Err(BlockError::Media), "round {round}");
        assert_eq!(disk.read(bad + (1 << 20), &mut buf, IoClass::Read), Ok(()), "round {round}");
    }
    let mut large = vec![0; 3 << 20];
    assert_eq!(disk.read(0, &mut large, IoClass::ReadAhead), Err(BlockError::Media));
    assert_eq!(disk.write(bad, &buf, Durability::Fua, IoClass::Wal), Ok(()));
    let tasks: Vec<_> = (0..8)
        .map(|t| {
            let disk = disk.clone();
            spawn_on(t, "nvme errors", move || {
                let mut buf = vec![0; 8192];
                for _ in 0..50 {
                    let offset = if t % 2 == 0 { bad } else { (t as u64) << 21 };
                    let expected = if t % 2 == 0 { Err(BlockError::Media) } else { Ok(()) };
                    assert_eq!(disk.read(offset, &mut buf, IoClass::Read), expected, "task {t}");
                }
            })
        })
        .collect();
    for t in tasks {
        t.join().expect("task");
    }
    assert_eq!((disk.controller().aborts(), disk.controller().resets()), (0, 0));
}

/// Writes bytes to a table of a compute device and reads them back.
fn there_and_back(gpu: &VirtioGpu, table: u32, data: &[u8]) -> Result<Vec<u8>, ComputeError> {
    let span = Span { resource: 0, offset: 0, length: data.len() as u64 };
    let never = || false;
    let mut back = vec![0; data.len()];
    gpu.execute(&Command::Create { table, bytes: span.length }, &mut [], &never)?;
    let write = Command::Write { table, offset: 0, from: span };
    gpu.execute(&write, &mut [Buffer::From(data)], &never)?;
    let read = Command::Read { table, offset: 0, into: span };
    gpu.execute(&read, &mut [Buffer::Into(&mut back)], &never)?;
    gpu.execute(&Command::Drop { id: table }, &mut [], &never)?;
    Ok(back)
}

/// So many tasks, over all cores, each so many rounds.
fn at_once(gpu: &Arc<VirtioGpu>, tasks: usize, rounds: usize, round: fn(&VirtioGpu, usize, usize)) {
    let tasks: Vec<_> = (0..tasks)
        .map(|t| {
            let gpu = gpu.clone();
            spawn_on(t, "gpu", move || (0..rounds).for_each(|n| round(&gpu, t, n)))
        })
        .collect();
    for t in tasks {
        t.join().expect("task");
    }
}

/// Buffers that begin and end anywhere, several in one command, parts of them that overlap.
fn unaligned(gpu: &VirtioGpu) {
    let never = || false;
    let data = pattern(20_000, 5);
    for shift in [1, 3, 4095, 4097] {
        let own = data[shift..shift + 8_008].to_vec();
        assert!(there_and_back(gpu, 1, &data[shift..shift + 8_008]).as_ref() == Ok(&own), "at {shift}");
    }
    gpu.execute(&Command::Create { table: 1, bytes: 4096 }, &mut [], &never).expect("a table");
    // Both commands' spans are parts of one buffer, and they overlap; the second one's begins where no word does.
    for (offset, table) in [(8, 0), (9, 2048)] {
        let from = Span { resource: 0, offset, length: 2000 };
        let write = Command::Write { table: 1, offset: table, from };
        gpu.execute(&write, &mut [Buffer::From(&data[1..5000])], &never).expect("written");
    }
    let mut back = vec![0xee; 4099];
    let into = Span { resource: 0, offset: 3, length: 4096 };
    let read = Command::Read { table: 1, offset: 0, into };
    gpu.execute(&read, &mut [Buffer::Into(&mut back)], &never).expect("read");
    assert!(back[..3] == [0xee; 3] && back[3..2003] == data[9..2009] && back[2051..4051] == data[10..2010]);
    gpu.execute(&Command::Drop { id: 1 }, &mut [], &never).expect("dropped");
}

/// If there is a compute device: bytes of all sizes come back, from all cores at once.
fn gpu() {
    for gpu in driver_virtio_gpu::find(&devices::enumerate()) {
        if !gpu.wait_present(Duration::from_secs(20)) {
            log::info!("gpu: none behind {}", gpu.carrier());
            continue;
        }
        log::info!("{:?}", gpu.link());
        for (i, len) in [8, 4096, 100_000, 4 << 20].into_iter().enumerate() {
            let data = pattern(len, i);
            assert!(there_and_back(&gpu, 1, &data).as_ref() == Ok(&data), "{len} bytes");
        }
        unaligned(&gpu);
        let gpu = Arc::new(gpu);
        // More than there are pieces of memory, and then more than the queue takes.
        at_once(&gpu, 24.max(8 * core_count()), 20, |gpu, t, round| {
            let data = pattern(8 * (1 + (t * 37 + round * 101) % 4000), t + round);
            let back = there_and_back(gpu, 1 + t as u32, &data);
            assert!(back.as_ref() == Ok(&data), "task {t}, round {round}");
        });
        at_once(&gpu, 4 * SLOTS, 50, |gpu, t, round| {
            let reply = gpu.execute(&Command::Describe, &mut [], &|| false);
            assert!(reply.is_ok_and(|r| matches!(r.answer, Answer::Device(_))), "task {t}, round {round}");
        });
        assert_eq!(gpu.generation(), 0, "{:?}", gpu.health());
        measure("compute round trip", 1000, |_| {
            gpu.execute(&Command::Describe, &mut [], &|| false).expect("describe");
        });
    }
}

/// A compute device that comes and goes while commands are under way (the harness sees to that): every one ends, rightly or with an error.
fn gpu_losses() {
    let gpu =
        driver_virtio_gpu::find(&devices::enumerate()).into_iter().next().expect("the test needs a device");
    let mut seen = (0, 0);
    let mut generation = gpu.generation();
    let end = time::monotonic() + Duration::from_secs(120);
    while time::monotonic() < end {
        let data = pattern(1 << 20, seen.0);
        let begun = time::monotonic();
        match there_and_back(&gpu, 1, &data) {
            Ok(back) => {
                assert!(back == data, "other bytes");
                seen.0 += 1;
            }
            Err(e) => {
                seen.1 += 1;
                if e != ComputeError::Absent {
                    log::info!("gpu: {e:?} after {:?}", time::monotonic() - begun);
                }
                kernel_task::sleep(Duration::from_millis(100));
            }
        }
        if gpu.generation() != generation {
            generation = gpu.generation();
            log::info!("gpu: generation {generation}, {:?}", gpu.health());
        }
    }
    log::info!("gpu: {} right, {} failed, {:?}", seen.0, seen.1, gpu.health());
}

fn measure(what: &str, count: u32, mut f: impl FnMut(u32)) {
    let start = time::monotonic();
    for i in 0..count {
        f(i);
    }
    let each = (time::monotonic() - start) / count;
    log::info!("{what}: {each:?} each");
}

/// How long things take.
fn nvme_speed() {
    let disk = disk();
    let page = pattern(8192, 1);
    let mut buf = vec![0; 8192];
    let at = |i: u32| u64::from(i) * 8192;
    measure("8 KiB write", 2000, |i| {
        disk.write(at(i), &page, Durability::Cached, IoClass::Wal).expect("write");
    });
    measure("8 KiB read", 2000, |i| disk.read(at(i), &mut buf, IoClass::Read).expect("read"));
    measure("8 KiB FUA write", 500, |i| {
        disk.write(at(i), &page, Durability::Fua, IoClass::Wal).expect("write");
    });
    measure("flush", 200, |i| {
        disk.write(at(i), &page, Durability::Cached, IoClass::Wal).expect("write");
        disk.flush().expect("flush");
    });
    let writes: Vec<_> = (0..64).map(|i| WriteRequest { offset: at(i), data: &page }).collect();
    measure("batch of 64 pages", 50, |_| {
        disk.write_batch(&writes, Durability::Cached, IoClass::Background).expect("batch");
    });
}

/// A connection between its events.
struct Echo {
    stream: Arc<dyn Stream>,
    workers: &'static Workers,
}

#[derive(Default)]
struct Workers {
    ready: Mutex<VecDeque<Arc<Echo>>>,
    idle: WaitQueue,
}

struct Ready(Arc<Echo>);

impl ReadyHook for Ready {
    fn ready(&self) {
        let w = self.0.workers;
        w.ready.lock().push_back(self.0.clone());
        w.idle.notify_one();
    }
}

static OPEN: AtomicUsize = AtomicUsize::new(0);

fn serve(workers: &'static Workers) {
    let mut buf = vec![0; 16 << 10];
    loop {
        let mut next = None;
        workers.idle.wait_until(|| {
            next = next.take().or_else(|| workers.ready.lock().pop_front());
            next.is_some()
        });
        let Some(conn) = next else { continue };
        loop {
            match conn.stream.try_read(&mut buf) {
                Ok(ReadOutcome::Data(n)) => {
                    if let Err(e) = conn.stream.write_all(&buf[..n]) {
                        log::warn!("write: {e}");
                        break;
                    }
                }
                Ok(ReadOutcome::WouldBlock) => {
                    conn.stream.arm(Arc::new(Ready(conn.clone())));
                    break;
                }
                end => {
                    if end.is_err() {
                        log::warn!("read: {end:?}");
                    }
                    conn.stream.close();
                    OPEN.fetch_sub(1, Ordering::Relaxed);
                    break;
                }
            }
        }
    }
}

/// Sends back whatever arrives on port 5432.
fn echo() {
    let functions = devices::enumerate();
    devices::seed_entropy(&functions);
    let net = devices::network(&functions, &Network::Dhcp).expect("a network card");
    assert!(net.wait_configured(Duration::from_secs(10)), "no address");
    log::info!("addresses {:?} after {:?}", net.addresses(), time::monotonic());
    let listener = net.listen(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 5432), 1024).expect("listen");
    let workers = crate::forever(Workers::default());
    for _ in 0..2 * core_count() {
        spawn("echo worker", || serve(workers));
    }
    let watched = net;
    spawn("statistics", move || {
        loop {
            kernel_task::sleep(Duration::from_secs(5));
            log::info!("open {}, {:?}", OPEN.load(Ordering::Relaxed), watched.stats());
        }
    });
    log::info!("echo server ready");
    while let Ok(stream) = listener.accept() {
        OPEN.fetch_add(1, Ordering::Relaxed);
        let conn = Arc::new(Echo { stream: stream.clone(), workers });
        stream.arm(Arc::new(Ready(conn)));
    }
}
