//! ANALYZE: a sample of rows, and from it what the planner wants to know about each column and each expression of an index.

mod computed;
mod joint;

use alloc::{sync::Arc, vec::Vec};

use pg_catalog::{
    ColumnStatistics, Relation,
    builtin::{PG_ATTRIBUTE, PG_CLASS, PG_STATISTIC},
    statistics::to_row,
    storage_error,
    table::Row,
};
use pg_functions::registry;
use pg_storage::LockMode;
use pg_types::{Oid, Result, Value};

use self::computed::Computed;
use crate::{context::ExecContext, ddl::Ddl, keys, large::RowFormat, routine::Inside};

/// Rows sampled.
const SAMPLE: usize = 30_000;
/// Most common values kept, and histogram buckets.
const TARGET: usize = 100;
/// Wider values are left out of the statistics.
const MAX_WIDTH: usize = 1024;

/// Writes `reltuples` and `relpages`.
pub(crate) fn update_sizes(relation: &Relation, cx: &ExecContext<'_>) -> Result<()> {
    let stats = cx.engine.storage().relation_stats(relation.storage).map_err(storage_error)?;
    sizes(relation, stats.live_tuples as f64, stats.pages, cx)
}

fn sizes(relation: &Relation, tuples: f64, pages: u32, cx: &ExecContext<'_>) -> Result<()> {
    let ddl = Ddl::new(cx, "ANALYZE")?;
    let put = |oid: Oid, tuples: f64, pages: u32, visible: u32| -> Result<()> {
        ddl.update(PG_CLASS, &["oid"], &[Value::Oid(oid)], |r| {
            r.put("reltuples", tuples as f32);
            r.put("relpages", pages as i32);
            r.put("relallvisible", visible as i32);
        })?;
        Ok(())
    };
    let visible = cx.engine.storage().relation_stats(relation.storage).map_or(0, |s| s.all_visible);
    put(relation.oid, tuples, pages, visible.min(pages))?;
    for i in &relation.indexes {
        let s = cx.engine.storage().relation_stats(i.storage).map_err(storage_error)?;
        put(i.oid, tuples, s.pages, 0)?;
    }
    ddl.step();
    Ok(())
}

/// A deterministic stream of numbers for the sample: statistics need spread, not secrecy.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n.max(1)
    }
}

/// Analyses a table; `columns` empty: all.
pub(crate) fn analyze(relation: &Arc<Relation>, columns: &[i16], cx: &ExecContext<'_>) -> Result<()> {
    let ddl = Ddl::new(cx, "ANALYZE")?;
    let relation = ddl.relock(relation, LockMode::ShareUpdateExclusive)?;
    let format = RowFormat::of(&relation);
    let stats = cx.engine.storage().relation_stats(relation.storage).map_err(storage_error)?;
    // Reservoir sampling keeps (position, row), from pages that were chosen at random if there are many.
    let mut sample: Vec<Sampled> = Vec::new();
    let mut objects = ddl.statistics_of(&relation)?;
    // ANALYZE of some columns only.
    objects.retain(|o| columns.is_empty() || o.columns.iter().all(|c| columns.contains(c)));
    let mut computed = Computed::of(&ddl, &relation, &objects, columns)?;
    let mut seen = 0u64;
    let mut random = Lcg(u64::from(relation.oid) ^ 0x5bd1_e995);
    let mut page = Vec::new();
    let snapshot = cx.txn.borrow_mut().snapshot();
    let blocks = chosen(stats.pages, &mut random);
    let scanned: u32 = blocks.iter().map(|b| b.end - b.start).sum();
    for block in blocks {
        let scan = cx.engine.storage().heap_scan(relation.storage, &snapshot, Some(block));
        let mut heap = scan.map_err(storage_error)?;
        loop {
            cx.checkpoint()?;
            let row = |_, payload: &[u8]| {
                let position = seen;
                seen += 1;
                let slot = if sample.len() + page.len() < SAMPLE {
                    usize::MAX
                } else {
                    let k = random.below(seen) as usize;
                    if k >= SAMPLE {
                        return;
                    }
                    k
                };
                page.push((slot, position, format.take(payload)));
            };
            let more = heap.next_page(row).map_err(storage_error)?;
            let mut keep = |slot: usize, sampled: Sampled| match sample.get_mut(slot) {
                Some(s) => *s = sampled,
                None => sample.push(sampled),
            };
            if computed.is_empty() {
                for (slot, position, taken) in page.drain(..) {
                    let row = format.complete_narrow(taken?, MAX_WIDTH, cx)?;
                    keep(slot, (position, row, Vec::new()));
                }
            } else {
                ddl.with_rt(|rt| {
                    let _owner = Inside::owner(cx.session, relation.owner);
                    for (slot, position, taken) in page.drain(..) {
                        let mut row = format.complete(taken?, cx)?;
                        let values = computed.values(&row, rt)?;
                        row.iter_mut().for_each(narrow);
                        keep(slot, (position, row, values));
                    }
                    Ok(())
                })?;
            }
            if !more {
                break;
            }
        }
    }
    // What was not read is taken to be as dense as what was.
    if scanned > 0 && scanned < stats.pages {
        seen = (seen as f64 * f64::from(stats.pages) / f64::from(scanned)) as u64;
    }
    sample.sort_unstable_by_key(|s| s.0);
    let wishes = ddl.find(PG_ATTRIBUTE, &["attrelid"], &[Value::Oid(relation.oid)])?;
    for a in relation.live().filter(|a| columns.is_empty() || columns.contains(&a.attnum)) {
        let values: Vec<&Value> =
            sample.iter().map(|s| s.1.get(a.attnum as usize - 1).unwrap_or(&Value::Null)).collect();
        let wish = wishes.iter().map(|w| &w.1).find(|w| w.int("attnum") == i64::from(a.attnum));
        let Some(target) = target(wish) else { continue };
        let Some(mut s) = column(&values, a.ty.oid, seen, target) else { continue };
        if let Some(distinct) = wish.and_then(told_distinct) {
            s.distinct = distinct;
        }
        store(&ddl, (relation.oid, a.attnum), (a.ty.oid, a.collation), &s)?;
    }
    computed.store(&ddl, &sample, seen)?;
    joint::analyze(&ddl, &relation, &objects, &computed, (&sample, seen), &wishes)?;
    cx.engine.storage().note_analyzed(relation.storage, false);
    sizes(&relation, seen as f64, stats.pages, cx)
}

/// A sampled row: its position in the table, its values, those of the computed expressions.
type Sampled = (u64, Vec<Value>, Vec<Option<Value>>);

/// Something as wide stands for a value that is too wide to be looked at.
fn narrow(v: &mut Value) {
    if width(v) > MAX_WIDTH {
        *v = Value::Bytea(alloc::vec![0; MAX_WIDTH + 1].into());
    }
}

/// Puts statistics in the place of those that there are: of a relation's column, which has this type and collation.
fn store(
    ddl: &Ddl<'_, '_>,
    (relation, attnum): (Oid, i16),
    (ty, collation): (Oid, Oid),
    s: &ColumnStatistics,
) -> Result<()> {
    let key = [Value::Oid(relation), Value::Int2(attnum)];
    ddl.delete(PG_STATISTIC, &["starelid", "staattnum"], &key)?;
    let row = ddl.row(PG_STATISTIC)?.set("starelid", relation).set("staattnum", attnum);
    let operator = |o: Option<&pg_functions::Operator>| o.map_or(0, |o| o.oid);
    let equality = operator(registry().equality_operator(ty));
    let less = operator(registry().less_than_operator(ty));
    ddl.insert(PG_STATISTIC, &to_row(row, s, ty, collation, equality, less))?;
    ddl.step();
    Ok(())
}

/// How many common values and buckets a column's attribute asks for; `None`: no statistics at all.
fn target(attribute: Option<&Row>) -> Option<usize> {
    match attribute.map_or(-1, |w| w.int("attstattarget")) {
        0 => None,
        n => Some(usize::try_from(n).unwrap_or(TARGET)),
    }
}

/// The number of distinct values that a column's options say it has.
fn told_distinct(attribute: &Row) -> Option<f64> {
    attribute.array("attoptions").iter().find_map(|v| {
        let Value::Text(t) = v else { return None };
        t.strip_prefix("n_distinct=")?.parse().ok()
    })
}

/// Pages to read: all, or so many as there are rows to keep, spread by chance.
fn chosen(pages: u32, random: &mut Lcg) -> Vec<core::ops::Range<u32>> {
    let wanted = SAMPLE as u64;
    if u64::from(pages) <= wanted {
        return alloc::vec![0..pages];
    }
    let mut out = Vec::with_capacity(SAMPLE);
    for block in 0..pages {
        let missing = wanted - out.len() as u64;
        if random.below(u64::from(pages - block)) < missing {
            out.push(block..block + 1);
        }
    }
    out
}

fn width(v: &Value) -> usize {
    match v {
        Value::Null => 0,
        Value::Bool(_) | Value::Char(_) => 1,
        Value::Int2(_) => 2,
        Value::Int4(_) | Value::Oid(_) | Value::Float4(_) | Value::Date(_) => 4,
        Value::Interval(_) | Value::Uuid(_) => 16,
        Value::Text(s) => s.len() + 1,
        Value::Bytea(b) => b.len() + 1,
        Value::Numeric(_) => 10,
        Value::Array(a) => 24 + a.values.iter().map(width).sum::<usize>(),
        _ => 8,
    }
}

/// Statistics of one column from its sampled values in physical order.
fn column(values: &[&Value], ty: Oid, rows: u64, target: usize) -> Option<ColumnStatistics> {
    if values.is_empty() {
        return None;
    }
    let present: Vec<&Value> = values.iter().copied().filter(|v| !v.is_null()).collect();
    let mut out = ColumnStatistics {
        null_fraction: 1.0 - present.len() as f64 / values.len() as f64,
        ..ColumnStatistics::default()
    };
    if present.is_empty() {
        return Some(out);
    }
    out.width = (present.iter().map(|v| width(v)).sum::<usize>() / present.len()) as u32;
    let mut sorted: Vec<(Vec<u8>, usize)> = present
        .iter()
        .enumerate()
        .filter(|(_, v)| width(v) <= MAX_WIDTH)
        .map(|(i, v)| (keys::encode_one(ty, v), i))
        .collect();
    sorted.sort_unstable();
    let n = sorted.len();
    if n == 0 {
        return Some(out);
    }
    // Runs of equal keys: (first in `sorted`, length).
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (i, s) in sorted.iter().enumerate() {
        match runs.last_mut() {
            Some(r) if sorted.get(r.0).is_some_and(|f| f.0 == s.0) => r.1 += 1,
            _ => runs.push((i, 1)),
        }
    }
    let value_at =
        |i: usize| sorted.get(i).and_then(|s| present.get(s.1)).map_or(Value::Null, |v| (*v).clone());
    out.distinct =
        distinct(&runs, n, rows as f64 * (1.0 - out.null_fraction), values.len() as u64 >= rows, rows);
    out.correlation = correlation(&sorted, n);
    // Values that appear clearly more often than the average are common; all of them when there are few.
    let mut frequent: Vec<(usize, usize)> = runs.iter().copied().filter(|r| r.1 > 1).collect();
    let complete = frequent.len() == runs.len() && runs.len() <= target;
    let average = n as f64 / runs.len() as f64;
    frequent.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    if !complete {
        frequent.retain(|r| r.1 as f64 > average * 1.25);
    }
    frequent.truncate(target);
    let total = values.len() as f64;
    out.common = frequent.iter().map(|r| (value_at(r.0), r.1 as f64 / total)).collect();
    let common: hashbrown::HashSet<usize> = frequent.iter().map(|r| r.0).collect();
    let rest: Vec<usize> =
        runs.iter().filter(|r| !common.contains(&r.0)).flat_map(|r| r.0..r.0 + r.1).collect();
    let distinct_rest = runs.len() - common.len();
    if distinct_rest >= 2 {
        let buckets = target.min(distinct_rest - 1).max(1);
        out.histogram = (0..=buckets)
            .map(|b| value_at(rest.get(b * (rest.len() - 1) / buckets).copied().unwrap_or(0)))
            .collect();
    }
    Some(out)
}

/// Number of distinct values: exact when all rows were seen, else the estimator of Haas and Stokes.
fn distinct(runs: &[(usize, usize)], n: usize, present_rows: f64, complete: bool, rows: u64) -> f64 {
    let d = runs.len() as f64;
    let once = runs.iter().filter(|r| r.1 == 1).count() as f64;
    let estimate = if complete {
        d
    } else if once == n as f64 {
        // Every sampled value differs: take the column for unique.
        return -(present_rows / rows.max(1) as f64);
    } else {
        let n = n as f64;
        let denominator = n - once + once * n / present_rows.max(1.0);
        (n * d / denominator).clamp(d, present_rows.max(d))
    };
    // A count that grows with the table is kept as a fraction.
    if estimate > 0.1 * rows as f64 { -(estimate / rows.max(1) as f64) } else { estimate }
}

/// Correlation of sorted position with physical position.
fn correlation(sorted: &[(Vec<u8>, usize)], n: usize) -> f64 {
    if n < 2 {
        return 1.0;
    }
    let mean = (n as f64 - 1.0) / 2.0;
    let (mut cov, mut var) = (0.0, 0.0);
    for (rank, (_, position)) in sorted.iter().enumerate() {
        let (x, y) = (rank as f64 - mean, *position as f64 - mean);
        cov += x * y;
        var += x * x;
    }
    if var == 0.0 { 1.0 } else { (cov / var).clamp(-1.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pg_types::oid;

    #[test]
    fn pages_are_chosen_all_over_the_table() {
        let mut random = Lcg(1);
        assert!(chosen(7, &mut random).into_iter().eq(core::iter::once(0..7)));
        let blocks = chosen(300_000, &mut random);
        assert_eq!(blocks.len(), SAMPLE);
        assert!(blocks.windows(2).all(|w| w[0].end <= w[1].start));
        let late = blocks.iter().filter(|b| b.start >= 150_000).count();
        assert!((SAMPLE * 45 / 100..SAMPLE * 55 / 100).contains(&late), "{late}");
    }

    #[test]
    fn a_unique_ascending_column() {
        let values: Vec<Value> = (0..1000).map(Value::Int4).collect();
        let refs: Vec<&Value> = values.iter().collect();
        let s = column(&refs, oid::INT4, 1000, TARGET).unwrap();
        assert_eq!(s.distinct, -1.0);
        assert!(s.common.is_empty() && s.histogram.len() == 101);
        assert_eq!(s.histogram[0], Value::Int4(0));
        assert_eq!(s.histogram[100], Value::Int4(999));
        assert!((s.correlation - 1.0).abs() < 1e-9);
    }

    #[test]
    fn few_values_are_all_common() {
        let values: Vec<Value> =
            (0..1000).map(|i| if i % 4 == 0 { Value::Null } else { Value::Int4(i % 4) }).collect();
        let refs: Vec<&Value> = values.iter().collect();
        let s = column(&refs, oid::INT4, 1000, TARGET).unwrap();
        assert_eq!(s.null_fraction, 0.25);
        assert_eq!(s.distinct, 3.0);
        assert_eq!(s.common.len(), 3);
        assert!((s.common.iter().map(|c| c.1).sum::<f64>() - 0.75).abs() < 1e-9);
        assert!(s.histogram.is_empty());
    }
}
