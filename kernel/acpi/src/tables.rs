//! Parsers over the tables' bytes.

use alloc::vec::Vec;

/// A window of PCI configuration space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EcamRegion {
    /// Physical address of bus `0`'s configuration space (even when `first_bus` is not 0).
    pub base: u64,
    /// PCI segment group.
    pub segment: u16,
    /// First bus in the window.
    pub first_bus: u8,
    /// Last bus in the window.
    pub last_bus: u8,
}

/// Processors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Madt {
    /// Physical address of the local controllers' registers.
    pub registers: u64,
    /// Identifiers of the enabled processors' local controllers.
    pub apic_ids: Vec<u32>,
}

/// A register in one of ACPI's address spaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GenericAddress {
    /// 0: memory, 1: ports, 2: PCI configuration space.
    pub space: u8,
    /// Address in that space.
    pub address: u64,
}

/// Fixed hardware (FADT). A port of 0 means there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fixed {
    /// Physical address of the DSDT.
    pub dsdt: u64,
    /// Port and value that hand the hardware over to us.
    pub smi_command: u16,
    /// See `smi_command`.
    pub acpi_enable: u8,
    /// Event blocks: status, then enable.
    pub pm1_event: [u16; 2],
    /// Length of an event block.
    pub pm1_event_len: u8,
    /// Control blocks.
    pub pm1_control: [u16; 2],
    /// 3.579545 MHz counter.
    pub pm_timer: u16,
    /// The counter has 32 bits, not 24.
    pub pm_timer_wide: bool,
    /// Index of the century in the clock's memory, 0 if there is none.
    pub century: u8,
    /// Reset register, if supported.
    pub reset: Option<(GenericAddress, u8)>,
}

fn bytes<const N: usize>(table: &[u8], at: usize) -> Option<[u8; N]> {
    table.get(at..at.checked_add(N)?)?.try_into().ok()
}
fn u8_at(table: &[u8], at: usize) -> Option<u8> {
    table.get(at).copied()
}
fn u16_at(table: &[u8], at: usize) -> Option<u16> {
    bytes(table, at).map(u16::from_le_bytes)
}
fn u32_at(table: &[u8], at: usize) -> Option<u32> {
    bytes(table, at).map(u32::from_le_bytes)
}
fn u64_at(table: &[u8], at: usize) -> Option<u64> {
    bytes(table, at).map(u64::from_le_bytes)
}

/// Whether all bytes sum to zero.
pub(crate) fn checksum_holds(table: &[u8]) -> bool {
    table.iter().fold(0u8, |a, b| a.wrapping_add(*b)) == 0
}

/// Address of the root table, and whether its entries have 64 bits.
pub(crate) fn parse_rsdp(pointer: &[u8]) -> Option<(u64, bool)> {
    if !pointer.starts_with(b"RSD PTR ") || !checksum_holds(pointer.get(..20)?) {
        return None;
    }
    if u8_at(pointer, 15)? >= 2 {
        let wide = u64_at(pointer, 24)?;
        if wide != 0 && checksum_holds(pointer.get(..36)?) {
            return Some((wide, true));
        }
    }
    Some((u64::from(u32_at(pointer, 16)?), false))
}

/// Addresses in the root table.
pub(crate) fn entries(root: &[u8], wide: bool) -> impl Iterator<Item = u64> + '_ {
    let body = root.get(36..).unwrap_or_default();
    body.chunks_exact(if wide { 8 } else { 4 })
        .filter_map(move |e| if wide { u64_at(e, 0) } else { u32_at(e, 0).map(u64::from) })
}

/// Multiple APIC description table.
pub fn parse_madt(table: &[u8]) -> Madt {
    let mut madt =
        Madt { registers: u64::from(u32_at(table, 36).unwrap_or(0xfee0_0000)), apic_ids: Vec::new() };
    let mut rest = table.get(44..).unwrap_or_default();
    while let (Some(kind), Some(len)) = (u8_at(rest, 0), u8_at(rest, 1)) {
        let Some(entry) = rest.get(..usize::from(len)).filter(|e| e.len() >= 2) else { break };
        // Flag bit 0: enabled.
        let processor = match kind {
            0 => u8_at(entry, 3).map(u32::from).zip(u32_at(entry, 4)),
            9 => u32_at(entry, 4).zip(u32_at(entry, 8)),
            _ => None,
        };
        if let Some((id, flags)) = processor
            && flags & 1 != 0
            && !madt.apic_ids.contains(&id)
        {
            madt.apic_ids.push(id);
        }
        if kind == 5
            && let Some(address) = u64_at(entry, 4)
        {
            madt.registers = address;
        }
        rest = &rest[entry.len()..];
    }
    madt
}

/// PCI configuration windows.
pub fn parse_mcfg(table: &[u8]) -> Vec<EcamRegion> {
    let body = table.get(44..).unwrap_or_default();
    body.chunks_exact(16)
        .filter_map(|e| {
            let region = EcamRegion {
                base: u64_at(e, 0)?,
                segment: u16_at(e, 8)?,
                first_bus: u8_at(e, 10)?,
                last_bus: u8_at(e, 11)?,
            };
            (region.base != 0 && region.base < 1 << 48 && region.first_bus <= region.last_bus)
                .then_some(region)
        })
        .collect()
}

/// Fixed ACPI description table. Fields that the table is too short for are zero.
pub fn parse_fadt(table: &[u8]) -> Fixed {
    let port = |at| u32_at(table, at).and_then(|p| u16::try_from(p).ok()).unwrap_or(0);
    let flags = u32_at(table, 112).unwrap_or(0);
    let reset =
        GenericAddress { space: u8_at(table, 116).unwrap_or(0), address: u64_at(table, 120).unwrap_or(0) };
    Fixed {
        dsdt: u64_at(table, 140).filter(|a| *a != 0).or(u32_at(table, 40).map(u64::from)).unwrap_or(0),
        smi_command: port(48),
        acpi_enable: u8_at(table, 52).unwrap_or(0),
        pm1_event: [port(56), port(60)],
        pm1_event_len: u8_at(table, 88).unwrap_or(0),
        pm1_control: [port(64), port(68)],
        pm_timer: port(76),
        pm_timer_wide: flags & (1 << 8) != 0,
        century: u8_at(table, 108).unwrap_or(0),
        reset: u8_at(table, 128).filter(|_| flags & (1 << 10) != 0 && reset.address != 0).map(|v| (reset, v)),
    }
}

/// Sleep types that power off: the first two elements of the package named `_S5_`.
pub fn parse_s5(dsdt: &[u8]) -> Option<(u8, u8)> {
    const NAME_OP: u8 = 0x08;
    const PACKAGE_OP: u8 = 0x12;
    let mut from = 36;
    loop {
        let at = from + dsdt.get(from..)?.windows(4).position(|w| w == b"_S5_")?;
        let before = dsdt.get(..at)?;
        let named = before.ends_with(&[NAME_OP]) || before.ends_with(&[NAME_OP, b'\\']);
        if named && u8_at(dsdt, at + 4) == Some(PACKAGE_OP) {
            // Package length: the top two bits of its first byte say how many bytes follow; then the element count.
            let lead = u8_at(dsdt, at + 5)?;
            let elements = at + 6 + usize::from(lead >> 6) + 1;
            let (first, next) = small_integer(dsdt, elements)?;
            let (second, _) = small_integer(dsdt, next).unwrap_or((first, 0));
            return Some((first, second));
        }
        from = at + 4;
    }
}

/// An AML integer below 256 and what follows it.
fn small_integer(aml: &[u8], at: usize) -> Option<(u8, usize)> {
    match u8_at(aml, at)? {
        v @ (0x00 | 0x01) => Some((v, at + 1)),
        0x0a => Some((u8_at(aml, at + 1)?, at + 2)),
        0x0b => Some((u8_at(aml, at + 1)?, at + 3)),
        0x0c => Some((u8_at(aml, at + 1)?, at + 5)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn madt_lists_enabled_processors_once() {
        let mut t = vec![0u8; 44];
        t[36..40].copy_from_slice(&0xfee0_1000u32.to_le_bytes());
        t.extend([0, 8, 0, 7, 1, 0, 0, 0]);
        t.extend([0, 8, 1, 8, 0, 0, 0, 0]);
        t.extend([1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        t.extend([9, 16, 0, 0, 0x2c, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        t.extend([9, 16, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(parse_madt(&t), Madt { registers: 0xfee0_1000, apic_ids: vec![7, 300] });
    }

    #[test]
    fn s5_is_found_behind_decoys() {
        let mut t = vec![0u8; 36];
        t.extend(b"x_S5_y");
        t.extend(b"\x08_S5_\x12\x08\x04\x0a\x05\x01\x00\x00");
        assert_eq!(parse_s5(&t), Some((5, 1)));
        assert_eq!(parse_s5(&t[..42]), None);
    }

    #[test]
    fn mcfg_windows() {
        let mut t = vec![0u8; 44];
        t.extend(0xb000_0000u64.to_le_bytes());
        t.extend([0, 0, 0, 255, 0, 0, 0, 0]);
        t.extend([0; 16]);
        assert_eq!(
            parse_mcfg(&t),
            [EcamRegion { base: 0xb000_0000, segment: 0, first_bus: 0, last_bus: 255 }]
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_survived(mut t in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..200) {
            let _ = (parse_madt(&t), parse_mcfg(&t), parse_fadt(&t), parse_s5(&t), parse_rsdp(&t));
            let at = cut.min(t.len());
            t.splice(at..at, *b"\x08_S5_\x12");
            let _ = parse_s5(&t);
        }
    }
}
