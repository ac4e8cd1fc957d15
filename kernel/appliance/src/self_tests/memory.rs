//! Frames, heap, page rights, DMA addresses, memory intrinsics.

use super::{Random, Test};
use alloc::{boxed::Box, vec, vec::Vec};
use core::alloc::Layout;
use kernel_memory::{DmaBuffer, frames, layout, physical_runs, virt_to_phys};
use kernel_task::{core_count, entropy, spawn, spawn_on};

pub const TESTS: &[Test] = &[
    ("memory_functions", memory_functions),
    ("heap_stress", heap_stress),
    ("heap_alignment", heap_alignment),
    ("frames_return", frames_return),
    ("dma_addresses", dma_addresses),
    ("memory_map", memory_map),
    ("entropy", entropy_differs),
];

/// memcpy, memmove, memset and memcmp against byte loops, for every small length and alignment.
fn memory_functions() {
    let mut random = Random(3);
    for len in (0..200).chain([255, 256, 1000, 4096, 10_001]) {
        for offset in [0, 1, 7, 15] {
            let source: Vec<u8> = (0..len + 32).map(|_| random.next() as u8).collect();
            let mut target = vec![0xaau8; len + 32];
            target[offset..offset + len].copy_from_slice(&source[3..3 + len]);
            for i in 0..len {
                assert_eq!(target[offset + i], source[3 + i]);
            }
            assert!(
                target[offset + len..].iter().all(|b| *b == 0xaa)
                    && target[..offset].iter().all(|b| *b == 0xaa)
            );
            let mut moved = source.clone();
            moved.copy_within(0..len, offset);
            assert!((0..len).all(|i| moved[offset + i] == source[i]));
            let mut moved = source.clone();
            moved.copy_within(offset..offset + len, 0);
            assert!((0..len).all(|i| moved[i] == source[offset + i]));
            target[offset..offset + len].fill(0x5b);
            assert!((0..len + 32).all(|i| (target[i] == 0x5b) == (offset..offset + len).contains(&i)));
            let (a, mut b) = (source[..len].to_vec(), source[..len].to_vec());
            assert!(a == b && a.cmp(&b).is_eq());
            if len > 0 {
                let at = random.below(len);
                b[at] = b[at].wrapping_add(1);
                assert!(a != b);
                assert_eq!(a.cmp(&b), a[at].cmp(&b[at]), "length {len}, difference at {at}");
            }
        }
    }
}

/// Allocations of all sizes, made on one core and freed on another, never overlap and keep their content.
fn heap_stress() {
    let workers: Vec<_> = (0..core_count() * 2)
        .map(|w| {
            spawn("heap stress", move || {
                let mut random = Random(w as u64 + 1);
                let mut live: Vec<Vec<u8>> = Vec::new();
                for round in 0..4000u32 {
                    let size = match random.below(20) {
                        0 => 32_000 + random.below(200_000),
                        1..4 => random.below(8_000),
                        _ => random.below(300),
                    };
                    live.push(vec![round as u8; size]);
                    if live.len() > 100 {
                        let gone = live.swap_remove(random.below(100));
                        assert!(gone.iter().all(|b| *b == gone[0]), "an allocation was overwritten");
                    }
                    if round % 64 == 0 {
                        kernel_task::yield_now();
                    }
                }
                live
            })
        })
        .collect();
    for w in workers {
        let live = w.join().unwrap_or_else(|p| panic!("{}", p.message));
        assert!(live.iter().all(|v| v.iter().all(|b| *b == v[0])));
    }
}

fn heap_alignment() {
    for size in [1, 24, 100, 1000, 5000, 70_000] {
        for shift in 0..18 {
            let Ok(layout) = Layout::from_size_align(size, 1 << shift) else { continue };
            // SAFETY: the size is not zero; the block is written within its size and freed with the same layout.
            unsafe {
                let p = alloc::alloc::alloc(layout);
                assert!(!p.is_null() && p as usize & ((1 << shift) - 1) == 0, "{size} {shift}");
                p.write_bytes(0x11, size);
                alloc::alloc::dealloc(p, layout);
            }
        }
    }
}

/// What big allocations take comes back.
fn frames_return() {
    let before = frames::stats().free;
    for _ in 0..50 {
        // The compiler must not see that nobody reads it: it would not allocate at all.
        let big = core::hint::black_box(vec![1u8; 20 << 20]);
        assert!(frames::stats().free <= before - (20 << 20) + (1 << 20));
        drop(big);
    }
    assert!(frames::stats().free + (2 << 20) >= before);
}

fn dma_addresses() {
    let buffer = DmaBuffer::new(10_000).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(virt_to_phys(buffer.as_ptr()), Some(buffer.phys()));
    assert!(buffer.as_slice().iter().all(|b| *b == 0));
    buffer.write32(8, 0x1234_5678);
    assert_eq!(buffer.as_slice()[8..12], [0x78, 0x56, 0x34, 0x12]);
    let heap = vec![0u8; 100_000];
    assert_eq!(physical_runs(&heap).count(), 1);
    static STATIC: [u8; 9000] = [7; 9000];
    assert_eq!(physical_runs(&STATIC).map(|r| r.len).sum::<usize>(), 9000);
    let stack = [1u8; 9000];
    let runs: Vec<_> = physical_runs(&stack).collect();
    assert_eq!(runs.iter().map(|r| r.len).sum::<usize>(), 9000);
    for (at, byte) in [(0, 1u8), (8999, 1)] {
        let mut left = at;
        let run = runs.iter().find(|r| {
            let here = left < r.len;
            if !here {
                left -= r.len;
            }
            here
        });
        let phys = run.map_or(0, |r| r.phys.as_u64() + left as u64);
        // SAFETY: RAM in the direct map that backs this task's stack; read only.
        assert_eq!(unsafe { (layout::direct(phys) as *const u8).read_volatile() }, byte);
    }
}

/// The image is not aliased, low memory is not mapped.
fn memory_map() {
    assert_eq!(virt_to_phys(core::ptr::null::<u8>()), None);
    assert_eq!(virt_to_phys(0x8000 as *const u8), None);
    let here = memory_map as *const () as u64;
    assert!(here >= layout::IMAGE);
    assert!(virt_to_phys(here as *const u8).is_some());
    let stats = frames::stats();
    assert!(stats.total > 100 << 20 && stats.free < stats.total);
}

fn entropy_differs() {
    let draws: Vec<[u8; 32]> = (0..core_count() * 4)
        .map(|i| {
            spawn_on(i, "entropy", || {
                let mut b = [0; 32];
                entropy::fill(&mut b);
                b
            })
        })
        .map(|t| t.join().unwrap_or_else(|p| panic!("{}", p.message)))
        .collect();
    for (i, a) in draws.iter().enumerate() {
        assert!(draws[i + 1..].iter().all(|b| a != b));
    }
    let ones: u32 = draws.iter().flatten().map(|b| b.count_ones()).sum();
    let bits = draws.len() as u32 * 256;
    assert!(ones > bits / 3 && ones < bits * 2 / 3);
    drop(Box::new(draws));
}
