//! `cargo xtask backup`, `archive` and `restore`. See docs/backup.md.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use clap::Args;
use pg_backup::{Input, InputError, RestoreError, Until, archive, check, restore};
use pg_storage::{Lsn, Xid};
use platform::{block::BlockDevice, file::FileDevice};

use crate::{
    error::{Context, Error, Result},
    replication::{Replication, parse_position, position},
    run::stop_flag,
};

/// Arguments of `backup`.
#[derive(Args, Debug)]
pub struct BackupArguments {
    /// The server: postgres://user:password@host:port/
    url: String,
    /// Where to write the backup; must not exist
    file: PathBuf,
    /// What to call it
    #[arg(long, default_value = "")]
    label: String,
}

/// Arguments of `archive`.
#[derive(Args, Debug)]
pub struct ArchiveArguments {
    /// The server: postgres://user:password@host:port/
    url: String,
    /// Folder of the archive; made if it does not exist. Goes on where it ends
    folder: PathBuf,
    /// Where a new archive begins; by default where the log ends now
    #[arg(long)]
    from: Option<String>,
    /// Ends when everything that is logged at the start is archived
    #[arg(long)]
    once: bool,
}

/// Arguments of `restore`.
#[derive(Args, Debug)]
pub struct RestoreArguments {
    /// The backup
    file: PathBuf,
    /// The disk image to make; must not exist
    disk: PathBuf,
    /// Folder of archived log
    #[arg(long)]
    wal: Option<PathBuf>,
    /// Up to which moment: a time (2026-01-31 12:00:00, UTC), a log position (1/2A), a transaction id (xid:1234)
    #[arg(long)]
    until: Option<String>,
    /// Only checks the backup
    #[arg(long)]
    check: bool,
}

/// A file of log is closed, and another begun, at this length.
const SEGMENT: u64 = 64 << 20;

/// `cargo xtask backup`.
pub fn backup(arguments: &BackupArguments) -> Result<()> {
    let path = &arguments.file;
    if arguments.label.contains('\'') {
        return Err(Error::Usage("a label must not contain quotes".into()));
    }
    let mut server = Replication::connect(&arguments.url)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .context(|| format!("create {}", path.display()))?;
    let written = receive(&mut server, &arguments.label, &mut file).and_then(|bytes| {
        file.sync_all().context(|| format!("write {}", path.display()))?;
        sync_folder(path)?;
        Ok(bytes)
    });
    match written {
        Ok(bytes) => {
            println!("{}: {bytes} bytes", path.display());
            Ok(())
        }
        Err(e) => {
            // What is incomplete is of no use to anyone.
            let _ = fs::remove_file(path);
            Err(e)
        }
    }
}

fn receive(server: &mut Replication, label: &str, file: &mut File) -> Result<u64> {
    server.command(&format!("INTRALITH_BACKUP (LABEL '{label}')"))?;
    let mut bytes = 0;
    loop {
        let m = server.message()?;
        match m.tag {
            b'd' => {
                bytes += m.body.len() as u64;
                file.write_all(&m.body).context(|| "write the backup".into())?;
            }
            b'Z' => return Ok(bytes),
            _ => {}
        }
    }
}

/// A file's name is on the disk too.
fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|f| f.sync_all()).context(|| format!("sync {}", folder.display()))
}

/// A file that can be read at any place.
struct FileInput {
    file: File,
    len: u64,
}

impl FileInput {
    fn open(path: &Path) -> Result<Self> {
        let what = || format!("open {}", path.display());
        let file = File::open(path).context(what)?;
        let len = file.metadata().context(what)?.len();
        Ok(Self { file, len })
    }
}

impl Input for FileInput {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::result::Result<(), InputError> {
        self.file.read_exact_at(buf, offset).map_err(|_| InputError)
    }
}

/// The archive's files in order of their positions.
fn archive_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let what = || format!("read {}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).context(what)? {
        let path = entry.context(what)?.path();
        if path.extension().is_some_and(|e| e == "wal") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// An archive that grows.
struct Archive {
    folder: PathBuf,
    volume: u128,
    file: File,
    len: u64,
    end: u64,
}

impl Archive {
    /// Goes on with an archive, or begins one at `from`.
    fn open(folder: &Path, volume: u128, from: u64) -> Result<Self> {
        fs::create_dir_all(folder).context(|| format!("create {}", folder.display()))?;
        let Some(last) = archive_files(folder)?.pop() else { return Self::begin(folder, volume, from) };
        let what = || format!("read {}", last.display());
        let input = FileInput::open(&last)?;
        let mut head = [0; archive::HEADER];
        let whole = input.read_at(0, &mut head).is_ok();
        let (of, mut end) = match archive::parse_header(&head).filter(|_| whole) {
            Some((of, at)) => (of, at.0),
            None => return Err(Error::Failed(format!("{} is not an archive file", last.display()))),
        };
        if of != volume {
            return Err(Error::Failed(format!("{} holds the log of another volume", folder.display())));
        }
        let mut len = archive::HEADER as u64;
        let mut buffer = Vec::new();
        while len < input.len {
            buffer.resize(
                (input.len - len).min((archive::MAX_PIECE + archive::PIECE_HEADER) as u64) as usize,
                0,
            );
            input.file.read_exact_at(&mut buffer, len).context(what)?;
            let Some(content) = archive::parse_piece(&buffer, Lsn(end)) else { break };
            end += content.len() as u64;
            len += (archive::PIECE_HEADER + content.len()) as u64;
        }
        let file = OpenOptions::new().write(true).open(&last).context(what)?;
        // A piece that was being written when the archiver ended.
        file.set_len(len).context(what)?;
        Ok(Self { folder: folder.into(), volume, file, len, end })
    }

    fn begin(folder: &Path, volume: u128, from: u64) -> Result<Self> {
        let path = folder.join(format!("{from:016X}.wal"));
        let what = || format!("create {}", path.display());
        let file = OpenOptions::new().write(true).create_new(true).open(&path).context(what)?;
        file.write_all_at(&archive::header(volume, Lsn(from)), 0).context(what)?;
        file.sync_all().context(what)?;
        sync_folder(&path)?;
        Ok(Self { folder: folder.into(), volume, file, len: archive::HEADER as u64, end: from })
    }

    fn add(&mut self, at: u64, log: &[u8]) -> Result<()> {
        if at != self.end {
            return Err(Error::Failed(format!(
                "log at {} follows log that ends at {}",
                position(at),
                position(self.end)
            )));
        }
        if self.len >= SEGMENT {
            self.sync()?;
            *self = Self::begin(&self.folder, self.volume, self.end)?;
        }
        for part in log.chunks(archive::MAX_PIECE) {
            let piece = archive::piece(Lsn(self.end), part);
            self.file.write_all_at(&piece, self.len).context(|| "write the archive".into())?;
            self.len += piece.len() as u64;
            self.end += part.len() as u64;
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data().context(|| "sync the archive".into())
    }
}

/// `cargo xtask archive`.
pub fn archive(arguments: &ArchiveArguments) -> Result<()> {
    let stop = stop_flag()?;
    let mut server = Replication::connect(&arguments.url)?;
    let system = server.identify()?;
    let from = match &arguments.from {
        None => system.position,
        Some(text) => {
            parse_position(text).ok_or_else(|| Error::Usage(format!("\"{text}\" is not a log position")))?
        }
    };
    let mut archive = Archive::open(&arguments.folder, system.volume, from)?;
    println!("archiving from {}", position(archive.end));
    server.command(&format!("START_REPLICATION PHYSICAL {}", position(archive.end)))?;
    server.set_patience(Duration::from_secs(60))?;
    let (mut confirmed, mut synced) = (archive.end, Instant::now());
    while !stop.load(Ordering::Relaxed) {
        let m = server.message()?;
        let Some((kind, rest)) = (if m.tag == b'd' { m.body.split_first() } else { None }) else { continue };
        let at = rest.first_chunk().map(|b| u64::from_be_bytes(*b));
        match (kind, at) {
            (b'w', Some(at)) => archive.add(at, rest.get(24..).unwrap_or_default())?,
            (b'k', Some(_)) => {}
            _ => return Err(Error::Failed("the server sent what no one asked for".into())),
        }
        let done = arguments.once && archive.end >= system.position;
        if archive.end > confirmed && (done || *kind == b'k' || synced.elapsed() > Duration::from_millis(200))
        {
            archive.sync()?;
            (confirmed, synced) = (archive.end, Instant::now());
            let mut status = vec![b'r'];
            for _ in 0..3 {
                status.extend(confirmed.to_be_bytes());
            }
            status.extend([0; 9]);
            server.send(b'd', &status)?;
        }
        if done {
            break;
        }
    }
    archive.sync()?;
    server.send(b'c', &[])?;
    println!("archived up to {}", position(archive.end));
    Ok(())
}

fn until(text: &str) -> Result<Until> {
    if let Some(lsn) = parse_position(text) {
        return Ok(Until::Lsn(Lsn(lsn)));
    }
    if let Some(xid) = text.strip_prefix("xid:").and_then(|t| t.parse().ok()) {
        return Ok(Until::Xid(Xid(xid)));
    }
    time_of(text).map(Until::Time).ok_or_else(|| {
        Error::Usage(format!(
            "\"{text}\" is neither a time (2026-01-31 12:00:00, in UTC) nor a log position (1/2A) nor a transaction (xid:12)"
        ))
    })
}

/// Microseconds since 1970 of a time in UTC: `2026-01-31[ 12:00[:00[.5]]]`, with `T` or a blank between, perhaps `Z` or `+00` behind.
fn time_of(text: &str) -> Option<i64> {
    let text = text.trim().trim_end_matches('Z').trim_end_matches("+00");
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "0:0"));
    let mut date = date.splitn(3, '-').map(|p| p.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':');
    let hour: i64 = time.next()?.parse().ok()?;
    let minute: i64 = time.next()?.parse().ok()?;
    let second: f64 = time.next().unwrap_or("0").parse().ok()?;
    let valid = (1970..9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..61.0).contains(&second);
    // Days from 1970 in the proleptic Gregorian calendar, years beginning in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + hour * 3600 + minute * 60;
    valid.then(|| seconds * 1_000_000 + (second * 1e6).round() as i64)
}

/// `cargo xtask restore`.
pub fn restore_command(arguments: &RestoreArguments) -> Result<()> {
    let file = Arc::new(FileInput::open(&arguments.file)?);
    let named = |e: RestoreError| Error::Failed(format!("{}: {e}", arguments.file.display()));
    let contents = check(&*file).map_err(named)?;
    println!(
        "backup \"{}\": {} pages, log up to {}",
        contents.header.label,
        contents.pages,
        position(contents.end.0)
    );
    if arguments.check {
        return Ok(());
    }
    let until = arguments.until.as_deref().map_or(Ok(Until::End), until)?;
    let paths = arguments.wal.as_deref().map_or(Ok(Vec::new()), archive_files)?;
    let mut inputs: Vec<Arc<dyn Input>> = Vec::new();
    for path in &paths {
        inputs.push(Arc::new(FileInput::open(path)?));
    }
    let disk = &arguments.disk;
    let what = || format!("create {}", disk.display());
    let image = OpenOptions::new().write(true).create_new(true).open(disk).context(what)?;
    let done = (|| {
        image.set_len(contents.disk).context(what)?;
        let device = FileDevice::open(disk)
            .map_err(|e| Error::Io { what: what(), source: io::Error::other(e.to_string()) })?;
        let device: Arc<dyn BlockDevice> = Arc::new(device);
        restore(file, &inputs, device, until, 256 << 20).map_err(|e| match e {
            RestoreError::Archive(n) => {
                let path = paths.get(n).map_or(Path::new("?"), PathBuf::as_path);
                Error::Failed(format!("{}: {e}", path.display()))
            }
            e => named(e),
        })
    })();
    match done {
        Ok(restored) => {
            sync_folder(disk)?;
            println!("{}: restored up to {}", disk.display(), position(restored.end.0));
            Ok(())
        }
        Err(e) => {
            // It is not a volume; it was not there before either.
            let _ = fs::remove_file(disk);
            Err(e)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(time_of("1970-01-01"), Some(0));
        assert_eq!(time_of("2000-03-01 00:00:01.5"), Some(951_868_801_500_000));
        assert_eq!(time_of("2026-11-21T09:30:00Z"), Some(1_795_253_400_000_000));
        assert_eq!(time_of("2026-13-01"), None);
        assert!(matches!(until("16/B3"), Ok(Until::Lsn(Lsn(0x16_0000_00b3)))));
        assert!(matches!(until("xid:7"), Ok(Until::Xid(Xid(7)))));
        assert!(until("soon").is_err());
    }

    #[test]
    fn archives_go_on() {
        let folder = crate::tools::scratch("archive-test").unwrap();
        let _ = fs::remove_dir_all(&folder);
        let mut a = Archive::open(&folder, 7, 100).unwrap();
        a.add(100, &[1; 50]).unwrap();
        a.sync().unwrap();
        assert!(a.add(120, &[1; 50]).is_err());
        drop(a);
        let path = archive_files(&folder).unwrap().pop().unwrap();
        // Interrupted in the middle of a piece.
        let half = archive::piece(Lsn(150), &[2; 60]);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&half[..40]).unwrap();
        let mut a = Archive::open(&folder, 7, 0).unwrap();
        assert_eq!(a.end, 150);
        a.add(150, &[3; 10]).unwrap();
        drop(a);
        assert_eq!(Archive::open(&folder, 7, 0).unwrap().end, 160);
        assert!(Archive::open(&folder, 8, 0).is_err());
    }
}
