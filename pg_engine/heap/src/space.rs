//! Where there is room: a guess per page, in memory.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use platform::sync::Mutex;

/// Pages are summarised in groups.
const GROUP: usize = 256;
/// Bytes per step of the guess.
const STEP: usize = 32;
/// Insertion targets, so that concurrent inserters use different pages.
const TARGETS: usize = 8;
/// No page.
const NOWHERE: u32 = u32::MAX;

#[derive(Default)]
struct Map {
    pages: Vec<u8>,
    /// At least the greatest of each group.
    groups: Vec<u8>,
}

/// Free space of one relation. Checkpoints save it; what changed since is found out by looking at the pages.
pub struct FreeSpace {
    targets: [AtomicU32; TARGETS],
    map: Mutex<Map>,
}

impl Default for FreeSpace {
    fn default() -> Self {
        Self { targets: [const { AtomicU32::new(NOWHERE) }; TARGETS], map: Mutex::new(Map::default()) }
    }
}

impl FreeSpace {
    /// The page where this inserter added its last row.
    pub fn target(&self, who: u64) -> Option<u32> {
        let block = self.targets[who as usize % TARGETS].load(Ordering::Relaxed);
        (block != NOWHERE).then_some(block)
    }
    /// Notes it.
    pub fn set_target(&self, who: u64, block: u32) {
        self.targets[who as usize % TARGETS].store(block, Ordering::Relaxed);
    }
    /// Is another inserter using that page?
    fn is_target(&self, block: u32) -> bool {
        self.targets.iter().any(|t| t.load(Ordering::Relaxed) == block)
    }

    /// Notes how many bytes a page has free.
    pub fn note(&self, block: u32, free: usize) {
        let value = (free / STEP).min(255) as u8;
        let mut map = self.map.lock();
        let block = block as usize;
        if map.pages.len() <= block {
            if value == 0 {
                return;
            }
            map.pages.resize(block + 1, 0);
            map.groups.resize(block / GROUP + 1, 0);
        }
        if let Some(p) = map.pages.get_mut(block) {
            *p = value;
        }
        if let Some(g) = map.groups.get_mut(block / GROUP) {
            *g = (*g).max(value);
        }
    }

    /// What is known, a byte a page, to be saved.
    pub fn saved(&self) -> Vec<u8> {
        self.map.lock().pages.clone()
    }
    /// Takes up what was saved.
    pub fn restore(&self, pages: Vec<u8>) {
        let groups = pages.chunks(GROUP).map(|g| g.iter().copied().max().unwrap_or(0)).collect();
        *self.map.lock() = Map { pages, groups };
    }

    /// A page that should have so many bytes free. It is not found again until someone notes it.
    pub fn take(&self, need: usize) -> Option<u32> {
        let want = u8::try_from(need.div_ceil(STEP)).unwrap_or(255).max(1);
        let mut map = self.map.lock();
        let Map { pages, groups } = &mut *map;
        for (g, most) in groups.iter_mut().enumerate().filter(|(_, most)| **most >= want) {
            let group = pages.get_mut(g * GROUP..).unwrap_or(&mut []);
            let len = group.len().min(GROUP);
            let mut found = None;
            let mut greatest = 0;
            for (i, v) in group.iter_mut().take(len).enumerate() {
                if found.is_none() && *v >= want && !self.is_target((g * GROUP + i) as u32) {
                    *v = 0;
                    found = Some((g * GROUP + i) as u32);
                }
                greatest = greatest.max(*v);
            }
            *most = greatest;
            if found.is_some() {
                return found;
            }
        }
        None
    }
}
