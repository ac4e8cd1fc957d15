//! Makes a firmware memory map fit to build on: sorted, without overlaps, the kernel image marked.

use alloc::vec::Vec;
use bootloader_api::info::{MemoryRegion, MemoryRegionKind};
use core::ops::Range;

/// Cuts `map` into disjoint, sorted regions. Where entries overlap, the one that is not usable wins; `image` is
/// `Bootloader` memory whatever the map says. Usable regions are shrunk to whole frames, and neighbours of one kind
/// are joined.
pub fn normalise(map: &[MemoryRegion], image: Range<u64>) -> Vec<MemoryRegion> {
    let frame = crate::FRAME_SIZE as u64;
    let image = MemoryRegion {
        start: image.start & !(frame - 1),
        end: image.end.next_multiple_of(frame),
        kind: MemoryRegionKind::Bootloader,
    };
    let mut reserved: Vec<MemoryRegion> =
        map.iter().filter(|r| r.kind != MemoryRegionKind::Usable && r.start < r.end).copied().collect();
    reserved.sort_unstable_by_key(|r| r.start);
    // Later entries give way to earlier ones, and all of them to the image.
    let mut out: Vec<MemoryRegion> = alloc::vec![image];
    for r in reserved {
        add(&mut out, r);
    }
    for r in map.iter().filter(|r| r.kind == MemoryRegionKind::Usable) {
        // Firmware's page-unaligned edges belong to whatever is next to them.
        let Some(start) = r.start.checked_next_multiple_of(frame) else { continue };
        add(&mut out, MemoryRegion { start, end: r.end & !(frame - 1), kind: r.kind });
    }
    out.sort_unstable_by_key(|r| r.start);
    out.dedup_by(|b, a| {
        let joined = a.kind == b.kind && a.end == b.start;
        if joined {
            a.end = b.end;
        }
        joined
    });
    // Cutting may have left parts of frames.
    for r in &mut out {
        if r.kind == MemoryRegionKind::Usable {
            r.start = r.start.next_multiple_of(frame);
            r.end &= !(frame - 1);
        }
    }
    out.retain(|r| r.start < r.end);
    out
}

/// Adds the parts of `region` that no region of `out` covers.
fn add(out: &mut Vec<MemoryRegion>, region: MemoryRegion) {
    let mut parts = alloc::vec![region];
    for taken in out.iter() {
        let mut next = Vec::with_capacity(parts.len() + 1);
        for p in parts {
            if taken.end <= p.start || p.end <= taken.start {
                next.push(p);
                continue;
            }
            if p.start < taken.start {
                next.push(MemoryRegion { end: taken.start, ..p });
            }
            if taken.end < p.end {
                next.push(MemoryRegion { start: taken.end, ..p });
            }
        }
        parts = next;
    }
    out.extend(parts.into_iter().filter(|p| p.start < p.end));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const USABLE: MemoryRegionKind = MemoryRegionKind::Usable;

    fn region(start: u64, end: u64, kind: MemoryRegionKind) -> MemoryRegion {
        MemoryRegion { start, end, kind }
    }

    #[test]
    fn image_and_reserved_ranges_are_cut_out_and_neighbours_joined() {
        let map = [
            region(0x1000, 0x9fc00, USABLE),
            region(0x100000, 0x400000, USABLE),
            region(0x400000, 0x800000, USABLE),
            region(0x500000, 0x500010, MemoryRegionKind::UnknownBios(2)),
        ];
        let got = normalise(&map, 0x200000..0x2ff001);
        let usable: Vec<(u64, u64)> =
            got.iter().filter(|r| r.kind == USABLE).map(|r| (r.start, r.end)).collect();
        assert_eq!(
            usable,
            [(0x1000, 0x9f000), (0x100000, 0x200000), (0x300000, 0x500000), (0x501000, 0x800000)]
        );
    }

    proptest! {
        #[test]
        fn regions_are_disjoint_and_only_usable_memory_is_usable(
            map in prop::collection::vec((0u64..64, 0u64..64, any::<bool>()), 0..12)
        ) {
            // Half frames, to exercise rounding.
            let map: Vec<MemoryRegion> = map
                .into_iter()
                .map(|(s, l, u)| region(s * 2048, (s + l) * 2048, if u { USABLE } else { MemoryRegionKind::UnknownBios(2) }))
                .collect();
            let image = 8 * 4096..10 * 4096;
            let got = normalise(&map, image.clone());
            for pair in got.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
            }
            for half in 0..140u64 {
                let at = half * 2048;
                let is_usable = got.iter().any(|r| r.kind == USABLE && r.start <= at && at < r.end);
                let frame = at & !4095;
                let half_good = |h: u64| {
                    let inside = |r: &&MemoryRegion| r.start <= h && h < r.end;
                    map.iter().filter(inside).any(|r| r.kind == USABLE)
                        && !map.iter().filter(inside).any(|r| r.kind != USABLE)
                        && !image.contains(&h)
                };
                if is_usable {
                    prop_assert!(half_good(frame) && half_good(frame + 2048));
                }
            }
        }
    }
}
