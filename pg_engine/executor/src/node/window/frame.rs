//! Partitions, peer groups and frames.

use alloc::{format, vec::Vec};

use pg_plan::logical::{FrameBound, FrameExclusion, FrameUnits, WindowSpec};
use pg_types::{Batch, Oid, Result, SqlError, SqlState, Value};

use super::offset;
use crate::{
    context::Rt,
    expr::Compiled,
    keys,
    node::{Compiler, sort::KeyRows},
};

/// The rows `start..end`, which have the partition key in common.
pub(super) struct Partition {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where each peer group begins, in order; one more: the end.
    pub(super) groups: Vec<usize>,
    /// Peer group of each row.
    group: Vec<u32>,
}

impl Partition {
    pub(super) fn new(start: usize, end: usize, peers: &KeyRows) -> Self {
        let mut groups = Vec::from([start]);
        let mut group = Vec::with_capacity(end - start);
        for row in start..end {
            if row > start && peers.get(row) != peers.get(row - 1) {
                groups.push(row);
            }
            group.push(groups.len() as u32 - 1);
        }
        groups.push(end);
        Self { start, end, groups, group }
    }
    /// Number of a row's peer group.
    pub(super) fn group_of(&self, row: usize) -> usize {
        self.group.get(row - self.start).map_or(0, |g| *g as usize)
    }
    /// A row's peers.
    pub(super) fn peers(&self, row: usize) -> (usize, usize) {
        let group = self.group_of(row);
        (self.first_of(group as i64), self.first_of(group as i64 + 1))
    }
    /// First row of a group; beyond the partition its bounds.
    fn first_of(&self, group: i64) -> usize {
        if group < 0 {
            return self.start;
        }
        usize::try_from(group).ok().and_then(|g| self.groups.get(g)).copied().unwrap_or(self.end)
    }
}

/// A bound's RANGE distance: the sort keys and the values bounding frames, encoded so that bytes compare as rows sort.
struct Range {
    key: Compiled,
    limit: Compiled,
    ty: Oid,
    keys: Vec<Option<Vec<u8>>>,
    limits: Vec<Option<Vec<u8>>>,
}

struct Bound {
    /// `None`: unbounded or the current row.
    distance: Option<Compiled>,
    current: bool,
    following: bool,
    range: Option<Range>,
    /// ROWS, GROUPS: the distance of this run.
    rows: i64,
}

impl Bound {
    fn new(bound: &FrameBound, c: &mut Compiler<'_>) -> Result<Self> {
        let mut out = Self { distance: None, current: false, following: false, range: None, rows: 0 };
        match bound {
            FrameBound::Unbounded => {}
            FrameBound::Current => out.current = true,
            FrameBound::Offset { distance, following, range } => {
                out.distance = Some(Compiled::new(distance, c)?);
                out.following = *following;
                if let Some(range) = range {
                    out.range = Some(Range {
                        ty: range.0.ty().oid,
                        key: Compiled::new(&range.0, c)?,
                        limit: Compiled::new(&range.1, c)?,
                        keys: Vec::new(),
                        limits: Vec::new(),
                    });
                }
            }
        }
        Ok(out)
    }
}

/// The frame clause.
pub(super) struct Frame {
    units: FrameUnits,
    start: Bound,
    end: Bound,
    exclude: FrameExclusion,
    descending: bool,
    /// Neither end has a distance, so errors cannot come from there.
    plain: bool,
}

impl Frame {
    pub(super) fn new(spec: &WindowSpec, c: &mut Compiler<'_>) -> Result<Self> {
        Ok(Self {
            units: spec.frame.units,
            start: Bound::new(&spec.frame.start, c)?,
            end: Bound::new(&spec.frame.end, c)?,
            exclude: spec.frame.exclude,
            descending: spec.order.first().is_some_and(|k| k.descending),
            plain: !offset(&spec.frame.start) && !offset(&spec.frame.end),
        })
    }

    pub(super) fn reset(&mut self) {
        for bound in [&mut self.start, &mut self.end] {
            bound.distance.iter_mut().for_each(Compiled::reset);
            if let Some(range) = &mut bound.range {
                range.key.reset();
                range.limit.reset();
            }
        }
    }

    /// Reads the distances of a run over all rows.
    pub(super) fn prepare(&mut self, all: &Batch, rt: &Rt<'_, '_>) -> Result<()> {
        if self.plain {
            return Ok(());
        }
        let descending = self.descending;
        for (bound, name) in [(&mut self.start, "starting"), (&mut self.end, "ending")] {
            let Some(distance) = &mut bound.distance else { continue };
            let value = distance.constant(rt)?;
            if value.is_null() {
                let text = format!("frame {name} offset must not be null");
                return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, text));
            }
            if negative(&value) {
                let text = match bound.range {
                    Some(_) => "invalid preceding or following size in window function".into(),
                    None => format!("frame {name} offset must not be negative"),
                };
                return Err(SqlError::new(SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE, text));
            }
            if let Value::Int8(n) = value {
                bound.rows = n;
            }
            if let Some(range) = &mut bound.range {
                let (keys, limits) = (range.key.vector(all, None, rt)?, range.limit.vector(all, None, rt)?);
                let encode = |v: &pg_types::Vector| -> Vec<Option<Vec<u8>>> {
                    let one = |row| {
                        let mut out = Vec::new();
                        keys::encode_vector(range.ty, v, row, descending, false, &mut out);
                        out
                    };
                    (0..all.rows).map(|row| (!v.is_null(row)).then(|| one(row))).collect()
                };
                (range.keys, range.limits) = (encode(&keys), encode(&limits));
                let held = |l: &[Option<Vec<u8>>]| l.iter().flatten().map(|k| k.len() + 24).sum::<usize>();
                rt.charge(held(&range.keys) + held(&range.limits) + all.rows * 48)?;
            }
        }
        Ok(())
    }

    /// The frame of a row: `start..end`, empty ones with equal ends.
    pub(super) fn of(&self, row: usize, partition: &Partition) -> Result<(usize, usize)> {
        let start = self.edge(&self.start, row, partition, true);
        let end = self.edge(&self.end, row, partition, false);
        Ok((start, end.max(start)))
    }

    /// Does EXCLUDE leave rows out?
    pub(super) fn excludes(&self) -> bool {
        self.exclude != FrameExclusion::NoOthers
    }

    /// The frame of a row without what EXCLUDE leaves out, in pieces `start..end`, some of which may be empty.
    pub(super) fn pieces(&self, row: usize, partition: &Partition) -> Result<[(usize, usize); 3]> {
        let (start, end) = self.of(row, partition)?;
        let (first, after) = match self.exclude {
            FrameExclusion::NoOthers => return Ok([(start, end), (end, end), (end, end)]),
            FrameExclusion::CurrentRow => (row, row + 1),
            FrameExclusion::Group | FrameExclusion::Ties => partition.peers(row),
        };
        let (first, after) = (first.clamp(start, end), after.clamp(start, end));
        let stays = self.exclude == FrameExclusion::Ties && (start..end).contains(&row);
        Ok([(start, first), (row, row + usize::from(stays)), (after, end)])
    }

    fn edge(&self, bound: &Bound, row: usize, partition: &Partition, start: bool) -> usize {
        let signed = if bound.following { bound.rows } else { bound.rows.saturating_neg() };
        if bound.distance.is_none() {
            return match (bound.current, start, self.units) {
                (false, true, _) => partition.start,
                (false, false, _) => partition.end,
                (true, true, FrameUnits::Rows) => row,
                (true, false, FrameUnits::Rows) => row + 1,
                (true, true, _) => partition.peers(row).0,
                (true, false, _) => partition.peers(row).1,
            };
        }
        match self.units {
            FrameUnits::Rows => {
                let at = (row as i64).saturating_add(signed).saturating_add(i64::from(!start));
                at.clamp(partition.start as i64, partition.end as i64) as usize
            }
            FrameUnits::Groups => {
                let group = (partition.group_of(row) as i64).saturating_add(signed);
                partition.first_of(if start { group } else { group.saturating_add(1) })
            }
            FrameUnits::Range => {
                let Some(range) = &bound.range else { return partition.start };
                let Some(limit) = range.limits.get(row).and_then(Option::as_ref) else {
                    // NULLs are peers of each other only.
                    let (from, to) = partition.peers(row);
                    return if start { from } else { to };
                };
                let keys = range.keys.get(partition.start..partition.end).unwrap_or(&[]);
                let nulls_before = keys.iter().take_while(|k| k.is_none()).count();
                let known = keys.get(nulls_before..).unwrap_or(&[]);
                let inside = |k: &Option<Vec<u8>>| match k {
                    Some(k) if start => k < limit,
                    Some(k) => k <= limit,
                    None => false,
                };
                partition.start + nulls_before + known.partition_point(inside)
            }
        }
    }
}

fn negative(value: &Value) -> bool {
    match value {
        Value::Int8(n) => *n < 0,
        Value::Float8(x) => *x < 0.0 || x.is_nan(),
        Value::Numeric(n) => {
            pg_types::compare::compare(pg_types::oid::NUMERIC, &Value::Numeric(n.clone()), &zero()).is_lt()
        }
        Value::Interval(_) => {
            let none = Value::Interval(pg_types::value::Interval { months: 0, days: 0, micros: 0 });
            pg_types::compare::compare(pg_types::oid::INTERVAL, value, &none).is_lt()
        }
        _ => false,
    }
}

fn zero() -> Value {
    Value::Numeric(pg_types::Numeric::from(0i64))
}
