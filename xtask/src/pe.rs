//! PE32+ headers around a flat program, so that UEFI starts it.
//!
//! The program relocates itself, so the only relocation block is an empty one: firmware insists on the directory
//! before it loads an image anywhere but at its preferred base.

use crate::elf::Flat;

const PAGE: u32 = 4096;
const HEADERS: u32 = PAGE;

/// A section of the application.
struct Section {
    name: &'static [u8; 8],
    address: u32,
    bytes: Vec<u8>,
    /// Code 0x20, initialised data 0x40, discardable 0x0200_0000, executable, readable, writable from 0x2000_0000 up.
    flags: u32,
}

/// Wraps a program whose first page is left free for the headers (its linker script starts at one page).
pub fn application(program: &Flat) -> Vec<u8> {
    let end = (program.memory.len() as u32).next_multiple_of(PAGE);
    let split = program.text_end.clamp(HEADERS, end);
    let part = |from: u32, to: u32| {
        let mut bytes = program
            .memory
            .get(from as usize..(to as usize).min(program.memory.len()))
            .unwrap_or_default()
            .to_vec();
        bytes.resize((to - from) as usize, 0);
        bytes
    };
    let mut relocations = end.to_le_bytes().to_vec();
    relocations.extend(12u32.to_le_bytes());
    relocations.extend([0; 4]);
    relocations.resize(PAGE as usize, 0);
    let sections = [
        Section { name: b".text\0\0\0", address: HEADERS, bytes: part(HEADERS, split), flags: 0x6000_0020 },
        Section { name: b".data\0\0\0", address: split, bytes: part(split, end), flags: 0xc000_0040 },
        Section { name: b".reloc\0\0", address: end, bytes: relocations, flags: 0x4200_0040 },
    ];
    let mut out = headers(program.entry, &sections);
    for s in &sections {
        out.resize(s.address as usize, 0);
        out.extend(&s.bytes);
    }
    out
}

fn headers(entry: u32, sections: &[Section; 3]) -> Vec<u8> {
    let [text, data, relocations] = sections;
    let mut out = vec![0u8; 64];
    out[..2].copy_from_slice(b"MZ");
    out[60..64].copy_from_slice(&64u32.to_le_bytes());
    out.extend(b"PE\0\0");
    let u16s = |out: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|v| out.extend(v.to_le_bytes()));
    let u32s = |out: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|v| out.extend(v.to_le_bytes()));
    // File header: x86-64, sections, no time, no symbols; optional header of 240 bytes; executable, large addresses.
    u16s(&mut out, &[0x8664, sections.len() as u16]);
    u32s(&mut out, &[0, 0, 0]);
    u16s(&mut out, &[240, 0x0022]);
    // Optional header.
    u16s(&mut out, &[0x20b, 0]);
    u32s(&mut out, &[text.bytes.len() as u32, data.bytes.len() as u32, 0, entry, text.address]);
    out.extend(0u64.to_le_bytes()); // preferred base
    u32s(&mut out, &[PAGE, PAGE]);
    u16s(&mut out, &[0, 0, 0, 0, 0, 0]);
    let end = relocations.address + relocations.bytes.len() as u32;
    u32s(&mut out, &[0, end, HEADERS, 0]);
    u16s(&mut out, &[10, 0]); // EFI application
    for reserve in [1u64 << 20, 1 << 16, 1 << 20, 1 << 16] {
        out.extend(reserve.to_le_bytes());
    }
    u32s(&mut out, &[0, 16]);
    for directory in 0..16 {
        let (address, size) = if directory == 5 { (relocations.address, 12) } else { (0, 0) };
        u32s(&mut out, &[address, size]);
    }
    for s in sections {
        out.extend(s.name);
        let size = s.bytes.len() as u32;
        u32s(&mut out, &[size, s.address, size, s.address, 0, 0]);
        u16s(&mut out, &[0, 0]);
        u32s(&mut out, &[s.flags]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_lie_in_the_file_where_they_lie_in_memory() {
        let mut memory = vec![0u8; 3 * 4096 + 100];
        memory[4096] = 0xaa;
        memory[2 * 4096] = 0xbb;
        let file = application(&Flat { memory, entry: 4100, text_end: 8192 });
        assert_eq!(&file[..2], b"MZ");
        assert_eq!(&file[64..68], b"PE\0\0");
        assert_eq!((file[4096], file[8192]), (0xaa, 0xbb));
        assert_eq!(file.len(), 5 * 4096);
        // Entry point, in the optional header.
        assert_eq!(file[64 + 4 + 20 + 16..][..4], 4100u32.to_le_bytes());
        assert_eq!(file[4 * 4096..][..8], [0, 0x40, 0, 0, 12, 0, 0, 0]);
    }
}
