//! User types as the catalogs describe them.

use alloc::{
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use pg_storage::Snapshot;
use pg_types::{
    Oid, Result, SqlError, SqlType, Value, typeinfo,
    user::{self, Domain, DomainCheck, Field, Gathered, Kind, Label, Types, UserType},
};

use crate::{
    builtin::{PG_ATTRIBUTE, PG_CLASS, PG_CONSTRAINT, PG_ENUM, PG_TYPE},
    cache::Catalog,
    reader::CatalogReader,
    table::Row,
};

/// Domains over domains: deeper is refused when they are made.
pub const MAX_DOMAINS: usize = 32;

impl Catalog {
    /// A user type as a snapshot sees it. With `private`, the snapshot is of a transaction that changed catalogs: labels that
    /// it gave to a type that is older than itself cannot be used yet.
    pub(crate) fn load_user_type(
        &self,
        snapshot: &Snapshot,
        oid: Oid,
        private: bool,
    ) -> Result<Option<Arc<UserType>>> {
        let Some(class) = user::class(oid) else { return Ok(None) };
        let Some(row) = self.find_one(snapshot, PG_TYPE, &["oid"], &[Value::Oid(oid)])? else {
            return Ok(None);
        };
        let kind = match class {
            user::Class::Enum => Kind::Enum(self.load_labels(snapshot, oid, private)?),
            user::Class::Composite => Kind::Composite(self.load_fields(snapshot, row.oid("typrelid"))?),
            user::Class::Domain => Kind::Domain(self.load_domain(snapshot, oid, &row)?),
        };
        let of = match row.oid("typrelid") {
            0 => 0,
            relation => self
                .find_one(snapshot, PG_CLASS, &["oid"], &[Value::Oid(relation)])?
                .map_or(0, |r| r.oid("reloftype")),
        };
        Ok(Some(Arc::new(UserType { oid, name: row.text("typname").to_string(), of, kind })))
    }

    fn load_labels(&self, snapshot: &Snapshot, oid: Oid, private: bool) -> Result<Vec<Label>> {
        let key = [Value::Oid(oid)];
        let committed = match private {
            true => self.find(&self.latest(), PG_ENUM, &["enumtypid"], &key)?,
            false => Vec::new(),
        };
        // Labels that a type was made with may be used at once; those added to it have other places than these.
        let usable = |r: &Row| {
            !private
                || committed.iter().any(|c| c.oid("oid") == r.oid("oid"))
                || committed.is_empty() && r.int("enumplace") % user::LABEL_STEP == 0
        };
        let rows = self.find(snapshot, PG_ENUM, &["enumtypid"], &key)?;
        let label = |r: &Row| Label {
            place: r.int("enumplace"),
            text: r.text("enumlabel").into(),
            usable: usable(r),
        };
        let mut labels: Vec<Label> = rows.iter().map(label).collect();
        labels.sort_by_key(|l| l.place);
        Ok(labels)
    }

    fn load_fields(&self, snapshot: &Snapshot, relation: Oid) -> Result<Vec<Field>> {
        let mut rows = self.find(snapshot, PG_ATTRIBUTE, &["attrelid", "attnum"], &[Value::Oid(relation)])?;
        rows.retain(|r| r.int("attnum") > 0 && !r.bool("attisdropped"));
        rows.sort_by_key(|r| r.int("attnum"));
        rows.iter()
            .map(|r| {
                let ty = SqlType::with_typmod(r.oid("atttypid"), r.int("atttypmod") as i32);
                Ok(Field {
                    name: r.text("attname").to_string(),
                    ty,
                    plain: self.plain_type(snapshot, ty)?,
                    attnum: r.int("attnum") as i16,
                })
            })
            .collect()
    }

    fn load_domain(&self, snapshot: &Snapshot, oid: Oid, row: &Row) -> Result<Domain> {
        let over = SqlType::with_typmod(row.oid("typbasetype"), row.int("typtypmod") as i32);
        let checks = self.find(snapshot, PG_CONSTRAINT, &["contypid"], &[Value::Oid(oid)])?;
        let mut checks: Vec<DomainCheck> = checks
            .iter()
            .map(|c| DomainCheck {
                name: c.text("conname").to_string(),
                condition: c.text_option("conbin").unwrap_or_default(),
            })
            .collect();
        checks.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Domain {
            over,
            base: self.plain_type(snapshot, over)?,
            not_null: row.bool("typnotnull"),
            default: row.text_option("typdefaultbin").filter(|t| !t.is_empty()),
            checks,
        })
    }

    /// The type that values of `ty` are of: a domain's base type, for an array over a domain an array over that.
    pub(crate) fn plain_type(&self, snapshot: &Snapshot, ty: SqlType) -> Result<SqlType> {
        let (mut at, array) = match typeinfo::array_element(ty.oid) {
            0 => (ty, false),
            element => (SqlType::with_typmod(element, ty.typmod), true),
        };
        for _ in 0..=MAX_DOMAINS {
            if !user::is_domain(at.oid) {
                return Ok(match array {
                    true => SqlType::with_typmod(typeinfo::array_of(at.oid), at.typmod),
                    false => at,
                });
            }
            let row =
                self.find_one(snapshot, PG_TYPE, &["oid"], &[Value::Oid(at.oid)])?.ok_or_else(|| {
                    SqlError::internal(alloc::format!("cache lookup failed for type {}", at.oid))
                })?;
            at = SqlType::with_typmod(row.oid("typbasetype"), row.int("typtypmod") as i32);
        }
        Err(SqlError::internal("domains are nested too deeply"))
    }
}

/// Most types that reading a value can take.
const MAX_GATHERED: usize = 10_000;

/// What reading and writing values of a type takes: descriptions of it, its elements and its fields.
pub fn gather(catalog: &dyn CatalogReader, ty: Oid) -> Result<Types> {
    let mut found = Gathered::default();
    let mut wanted = Vec::from([ty]);
    while let Some(ty) = wanted.pop() {
        let ty = if user::is_array(ty) { ty - 1 } else { ty };
        if !user::is_user(ty) || found.0.iter().any(|t| t.oid == ty) || found.0.len() >= MAX_GATHERED {
            continue;
        }
        if let Some(t) = catalog.user_type(ty)? {
            wanted.extend(t.fields().iter().map(|f| f.plain.oid));
            found.0.push(t);
        }
    }
    Ok(Types::new(Arc::new(found)))
}

/// The `pg_type` row of a user type that is no array, or of an array over one.
pub fn type_row(
    def: &'static crate::builtin::CatalogDef,
    oid: Oid,
    name: &str,
    schema: Oid,
    owner: Oid,
) -> Row {
    let mut row = Row::new(def)
        .set("oid", oid)
        .set("typname", name)
        .set("typnamespace", schema)
        .set("typowner", owner)
        .set("typisdefined", true)
        .set("typtypmod", -1i32);
    let Some(t) = typeinfo::get(oid) else { return row };
    row.put("typlen", t.len);
    row.put("typbyval", t.by_value);
    row.put("typtype", t.kind);
    row.put("typcategory", t.category);
    row.put("typdelim", t.delimiter);
    row.put("typelem", typeinfo::element_of(oid));
    row.put("typarray", typeinfo::array_of(oid));
    row.put("typinput", t.input.oid);
    row.put("typoutput", t.output.oid);
    row.put("typreceive", t.receive.oid);
    row.put("typsend", t.send.oid);
    row.put("typanalyze", t.analyze.oid);
    row.put("typsubscript", t.subscript.oid);
    row.put("typalign", t.align);
    row.put("typstorage", t.storage);
    row
}

/// The name of an array type: an underscore before the element's, which is cut to fit.
pub fn array_name(element: &str) -> String {
    let mut end = element.len().min(62);
    while !element.is_char_boundary(end) {
        end -= 1;
    }
    alloc::format!("_{}", element.get(..end).unwrap_or_default())
}
