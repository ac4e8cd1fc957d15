//! A disk that loses what was not flushed: a network block device server for one guest.
//!
//! Killing QEMU alone leaves the host's page cache intact and proves nothing about flushes. This server keeps every
//! sector written since the last flush aside; at a power cut each of them independently keeps its old content or takes
//! any of the versions written since, which covers lost, reordered and torn (at 512 bytes) writes. Writes with FUA and
//! flushes make sectors durable.
//!
//! Protocol: the NBD project's specification, fixed newstyle handshake, simple replies.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    ops::Range,
    os::unix::{
        fs::FileExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::error::{Context, Result};

const SECTOR: u64 = 512;
/// Longest request that is served; QEMU stays at 32 MiB.
const MAX_LENGTH: u32 = 64 << 20;

/// Counters of a disk's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Write requests.
    pub writes: u64,
    /// Of these, those that came with FUA.
    pub forced: u64,
    /// Flush requests.
    pub flushes: u64,
}

/// A disk image with a volatile cache that can be lost.
pub struct FaultyDisk {
    /// What has reached the media.
    media: File,
    /// What the guest sees.
    live: File,
    size: u64,
    /// Versions of each sector written since it was last durable, oldest first.
    pending: BTreeMap<u64, Vec<[u8; SECTOR as usize]>>,
    counters: Counters,
    /// Says that it has flushed, and has not: to show that the rig notices.
    lies: bool,
    /// Reads here fail.
    unreadable: Vec<Range<u64>>,
}

impl FaultyDisk {
    /// A disk over the image at `path`; the live view is a scratch copy beside it.
    pub fn open(path: &Path) -> Result<Self> {
        let live_path: PathBuf = path.with_extension("live");
        crate::tools::run(
            std::process::Command::new("cp")
                .args(["--sparse=always", "--reflink=auto"])
                .arg(path)
                .arg(&live_path),
        )?;
        let open = |p: &Path| {
            OpenOptions::new().read(true).write(true).open(p).context(|| format!("open {}", p.display()))
        };
        let (media, live) = (open(path)?, open(&live_path)?);
        let size = media.metadata().context(|| format!("stat {}", path.display()))?.len();
        Ok(Self {
            media,
            live,
            size,
            pending: BTreeMap::new(),
            counters: Counters::default(),
            lies: false,
            unreadable: Vec::new(),
        })
    }

    /// Requests so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Sectors that a cut now could lose.
    pub fn in_doubt(&self) -> usize {
        self.pending.len()
    }

    /// From now on flushes and forced writes are acknowledged and not done.
    pub fn set_lies(&mut self, lies: bool) {
        self.lies = lies;
    }

    /// From now on reads that touch these bytes fail, and no others.
    pub fn set_unreadable(&mut self, ranges: Vec<Range<u64>>) {
        self.unreadable = ranges;
    }

    fn is_unreadable(&self, offset: u64, length: u64) -> bool {
        self.unreadable.iter().any(|r| r.start < offset + length && offset < r.end)
    }

    fn in_range(&self, offset: u64, length: u64) -> bool {
        offset.is_multiple_of(SECTOR)
            && length.is_multiple_of(SECTOR)
            && offset.checked_add(length).is_some_and(|end| end <= self.size)
    }

    fn write(&mut self, offset: u64, data: &[u8], force: bool) -> io::Result<()> {
        self.counters.writes += 1;
        self.counters.forced += u64::from(force);
        self.live.write_all_at(data, offset)?;
        let (sectors, _) = data.as_chunks::<{ SECTOR as usize }>();
        if force && !self.lies {
            for i in 0..sectors.len() as u64 {
                self.pending.remove(&(offset / SECTOR + i));
            }
            return self.media.write_all_at(data, offset);
        }
        for (sector, i) in sectors.iter().zip(0..) {
            self.pending.entry(offset / SECTOR + i).or_default().push(*sector);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.counters.flushes += 1;
        if self.lies {
            return Ok(());
        }
        for (sector, versions) in std::mem::take(&mut self.pending) {
            if let Some(last) = versions.last() {
                self.media.write_all_at(last, sector * SECTOR)?;
            }
        }
        Ok(())
    }

    /// Power cut: decides the fate of every sector that is not durable. Returns how many there were. The next guest sees what
    /// is left.
    pub fn cut(&mut self, seed: u64) -> io::Result<usize> {
        let mut random = SplitMix(seed);
        let pending = std::mem::take(&mut self.pending);
        let count = pending.len();
        // Some cuts lose nearly everything, some nearly nothing: both kinds of recovery get exercised.
        let keep = random.next() % 5;
        for (sector, versions) in pending {
            if random.next() % 4 < keep {
                let pick = if random.next().is_multiple_of(4) {
                    random.next() as usize % versions.len()
                } else {
                    versions.len() - 1
                };
                self.media.write_all_at(&versions[pick], sector * SECTOR)?;
            }
            let mut left = [0; SECTOR as usize];
            self.media.read_exact_at(&mut left, sector * SECTOR)?;
            self.live.write_all_at(&left, sector * SECTOR)?;
        }
        Ok(count)
    }
}

/// Steele and others' SplitMix64: a small generator so that a seed replays a cut.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Serves one disk on a Unix socket until dropped.
pub struct Server {
    disk: Arc<Mutex<FaultyDisk>>,
    socket: PathBuf,
}

impl Server {
    /// Starts serving `disk` at `socket`.
    pub fn start(disk: FaultyDisk, socket: PathBuf) -> Result<Self> {
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).context(|| format!("listen on {}", socket.display()))?;
        let disk = Arc::new(Mutex::new(disk));
        let shared = disk.clone();
        std::thread::spawn(move || {
            // One guest at a time; the next connection is the next boot.
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                // A guest that dies in the middle of a request ends its connection: nothing to report.
                let _ = serve(&shared, stream);
            }
        });
        Ok(Self { disk, socket })
    }

    /// The disk, between requests.
    pub fn disk(&self) -> MutexGuard<'_, FaultyDisk> {
        lock(&self.disk)
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn lock(disk: &Mutex<FaultyDisk>) -> MutexGuard<'_, FaultyDisk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

const OPTION_MAGIC: u64 = 0x4948_4156_454F_5054;
const REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const TRANSMISSION_FLAGS: u16 = 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6;

fn u16_in(stream: &mut UnixStream) -> io::Result<u16> {
    let mut b = [0; 2];
    stream.read_exact(&mut b)?;
    Ok(u16::from_be_bytes(b))
}

fn u32_in(stream: &mut UnixStream) -> io::Result<u32> {
    let mut b = [0; 4];
    stream.read_exact(&mut b)?;
    Ok(u32::from_be_bytes(b))
}

fn u64_in(stream: &mut UnixStream) -> io::Result<u64> {
    let mut b = [0; 8];
    stream.read_exact(&mut b)?;
    Ok(u64::from_be_bytes(b))
}

fn serve(disk: &Mutex<FaultyDisk>, mut stream: UnixStream) -> io::Result<()> {
    if !handshake(&mut stream, lock(disk).size)? {
        return Ok(());
    }
    let mut data = Vec::new();
    loop {
        if u32_in(&mut stream)? != 0x2560_9513 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (flags, kind) = (u16_in(&mut stream)?, u16_in(&mut stream)?);
        let cookie = u64_in(&mut stream)?;
        let (offset, length) = (u64_in(&mut stream)?, u32_in(&mut stream)?);
        if length > MAX_LENGTH {
            return Err(io::ErrorKind::InvalidData.into());
        }
        data.clear();
        data.resize(length as usize, 0);
        if kind == 1 {
            stream.read_exact(&mut data)?;
        }
        let done = answer(&mut lock(disk), kind, flags & 1 == 1, offset, &mut data)?;
        let Some(done) = done else { return Ok(()) };
        let mut reply = Vec::with_capacity(16 + data.len());
        reply.extend(0x6744_6698_u32.to_be_bytes());
        reply.extend(done.to_be_bytes());
        reply.extend(cookie.to_be_bytes());
        if kind == 0 && done == 0 {
            reply.extend(&data);
        }
        stream.write_all(&reply)?;
    }
}

/// Serves one request: the protocol's error number, or `None` on disconnect.
fn answer(
    disk: &mut FaultyDisk,
    kind: u16,
    force: bool,
    offset: u64,
    data: &mut [u8],
) -> io::Result<Option<u32>> {
    const INVALID: u32 = 22;
    const MEDIA: u32 = 5;
    if matches!(kind, 0 | 1 | 4 | 6) && !disk.in_range(offset, data.len() as u64) {
        return Ok(Some(INVALID));
    }
    match kind {
        0 if disk.is_unreadable(offset, data.len() as u64) => return Ok(Some(MEDIA)),
        0 => disk.live.read_exact_at(data, offset)?,
        1 | 6 => disk.write(offset, data, force)?,
        2 => return Ok(None),
        3 => disk.flush()?,
        // Trimmed sectors keep their content, which the command allows.
        4 => {}
        _ => return Ok(Some(INVALID)),
    }
    Ok(Some(0))
}

/// Negotiates; `false` when the client gave up.
fn handshake(stream: &mut UnixStream, size: u64) -> io::Result<bool> {
    stream.write_all(b"NBDMAGIC")?;
    stream.write_all(&OPTION_MAGIC.to_be_bytes())?;
    stream.write_all(&3_u16.to_be_bytes())?;
    let no_zeroes = u32_in(stream)? & 2 == 2;
    for _ in 0..64 {
        if u64_in(stream)? != OPTION_MAGIC {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (option, length) = (u32_in(stream)?, u32_in(stream)?);
        if length > 4096 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = vec![0; length as usize];
        stream.read_exact(&mut body)?;
        let mut reply = |kind: u32, body: &[u8]| {
            let mut message = REPLY_MAGIC.to_be_bytes().to_vec();
            message.extend(option.to_be_bytes());
            message.extend(kind.to_be_bytes());
            message.extend((body.len() as u32).to_be_bytes());
            message.extend(body);
            stream.write_all(&message)
        };
        match option {
            // EXPORT_NAME: the old way in.
            1 => {
                stream.write_all(&size.to_be_bytes())?;
                stream.write_all(&TRANSMISSION_FLAGS.to_be_bytes())?;
                if !no_zeroes {
                    stream.write_all(&[0; 124])?;
                }
                return Ok(true);
            }
            2 => {
                reply(1, &[])?;
                return Ok(false);
            }
            // INFO and GO.
            6 | 7 => {
                let mut export = 0_u16.to_be_bytes().to_vec();
                export.extend(size.to_be_bytes());
                export.extend(TRANSMISSION_FLAGS.to_be_bytes());
                reply(3, &export)?;
                let mut blocks = 3_u16.to_be_bytes().to_vec();
                for value in [SECTOR as u32, 4096, MAX_LENGTH / 2] {
                    blocks.extend(value.to_be_bytes());
                }
                reply(3, &blocks)?;
                reply(1, &[])?;
                if option == 7 {
                    return Ok(true);
                }
            }
            _ => reply((1 << 31) + 1, &[])?,
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(name: &str) -> FaultyDisk {
        let path = crate::tools::scratch("nbd-test").unwrap().join(name);
        std::fs::write(&path, vec![0; 64 << 10]).unwrap();
        FaultyDisk::open(&path).unwrap()
    }

    fn media(disk: &FaultyDisk, sector: u64) -> u8 {
        let mut b = [0; 1];
        disk.media.read_exact_at(&mut b, sector * SECTOR).unwrap();
        b[0]
    }

    #[test]
    fn flushed_and_forced_writes_survive_any_cut() {
        for seed in 0..50 {
            let mut disk = disk("survive.img");
            assert_eq!(disk.counters(), Counters::default());
            disk.write(0, &[1; 1024], false).unwrap();
            disk.flush().unwrap();
            disk.write(4096, &[2; 512], true).unwrap();
            disk.write(0, &[3; 512], false).unwrap();
            disk.write(4096, &[4; 512], false).unwrap();
            disk.write(4096, &[5; 512], true).unwrap();
            assert_eq!(disk.counters(), Counters { writes: 5, forced: 2, flushes: 1 });
            assert_eq!(disk.cut(seed).unwrap(), 1);
            assert!([1, 3].contains(&media(&disk, 0)));
            assert_eq!(media(&disk, 1), 1);
            assert_eq!(media(&disk, 8), 5);
        }
    }

    #[test]
    fn liars_lose_what_was_forced_and_the_next_guest_sees_it() {
        let mut lost = 0;
        for seed in 0..20 {
            let mut disk = disk("liar.img");
            disk.set_lies(true);
            disk.write(0, &[1; 512], true).unwrap();
            disk.flush().unwrap();
            disk.cut(seed).unwrap();
            let mut seen = [7; 1];
            disk.live.read_exact_at(&mut seen, 0).unwrap();
            assert_eq!(seen[0], media(&disk, 0));
            lost += u32::from(seen[0] == 0);
        }
        assert!(lost > 0);
    }

    #[test]
    fn unreadable_ranges() {
        let mut disk = disk("unreadable.img");
        disk.set_unreadable(vec![1024..2048, 4096..4608]);
        let mut data = [0; 512];
        assert_eq!(answer(&mut disk, 0, false, 512, &mut data).unwrap(), Some(0));
        assert_eq!(answer(&mut disk, 0, false, 1536, &mut data).unwrap(), Some(5));
        assert_eq!(answer(&mut disk, 0, false, 4096, &mut data).unwrap(), Some(5));
        assert_eq!(answer(&mut disk, 1, false, 1536, &mut data).unwrap(), Some(0));
    }

    #[test]
    fn cuts_lose_and_keep_and_replay() {
        let outcome = |seed| {
            let mut disk = disk("lose.img");
            disk.write(0, &[9; 32 << 10], false).unwrap();
            disk.cut(seed).unwrap();
            (0..64).map(|s| media(&disk, s)).collect::<Vec<_>>()
        };
        let all: Vec<_> = (0..20).map(outcome).collect();
        assert!(all.iter().any(|o| o.iter().all(|b| *b == 0)), "no cut lost everything");
        assert!(all.iter().any(|o| o.contains(&0) && o.contains(&9)), "no cut tore a write");
        assert_eq!(outcome(3), all[3]);
    }
}
