//! Membership in a list of constants, a column at a time.

use alloc::{boxed::Box, vec::Vec};

use pg_types::{ColumnData, Value, Vector, oid, value::ArrayValue, vector::Nulls};

/// Constants of one class, sorted, to look values up in.
#[derive(Clone)]
pub(crate) struct Members {
    list: List,
    /// A NULL is among them: what is not found is unknown.
    null: bool,
}

#[derive(Clone)]
enum List {
    Integers(Vec<i64>),
    /// Of bpchar, without the blanks at their ends, which do not count.
    Texts(Vec<Box<[u8]>>, bool),
}

fn trimmed(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|b| *b != b' ').map_or(0, |at| at + 1);
    &text[..end]
}

impl Members {
    /// Of an array whose elements are equal exactly when SQL's equality says so; `None`: of no class that is known here.
    pub(super) fn of(array: &ArrayValue) -> Option<Self> {
        let mut null = false;
        let (mut integers, mut texts) = (Vec::new(), Vec::new());
        let blanks = array.element == oid::BPCHAR;
        for v in &array.values {
            match v {
                Value::Null => null = true,
                Value::Int2(n) => integers.push(i64::from(*n)),
                Value::Int4(n) | Value::Date(n) => integers.push(i64::from(*n)),
                Value::Int8(n) => integers.push(*n),
                Value::Text(t) if blanks => texts.push(Box::from(trimmed(t.as_bytes()))),
                Value::Text(t) => texts.push(Box::from(t.as_bytes())),
                _ => return None,
            }
        }
        integers.sort_unstable();
        texts.sort_unstable();
        let list = match (integers.is_empty(), texts.is_empty()) {
            (false, true) => List::Integers(integers),
            (true, false) => List::Texts(texts, blanks),
            _ => return None,
        };
        Some(Self { list, null })
    }

    /// `x = ANY (list)` for these rows; `None`: the column is of another class.
    pub(super) fn contain(
        &self,
        v: &Vector,
        rows: usize,
        sel: Option<&[u32]>,
    ) -> Option<(Vec<bool>, Option<Nulls>)> {
        let mut found = alloc::vec![false; rows];
        let mut nulls: Option<Nulls> = None;
        let has: &dyn Fn(usize) -> bool = match (&self.list, &v.data) {
            (List::Integers(list), ColumnData::Int2(d)) => &|i| list.binary_search(&i64::from(d[i])).is_ok(),
            (List::Integers(list), ColumnData::Int4(d)) => &|i| list.binary_search(&i64::from(d[i])).is_ok(),
            (List::Integers(list), ColumnData::Int8(d)) => &|i| list.binary_search(&d[i]).is_ok(),
            (List::Texts(list, blanks), ColumnData::Text(d)) => &|i| {
                let text = if *blanks { trimmed(d.get(i)) } else { d.get(i) };
                list.binary_search_by(|e| (**e).cmp(text)).is_ok()
            },
            _ => return None,
        };
        let mut one = |row: usize| {
            let here = !v.is_null(row) && has(v.index(row));
            found[row] = here;
            if !here && (self.null || v.is_null(row)) {
                nulls.get_or_insert_default().set(row);
            }
        };
        match sel {
            None => (0..rows).for_each(one),
            Some(sel) => sel.iter().for_each(|&i| one(i as usize)),
        }
        Some((found, nulls))
    }
}
