//! What becomes of linked ELF files: the kernel image (stripped, with a compact symbol table for backtraces), and the
//! loader as a flat memory image.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// Where the kernel is linked; symbol addresses are stored relative to it.
const IMAGE: u64 = 0xffff_ffff_8000_0000;
/// First bytes of the symbol segment; then its length (u64); then the table the kernel reads.
const SYMBOLS_MAGIC: &[u8; 8] = b"INTRSYM1";
/// Longest function name that is kept.
const MAX_NAME: usize = 120;

const LOAD: u32 = 1;
const PAGE: usize = 4096;

fn broken(what: &str) -> Error {
    Error::Failed(format!("unexpected ELF file from the linker: {what}"))
}

fn bytes<const N: usize>(file: &[u8], at: usize) -> Result<[u8; N]> {
    let slice = at.checked_add(N).and_then(|end| file.get(at..end));
    slice.and_then(|s| s.try_into().ok()).ok_or_else(|| broken("truncated"))
}
fn u16_at(file: &[u8], at: usize) -> Result<usize> {
    Ok(usize::from(u16::from_le_bytes(bytes(file, at)?)))
}
fn u32_at(file: &[u8], at: usize) -> Result<u32> {
    Ok(u32::from_le_bytes(bytes(file, at)?))
}
fn u64_at(file: &[u8], at: usize) -> Result<u64> {
    Ok(u64::from_le_bytes(bytes(file, at)?))
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    virt: u64,
    phys: u64,
    file_size: u64,
    memory_size: u64,
    align: u64,
}

fn segments(file: &[u8]) -> Result<Vec<Segment>> {
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return Err(broken("not a 64-bit little-endian one"));
    }
    let (at, size, count) = (u64_at(file, 32)? as usize, u16_at(file, 54)?, u16_at(file, 56)?);
    (0..count)
        .map(|i| {
            let p = at + i * size;
            Ok(Segment {
                kind: u32_at(file, p)?,
                flags: u32_at(file, p + 4)?,
                offset: u64_at(file, p + 8)?,
                virt: u64_at(file, p + 16)?,
                phys: u64_at(file, p + 24)?,
                file_size: u64_at(file, p + 32)?,
                memory_size: u64_at(file, p + 40)?,
                align: u64_at(file, p + 48)?,
            })
        })
        .collect()
}

fn content<'a>(file: &'a [u8], s: &Segment) -> Result<&'a [u8]> {
    let start = s.offset as usize;
    file.get(start..start + s.file_size as usize).ok_or_else(|| broken("segment outside the file"))
}

/// The kernel image: the loadable segments, and one more with the symbols. Sections and debug information stay in the
/// linked file.
pub fn kernel_image(file: &[u8]) -> Result<Vec<u8>> {
    let mut kept: Vec<(Segment, Vec<u8>)> = Vec::new();
    let mut end = (0, 0);
    for s in segments(file)? {
        if s.kind == LOAD && s.memory_size > 0 {
            end = (s.virt + s.memory_size, s.phys + s.memory_size);
            kept.push((s, content(file, &s)?.to_vec()));
        }
    }
    let table = symbol_table(&functions(file)?);
    let mut symbols = SYMBOLS_MAGIC.to_vec();
    symbols.extend((table.len() as u64).to_le_bytes());
    symbols.extend(table);
    let round = |a: u64| a.next_multiple_of(PAGE as u64);
    let size = symbols.len() as u64;
    let segment = Segment {
        kind: LOAD,
        flags: 4,
        offset: 0,
        virt: round(end.0),
        phys: round(end.1),
        file_size: size,
        memory_size: size,
        align: PAGE as u64,
    };
    kept.push((segment, symbols));
    // Notes (the PVH entry) are inside a loadable segment: point at them there.
    let notes: Vec<Segment> = segments(file)?.into_iter().filter(|s| s.kind == 4).collect();
    write_image(file, kept, &notes)
}

fn write_image(file: &[u8], kept: Vec<(Segment, Vec<u8>)>, notes: &[Segment]) -> Result<Vec<u8>> {
    let mut out = file.get(..64).ok_or_else(|| broken("no header"))?.to_vec();
    let count = kept.len() + notes.len();
    out[40..48].fill(0); // section headers: none
    out[32..40].copy_from_slice(&64u64.to_le_bytes());
    out[54..56].copy_from_slice(&56u16.to_le_bytes());
    out[56..58].copy_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
    out[58..64].fill(0);
    let mut at = (64 + count * 56).next_multiple_of(PAGE);
    let mut placed = Vec::new();
    for (s, _) in &kept {
        placed.push(Segment { offset: at as u64, ..*s });
        at = (at + s.file_size as usize).next_multiple_of(PAGE);
    }
    for n in notes {
        let host = placed.iter().find(|s| s.virt <= n.virt && n.virt < s.virt + s.file_size);
        let host = host.ok_or_else(|| broken("note outside the image"))?;
        placed.push(Segment { offset: host.offset + (n.virt - host.virt), ..*n });
    }
    for s in &placed {
        out.extend(s.kind.to_le_bytes());
        out.extend(s.flags.to_le_bytes());
        for v in [s.offset, s.virt, s.phys, s.file_size, s.memory_size, s.align] {
            out.extend(v.to_le_bytes());
        }
    }
    for (s, (_, data)) in placed.iter().zip(&kept) {
        out.resize(s.offset as usize, 0);
        out.extend(data);
    }
    Ok(out)
}

/// Functions by address, names demangled.
fn functions(file: &[u8]) -> Result<BTreeMap<u64, String>> {
    let (at, size, count) = (u64_at(file, 40)? as usize, u16_at(file, 58)?, u16_at(file, 60)?);
    let mut found = BTreeMap::new();
    for i in 0..count {
        let section = at + i * size;
        // Symbol table.
        if u32_at(file, section + 4)? != 2 {
            continue;
        }
        let (offset, len) = (u64_at(file, section + 24)? as usize, u64_at(file, section + 32)? as usize);
        let strings = at + u32_at(file, section + 40)? as usize * size;
        let strings = u64_at(file, strings + 24)? as usize;
        for symbol in (offset..offset + len).step_by(24) {
            let kind = bytes::<1>(file, symbol + 4)?[0] & 0xf;
            let value = u64_at(file, symbol + 8)?;
            // Functions, and assembly labels without a type.
            if kind != 2 || value < IMAGE {
                continue;
            }
            let name = strings + u32_at(file, symbol)? as usize;
            let name: Vec<u8> =
                file.get(name..).unwrap_or_default().iter().copied().take_while(|b| *b != 0).collect();
            let name = String::from_utf8_lossy(&name);
            // `{:#}` leaves the hash out.
            found.insert(value, format!("{:#}", rustc_demangle::demangle(&name)));
        }
    }
    Ok(found)
}

/// Count, then (address, name offset) pairs, then names with their lengths: what `kernel_task::panic::symbol` reads.
fn symbol_table(functions: &BTreeMap<u64, String>) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut names: Vec<u8> = Vec::new();
    for (address, name) in functions {
        let mut end = name.len().min(MAX_NAME);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        entries.extend(((address - IMAGE) as u32).to_le_bytes());
        entries.extend((names.len() as u32).to_le_bytes());
        names.extend((end as u16).to_le_bytes());
        names.extend(&name.as_bytes()[..end]);
    }
    let mut table = (functions.len() as u32).to_le_bytes().to_vec();
    table.extend(entries);
    table.extend(names);
    table
}

/// A position-independent program as it lies in memory from address zero.
#[derive(Debug)]
pub struct Flat {
    /// Bytes of all segments.
    pub memory: Vec<u8>,
    /// Where to start.
    pub entry: u32,
    /// End of the executable part, a multiple of the page size.
    pub text_end: u32,
}

/// Lays the loadable segments out.
pub fn flatten(file: &[u8]) -> Result<Flat> {
    let mut flat = Flat { memory: Vec::new(), entry: u64_at(file, 24)? as u32, text_end: 0 };
    for s in segments(file)?.into_iter().filter(|s| s.kind == LOAD) {
        let (start, end) = (s.virt as usize, (s.virt + s.memory_size) as usize);
        if end > 64 << 20 {
            return Err(broken("segment too high"));
        }
        if flat.memory.len() < end {
            flat.memory.resize(end, 0);
        }
        let data = content(file, &s)?;
        flat.memory[start..start + data.len()].copy_from_slice(data);
        if s.flags & 1 != 0 {
            flat.text_end = (end.next_multiple_of(PAGE)) as u32;
        }
    }
    Ok(flat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbol_tables_are_sorted_and_counted() {
        let functions = BTreeMap::from([(IMAGE + 32, "b".repeat(500)), (IMAGE + 16, "a".to_string())]);
        let t = symbol_table(&functions);
        assert_eq!(t[..4], 2u32.to_le_bytes());
        assert_eq!(t[4..8], 16u32.to_le_bytes());
        assert_eq!(t[12..16], 32u32.to_le_bytes());
        assert_eq!(t[20..23], [1, 0, b'a']);
        assert_eq!(t.len(), 20 + 3 + 2 + MAX_NAME);
    }

    #[test]
    fn foreign_files_are_refused() {
        assert!(kernel_image(b"MZ").is_err());
        assert!(flatten(&[0; 64]).is_err());
    }
}
