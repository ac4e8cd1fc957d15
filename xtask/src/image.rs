//! The flashed image: GUID partition table, EFI system partition with loader and kernel, data partition.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use boot_layout::{COMMAND_LINE_PATH, DATA_PARTITION_NAME, DATA_PARTITION_TYPE, KERNEL_PATH, LOADER_PATH};
use gpt::{disk::LogicalBlockSize, partition_types};

use crate::error::{Context, Error, Result};

/// Size of the EFI system partition: the kernel may grow to 24 MiB, and two of them fit.
const ESP_BYTES: u64 = 64 << 20;

/// What goes onto the EFI system partition.
pub struct Contents<'a> {
    /// The loader, a PE32+ application.
    pub loader: &'a [u8],
    /// The kernel, an ELF file.
    pub kernel: &'a [u8],
    /// The kernel command line.
    pub command_line: &'a str,
}

/// Writes an image of `size` bytes to `path` (sparse where nothing is written) and returns the byte range of its data
/// partition, which is left blank.
pub fn create(path: &Path, size: u64, contents: &Contents<'_>) -> Result<std::ops::Range<u64>> {
    if size < ESP_BYTES + (64 << 20) {
        return Err(Error::Usage(format!("an image needs at least {} MiB", (ESP_BYTES >> 20) + 64)));
    }
    let what = || format!("write {}", path.display());
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(path).context(what)?;
    file.set_len(size).context(what)?;
    let table =
        |e: &dyn std::fmt::Display| Error::Usage(format!("partition table of {}: {e}", path.display()));
    gpt::mbr::ProtectiveMBR::with_lb_size(u32::try_from(size / 512 - 1).unwrap_or(u32::MAX))
        .overwrite_lba0(&mut file)
        .map_err(|e| table(&e))?;
    let mut disk = gpt::GptConfig::new()
        .writable(true)
        .logical_block_size(LogicalBlockSize::Lb512)
        .create_from_device(&mut file, None)
        .map_err(|e| table(&e))?;
    let esp = disk
        .add_partition("EFI system", ESP_BYTES, partition_types::EFI, 0, Some(2048))
        .map_err(|e| table(&e))?;
    let kind = partition_types::Type {
        guid: DATA_PARTITION_TYPE.parse().map_err(|e| table(&e))?,
        os: partition_types::OperatingSystem::None,
    };
    // 2 MiB: both tables and the alignment of both partitions.
    let data = disk
        .add_partition(DATA_PARTITION_NAME, size - ESP_BYTES - (4 << 20), kind, 0, Some(2048))
        .map_err(|e| table(&e))?;
    let range = |id: u32| {
        let part = disk.partitions().get(&id);
        part.map(|p| p.first_lba * 512..(p.last_lba + 1) * 512).ok_or_else(|| table(&"partition lost"))
    };
    let (esp, data) = (range(esp)?, range(data)?);
    disk.write().map_err(|e| table(&e))?;
    fill_esp(&mut Window::new(file, esp), contents).context(what)?;
    Ok(data)
}

fn fill_esp(window: &mut Window, contents: &Contents<'_>) -> std::io::Result<()> {
    fatfs::format_volume(&mut *window, fatfs::FormatVolumeOptions::new().volume_label(*b"INTRALITH  "))?;
    let volume = fatfs::FileSystem::new(window, fatfs::FsOptions::new())?;
    {
        let root = volume.root_dir();
        let files = [
            (LOADER_PATH, contents.loader),
            (KERNEL_PATH, contents.kernel),
            (COMMAND_LINE_PATH, contents.command_line.as_bytes()),
        ];
        for (path, bytes) in files {
            let mut prefix = String::new();
            for folder in path.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev() {
                prefix.push_str(folder);
                root.create_dir(&prefix)?;
                prefix.push('/');
            }
            root.create_file(path)?.write_all(bytes)?;
        }
    }
    volume.unmount()
}

/// A byte range of a file as a file of its own.
struct Window {
    file: File,
    range: std::ops::Range<u64>,
    at: u64,
}

impl Window {
    fn new(file: File, range: std::ops::Range<u64>) -> Self {
        Self { file, range, at: 0 }
    }
    fn limit(&self, wanted: usize) -> usize {
        let left = (self.range.end - self.range.start).saturating_sub(self.at);
        wanted.min(usize::try_from(left).unwrap_or(usize::MAX))
    }
}

impl Read for Window {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.limit(buf.len());
        self.file.seek(SeekFrom::Start(self.range.start + self.at))?;
        let n = self.file.read(&mut buf[..n])?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Write for Window {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        let n = self.limit(buf.len());
        self.file.seek(SeekFrom::Start(self.range.start + self.at))?;
        let n = self.file.write(&buf[..n])?;
        self.at += n as u64;
        Ok(n)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let length = self.range.end - self.range.start;
        let target = match to {
            SeekFrom::Start(n) => i128::from(n),
            SeekFrom::End(n) => i128::from(length) + i128::from(n),
            SeekFrom::Current(n) => i128::from(self.at) + i128::from(n),
        };
        self.at = u64::try_from(target).map_err(|_| std::io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_reads_back() {
        let folder = crate::tools::scratch("image-test").unwrap();
        let path = folder.join("image.raw");
        let _ = std::fs::remove_file(&path);
        let contents = Contents { loader: b"MZ loader", kernel: &[7; 100_000], command_line: "log=info" };
        let data = create(&path, 256 << 20, &contents).unwrap();
        assert_eq!(data.start % (1 << 20), 0);
        assert!(data.end - data.start > 180 << 20);
        let disk = gpt::GptConfig::new().open(&path).unwrap();
        assert_eq!(disk.partitions().len(), 2);
        let esp = disk.partitions().values().find(|p| p.part_type_guid == partition_types::EFI).unwrap();
        let range = esp.first_lba * 512..(esp.last_lba + 1) * 512;
        let volume =
            fatfs::FileSystem::new(Window::new(File::open(&path).unwrap(), range), fatfs::FsOptions::new());
        let mut kernel = Vec::new();
        volume.unwrap().root_dir().open_file(KERNEL_PATH).unwrap().read_to_end(&mut kernel).unwrap();
        assert_eq!(kernel, contents.kernel);
        std::fs::remove_file(&path).unwrap();
    }
}
