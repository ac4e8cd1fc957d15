//! Disk images: made blank or formatted, with a random password kept beside them.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use pg_storage::{FormatOptions, Probe, Storage};
use platform::block::BlockDevice;

use crate::error::{Context, Error, Result};

/// A disk image that exists, and the lock on it: other Intralith processes keep away while this lives.
#[derive(Debug)]
pub struct Prepared {
    path: PathBuf,
    _lock: File,
}

impl Prepared {
    /// Where the password is kept.
    pub fn password_file(&self) -> PathBuf {
        password_file(&self.path)
    }

    /// The password, if it is known here.
    pub fn password(&self) -> Result<Option<String>> {
        let file = self.password_file();
        match std::fs::read_to_string(&file) {
            Ok(text) => Ok(Some(text.trim().to_string())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Io { what: format!("read {}", file.display()), source }),
        }
    }
}

fn password_file(disk: &Path) -> PathBuf {
    let mut name = disk.as_os_str().to_owned();
    name.push(".password");
    name.into()
}

/// `8G` and the like.
pub fn parse_size(text: &str) -> Result<u64> {
    let invalid = || Error::Usage(format!("\"{text}\" is not a size; write for example 512M or 8G"));
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << shift)).filter(|n| *n > 0).ok_or_else(invalid)
}

/// Takes the image, making and formatting it when there is none, and formatting a blank one. An image that holds
/// something else is left alone: the appliance says what it is and refuses it.
pub fn prepare(path: &Path, size: u64) -> Result<Prepared> {
    let what = || format!("open {}", path.display());
    let fresh = !path.exists();
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).context(what)?;
    if fresh {
        file.set_len(size).context(what)?;
    }
    let device = platform::file::FileDevice::open(path).map_err(|e| match e {
        platform::file::OpenError::Locked => Error::DiskLocked(path.into()),
        platform::file::OpenError::Io(source) => Error::Io { what: what(), source },
    })?;
    let device: Arc<dyn BlockDevice> = Arc::new(device);
    let volume = match boot_layout::find_data_partition(device.as_ref()) {
        Ok(boot_layout::Search::Found(range)) => {
            Arc::new(platform::block::Partition::new(device, range)) as Arc<_>
        }
        _ => device,
    };
    format_if_blank(path, volume.as_ref())?;
    drop(volume);
    // The guest's QEMU opens the file itself; this keeps other runs away.
    file.try_lock().map_err(|_| Error::DiskLocked(path.into()))?;
    Ok(Prepared { path: path.into(), _lock: file })
}

fn format_if_blank(path: &Path, volume: &dyn BlockDevice) -> Result<()> {
    let storage = |source| Error::Storage { path: path.into(), source };
    if Storage::probe(volume).map_err(storage)? != Probe::Blank {
        return Ok(());
    }
    let password = random_password();
    let file = password_file(path);
    let what = || format!("write {}", file.display());
    let mut out =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&file).context(what)?;
    writeln!(out, "{password}").context(what)?;
    out.sync_all().context(what)?;
    let config = intralith_config::Config { first_password: Some(password), ..Default::default() };
    let options = FormatOptions { config: config.to_text().into_bytes(), ..FormatOptions::default() };
    Storage::format(volume, &options).map_err(storage)
}

/// 24 letters and digits: 142 bits.
fn random_password() -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut password = String::with_capacity(24);
    while password.len() < 24 {
        let mut bytes = [0; 32];
        platform::entropy::fill(&mut bytes);
        // Bytes of 248 and more are thrown away: 248 is a multiple of 62.
        let fair = bytes.iter().filter(|b| **b < 248).map(|b| char::from(ALPHABET[usize::from(*b % 62)]));
        password.extend(fair.take(24 - password.len()));
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("8G").unwrap(), 8 << 30);
        assert_eq!(parse_size("512M").unwrap(), 512 << 20);
        assert_eq!(parse_size("4096").unwrap(), 4096);
        assert!(parse_size("").is_err());
        assert!(parse_size("G").is_err());
        assert!(parse_size("99999999999G").is_err());
    }

    #[test]
    fn passwords_differ() {
        assert_eq!(random_password().len(), 24);
        assert_ne!(random_password(), random_password());
    }
}
