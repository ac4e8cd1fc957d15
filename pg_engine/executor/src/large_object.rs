//! Large objects: sequences of bytes that have a number, read and written through descriptors that live as long as a
//! transaction.
//!
//! An object is a row of `pg_largeobject_metadata` and pages of [`PAGE`] bytes, the rows of `pg_largeobject`; a page that is not
//! there, or a shorter one that is not the last, is filled up with zeros.

use alloc::{format, vec::Vec};

use pg_catalog::{
    CatalogReader, LargeDescriptor,
    acl::{Acl, Class, Rights, right},
    builtin::{PG_LARGEOBJECT, PG_LARGEOBJECT_METADATA},
    table::Row,
};
use pg_types::{Oid, Result, SqlError, SqlState, Value};

use crate::{context::ExecContext, ddl::Ddl};

/// Bytes of a page.
const PAGE: i64 = 2048;
/// An object has as many pages as an int4 counts.
const MOST: i64 = i32::MAX as i64 * PAGE;
/// Bytes that one call may read: what a bytea may hold.
const MOST_READ: i64 = 0x3fff_ffff;
/// `INV_WRITE` and `INV_READ`.
const WRITE: i64 = 0x20000;
const READ: i64 = 0x40000;

fn invalid(text: alloc::string::String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text)
}

fn no_object(oid: Oid) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("large object {oid} does not exist"))
}

/// Work on large objects in one call.
struct Large<'a, 'c> {
    ddl: Ddl<'a, 'c>,
}

impl<'a, 'c> Large<'a, 'c> {
    fn new(cx: &'a ExecContext<'c>) -> Self {
        Self { ddl: Ddl { cx } }
    }

    fn writing(cx: &'a ExecContext<'c>, function: &str) -> Result<Self> {
        cx.txn.borrow().check_writable(function)?;
        Ok(Self::new(cx))
    }

    fn metadata(&self, oid: Oid) -> Result<Option<Row>> {
        let rows = self.ddl.find(PG_LARGEOBJECT_METADATA, &["oid"], &[Value::Oid(oid)])?;
        Ok(rows.into_iter().next().map(|r| r.1))
    }

    /// The object's row, if the user may do this with it.
    fn permitted(&self, oid: Oid, wanted: Rights) -> Result<Row> {
        let row = self.metadata(oid)?.ok_or_else(|| no_object(oid))?;
        let reader = self.ddl.reader()?;
        let acl = Acl::of_value(row.get("lomacl"));
        let roles = CatalogReader::roles(&reader)?;
        let user = self.ddl.cx.session.user();
        let owner = row.oid("lomowner");
        if pg_catalog::access::rights_of(acl.as_ref(), Class::LargeObject, owner, user, wanted, &roles)
            != wanted
        {
            let text = format!("permission denied for large object {oid}");
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, text));
        }
        Ok(row)
    }

    fn create(&self, wanted: Oid) -> Result<Oid> {
        let oid = if wanted == 0 { self.ddl.oid()? } else { wanted };
        if self.metadata(oid)?.is_some() {
            let text = "duplicate key value violates unique constraint \"pg_largeobject_metadata_oid_index\"";
            return Err(SqlError::new(SqlState::UNIQUE_VIOLATION, text)
                .detail(format!("Key (oid)=({oid}) already exists."))
                .table("pg_catalog", "pg_largeobject_metadata")
                .constraint("pg_largeobject_metadata_oid_index"));
        }
        let row = self.ddl.row(PG_LARGEOBJECT_METADATA)?.set("oid", oid).set("lomowner", self.ddl.user());
        self.ddl.insert(PG_LARGEOBJECT_METADATA, &row)?;
        Ok(oid)
    }

    fn unlink(&self, oid: Oid) -> Result<()> {
        let row = self.metadata(oid)?.ok_or_else(|| no_object(oid))?;
        if !self.ddl.owns(row.oid("lomowner"))? {
            let text = format!("must be owner of large object {oid}");
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, text));
        }
        self.ddl.delete(PG_LARGEOBJECT_METADATA, &["oid"], &[Value::Oid(oid)])?;
        self.ddl.delete(PG_LARGEOBJECT, &["loid"], &[Value::Oid(oid)])?;
        self.ddl.forget_comment(PG_LARGEOBJECT, oid)?;
        Ok(())
    }

    fn page(&self, oid: Oid, page: i32) -> Result<Option<Vec<u8>>> {
        let key = [Value::Oid(oid), Value::Int4(page)];
        let rows = self.ddl.find(PG_LARGEOBJECT, &["loid", "pageno"], &key)?;
        Ok(rows.first().map(|(_, r)| bytes(r)))
    }

    fn put_page(&self, oid: Oid, page: i32, data: &[u8], there: bool) -> Result<()> {
        let row = self
            .ddl
            .row(PG_LARGEOBJECT)?
            .set("loid", oid)
            .set("pageno", page)
            .set("data", Value::Bytea(data.into()));
        if there {
            let key = [Value::Oid(oid), Value::Int4(page)];
            self.ddl.update(PG_LARGEOBJECT, &["loid", "pageno"], &key, |r| *r = row.clone())?;
            return Ok(());
        }
        self.ddl.insert(PG_LARGEOBJECT, &row)
    }

    /// Bytes up to the end of the last page.
    fn size(&self, oid: Oid) -> Result<i64> {
        let rows = self.ddl.find(PG_LARGEOBJECT, &["loid"], &[Value::Oid(oid)])?;
        Ok(rows.iter().map(|(_, r)| r.int("pageno") * PAGE + bytes(r).len() as i64).max().unwrap_or(0))
    }

    fn read(&self, oid: Oid, from: i64, length: i64) -> Result<Vec<u8>> {
        let end = self.size(oid)?.min(from.saturating_add(length));
        let mut out = Vec::new();
        let mut at = from;
        while at < end {
            self.ddl.cx.checkpoint()?;
            let (page, offset) = (at / PAGE, (at % PAGE) as usize);
            let until = (end - page * PAGE).min(PAGE) as usize;
            let data = self.page(oid, page as i32)?.unwrap_or_default();
            let part = data.get(offset..until.min(data.len())).unwrap_or(&[]);
            out.extend_from_slice(part);
            // What is not there reads as zeros.
            let hole = until - offset - part.len();
            out.resize(out.len() + hole, 0);
            at = page * PAGE + until as i64;
        }
        Ok(out)
    }

    fn write(&self, oid: Oid, from: i64, data: &[u8]) -> Result<()> {
        if from.checked_add(data.len() as i64).is_none_or(|end| end > MOST) {
            return Err(invalid(format!("invalid large object write request size: {}", data.len())));
        }
        let (mut at, mut rest) = (from, data);
        while !rest.is_empty() {
            self.ddl.cx.checkpoint()?;
            let (page, offset) = ((at / PAGE) as i32, (at % PAGE) as usize);
            let n = rest.len().min(PAGE as usize - offset);
            let (part, more) = rest.split_at(n);
            let old = self.page(oid, page)?;
            let there = old.is_some();
            let mut new = old.unwrap_or_default();
            new.resize(new.len().max(offset + n), 0);
            if let Some(target) = new.get_mut(offset..offset + n) {
                target.copy_from_slice(part);
            }
            self.put_page(oid, page, &new, there)?;
            (at, rest) = (at + n as i64, more);
        }
        Ok(())
    }

    fn truncate(&self, oid: Oid, length: i64) -> Result<()> {
        if !(0..=MOST).contains(&length) {
            return Err(invalid(format!("invalid large object truncation target: {length}")));
        }
        let (last, keep) = ((length / PAGE) as i32, (length % PAGE) as usize);
        let mut partial = None;
        for (_, r) in self.ddl.find(PG_LARGEOBJECT, &["loid"], &[Value::Oid(oid)])? {
            let page = r.int("pageno") as i32;
            if page == last && keep > 0 {
                partial = Some(bytes(&r));
            } else if page >= last {
                let key = [Value::Oid(oid), Value::Int4(page)];
                self.ddl.delete(PG_LARGEOBJECT, &["loid", "pageno"], &key)?;
            }
        }
        if keep > 0 {
            let there = partial.is_some();
            let mut data = partial.unwrap_or_default();
            data.resize(keep, 0);
            self.put_page(oid, last, &data, there)?;
        }
        Ok(())
    }

    fn open(&self, oid: Oid, flags: i64) -> Result<i32> {
        if flags & (READ | WRITE) == 0 {
            return Err(invalid(format!("invalid flags for opening a large object: {flags}")));
        }
        let writes = flags & WRITE != 0;
        let mut wanted = right::SELECT;
        if writes {
            self.ddl.cx.txn.borrow().check_writable("lo_open(INV_WRITE)")?;
            wanted = if flags & READ != 0 { right::SELECT | right::UPDATE } else { right::UPDATE };
        }
        self.permitted(oid, wanted)?;
        // Whoever writes may read, as long as it may.
        let reads = flags & READ != 0 || self.permitted(oid, right::SELECT).is_ok();
        let opened = LargeDescriptor { object: oid, position: 0, reads, writes };
        let mut txn = self.ddl.cx.txn.borrow_mut();
        let list = txn.large_descriptors();
        let free = list.iter().position(Option::is_none);
        match free.and_then(|n| list.get_mut(n)) {
            Some(slot) => *slot = Some(opened),
            None => list.push(Some(opened)),
        }
        Ok(free.unwrap_or(list.len() - 1) as i32)
    }

    fn descriptor(&self, fd: i64) -> Result<LargeDescriptor> {
        let mut txn = self.ddl.cx.txn.borrow_mut();
        let found = usize::try_from(fd).ok().and_then(|n| txn.large_descriptors().get(n).copied().flatten());
        found.ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_OBJECT, format!("invalid large-object descriptor: {fd}"))
        })
    }

    fn keep(&self, fd: i64, descriptor: Option<LargeDescriptor>) {
        let mut txn = self.ddl.cx.txn.borrow_mut();
        if let Some(slot) = usize::try_from(fd).ok().and_then(|n| txn.large_descriptors().get_mut(n)) {
            *slot = descriptor;
        }
    }

    fn read_on(&self, fd: i64, length: i64) -> Result<Vec<u8>> {
        let mut d = self.descriptor(fd)?;
        if !d.reads {
            let text = format!("large object descriptor {fd} was not opened for reading");
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text));
        }
        let data = self.read(d.object, d.position, length.clamp(0, MOST_READ))?;
        d.position += data.len() as i64;
        self.keep(fd, Some(d));
        Ok(data)
    }

    /// A descriptor to write through.
    fn writable(&self, fd: i64) -> Result<LargeDescriptor> {
        let d = self.descriptor(fd)?;
        if !d.writes {
            let text = format!("large object descriptor {fd} was not opened for writing");
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text));
        }
        self.metadata(d.object)?.ok_or_else(|| no_object(d.object))?;
        Ok(d)
    }

    fn seek(&self, fd: i64, offset: i64, whence: i64) -> Result<i64> {
        let mut d = self.descriptor(fd)?;
        let target = match whence {
            0 => Some(offset),
            1 => d.position.checked_add(offset),
            2 => self.size(d.object)?.checked_add(offset),
            _ => return Err(invalid(format!("invalid whence setting: {whence}"))),
        };
        let Some(target) = target.filter(|t| (0..=MOST).contains(t)) else {
            return Err(invalid(format!("invalid large object seek target: {}", target.unwrap_or(offset))));
        };
        d.position = target;
        self.keep(fd, Some(d));
        Ok(target)
    }
}

fn bytes(row: &Row) -> Vec<u8> {
    match row.get("data") {
        Value::Bytea(b) => b.to_vec(),
        _ => Vec::new(),
    }
}

fn number(args: &[Value], n: usize) -> i64 {
    match args.get(n) {
        Some(Value::Int4(i)) => i64::from(*i),
        Some(Value::Int8(i)) => *i,
        Some(Value::Oid(o)) => i64::from(*o),
        _ => 0,
    }
}

/// A result of type int4, which may be too small for it.
fn int4(n: i64, function: &str, fd: i64) -> Result<Value> {
    i32::try_from(n).map(Value::Int4).map_err(|_| {
        let text = format!("{function} result out of range for large-object descriptor {fd}");
        SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, text)
    })
}

/// The functions of this module by name.
pub(crate) fn call(cx: &ExecContext<'_>, name: &str, args: &[Value]) -> Result<Option<Value>> {
    let data = |n: usize| match args.get(n) {
        Some(Value::Bytea(b)) => b.to_vec(),
        _ => Vec::new(),
    };
    let first = number(args, 0);
    let object = Oid::try_from(first).unwrap_or(0);
    let done = Value::Int4(0);
    Ok(Some(match name {
        "lo_creat" => Value::Oid(Large::writing(cx, "lo_creat()")?.create(0)?),
        "lo_create" => Value::Oid(Large::writing(cx, "lo_create()")?.create(object)?),
        "lo_from_bytea" => {
            let large = Large::writing(cx, "lo_from_bytea()")?;
            let oid = large.create(object)?;
            large.write(oid, 0, &data(1))?;
            Value::Oid(oid)
        }
        "lo_unlink" => {
            Large::writing(cx, "lo_unlink()")?.unlink(object)?;
            Value::Int4(1)
        }
        "lo_get" => {
            let large = Large::new(cx);
            large.permitted(object, right::SELECT)?;
            let (from, length) = match args.len() {
                1 => (0, MOST_READ),
                _ => (number(args, 1), number(args, 2)),
            };
            if length < 0 {
                return Err(invalid("requested length cannot be negative".into()));
            }
            if from < 0 {
                return Err(invalid(format!("invalid large object seek target: {from}")));
            }
            if args.len() == 1 && large.size(object)? > MOST_READ {
                return Err(SqlError::new(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    "large object read request is too large",
                ));
            }
            Value::Bytea(large.read(object, from, length)?.into())
        }
        "lo_put" => {
            let large = Large::writing(cx, "lo_put()")?;
            large.permitted(object, right::UPDATE)?;
            let from = number(args, 1);
            if from < 0 {
                return Err(invalid(format!("invalid large object seek target: {from}")));
            }
            large.write(object, from, &data(2))?;
            Value::Null
        }
        "lo_open" => Value::Int4(Large::new(cx).open(object, number(args, 1))?),
        "lo_close" => {
            let large = Large::new(cx);
            large.descriptor(first)?;
            large.keep(first, None);
            done
        }
        "loread" => Value::Bytea(Large::new(cx).read_on(first, number(args, 1))?.into()),
        "lowrite" => {
            let large = Large::writing(cx, "lowrite()")?;
            let mut d = large.writable(first)?;
            let data = data(1);
            large.write(d.object, d.position, &data)?;
            d.position += data.len() as i64;
            large.keep(first, Some(d));
            Value::Int4(data.len() as i32)
        }
        "lo_lseek" => int4(Large::new(cx).seek(first, number(args, 1), number(args, 2))?, "lo_lseek", first)?,
        "lo_lseek64" => Value::Int8(Large::new(cx).seek(first, number(args, 1), number(args, 2))?),
        "lo_tell" => int4(Large::new(cx).descriptor(first)?.position, "lo_tell", first)?,
        "lo_tell64" => Value::Int8(Large::new(cx).descriptor(first)?.position),
        "lo_truncate" | "lo_truncate64" => {
            let large = Large::writing(cx, "lo_truncate()")?;
            let d = large.writable(first)?;
            large.truncate(d.object, number(args, 1))?;
            done
        }
        _ => return Ok(None),
    }))
}
