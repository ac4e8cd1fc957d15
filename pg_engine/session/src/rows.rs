//! Result rows onto the wire.

use alloc::{format, string::String, vec::Vec};

use pg_executor::{ExecContext, text};
use pg_plan::statement::ResultColumn;
use pg_types::{
    Batch, ColumnData, Result, SqlError, SqlType, Value, Vector, format::FormatSettings, io, oid, typeinfo,
    user,
};
use pg_wire::{Encoder, backend::FieldDescription};

use crate::{portal::Formats, statement::Plan};

/// RowDescription of a plan's result; in text format it is made once.
pub fn describe_plan(out: &mut Encoder, plan: &Plan, formats: &Formats) {
    let columns = &plan.planned.columns;
    if *formats != Formats::Text || out.encoding().is_some() {
        return describe(out, columns, formats);
    }
    let described = plan.described.get_or_init(|| {
        let mut out = Encoder::new();
        describe(&mut out, columns, formats);
        out.bytes().into()
    });
    out.repeat(described);
}

/// RowDescription.
pub fn describe(out: &mut Encoder, columns: &[ResultColumn], formats: &Formats) {
    out.row_description(columns.iter().enumerate().map(|(i, c)| FieldDescription {
        name: &c.name,
        table: c.table,
        attnum: c.attnum,
        // An undecided literal is text to a client.
        ty: if c.ty.oid == oid::UNKNOWN { oid::TEXT } else { c.ty.oid },
        len: typeinfo::get(c.ty.oid).map_or(-1, |t| t.len),
        typmod: c.ty.typmod,
        format: i16::from(formats.binary(i)),
    }));
}

/// Does any of these columns need the catalogs to be written as text (the reg* types)?
pub fn need_catalog(columns: &[ResultColumn]) -> bool {
    columns.iter().any(|c| text::needs_catalog(c.ty.oid))
}

/// DataRows for `count` selected rows of a batch, beginning with selected row number `from`. `catalog` is needed when
/// [`need_catalog`].
pub fn encode(
    out: &mut Encoder,
    batch: &Batch,
    from: usize,
    count: usize,
    formats: &Formats,
    settings: &FormatSettings,
    catalog: Option<&ExecContext<'_>>,
) -> Result<()> {
    let carried: Vec<Carried> = match out.encoding() {
        None => Vec::new(),
        Some(_) => batch.columns.iter().enumerate().map(|(i, c)| carried(c.ty, formats.binary(i))).collect(),
    };
    for n in from..from + count {
        let Some(row) = batch.nth_row(n) else { break };
        let mark = out.begin_row(batch.columns.len());
        for (i, column) in batch.columns.iter().enumerate() {
            if column.is_null(row) {
                out.null();
            } else {
                let binary = formats.binary(i);
                let write = |buf: &mut Vec<u8>| match catalog {
                    Some(cx) if !binary && text::needs_catalog(column.ty.oid) => {
                        let name = text::output(&column.value(row), column.ty.oid, cx)?;
                        buf.extend_from_slice(name.as_bytes());
                        Ok(())
                    }
                    _ => write(buf, column, row, binary, settings),
                };
                match carried.get(i) {
                    None | Some(Carried::Bytes) => out.value_with(write)?,
                    Some(Carried::Text) => out.text_with(write)?,
                    Some(Carried::Parts) => return Err(in_parts(column.ty)),
                }
            }
        }
        out.end_row(mark);
    }
    Ok(())
}

/// A value as text; `None`: NULL.
pub fn shown(value: &Value, ty: SqlType, settings: &FormatSettings) -> Option<String> {
    if value.is_null() {
        return None;
    }
    let mut text = Vec::new();
    io::output(value, ty, settings, &mut text);
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// How a value goes to or comes from a client that does not speak UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// As it is.
    Bytes,
    /// It is text.
    Text,
    /// There may be text within it.
    Parts,
}

/// How values of a type are carried.
pub fn carried(ty: SqlType, binary: bool) -> Carried {
    if !binary {
        return Carried::Text;
    }
    match ty.oid {
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::UNKNOWN | oid::JSON | oid::JSONB => {
            return Carried::Text;
        }
        oid::RECORD => return Carried::Parts,
        _ => {}
    }
    match typeinfo::element_of(ty.oid) {
        0 if user::is_enum(ty.oid) => Carried::Text,
        0 if user::is_user(ty.oid) => Carried::Parts,
        0 => Carried::Bytes,
        element => match carried(SqlType::new(element), true) {
            Carried::Bytes => Carried::Bytes,
            _ => Carried::Parts,
        },
    }
}

/// Text within arrays and rows is not converted.
pub fn in_parts(ty: SqlType) -> SqlError {
    SqlError::unsupported(format!(
        "binary format of type {} with a client encoding other than UTF8",
        typeinfo::display(ty)
    ))
}

/// One value, not NULL. The commonest classes are written here without a call across crates.
fn write(
    buf: &mut alloc::vec::Vec<u8>,
    column: &Vector,
    row: usize,
    binary: bool,
    settings: &FormatSettings,
) -> Result<()> {
    let at = column.index(row);
    let mut digits = itoa::Buffer::new();
    match (&column.data, binary) {
        (ColumnData::Int4(v), false) if column.ty.oid == oid::INT4 => {
            buf.extend_from_slice(digits.format(v.get(at).copied().unwrap_or(0)).as_bytes());
        }
        (ColumnData::Int8(v), false) if column.ty.oid == oid::INT8 => {
            buf.extend_from_slice(digits.format(v.get(at).copied().unwrap_or(0)).as_bytes());
        }
        (ColumnData::Int4(v), true) => {
            buf.extend_from_slice(&v.get(at).copied().unwrap_or(0).to_be_bytes());
        }
        (ColumnData::Int8(v), true) if column.ty.oid == oid::INT8 => {
            buf.extend_from_slice(&v.get(at).copied().unwrap_or(0).to_be_bytes());
        }
        (ColumnData::Text(v), _) if column.ty.oid != oid::CHAR && column.ty.oid != oid::JSONB => {
            buf.extend_from_slice(v.get(at));
        }
        (_, false) => io::output_row(column, row, settings, buf),
        (_, true) => io::send_row(column, row, settings, buf),
    }
    Ok(())
}

/// The fields of the rows among messages of the server's own making, all in text format.
pub fn texts(mut messages: &[u8]) -> Vec<Vec<Option<String>>> {
    let mut rows = Vec::new();
    while let Some((&[tag, l0, l1, l2, l3], rest)) = messages.split_first_chunk::<5>() {
        let len = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let Some((body, after)) = rest.split_at_checked(len.saturating_sub(4)) else { break };
        messages = after;
        if tag == b'D' {
            rows.push(fields(body).unwrap_or_default());
        }
    }
    rows
}

fn fields(body: &[u8]) -> Option<Vec<Option<String>>> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut fields = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (len, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        let Ok(len) = usize::try_from(i32::from_be_bytes(*len)) else {
            fields.push(None);
            continue;
        };
        let (text, after) = rest.split_at_checked(len)?;
        fields.push(Some(String::from_utf8_lossy(text).into_owned()));
        rest = after;
    }
    Some(fields)
}
