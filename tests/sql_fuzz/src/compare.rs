//! What two servers' answers have in common, and by what they differ.

use std::io;

use crate::client::{Answer, Column, Value};

/// How answers differ; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The connection is gone, or an internal error.
    Crash,
    /// Other rows.
    Rows,
    /// The same rows, in another order where one is asked for.
    Order,
    /// Other column names or types.
    Columns,
    /// Another command tag.
    Tag,
    /// An error where there is none, or another one.
    State,
    /// Refused with 0A000 where the other is not.
    Refused,
    /// Floating-point values that differ in their last digits, as sums in another order do.
    Float,
    /// Values that are equal and written otherwise (1.0 and 1.00), where either may stand for a group.
    Written,
    /// The same SQLSTATE with another message.
    Message,
}

impl Class {
    /// Does it fail the run?
    pub fn grave(self) -> bool {
        !matches!(self, Self::Refused | Self::Float | Self::Message)
    }

    /// As lists write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Rows => "rows",
            Self::Order => "order",
            Self::Columns => "columns",
            Self::Tag => "tag",
            Self::State => "state",
            Self::Refused => "refused",
            Self::Float => "float",
            Self::Written => "written",
            Self::Message => "message",
        }
    }
}

/// A difference.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Of which kind.
    pub class: Class,
    /// What this project's server answered, in short.
    pub ours: String,
    /// What the other one did.
    pub theirs: String,
}

const SHOWN: usize = 6;

fn short(rows: &[&Vec<Value>]) -> String {
    let line =
        |r: &&Vec<Value>| r.iter().map(|v| v.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join(" | ");
    let mut out: Vec<String> = rows.iter().take(SHOWN).map(line).collect();
    if rows.len() > SHOWN {
        out.push(format!("... {} in all", rows.len()));
    }
    out.join("\n    ")
}

/// An answer in a line or a few.
pub fn brief(answer: &io::Result<Answer>) -> String {
    match answer {
        Err(e) => format!("no answer: {e}"),
        Ok(Answer::Failed(e)) => format!("ERROR {}: {}", e.state, e.message),
        Ok(Answer::Done { rows, tag, .. }) => format!("{tag}: {}", short(&rows.iter().collect::<Vec<_>>())),
    }
}

/// Numbers without trailing zeros, so that equal ones are written alike.
fn plain(value: &Value) -> Value {
    let mut out = String::new();
    let text = value.as_deref()?;
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(at);
        let end = number.find(|c| !is_part(c)).unwrap_or(number.len());
        let (number, after) = number.split_at(end);
        let short =
            if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
        out.push_str(if short == "0" { before.strip_suffix('-').unwrap_or(before) } else { before });
        out.push_str(short);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

const FLOATS: [u32; 2] = [700, 701];
const INTERVAL: u32 = 1186;

/// An interval's length in microseconds, a month counting 30 days: what comparisons look at.
fn length(text: &str) -> Option<i128> {
    let (mut days, mut micros) = (0i128, 0i128);
    let mut words = text.split(' ');
    while let Some(word) = words.next() {
        if word.contains(':') {
            let negative = word.starts_with('-');
            let mut parts = word.trim_start_matches(['-', '+']).split(':');
            let hours: i128 = parts.next()?.parse().ok()?;
            let minutes: i128 = parts.next()?.parse().ok()?;
            let seconds = parts.next()?;
            let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
            let seconds: i128 = seconds.parse().ok()?;
            let fraction: i128 = format!("{fraction:0<6}").parse().ok()?;
            let sum = (hours * 3600 + minutes * 60 + seconds) * 1_000_000 + fraction;
            micros = if negative { -sum } else { sum };
        } else {
            let number: i128 = word.parse().ok()?;
            days += number
                * match words.next()? {
                    "year" | "years" => 360,
                    "mon" | "mons" => 30,
                    "day" | "days" => 1,
                    _ => return None,
                };
        }
    }
    Some(days * 86_400_000_000 + micros)
}

/// A value as it is told from others: equal ones alike.
fn as_compared(value: &Value, column: Option<&Column>) -> Value {
    let interval = column.is_some_and(|c| c.type_oid == INTERVAL);
    match value.as_deref().filter(|_| interval).and_then(length) {
        Some(micros) => Some(micros.to_string()),
        None => plain(value),
    }
}

fn near(a: &Value, b: &Value, column: &Column) -> bool {
    let limit = if column.type_oid == 700 { 1e-5 } else { 1e-12 };
    match (a, b) {
        _ if a == b => true,
        (Some(a), Some(b)) if FLOATS.contains(&column.type_oid) => match (a.parse::<f64>(), b.parse::<f64>())
        {
            (Ok(a), Ok(b)) => (a - b).abs() <= limit * a.abs().max(b.abs()),
            _ => false,
        },
        _ => false,
    }
}

/// Rows of one server's that the other has not; both sorted.
fn only<'a>(these: &'a [Vec<Value>], those: &[Vec<Value>]) -> Vec<&'a Vec<Value>> {
    let mut rest = those.iter().peekable();
    let mut found = Vec::new();
    for row in these {
        while rest.peek().is_some_and(|r| *r < row) {
            rest.next();
        }
        if rest.peek() == Some(&row) {
            rest.next();
        } else {
            found.push(row);
        }
    }
    found
}

fn rows(
    ours: &[Vec<Value>],
    theirs: &[Vec<Value>],
    columns: &[Column],
    in_order: bool,
) -> Option<Difference> {
    if ours == theirs {
        return None;
    }
    let sorted = |rows: &[Vec<Value>]| {
        let mut rows = rows.to_vec();
        rows.sort();
        rows
    };
    let (a, b) = (sorted(ours), sorted(theirs));
    let all = |rows: &[Vec<Value>]| short(&rows.iter().collect::<Vec<_>>());
    let found = |class, ours, theirs| Some(Difference { class, ours, theirs });
    let plainly = |rows: &[Vec<Value>]| {
        let row =
            |r: &Vec<Value>| r.iter().enumerate().map(|(n, v)| as_compared(v, columns.get(n))).collect();
        rows.iter().map(row).collect::<Vec<Vec<Value>>>()
    };
    if a == b {
        if !in_order || plainly(ours) == plainly(theirs) {
            return None;
        }
        return found(Class::Order, all(ours), all(theirs));
    }
    let (x, y) = (only(&a, &b), only(&b, &a));
    let differing = |what| {
        (
            format!("{} rows, of them {what}:\n    {}", ours.len(), short(&x)),
            format!("{} rows, of them {what}:\n    {}", theirs.len(), short(&y)),
        )
    };
    let (o, t) = differing("not the other's");
    if sorted(&plainly(ours)) == sorted(&plainly(theirs)) {
        return found(Class::Written, o, t);
    }
    let same = |r: (&&Vec<Value>, &&Vec<Value>)| {
        r.0.iter().zip(r.1.iter()).zip(columns).all(|((a, b), c)| near(a, b, c))
    };
    if x.len() == y.len() && x.iter().zip(&y).all(same) {
        return found(Class::Float, o, t);
    }
    found(Class::Rows, o, t)
}

/// Types of users have numbers of their own. A modifier that only one of them knows is that of a constant to which it reduced an
/// expression.
fn same_type(a: &Column, b: &Column) -> bool {
    let modifiers = a.modifier == b.modifier || a.modifier == -1 || b.modifier == -1;
    a.type_oid == b.type_oid && modifiers || a.type_oid >= 16384 && b.type_oid >= 16384
}

/// Compares two answers to one statement.
pub fn compare(ours: &io::Result<Answer>, theirs: &io::Result<Answer>, in_order: bool) -> Option<Difference> {
    let whole = |class| Some(Difference { class, ours: brief(ours), theirs: brief(theirs) });
    let (o, t) = match (ours, theirs) {
        (Ok(o), Ok(t)) => (o, t),
        // Answers larger than this program reads, on both sides.
        (Err(o), Err(t)) if o.kind() == t.kind() && o.kind() == io::ErrorKind::InvalidData => return None,
        _ => return whole(Class::Crash),
    };
    match (o, t) {
        // Too slow for one of them says nothing.
        (Answer::Failed(e), _) | (_, Answer::Failed(e)) if e.state == "57014" => None,
        (Answer::Failed(e), _) if e.state == "XX000" && o != t => whole(Class::Crash),
        (Answer::Failed(o), Answer::Failed(t)) if o.state == t.state => {
            if o.message == t.message {
                None
            } else {
                whole(Class::Message)
            }
        }
        (Answer::Failed(o), _) if o.state == "0A000" => whole(Class::Refused),
        (Answer::Failed(_), _) | (_, Answer::Failed(_)) => whole(Class::State),
        (
            Answer::Done { columns: oc, rows: or, tag: ot },
            Answer::Done { columns: tc, rows: tr, tag: tt },
        ) => {
            let columns =
                oc.len() == tc.len() && oc.iter().zip(tc).all(|(a, b)| a.name == b.name && same_type(a, b));
            if !columns {
                return Some(Difference {
                    class: Class::Columns,
                    ours: format!("{oc:?}"),
                    theirs: format!("{tc:?}"),
                });
            }
            if let Some(found) = rows(or, tr, tc, in_order) {
                return Some(found);
            }
            if ot == tt { None } else { whole(Class::Tag) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::SqlError;

    fn done(rows: &[&str]) -> io::Result<Answer> {
        let columns = vec![Column { name: "o0".into(), type_oid: 701, modifier: -1 }];
        Ok(Answer::Done {
            columns,
            rows: rows.iter().map(|r| vec![Some((*r).into())]).collect(),
            tag: "SELECT".into(),
        })
    }

    fn failed(state: &str, message: &str) -> io::Result<Answer> {
        Ok(Answer::Failed(SqlError { state: state.into(), message: message.into() }))
    }

    fn class(a: &io::Result<Answer>, b: &io::Result<Answer>, in_order: bool) -> Option<Class> {
        compare(a, b, in_order).map(|d| d.class)
    }

    #[test]
    fn classes() {
        assert_eq!(class(&done(&["a", "b"]), &done(&["b", "a"]), false), None);
        assert_eq!(class(&done(&["a", "b"]), &done(&["b", "a"]), true), Some(Class::Order));
        assert_eq!(class(&done(&["a"]), &done(&["a", "a"]), false), Some(Class::Rows));
        assert_eq!(class(&done(&["1.0"]), &done(&["1.00"]), false), Some(Class::Written));
        assert_eq!(class(&done(&["0.30000000000000004"]), &done(&["0.3"]), false), Some(Class::Float));
        assert_eq!(class(&failed("22012", "x"), &done(&["1"]), false), Some(Class::State));
        assert_eq!(class(&failed("0A000", "x"), &done(&["1"]), false), Some(Class::Refused));
        assert_eq!(class(&failed("22012", "x"), &failed("22012", "y"), false), Some(Class::Message));
        assert_eq!(class(&failed("XX000", "x"), &failed("22012", "y"), false), Some(Class::Crash));
    }

    #[test]
    fn intervals_by_length() {
        assert_eq!(length("1 mon"), length("30 days"));
        assert_eq!(length("1 day"), length("24:00:00"));
        assert_eq!(length("-00:00:00.1"), Some(-100_000));
        assert_eq!(length("-1 years +3 days 00:00:01.5"), Some(-357 * 86_400_000_000 + 1_500_000));
    }

    #[test]
    fn numbers_without_their_zeros() {
        assert_eq!(plain(&Some("{1.50,2.0,10,-0.00}".into())).as_deref(), Some("{1.5,2,10,0}"));
    }
}
