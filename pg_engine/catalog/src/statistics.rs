//! Column statistics as rows of `pg_statistic`.

use alloc::vec::Vec;

use pg_types::{Oid, Value, oid};

use crate::{
    reader::ColumnStatistics,
    table::{Row, array},
};

const COMMON: i64 = 1;
const HISTOGRAM: i64 = 2;
const CORRELATION: i64 = 3;

/// Reads a row.
pub fn from_row(r: &Row) -> ColumnStatistics {
    let mut out = ColumnStatistics {
        null_fraction: f64::from(r.float("stanullfrac")),
        width: r.int("stawidth") as u32,
        distinct: f64::from(r.float("stadistinct")),
        ..ColumnStatistics::default()
    };
    let slots = [
        ("stakind1", "stanumbers1", "stavalues1"),
        ("stakind2", "stanumbers2", "stavalues2"),
        ("stakind3", "stanumbers3", "stavalues3"),
    ];
    for (kind, numbers, values) in slots {
        let number = |v: &Value| if let Value::Float4(x) = v { f64::from(*x) } else { 0.0 };
        match r.int(kind) {
            COMMON => {
                out.common =
                    r.array(values).iter().cloned().zip(r.array(numbers).iter().map(number)).collect();
            }
            HISTOGRAM => out.histogram = r.array(values).to_vec(),
            CORRELATION => out.correlation = r.array(numbers).first().map_or(0.0, number),
            _ => {}
        }
    }
    out
}

/// Fills a row in. `equality` and `less`: the type's operators; `ty`: the column's type.
pub fn to_row(mut r: Row, s: &ColumnStatistics, ty: Oid, collation: Oid, equality: Oid, less: Oid) -> Row {
    r.put("stanullfrac", s.null_fraction as f32);
    r.put("stawidth", s.width as i32);
    r.put("stadistinct", s.distinct as f32);
    let floats = |v: Vec<f64>| array(oid::FLOAT4, v.into_iter().map(|x| Value::Float4(x as f32)).collect());
    if !s.common.is_empty() {
        r.put("stakind1", COMMON as i16);
        r.put("staop1", equality);
        r.put("stacoll1", collation);
        r.put("stanumbers1", floats(s.common.iter().map(|c| c.1).collect()));
        r.put("stavalues1", array(ty, s.common.iter().map(|c| c.0.clone()).collect()));
    }
    if !s.histogram.is_empty() {
        r.put("stakind2", HISTOGRAM as i16);
        r.put("staop2", less);
        r.put("stacoll2", collation);
        r.put("stavalues2", array(ty, s.histogram.clone()));
    }
    r.put("stakind3", CORRELATION as i16);
    r.put("staop3", less);
    r.put("stacoll3", collation);
    r.put("stanumbers3", floats(alloc::vec![s.correlation]));
    r
}
