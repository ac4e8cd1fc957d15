//! Against configuration spaces made up in memory: a plausible one and absurd ones.

use crate::{Address, Bar, Capability, ConfigSpace, Function, PciError, enumerate, msix::Layout};
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use proptest::prelude::*;
use std::sync::Mutex;

/// Registers with write masks; base address registers behave when sized.
#[derive(Default)]
struct Fake {
    words: Mutex<BTreeMap<(Address, u16), u32>>,
    /// Bits that a write can change, where not all.
    masks: BTreeMap<(Address, u16), u32>,
}

impl Fake {
    fn set(&mut self, at: Address, offset: u16, value: u32) {
        self.words.get_mut().unwrap().insert((at, offset), value);
    }
    fn bar(&mut self, at: Address, index: u16, value: u32, mask: u32) {
        self.set(at, 0x10 + 4 * index, value);
        self.masks.insert((at, 0x10 + 4 * index), mask);
    }
    fn function(&mut self, at: Address, header: u32) {
        self.set(at, 0, 0x1234_8086);
        self.set(at, 8, 0x0108_0200);
        self.set(at, 0xc, header << 16);
        self.set(at, 4, 0);
    }
}

impl ConfigSpace for Fake {
    fn read(&self, at: Address, offset: u16) -> u32 {
        self.words.lock().unwrap().get(&(at, offset & 0xffc)).copied().unwrap_or(u32::MAX)
    }
    fn write(&self, at: Address, offset: u16, value: u32) {
        let key = (at, offset & 0xffc);
        let mask = self.masks.get(&key).copied().unwrap_or(u32::MAX);
        if let Some(word) = self.words.lock().unwrap().get_mut(&key) {
            *word = *word & !mask | value & mask;
        }
    }
    fn buses(&self) -> (u8, u8) {
        (0, 3)
    }
}

fn at(bus: u8, device: u8, function: u8) -> Address {
    Address { bus, device, function }
}

fn space(fake: impl ConfigSpace + 'static) -> Arc<dyn ConfigSpace> {
    Arc::new(fake)
}

fn only(fake: Fake) -> Function {
    enumerate(&space(fake)).pop().unwrap()
}

#[test]
fn functions_behind_bridges_are_found() {
    let mut fake = Fake::default();
    fake.function(at(0, 0, 0), 0);
    fake.function(at(0, 3, 0), 0x80);
    fake.function(at(0, 3, 2), 0);
    fake.function(at(0, 4, 0), 0);
    // Not multifunction: this one does not exist.
    fake.function(at(0, 4, 1), 0);
    fake.function(at(0, 5, 0), 1);
    fake.set(at(0, 5, 0), 0x18, 0x0002_0200);
    fake.function(at(2, 0, 0), 0);
    // Bridges to themselves, to each other and to nowhere.
    fake.function(at(2, 1, 0), 1);
    fake.set(at(2, 1, 0), 0x18, 0x0000_0200);
    fake.function(at(2, 2, 0), 1);
    fake.set(at(2, 2, 0), 0x18, 0x0000_0000);
    fake.function(at(2, 3, 0), 1);
    fake.set(at(2, 3, 0), 0x18, 0x0000_f000);
    let found: Vec<_> = enumerate(&space(fake)).iter().map(|f| f.address).collect();
    let expected = [
        at(0, 0, 0),
        at(0, 3, 0),
        at(0, 3, 2),
        at(0, 4, 0),
        at(0, 5, 0),
        at(2, 0, 0),
        at(2, 1, 0),
        at(2, 2, 0),
        at(2, 3, 0),
    ];
    assert_eq!(found, expected);
}

#[test]
fn regions_are_sized_and_left_as_found() {
    let mut fake = Fake::default();
    let a = at(0, 1, 0);
    fake.function(a, 0);
    fake.set(a, 4, 0x0010_0006);
    fake.bar(a, 0, 0xfebf_0004, 0xffff_c000);
    fake.bar(a, 1, 0x0000_0008, 0xffff_ffff);
    fake.bar(a, 2, 0xfea0_0008, 0xfff0_0000);
    fake.bar(a, 3, 0x0000_c001, 0xffff_ffe0);
    fake.bar(a, 4, 0, 0);
    fake.bar(a, 5, 0x0000_0004, 0xffff_0000);
    let f = only(fake);
    assert_eq!(f.bar(0), Some(Bar { address: 0x8_febf_0000, size: 0x4000, prefetchable: false }));
    assert_eq!(f.bar(2), Some(Bar { address: 0xfea0_0000, size: 0x10_0000, prefetchable: true }));
    assert_eq!(f.bar(3), None, "ports");
    assert_eq!(f.bar(4), None, "absent");
    assert_eq!(f.bar(5), None, "wide without an upper half");
    assert_eq!(f.bar(6), None);
    assert_eq!(f.bar(255), None);
    assert_eq!((f.read32(0x10), f.read32(0x14)), (0xfebf_0004, 8));
    assert_eq!(f.read32(4) & 0xffff, 6, "decoding is back on");
    f.enable();
    assert_eq!(f.read32(4) & 0xffff, 0x406);
    f.disable_bus_master();
    assert_eq!(f.read32(4) & 0xffff, 0x402);
}

fn with_capabilities(list: &[(u16, u32)], first: u32) -> Function {
    let mut fake = Fake::default();
    let a = at(0, 1, 0);
    fake.function(a, 0);
    fake.set(a, 4, 0x0010_0000);
    fake.set(a, 0x34, first);
    fake.bar(a, 0, 0xfebf_0000, 0xffff_c000);
    for (offset, word) in list {
        fake.set(a, *offset, *word);
    }
    only(fake)
}

#[test]
fn capability_lists_end() {
    let f = with_capabilities(&[(0x40, 0x0000_5009), (0x50, 0x0000_6005), (0x60, 0x0000_4011)], 0x40);
    let ids: Vec<_> = f.capabilities().iter().map(|c| c.id).collect();
    assert_eq!(ids, [9, 5, 0x11], "the loop back to 0x40 is noticed");
    assert_eq!(f.capability(5), Some(Capability { id: 5, offset: 0x50 }));
    assert_eq!(with_capabilities(&[], 0x10).capabilities(), [], "inside the header");
}

#[test]
fn interrupt_tables_must_fit_their_region() {
    let msix = |control: u32, table: u32, pending: u32| {
        let f = with_capabilities(&[(0x40, control << 16 | 0x11), (0x44, table), (0x48, pending)], 0x40);
        Layout::read(&f)
    };
    let good = msix(64, 0x2000, 0x3000).unwrap();
    assert_eq!((good.vectors, good.table.offset, good.table.len), (65, 0x2000, 65 * 16));
    assert_eq!((good.pending.offset, good.pending.len), (0x3000, 16));
    assert_eq!(msix(64, 0x3c00, 0), Err(PciError::Malformed(0x11)), "table runs over the end");
    assert_eq!(msix(64, 0, 0xffff_fff8), Err(PciError::Malformed(0x11)));
    assert_eq!(msix(64, 7, 0), Err(PciError::Malformed(0x11)), "no region 7");
    assert_eq!(Layout::read(&with_capabilities(&[], 0)), Err(PciError::NoCapability(0x11)));
}

/// Every word is a hash of its address: absurd, but always the same.
struct Absurd(u32);

impl ConfigSpace for Absurd {
    fn read(&self, a: Address, offset: u16) -> u32 {
        let mut x = self.0 ^ u32::from(a.bus) << 24 ^ u32::from(a.device) << 19 ^ u32::from(a.function) << 16;
        x ^= u32::from(offset);
        for _ in 0..3 {
            x = x.wrapping_mul(0x9e37_79b9) ^ x >> 15;
        }
        x
    }
    fn write(&self, _: Address, _: u16, _: u32) {}
    fn buses(&self) -> (u8, u8) {
        (self.0 as u8, 255)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn absurd_spaces_are_survived(seed: u32) {
        for f in enumerate(&space(Absurd(seed))).iter().step_by(100) {
            prop_assert!(f.capabilities().len() <= 48);
            for i in 0..8 {
                if let Some(bar) = f.bar(i) {
                    prop_assert!(bar.size.is_power_of_two());
                }
            }
            let _ = Layout::read(f);
        }
    }
}
