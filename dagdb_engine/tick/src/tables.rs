//! Every place's table. Few graphs have more than a handful of different ones: then a place keeps a number of one or two bytes.

use alloc::{boxed::Box, vec, vec::Vec};

use dagdb_graph::Lut;
use hashbrown::HashMap;
use kernel_simd::lookup;

/// Tables by place.
#[derive(Clone, Debug)]
pub enum Tables {
    /// At most 256 different ones.
    Bytes { tables: Box<[u64; 256]>, used: usize, codes: Vec<u8> },
    /// At most 65,536 different ones.
    Words { tables: Vec<u64>, codes: Vec<u16> },
    /// More.
    Own(Vec<u64>),
}

impl Tables {
    /// The tables of the given order of nodes; place 0, which is no node, comes first.
    pub fn new(luts: impl Iterator<Item = Lut> + Clone, places: usize) -> Self {
        let mut numbers: HashMap<u64, u16> = HashMap::new();
        let mut tables: Vec<u64> = Vec::new();
        let mut codes: Vec<u16> = Vec::with_capacity(places);
        let mut last = None;
        for lut in luts.clone() {
            let code = match last {
                Some((table, code)) if table == lut.0 => code,
                _ => match numbers.get(&lut.0) {
                    Some(&code) => code,
                    None if tables.len() > usize::from(u16::MAX) => {
                        return Self::Own(luts.map(|l| l.0).collect());
                    }
                    None => {
                        let code = tables.len() as u16;
                        tables.push(lut.0);
                        numbers.insert(lut.0, code);
                        code
                    }
                },
            };
            last = Some((lut.0, code));
            codes.push(code);
        }
        if tables.len() > 256 {
            return Self::Words { tables, codes };
        }
        let used = tables.len();
        let mut few = Box::new([0; 256]);
        for (to, from) in few.iter_mut().zip(&tables) {
            *to = *from;
        }
        Self::Bytes { tables: few, used, codes: codes.iter().map(|&c| c as u8).collect() }
    }

    /// The table of a place.
    pub fn get(&self, place: u32) -> Lut {
        let at = place as usize;
        Lut(match self {
            Self::Bytes { tables, codes, .. } => codes.get(at).map_or(0, |&c| tables[usize::from(c)]),
            Self::Words { tables, codes } => {
                codes.get(at).and_then(|&c| tables.get(usize::from(c))).copied().unwrap_or(0)
            }
            Self::Own(tables) => tables.get(at).copied().unwrap_or(0),
        })
    }

    /// Asks for the cache line of a place's table.
    pub fn prefetch(&self, place: u32) {
        match self {
            Self::Bytes { codes, .. } => lookup::prefetch(codes, place as usize),
            Self::Words { codes, .. } => lookup::prefetch(codes, place as usize),
            Self::Own(tables) => lookup::prefetch(tables, place as usize),
        }
    }

    /// Gives a place another table, if there is a number left for it.
    pub fn set(&mut self, place: u32, lut: Lut) -> bool {
        let at = place as usize;
        match self {
            Self::Bytes { tables, used, codes } => {
                let known = tables.iter().take(*used).position(|&t| t == lut.0);
                let code = match known {
                    Some(code) => code,
                    None if *used < 256 => {
                        tables[*used] = lut.0;
                        *used += 1;
                        *used - 1
                    }
                    None => return false,
                };
                codes.get_mut(at).map(|c| *c = code as u8).is_some()
            }
            Self::Words { tables, codes } => {
                // Looking for it would take long; a number too many does no harm.
                if tables.len() > usize::from(u16::MAX) {
                    return false;
                }
                let Some(code) = codes.get_mut(at) else { return false };
                *code = tables.len() as u16;
                tables.push(lut.0);
                true
            }
            Self::Own(tables) => tables.get_mut(at).map(|t| *t = lut.0).is_some(),
        }
    }

    /// As the kernels want them.
    pub fn as_kernel(&self) -> lookup::Tables<'_> {
        match self {
            Self::Bytes { tables, codes, .. } => lookup::Tables::Bytes(codes, tables),
            Self::Words { tables, codes } => lookup::Tables::Words(codes, tables),
            Self::Own(tables) => lookup::Tables::Own(tables),
        }
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        match self {
            Self::Bytes { codes, .. } => 2048 + codes.capacity(),
            Self::Words { tables, codes } => 8 * tables.capacity() + 2 * codes.capacity(),
            Self::Own(tables) => 8 * tables.capacity(),
        }
    }

    /// How many numbers there can be, for counting nodes by table; `None` if they have none.
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::Bytes { used, .. } => Some(*used),
            Self::Words { .. } | Self::Own(_) => None,
        }
    }

    /// The table of a number.
    pub fn table(&self, number: usize) -> u64 {
        match self {
            Self::Bytes { tables, .. } => tables.get(number).copied().unwrap_or(0),
            Self::Words { tables, .. } | Self::Own(tables) => tables.get(number).copied().unwrap_or(0),
        }
    }

    /// The number of a place's table.
    pub fn code(&self, place: u32) -> Option<usize> {
        match self {
            Self::Bytes { codes, .. } => codes.get(place as usize).map(|&c| usize::from(c)),
            Self::Words { .. } | Self::Own(_) => None,
        }
    }

    /// The same tables in another order: place `i` gets the table that place `from(i)` had.
    pub fn permuted(&self, from: &[u32]) -> Self {
        fn pick<T: Copy + Default>(all: &[T], from: &[u32]) -> Vec<T> {
            from.iter().map(|&f| all.get(f as usize).copied().unwrap_or_default()).collect()
        }
        match self {
            Self::Bytes { tables, used, codes } => {
                Self::Bytes { tables: tables.clone(), used: *used, codes: pick(codes, from) }
            }
            Self::Words { tables, codes } => Self::Words { tables: tables.clone(), codes: pick(codes, from) },
            Self::Own(tables) => Self::Own(pick(tables, from)),
        }
    }
}

/// No tables.
impl Default for Tables {
    fn default() -> Self {
        Self::Bytes { tables: Box::new([0; 256]), used: 0, codes: vec![] }
    }
}
