//! Extended statistics: what ANALYZE finds out about columns together, as a row of `pg_statistic_ext_data`.
//!
//! Statistics of each expression by itself are rows of `pg_statistic`, of relation and column (the object, the expression's place).
//! Numbers of distinct combinations and dependencies are kept as the texts that PostgreSQL shows. The list of common combinations is
//! bytes: a magic, a version, the number of columns (2 bytes), their types' oids, the number of items (4 bytes); per item the
//! frequency, the frequency if the columns were independent (8 bytes each), and its values as a sized tuple. Little endian.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use pg_storage::Snapshot;
use pg_types::{Oid, Result, SqlType, Value, tuple::TupleLayout};

use crate::{
    builtin::{PG_STATISTIC_EXT, PG_STATISTIC_EXT_DATA, rows::EXPRESSION_SEPARATOR},
    cache::Catalog,
    table::Row,
};

/// Columns that one statistics object is about, at most.
pub const MAX_COLUMNS: usize = 8;
/// Common combinations kept, at most.
const MAX_ITEMS: u32 = 10_000;
const MAGIC: [u8; 4] = *b"IMCV";
const VERSION: u16 = 1;

/// What is known of some columns of a table together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExtendedStatistics {
    /// The columns, ascending, then numbers below zero for the expressions.
    pub columns: Vec<i16>,
    /// The expressions.
    pub expressions: Vec<Expression>,
    /// Numbers of distinct combinations, of two columns and more.
    pub distinct: Vec<(Vec<i16>, f64)>,
    /// How far columns determine another.
    pub dependencies: Vec<Dependence>,
    /// The most common combinations of all the columns, most frequent first.
    pub common: Vec<CommonTuple>,
}

/// An expression that there are statistics of.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// Its number: the same one in all statistics of the table. Rows have −1, −2, ... by its place in its own object.
    pub number: i16,
    /// Canonical text.
    pub text: String,
    /// Where statistics of it alone are: the relation and the column of `pg_statistic`.
    pub place: (Oid, i16),
}

/// In which share of the rows `from` determines `to`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "see the type")]
pub struct Dependence {
    pub from: Vec<i16>,
    pub to: i16,
    pub degree: f64,
}

/// A combination of values, in the order of the columns.
#[derive(Clone, Debug, PartialEq)]
pub struct CommonTuple {
    /// The values.
    pub values: Vec<Value>,
    /// The share of the rows that have them.
    pub frequency: f64,
    /// The share that would have them if the columns were independent.
    pub base_frequency: f64,
}

/// `1, 2`
fn list(columns: &[i16]) -> String {
    let mut out = String::new();
    for (i, c) in columns.iter().enumerate() {
        out.push_str(&if i == 0 { format!("{c}") } else { format!(", {c}") });
    }
    out
}

fn numbers(text: &str) -> Option<Vec<i16>> {
    text.split(',').map(|n| n.trim().parse().ok()).collect()
}

/// The pairs of `{"name": value, ...}`; nothing that has the form of something else.
fn pairs(text: &str) -> Vec<(&str, f64)> {
    let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or("");
    let mut out = Vec::new();
    // A quote opens a name, the next ends it; behind it stands the value.
    let mut parts = inner.split('"').skip(1);
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        let value = value.trim_matches(|c: char| matches!(c, ':' | ',' | ' '));
        out.extend(value.parse::<f64>().ok().filter(|v| v.is_finite()).map(|v| (name, v)));
    }
    out
}

/// `pg_ndistinct` as text.
pub fn distinct_text(all: &[(Vec<i16>, f64)]) -> String {
    let parts: Vec<String> = all.iter().map(|(c, n)| format!("\"{}\": {}", list(c), *n as i64)).collect();
    format!("{{{}}}", parts.join(", "))
}

/// `pg_dependencies` as text.
pub fn dependencies_text(all: &[Dependence]) -> String {
    let one = |d: &Dependence| format!("\"{} => {}\": {:.6}", list(&d.from), d.to, d.degree);
    let parts: Vec<String> = all.iter().map(one).collect();
    format!("{{{}}}", parts.join(", "))
}

fn read_distinct(text: &str) -> Vec<(Vec<i16>, f64)> {
    pairs(text).into_iter().filter_map(|(name, n)| Some((numbers(name)?, n.max(1.0)))).collect()
}

fn read_dependencies(text: &str) -> Vec<Dependence> {
    let one = |(name, degree): (&str, f64)| {
        let (from, to) = name.split_once("=>")?;
        Some(Dependence { from: numbers(from)?, to: to.trim().parse().ok()?, degree: degree.clamp(0.0, 1.0) })
    };
    pairs(text).into_iter().filter_map(one).collect()
}

/// The list of common combinations as bytes.
pub fn common_bytes(types: &[SqlType], items: &[CommonTuple]) -> Result<Vec<u8>> {
    let mut out = Vec::from(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend((types.len() as u16).to_le_bytes());
    types.iter().for_each(|t| out.extend(t.oid.to_le_bytes()));
    out.extend((items.len() as u32).to_le_bytes());
    let layout = TupleLayout::new(types);
    let mut tuple = Vec::new();
    for item in items {
        out.extend(item.frequency.to_le_bytes());
        out.extend(item.base_frequency.to_le_bytes());
        tuple.clear();
        layout.encode(&item.values, &mut tuple)?;
        out.extend((tuple.len() as u32).to_le_bytes());
        out.extend(&tuple);
    }
    Ok(out)
}

/// Reads forward through bytes.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}

/// Types and items of such bytes; `None`: they are something else.
pub fn read_common(bytes: &[u8]) -> Option<(Vec<SqlType>, Vec<CommonTuple>)> {
    let mut c = Bytes(bytes);
    if c.array::<4>()? != MAGIC || u16::from_le_bytes(c.array()?) != VERSION {
        return None;
    }
    let width = usize::from(u16::from_le_bytes(c.array()?));
    if !(1..=MAX_COLUMNS).contains(&width) {
        return None;
    }
    let mut types = Vec::with_capacity(width);
    for _ in 0..width {
        types.push(SqlType::new(u32::from_le_bytes(c.array()?)));
    }
    let layout = TupleLayout::new(&types);
    let count = u32::from_le_bytes(c.array()?).min(MAX_ITEMS);
    let mut items = Vec::new();
    for _ in 0..count {
        let frequency = f64::from_le_bytes(c.array()?);
        let base_frequency = f64::from_le_bytes(c.array()?);
        let length = u32::from_le_bytes(c.array()?) as usize;
        let values = layout.decode(c.take(length)?, &[]).ok()?;
        let shares = [frequency, base_frequency];
        if values.len() != width || !shares.iter().all(|s| (0.0..=1.0).contains(s)) {
            return None;
        }
        items.push(CommonTuple { values, frequency, base_frequency });
    }
    c.0.is_empty().then_some((types, items))
}

impl Catalog {
    /// What ANALYZE found out about columns of a table together; objects that it has not filled in yet are left out.
    pub(crate) fn load_extended(
        &self,
        snapshot: &Snapshot,
        relation: Oid,
    ) -> Result<Arc<[ExtendedStatistics]>> {
        let mut all = Vec::new();
        for object in self.find(snapshot, PG_STATISTIC_EXT, &["stxrelid"], &[Value::Oid(relation)])? {
            let key = [object.get("oid").clone(), Value::Bool(false)];
            let columns = ["stxoid", "stxdinherit"];
            if let Some(data) = self.find_one(snapshot, PG_STATISTIC_EXT_DATA, &columns, &key)? {
                all.push(from_rows(&object, &data));
            }
        }
        number_expressions(&mut all);
        Ok(all.into())
    }
}

/// The expressions of a row of `pg_statistic_ext`.
pub fn expressions_of(object: &Row) -> Vec<String> {
    match object.get("stxexprs") {
        Value::Text(all) => all.split(EXPRESSION_SEPARATOR).map(Into::into).collect(),
        _ => Vec::new(),
    }
}

/// Gives each expression one number, whichever objects it is in.
fn number_expressions(all: &mut [ExtendedStatistics]) {
    let mut texts: Vec<String> = Vec::new();
    for object in all {
        let mut numbers = Vec::with_capacity(object.expressions.len());
        for e in &mut object.expressions {
            let at = texts.iter().position(|t| *t == e.text).unwrap_or(texts.len());
            if at == texts.len() {
                texts.push(e.text.clone());
            }
            e.number = i16::try_from(at).map_or(i16::MIN, |at| -1 - at);
            numbers.push(e.number);
        }
        let renumber = |c: &mut i16| {
            let at = usize::try_from(-1 - i32::from(*c));
            *c = at.ok().and_then(|at| numbers.get(at)).copied().unwrap_or(*c);
        };
        object.columns.iter_mut().for_each(renumber);
        object.distinct.iter_mut().flat_map(|d| &mut d.0).for_each(renumber);
        let dependencies = object.dependencies.iter_mut();
        dependencies.flat_map(|d| d.from.iter_mut().chain([&mut d.to])).for_each(renumber);
    }
}

fn from_rows(object: &Row, data: &Row) -> ExtendedStatistics {
    let mut columns = object.int2s("stxkeys");
    let expressions: Vec<Expression> = expressions_of(object)
        .into_iter()
        .zip(1..)
        .map(|(text, n)| Expression { number: -n, text, place: (object.oid("oid"), n) })
        .collect();
    columns.extend(expressions.iter().map(|e| e.number));
    let text = |column: &str| data.text_option(column).unwrap_or_default();
    let common = match data.get("stxdmcv") {
        Value::Bytea(bytes) => read_common(bytes).map(|c| c.1).unwrap_or_default(),
        _ => Vec::new(),
    };
    ExtendedStatistics {
        distinct: read_distinct(&text("stxdndistinct")),
        dependencies: read_dependencies(&text("stxddependencies")),
        common: common.into_iter().filter(|c| c.values.len() == columns.len()).collect(),
        columns,
        expressions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pg_types::oid;

    #[test]
    fn texts_are_read_as_they_are_written() {
        let distinct = Vec::from([(Vec::from([1, 2]), 10.0), (Vec::from([1, 2, 5]), 33178.0)]);
        assert_eq!(distinct_text(&distinct), r#"{"1, 2": 10, "1, 2, 5": 33178}"#);
        assert_eq!(read_distinct(&distinct_text(&distinct)), distinct);
        let dependencies = Vec::from([
            Dependence { from: Vec::from([1]), to: 2, degree: 1.0 },
            Dependence { from: Vec::from([1, 3]), to: 2, degree: 0.25 },
        ]);
        assert_eq!(dependencies_text(&dependencies), r#"{"1 => 2": 1.000000, "1, 3 => 2": 0.250000}"#);
        assert_eq!(read_dependencies(&dependencies_text(&dependencies)), dependencies);
        for odd in ["", "{", r#"{"1"}"#, r#"{"x => y": 1}"#, r#"{"1, 2": nan}"#, "{}"] {
            assert!(read_distinct(odd).is_empty() && read_dependencies(odd).is_empty(), "{odd}");
        }
    }

    #[test]
    fn an_expression_has_one_number_in_all_objects() {
        let object = |oid, texts: &[&str]| {
            let one =
                |(text, n): (&&str, i16)| Expression { number: -n, text: (*text).into(), place: (oid, n) };
            ExtendedStatistics {
                columns: (0..=texts.len() as i16).map(|n| if n == 0 { 3 } else { -n }).collect(),
                expressions: texts.iter().zip(1..).map(one).collect(),
                distinct: Vec::from([(Vec::from([3, -1]), 4.0)]),
                dependencies: Vec::from([Dependence { from: Vec::from([-1]), to: 3, degree: 1.0 }]),
                ..ExtendedStatistics::default()
            }
        };
        let mut all = [object(1, &["(a + 1)"]), object(2, &["lower(b)", "(a + 1)"])];
        number_expressions(&mut all);
        assert_eq!(all[0].columns, [3, -1]);
        assert_eq!(all[1].columns, [3, -2, -1]);
        assert_eq!(all[1].distinct[0].0, [3, -2]);
        assert_eq!((all[1].dependencies[0].from.as_slice(), all[1].dependencies[0].to), (&[-2][..], 3));
        assert_eq!(all[1].expressions[1].place, (2, 2));
    }

    #[test]
    fn common_combinations_survive_and_other_bytes_are_refused() {
        let types = [oid::INT4, oid::TEXT].map(SqlType::new);
        let item = |n, text: Value| CommonTuple {
            values: Vec::from([Value::Int4(n), text]),
            frequency: 0.25,
            base_frequency: 0.125,
        };
        let items = Vec::from([item(1, Value::text("one")), item(2, Value::Null)]);
        let bytes = common_bytes(&types, &items).expect("encodes");
        let (read_types, read) = read_common(&bytes).expect("decodes");
        assert_eq!((read_types.as_slice(), &read), (types.as_slice(), &items));
        for cut in 0..bytes.len() {
            assert!(read_common(&bytes[..cut]).is_none(), "{cut}");
        }
        for at in 0..bytes.len() {
            let mut spoiled = bytes.clone();
            spoiled[at] ^= 0x55;
            // It must not panic; what it reads may differ.
            let _ = read_common(&spoiled);
        }
    }
}
