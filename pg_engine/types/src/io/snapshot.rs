//! `pg_snapshot` and `txid_snapshot`: which transactions had ended at a moment, kept as their text `xmin:xmax:running,...`.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::{Result, SqlError, SqlState};

/// A snapshot's parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Every transaction before had ended.
    pub xmin: u64,
    /// None from here on had.
    pub xmax: u64,
    /// Those between that had not, ascending.
    pub running: Vec<u64>,
}

impl Parts {
    /// Reads the text form; a number twice in a row counts once.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim_start().splitn(3, ':');
        // What is too large stands for the largest.
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        let number = |t: &str| digits(t).then(|| t.parse::<u64>().unwrap_or(u64::MAX));
        let (xmin, xmax) = (number(parts.next()?)?, number(parts.next()?)?);
        if xmin == 0 || xmax < xmin {
            return None;
        }
        let list = parts.next()?;
        let list = list.strip_suffix(',').filter(|l| !l.is_empty()).unwrap_or(list);
        let mut running: Vec<u64> = Vec::new();
        for item in list.split(',').filter(|_| !list.is_empty()) {
            let xid = number(item)?;
            if xid < xmin || xid >= xmax || running.last().is_some_and(|last| xid < *last) {
                return None;
            }
            if running.last() != Some(&xid) {
                running.push(xid);
            }
        }
        Some(Self { xmin, xmax, running })
    }
    /// The text form.
    pub fn text(&self) -> String {
        let running: Vec<String> = self.running.iter().map(ToString::to_string).collect();
        format!("{}:{}:{}", self.xmin, self.xmax, running.join(","))
    }
    /// Had a transaction ended?
    pub fn ended(&self, xid: u64) -> bool {
        xid < self.xmin || xid < self.xmax && self.running.binary_search(&xid).is_err()
    }

    /// Appends the binary form.
    pub(super) fn send(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.running.len() as i32).to_be_bytes());
        for n in [self.xmin, self.xmax].iter().chain(&self.running) {
            out.extend_from_slice(&n.to_be_bytes());
        }
    }
    /// Reads the binary form.
    pub(super) fn receive(data: &[u8]) -> Result<Self> {
        let bad =
            || SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, "invalid external pg_snapshot data");
        let (count, rest) = data.split_first_chunk::<4>().ok_or_else(bad)?;
        let count = usize::try_from(i32::from_be_bytes(*count)).map_err(|_| bad())?;
        let (numbers, left) = rest.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|n| u64::from_be_bytes(*n));
        let (Some(xmin), Some(xmax)) = (numbers.next(), numbers.next()) else { return Err(bad()) };
        let mut running: Vec<u64> = numbers.collect();
        let sorted = running.is_sorted() && running.iter().all(|x| *x >= xmin && *x < xmax);
        if !left.is_empty() || running.len() != count || xmin == 0 || xmax < xmin || !sorted {
            return Err(bad());
        }
        running.dedup();
        Ok(Self { xmin, xmax, running })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_checked_and_normalized() {
        let back = |t: &str| Parts::parse(t).map(|p| p.text());
        assert_eq!(back("12:13:").as_deref(), Some("12:13:"));
        assert_eq!(back("12:16:14,14,").as_deref(), Some("12:16:14"));
        for bad in ["31:12:", "0:1:", "12:13:0", "12:16:14,13", "12:16", "a:2:", "1:2:3x", "", "12:16:,"] {
            assert_eq!(back(bad), None, "{bad}");
        }
    }

    #[test]
    fn binary_is_read_back() {
        let parts = Parts { xmin: 10, xmax: 20, running: Vec::from([10, 14]) };
        let mut sent = Vec::new();
        parts.send(&mut sent);
        assert_eq!(Parts::receive(&sent), Ok(parts));
        assert!(Parts::receive(sent.get(..sent.len() - 1).unwrap()).is_err());
    }

    #[test]
    fn ended_means_before_or_not_running() {
        let parts = Parts { xmin: 10, xmax: 20, running: Vec::from([10, 14]) };
        assert!(parts.ended(9) && parts.ended(11) && !parts.ended(14) && !parts.ended(20));
    }
}
