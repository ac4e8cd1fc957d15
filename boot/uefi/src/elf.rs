//! The kernel image's program headers.

use alloc::vec::Vec;
use core::fmt;

/// What is wrong with the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElfError {
    /// Not a 64-bit x86 executable.
    NotExecutable,
    /// It ends too early.
    Truncated,
    /// Segments that do not fit the kernel's place.
    Layout,
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotExecutable => "not an executable",
            Self::Truncated => "truncated",
            Self::Layout => "segments out of place",
        })
    }
}

/// Largest image.
const MAX_LEN: u64 = 64 << 20;
/// Lowest address it may be linked at.
const LOWEST: u64 = 0xffff_ffff_8000_0000;

struct Segment<'a> {
    offset: usize,
    data: &'a [u8],
}

/// A checked image.
pub struct Image<'a> {
    /// Lowest virtual address.
    pub base: u64,
    /// Bytes in memory.
    pub len: u64,
    /// Where to start.
    pub entry: u64,
    segments: Vec<Segment<'a>>,
}

fn number<const N: usize>(file: &[u8], at: usize) -> Result<u64, ElfError> {
    let bytes = at.checked_add(N).and_then(|end| file.get(at..end)).ok_or(ElfError::Truncated)?;
    Ok(bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)))
}

impl<'a> Image<'a> {
    /// Reads the headers and checks that everything lies where it may.
    pub fn parse(file: &'a [u8]) -> Result<Self, ElfError> {
        if !file.starts_with(b"\x7fELF\x02\x01") || number::<2>(file, 18)? != 62 {
            return Err(ElfError::NotExecutable);
        }
        let table = number::<8>(file, 32)? as usize;
        let (size, count) = (number::<2>(file, 54)? as usize, number::<2>(file, 56)? as usize);
        let (mut base, mut end) = (u64::MAX, 0);
        let mut found = Vec::new();
        for i in 0..count {
            let p = table.checked_add(i * size).ok_or(ElfError::Truncated)?;
            let memory = number::<8>(file, p + 40)?;
            if number::<4>(file, p)? != 1 || memory == 0 {
                continue;
            }
            let (offset, virt, len) =
                (number::<8>(file, p + 8)?, number::<8>(file, p + 16)?, number::<8>(file, p + 32)?);
            let data = usize::try_from(offset).ok().zip(usize::try_from(len).ok());
            let data = data.and_then(|(o, l)| file.get(o..o.checked_add(l)?)).ok_or(ElfError::Truncated)?;
            let top = virt.checked_add(memory).ok_or(ElfError::Layout)?;
            if virt < LOWEST || virt % 4096 != 0 || len > memory {
                return Err(ElfError::Layout);
            }
            base = base.min(virt);
            end = end.max(top);
            found.push((virt, data));
        }
        let entry = number::<8>(file, 24)?;
        if found.is_empty() || end - base > MAX_LEN || !(base..end).contains(&entry) {
            return Err(ElfError::Layout);
        }
        let segments =
            found.into_iter().map(|(virt, data)| Segment { offset: (virt - base) as usize, data }).collect();
        Ok(Self { base, len: end - base, entry, segments })
    }

    /// Copies the segments to zeroed memory of at least `len` bytes.
    pub fn copy_to(&self, memory: &mut [u8]) {
        for s in &self.segments {
            if let Some(to) = memory.get_mut(s.offset..s.offset + s.data.len()) {
                to.copy_from_slice(s.data);
            }
        }
    }
}
