//! What ANALYZE finds out about columns together: numbers of distinct combinations, dependencies between columns, common
//! combinations. As PostgreSQL's documentation describes them ("Multivariate Statistics Examples").

use alloc::vec::Vec;

use hashbrown::HashMap;
use pg_catalog::{
    Relation,
    builtin::PG_STATISTIC_EXT_DATA,
    extended::{CommonTuple, Dependence, common_bytes, dependencies_text, distinct_text},
    table::Row,
};
use pg_types::{Result, SqlType, Value};

use super::{Sampled, TARGET, computed::Computed};
use crate::{
    ddl::{Ddl, statistics::StatisticsObject},
    keys,
};

/// What one value of a combination is taken from.
#[derive(Clone, Copy)]
enum Part {
    Column(i16),
    /// The place among a sampled row's computed values.
    Computed(usize),
}

impl Part {
    fn value(self, row: &Sampled) -> Value {
        let value = match self {
            Self::Column(c) => usize::try_from(c - 1).ok().and_then(|c| row.1.get(c)),
            Self::Computed(n) => row.2.get(n).and_then(Option::as_ref),
        };
        value.cloned().unwrap_or(Value::Null)
    }
}

/// The sampled rows of some columns: for each row the sort keys of its values.
struct Sample<'a> {
    columns: &'a [i16],
    keys: Vec<Vec<Vec<u8>>>,
    /// Rows of the table.
    rows: u64,
}

/// Fills in these statistics objects of a table from a sample of its rows, of which there are so many.
pub(super) fn analyze(
    ddl: &Ddl<'_, '_>,
    table: &Relation,
    objects: &[StatisticsObject],
    computed: &Computed,
    (sample, rows): (&[Sampled], u64),
    attributes: &[(pg_storage::Tid, Row)],
) -> Result<()> {
    for o in objects {
        ddl.cx.checkpoint()?;
        let target = match o.target {
            n if n >= 0 => n,
            // Like the most careful of its columns.
            _ => attributes
                .iter()
                .filter(|a| o.columns.iter().any(|c| a.1.int("attnum") == i64::from(*c)))
                .map(|a| if a.1.int("attstattarget") < 0 { TARGET as i64 } else { a.1.int("attstattarget") })
                .max()
                .unwrap_or(TARGET as i64),
        };
        ddl.delete(PG_STATISTIC_EXT_DATA, &["stxoid"], &[Value::Oid(o.oid)])?;
        if target == 0 || sample.is_empty() {
            continue;
        }
        let column = |c: &i16| {
            let a = table.attributes.get(usize::try_from(*c - 1).ok()?)?;
            Some((*c, Part::Column(*c), a.ty))
        };
        let expression = |n: i16| {
            let (at, ty) = computed.find(o.oid, n)?;
            Some((-n, Part::Computed(at), SqlType::new(ty)))
        };
        let parts = o.columns.iter().map(column);
        let parts: Option<Vec<_>> = parts.chain((1..).take(o.expressions.len()).map(expression)).collect();
        let Some(parts) = parts else { continue };
        let row = gathered(ddl, &parts, &o.kinds, sample, rows, target as usize)?;
        ddl.insert(PG_STATISTIC_EXT_DATA, &row.set("stxoid", o.oid).set("stxdinherit", false))?;
        ddl.step();
    }
    Ok(())
}

fn gathered(
    ddl: &Ddl<'_, '_>,
    parts: &[(i16, Part, SqlType)],
    kinds: &[u8],
    sample: &[Sampled],
    rows: u64,
    target: usize,
) -> Result<Row> {
    let columns: Vec<i16> = parts.iter().map(|p| p.0).collect();
    let types: Vec<SqlType> = parts.iter().map(|p| p.2).collect();
    let mut row = ddl.row(PG_STATISTIC_EXT_DATA)?;
    if parts.len() < 2 {
        return Ok(row);
    }
    let one = |row: &Sampled| parts.iter().map(|p| keys::encode_one(p.2.oid, &p.1.value(row))).collect();
    let s = Sample { columns: &columns, keys: sample.iter().map(one).collect(), rows };
    if kinds.contains(&b'd') {
        row.put("stxdndistinct", distinct_text(&s.distinct()).as_str());
    }
    if kinds.contains(&b'f') {
        let found = s.dependencies();
        if !found.is_empty() {
            row.put("stxddependencies", dependencies_text(&found).as_str());
        }
    }
    if kinds.contains(&b'm') {
        let tuple = |at: usize| {
            let row = sample.get(at);
            parts.iter().map(|p| row.map_or(Value::Null, |r| p.1.value(r))).collect()
        };
        let common: Vec<CommonTuple> = s
            .common(target)
            .into_iter()
            .map(|(at, frequency, base_frequency)| CommonTuple {
                values: tuple(at),
                frequency,
                base_frequency,
            })
            .collect();
        if !common.is_empty() {
            row.put("stxdmcv", Value::Bytea(common_bytes(&types, &common)?.into()));
        }
    }
    Ok(row)
}

/// The sets of `size` of the numbers below `n`, in ascending order.
fn choose(n: usize, size: usize) -> Vec<Vec<usize>> {
    let masks = (0u32..1 << n).filter(|m| m.count_ones() as usize == size);
    let mut sets: Vec<Vec<usize>> = masks.map(|m| (0..n).filter(|i| m & (1 << i) != 0).collect()).collect();
    sets.sort_unstable();
    sets
}

impl Sample<'_> {
    /// How often each combination of some columns appears.
    fn groups(&self, columns: &[usize]) -> HashMap<Vec<&[u8]>, usize> {
        let mut groups = HashMap::new();
        for row in &self.keys {
            let key = columns.iter().filter_map(|c| row.get(*c)).map(Vec::as_slice).collect();
            *groups.entry(key).or_insert(0) += 1;
        }
        groups
    }
    fn named(&self, columns: &[usize]) -> Vec<i16> {
        columns.iter().filter_map(|c| self.columns.get(*c).copied()).collect()
    }

    /// The number of distinct combinations of every two and more columns; by the estimator of Haas and Stokes if not all rows
    /// were seen.
    fn distinct(&self) -> Vec<(Vec<i16>, f64)> {
        let (n, rows) = (self.keys.len() as f64, self.rows as f64);
        let mut out = Vec::new();
        for set in (2..=self.columns.len()).flat_map(|size| choose(self.columns.len(), size)) {
            let groups = self.groups(&set);
            let found = groups.len() as f64;
            let once = groups.values().filter(|g| **g == 1).count() as f64;
            let estimate = n * found / (n - once + once * n / rows.max(1.0)).max(1.0);
            out.push((
                self.named(&set),
                (estimate.clamp(found, rows.max(found)) + 0.5).max(1.0) as i64 as f64,
            ));
        }
        out
    }

    /// For every set of columns and every other column, the share of the rows in whose group by the set the other column has
    /// one value.
    fn dependencies(&self) -> Vec<Dependence> {
        let width = self.columns.len();
        let mut out = Vec::new();
        for size in 1..width {
            for from in choose(width, size) {
                for to in (0..width).filter(|c| !from.contains(c)) {
                    let degree = self.degree(&from, to);
                    if degree > 0.0
                        && let Some(to) = self.columns.get(to)
                    {
                        out.push(Dependence { from: self.named(&from), to: *to, degree });
                    }
                }
            }
        }
        out
    }

    fn degree(&self, from: &[usize], to: usize) -> f64 {
        // Per group: its rows, the first value, whether there is another.
        let mut groups: HashMap<Vec<&[u8]>, (usize, &[u8], bool)> = HashMap::new();
        for row in &self.keys {
            let Some(value) = row.get(to) else { continue };
            let key = from.iter().filter_map(|c| row.get(*c)).map(Vec::as_slice).collect();
            let group = groups.entry(key).or_insert((0, value, true));
            group.0 += 1;
            group.2 &= group.1 == value.as_slice();
        }
        let supporting: usize = groups.values().filter(|g| g.2).map(|g| g.0).sum();
        supporting as f64 / self.keys.len().max(1) as f64
    }

    /// The most common combinations: a row that has each, its share of the rows, and what that would be if the columns were
    /// independent. Only as many times as makes the share sure enough are enough.
    fn common(&self, target: usize) -> Vec<(usize, f64, f64)> {
        let (n, rows) = (self.keys.len() as f64, self.rows as f64);
        let mut first: HashMap<Vec<&[u8]>, (usize, usize)> = HashMap::new();
        for (at, row) in self.keys.iter().enumerate() {
            first.entry(row.iter().map(Vec::as_slice).collect()).or_insert((0, at)).0 += 1;
        }
        let mut items: Vec<(&Vec<&[u8]>, usize, usize)> =
            first.iter().map(|(k, (n, at))| (k, *n, *at)).collect();
        items.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let unsure = rows - n + 0.04 * n * (rows - 1.0);
        let least = if unsure > 0.0 { n * (rows - n) / unsure } else { 0.0 };
        let single: Vec<_> = (0..self.columns.len()).map(|c| self.groups(&[c])).collect();
        let base = |key: &[&[u8]]| -> f64 {
            let share = |(c, v): (usize, &&[u8])| {
                single.get(c).and_then(|g| g.get(core::slice::from_ref(v))).map_or(0.0, |g| *g as f64 / n)
            };
            key.iter().enumerate().map(share).product()
        };
        let kept = items.iter().take(target).take_while(|i| i.1 as f64 >= least);
        kept.map(|(key, count, at)| (*at, *count as f64 / n, base(key))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(rows: &[[i32; 3]], of: u64) -> Sample<'static> {
        let key = |v: &i32| keys::encode_one(pg_types::oid::INT4, &Value::Int4(*v));
        Sample {
            columns: &[1, 2, 5],
            keys: rows.iter().map(|r| r.iter().map(key).collect()).collect(),
            rows: of,
        }
    }

    #[test]
    fn combinations_are_counted() {
        let rows: Vec<[i32; 3]> = (0..100).map(|i| [i % 10, i % 5, i % 2]).collect();
        let s = sample(&rows, 100);
        let wanted = [(&[1i16, 2][..], 10.0), (&[1, 5], 10.0), (&[2, 5], 10.0), (&[1, 2, 5], 10.0)];
        let found = s.distinct();
        assert!(found.iter().map(|(c, n)| (c.as_slice(), *n)).eq(wanted), "{found:?}");
    }

    #[test]
    fn what_determines_what() {
        let rows: Vec<[i32; 3]> = (0..100).map(|i| [i % 10, i % 5, i / 50]).collect();
        let found = sample(&rows, 100).dependencies();
        let degree = |from: &[i16], to| found.iter().find(|d| d.from == from && d.to == to).map(|d| d.degree);
        assert_eq!(degree(&[1], 2), Some(1.0));
        assert_eq!(degree(&[2], 1), None);
        assert_eq!(degree(&[1, 5], 2), Some(1.0));
        assert_eq!(degree(&[1], 5), None);
    }

    #[test]
    fn common_combinations_with_what_chance_would_give() {
        let rows: Vec<[i32; 3]> = (0..100).map(|i| if i < 60 { [1, 1, 1] } else { [i, 2, 2] }).collect();
        let found = sample(&rows, 100).common(2);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].0, found[0].1), (0, 0.6));
        assert!((found[0].2 - 0.216).abs() < 1e-9 && (found[1].1 - 0.01).abs() < 1e-9);
        // Of a small part of a large table, what was seen once says nothing.
        assert_eq!(sample(&rows, 100_000).common(100).len(), 1);
    }
}
