//! Physical region pages: how a command names its memory.
//!
//! The first entry may start anywhere in a page (at a multiple of four); every other one is a whole page. One or two
//! entries fit in the command; more go to a list, whose last entry, when it is full, names the next list page.

use alloc::vec::Vec;

/// The page size the controller is set to.
pub const PAGE: u64 = 4096;
/// Entries of a list page.
pub const LIST_ENTRIES: usize = 512;

/// The data pointer of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataPointer {
    /// First entry.
    pub prp1: u64,
    /// Second entry, or the first list page.
    pub prp2: u64,
}

/// Memory that cannot be described: the caller has to bounce it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unaligned;

/// Pages touched by `len` bytes that start at `phys`.
pub fn pages(phys: u64, len: usize) -> usize {
    ((phys % PAGE) as usize + len).div_ceil(PAGE as usize)
}

/// List pages needed for a transfer of `pages` pages.
pub fn lists(pages: usize) -> usize {
    match pages {
        0..=2 => 0,
        // Every list page but the last gives one entry to the chain.
        n => (n - 1).saturating_sub(1).div_ceil(LIST_ENTRIES - 1).max(1),
    }
}

/// Collects the page entries of a buffer from its physically contiguous runs, checking that they can be named.
#[derive(Debug, Default)]
pub struct Walk {
    started: bool,
    ragged_end: bool,
    bad: bool,
}

impl Walk {
    /// The next run.
    pub fn add(&mut self, mut phys: u64, mut len: usize, out: &mut Vec<u64>) {
        if len == 0 {
            return;
        }
        let starts_well = if self.started { phys.is_multiple_of(PAGE) } else { phys.is_multiple_of(4) };
        self.bad |= !starts_well || self.ragged_end;
        self.started = true;
        while len > 0 {
            out.push(phys);
            let piece = ((PAGE - phys % PAGE) as usize).min(len);
            phys += piece as u64;
            len -= piece;
        }
        self.ragged_end = !phys.is_multiple_of(PAGE);
    }

    /// Whether the entries are good.
    pub fn finish(self) -> Result<(), Unaligned> {
        if self.bad { Err(Unaligned) } else { Ok(()) }
    }
}

/// [`Walk`] over an iterator of runs.
pub fn entries(runs: impl Iterator<Item = (u64, usize)>, out: &mut Vec<u64>) -> Result<(), Unaligned> {
    let mut walk = Walk::default();
    for (phys, len) in runs {
        walk.add(phys, len, out);
    }
    walk.finish()
}

/// Makes the data pointer. `list(i)` is the physical address of the `i`th of at least [`lists`] pages; `put(page,
/// index, value)` stores an entry of a list page.
pub fn build(
    entries: &[u64],
    list: impl Fn(usize) -> u64,
    mut put: impl FnMut(usize, usize, u64),
) -> DataPointer {
    let (prp1, rest) = match entries {
        [] => return DataPointer::default(),
        [one] => return DataPointer { prp1: *one, prp2: 0 },
        [one, two] => return DataPointer { prp1: *one, prp2: *two },
        [one, rest @ ..] => (*one, rest),
    };
    let (mut page, mut index) = (0, 0);
    for (i, entry) in rest.iter().enumerate() {
        let more = i + 1 < rest.len();
        if index == LIST_ENTRIES - 1 && more {
            put(page, index, list(page + 1));
            page += 1;
            index = 0;
        }
        put(page, index, *entry);
        index += 1;
    }
    DataPointer { prp1, prp2: list(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    /// Reads a data pointer the way a controller does.
    fn walk(dp: DataPointer, len: usize, lists: &[Vec<u64>], base: u64) -> Vec<(u64, usize)> {
        let mut out = Vec::new();
        let mut left = len;
        let mut take = |phys: u64| {
            let n = ((PAGE - phys % PAGE) as usize).min(left);
            out.push((phys, n));
            left -= n;
            left
        };
        if take(dp.prp1) == 0 {
            return out;
        }
        let remaining_pages = (len - ((PAGE - dp.prp1 % PAGE) as usize).min(len)).div_ceil(PAGE as usize);
        if remaining_pages == 1 {
            assert_eq!(dp.prp2 % PAGE, 0);
            take(dp.prp2);
            return out;
        }
        let (mut list, mut index) = (((dp.prp2 - base) / PAGE) as usize, 0);
        let mut to_go = remaining_pages;
        loop {
            let value = lists[list][index];
            assert_eq!(value % PAGE, 0);
            if index == LIST_ENTRIES - 1 && to_go > 1 {
                (list, index) = (((value - base) / PAGE) as usize, 0);
                continue;
            }
            to_go -= 1;
            index += 1;
            if take(value) == 0 {
                assert_eq!(to_go, 0);
                return out;
            }
        }
    }

    proptest! {
        #[test]
        fn a_controller_finds_every_byte(offset in 0u64..1024, count in 1usize..1600, tail in 1usize..4096) {
            // Pages all over memory, so that nothing is contiguous by luck.
            let offset = offset * 4;
            let mut runs = Vec::new();
            for i in 0..count {
                let phys = 0x10_0000 + (i as u64 * 7919 % 65_521) * PAGE * 2;
                let (phys, mut len) = if i == 0 { (phys + offset, (PAGE - offset) as usize) } else { (phys, 4096) };
                if i + 1 == count {
                    len = len.min(tail.next_multiple_of(4));
                }
                runs.push((phys, len));
            }
            let len = runs.iter().map(|r| r.1).sum();
            let mut list = Vec::new();
            entries(runs.iter().copied(), &mut list).unwrap();
            prop_assert_eq!(list.len(), pages(runs[0].0, len));
            let needed = lists(list.len());
            let base = 0x4000_0000;
            let addresses: Vec<u64> = (0..needed).map(|i| base + i as u64 * PAGE).collect();
            let mut memory = vec![vec![u64::MAX; LIST_ENTRIES]; needed];
            let dp = build(&list, |i| addresses[i], |p, i, v| memory[p][i] = v);
            prop_assert_eq!(walk(dp, len, &memory, base), runs);
        }

        #[test]
        fn long_runs_are_cut_at_pages(start in 0u64..1 << 30, len in 1usize..1 << 22) {
            let start = start & !3;
            let mut list = Vec::new();
            entries([(start, len)].into_iter(), &mut list).unwrap();
            prop_assert_eq!(list.len(), pages(start, len));
            prop_assert!(list[1..].iter().all(|e| e % PAGE == 0));
        }
    }

    /// Entries, lists and data pointer of a buffer in one piece of memory, or in pages all over it; a controller finds every byte.
    fn check(start: u64, len: usize, scattered: bool) {
        let mut runs: Vec<(u64, usize)> = Vec::new();
        let (mut at, mut left) = (start, len);
        while left > 0 {
            let n = ((PAGE - at % PAGE) as usize).min(left);
            let page = if scattered { 0x900_0000 - (at / PAGE) * 3 * PAGE } else { at / PAGE * PAGE };
            runs.push((page + at % PAGE, n));
            (at, left) = (at + n as u64, left - n);
        }
        let mut list = Vec::new();
        if scattered {
            entries(runs.iter().copied(), &mut list).unwrap();
        } else {
            entries([(start, len)].into_iter(), &mut list).unwrap();
        }
        assert_eq!(list.len(), pages(start, len));
        let (base, needed) = (0x4000_0000, lists(list.len()));
        let mut memory = vec![vec![u64::MAX; LIST_ENTRIES]; needed];
        let dp = build(&list, |i| base + i as u64 * PAGE, |p, i, v| memory[p][i] = v);
        assert_eq!(walk(dp, len, &memory, base), runs, "{len} bytes at {start}");
        // No list page is asked for that is not needed.
        assert!(memory.iter().all(|l| l[0] != u64::MAX));
    }

    /// Every place in a page where a buffer may start, with every length near the borders of pages and of list pages.
    #[test]
    fn every_start_and_every_length_near_a_border() {
        let ends = [-8i64, -4, -1, 0, 1, 4, 8];
        for start in (0..PAGE).step_by(4) {
            for (pages, end) in (0..5i64).flat_map(|p| ends.map(|e| (p, e))) {
                let len = pages * PAGE as i64 + end;
                if len > 0 {
                    check(0x10_0000 + start, len as usize, pages % 2 == 0);
                }
                // And as many bytes as end there.
                let len = len - start as i64;
                if len > 0 {
                    check(0x10_0000 + start, len as usize, pages % 2 == 1);
                }
            }
        }
        for start in [0, 4, 512, 2048, 4088, 4092] {
            for (pages, end) in [510i64, 511, 512, 513, 514, 1022, 1023, 1024, 1025]
                .into_iter()
                .flat_map(|p| ends.map(|e| (p, e)))
            {
                check(0x10_0000 + start, (pages * PAGE as i64 + end) as usize, end % 2 == 0);
            }
        }
    }

    #[test]
    fn what_cannot_be_named_is_refused() {
        let mut list = Vec::new();
        let bad = |runs: &[(u64, usize)]| entries(runs.iter().copied(), &mut Vec::new()) == Err(Unaligned);
        assert!(bad(&[(2, 8)]));
        assert!(bad(&[(4096, 100), (8192, 100)]));
        assert!(bad(&[(4096, 4096), (8200, 100)]));
        assert_eq!(entries([(4096 + 512, 3584), (8192, 1)].into_iter(), &mut list), Ok(()));
        assert_eq!(list, [4608, 8192]);
        assert_eq!(
            [lists(2), lists(3), lists(513), lists(514), lists(1024), lists(1025)],
            [0, 1, 1, 2, 2, 3]
        );
    }
}
