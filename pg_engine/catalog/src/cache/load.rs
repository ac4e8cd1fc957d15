//! Relations as the catalogs describe them: their columns, indexes, constraints, settings and rights, read from rows.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use hashbrown::HashMap;
use pg_storage::{RelId, Snapshot, Upkeep};
use pg_types::{Oid, Result, SqlType, Value, user};

use super::Catalog;
use crate::{
    access::{Policy, Security},
    acl::Acl,
    builtin::*,
    desc::{
        Attribute, CheckOption, Constraint, ConstraintKind, ForeignKey, Index, IndexKey, IndexMethod,
        Relation, RelationKind, Toast,
    },
    table::Row,
};

impl Catalog {
    pub(crate) fn load_relation(&self, snapshot: &Snapshot, oid: Oid) -> Result<Option<Arc<Relation>>> {
        let key = [Value::Oid(oid)];
        let Some(class) = self.find_one(snapshot, PG_CLASS, &["oid"], &key)? else {
            return Ok(self.relations.get(&oid).cloned());
        };
        if let Some(r) = self.relations.get(&oid) {
            return self.with_privileges(snapshot, r, &class).map(Some);
        }
        let schema = class.oid("relnamespace");
        let schema_row = self.find_one(snapshot, PG_NAMESPACE, &["oid"], &[Value::Oid(schema)])?;
        let kind = match class.char("relkind") {
            b'i' => RelationKind::Index,
            b'S' => RelationKind::Sequence,
            b't' => RelationKind::Toast,
            b'c' => RelationKind::Composite,
            b'v' if crate::views::is_computed(class.text("relname"), schema) => RelationKind::Virtual,
            b'v' => RelationKind::View,
            b'm' => RelationKind::MaterializedView,
            _ => RelationKind::Table,
        };
        let view = match kind {
            RelationKind::View | RelationKind::MaterializedView => self
                .find_one(snapshot, PG_REWRITE, &["ev_class"], &key)?
                .and_then(|r| r.text_option("ev_action")),
            _ => None,
        };
        let mut attributes = self.load_attributes(snapshot, oid)?;
        if kind == RelationKind::Virtual {
            crate::views::describe(oid, &mut attributes);
        }
        let toast = self.load_toast(snapshot, class.oid("reltoastrelid"))?;
        if kind.is_indexable() {
            self.apply_options(&class, toast.as_ref());
        }
        let indexes = match kind {
            _ if kind.is_stored() => self.load_indexes(snapshot, oid, &attributes)?,
            RelationKind::Virtual => crate::views::ways_in(oid, &attributes),
            _ => Vec::new(),
        };
        Ok(Some(Arc::new(Relation {
            oid,
            name: class.text("relname").to_string(),
            schema,
            schema_name: schema_row.map_or_else(String::new, |r| r.text("nspname").to_string()),
            kind,
            persistence: class.char("relpersistence"),
            populated: class.bool("relispopulated"),
            row_type: class.oid("reltype"),
            owner: class.oid("relowner"),
            security: self.load_security(snapshot, &class)?,
            storage: RelId(class.oid("relfilenode")),
            attributes,
            indexes,
            constraints: self.load_constraints(snapshot, oid)?,
            toast,
            toast_target: option(&class, "toast_tuple_target"),
            view,
            check_option: match option_text(&class, "check_option") {
                Some("local") => CheckOption::Local,
                Some("cascaded") => CheckOption::Cascaded,
                _ => CheckOption::None,
            },
            children: self.load_children(snapshot, &class)?,
            foreign_keys: self.load_foreign_keys(snapshot, "conrelid", &class)?,
            referenced_by: self.load_foreign_keys(snapshot, "confrelid", &class)?,
            row_estimate: f64::from(class.float("reltuples")),
            page_estimate: class.int("relpages") as u32,
        })))
    }

    /// A system catalog is known beforehand, but for its privileges.
    fn with_privileges(
        &self,
        snapshot: &Snapshot,
        catalog: &Arc<Relation>,
        class: &Row,
    ) -> Result<Arc<Relation>> {
        let mut relation = Relation::clone(catalog);
        relation.security.acl = Acl::of_value(class.get("relacl"));
        let key = [Value::Oid(relation.oid)];
        for row in self.find(snapshot, PG_ATTRIBUTE, &["attrelid", "attnum"], &key)? {
            let Some(acl) = Acl::of_value(row.get("attacl")) else { continue };
            let column = relation.attributes.iter_mut().find(|a| i64::from(a.attnum) == row.int("attnum"));
            if let Some(column) = column {
                column.acl = Some(acl);
            }
        }
        Ok(Arc::new(relation))
    }

    /// `relhassubclass` says whether there may be any.
    fn load_children(&self, snapshot: &Snapshot, class: &Row) -> Result<Vec<Oid>> {
        if !class.bool("relhassubclass") {
            return Ok(Vec::new());
        }
        let rows = self.find(snapshot, PG_INHERITS, &["inhparent"], &[Value::Oid(class.oid("oid"))])?;
        let mut children: Vec<Oid> = rows.iter().map(|r| r.oid("inhrelid")).collect();
        children.sort_unstable();
        Ok(children)
    }

    /// Storage knows no options: whoever writes to a table has loaded it.
    fn apply_options(&self, class: &Row, toast: Option<&Toast>) {
        let heap = RelId(class.oid("relfilenode"));
        let fill_factor = option::<u8>(class, "fillfactor");
        let _ = self.storage.set_fill_factor(heap, fill_factor);
        let upkeep = upkeep(class);
        let _ = self.storage.set_upkeep(heap, upkeep);
        if let Some(t) = toast {
            // Chunks are not updated: nothing is kept free for it.
            let _ = self.storage.set_fill_factor(t.heap, Some(100));
            let _ = self.storage.set_upkeep(t.heap, upkeep);
        }
    }

    /// Makes the storage follow the options of all tables, which its background tasks should know before someone loads them.
    pub(crate) fn apply_all_options(&self) -> Result<()> {
        let snapshot = self.latest();
        for (_, class) in self.table(PG_CLASS)?.scan(&self.storage, &snapshot)? {
            if matches!(class.char("relkind"), b'r' | b'm') && !class.array("reloptions").is_empty() {
                let toast = self.load_toast(&snapshot, class.oid("reltoastrelid"))?;
                self.apply_options(&class, toast.as_ref());
            }
        }
        Ok(())
    }

    /// Where the chunks of large values are.
    fn load_toast(&self, snapshot: &Snapshot, oid: Oid) -> Result<Option<Toast>> {
        if oid == 0 {
            return Ok(None);
        }
        let Some(class) = self.find_one(snapshot, PG_CLASS, &["oid"], &[Value::Oid(oid)])? else {
            return Ok(None);
        };
        let Some(row) = self.find_one(snapshot, PG_INDEX, &["indrelid"], &[Value::Oid(oid)])? else {
            return Ok(None);
        };
        let index_oid = row.oid("indexrelid");
        let Some(index) = self.find_one(snapshot, PG_CLASS, &["oid"], &[Value::Oid(index_oid)])? else {
            return Ok(None);
        };
        let storage = |r: &Row| RelId(r.oid("relfilenode"));
        Ok(Some(Toast { oid, heap: storage(&class), index_oid, index: storage(&index) }))
    }

    fn load_attributes(&self, snapshot: &Snapshot, oid: Oid) -> Result<Vec<Attribute>> {
        let key = [Value::Oid(oid)];
        let rows = self.find(snapshot, PG_ATTRIBUTE, &["attrelid", "attnum"], &key)?;
        let mut defaults = HashMap::new();
        if rows.iter().any(|r| r.bool("atthasdef")) {
            for d in self.find(snapshot, PG_ATTRDEF, &["adrelid"], &key)? {
                defaults.insert(d.int("adnum"), d.text("adbin").to_string());
            }
        }
        let mut list: Vec<Attribute> = rows
            .iter()
            .filter(|r| r.int("attnum") > 0)
            .map(|r| Attribute {
                attnum: r.int("attnum") as i16,
                name: r.text("attname").to_string(),
                ty: SqlType::with_typmod(stored_type(r), r.int("atttypmod") as i32),
                declared: SqlType::with_typmod(stored_type(r), r.int("atttypmod") as i32),
                not_null: r.bool("attnotnull"),
                default: defaults.remove(&r.int("attnum")),
                identity: r.char("attidentity"),
                generated: r.char("attgenerated"),
                missing: if r.bool("atthasmissing") {
                    r.array("attmissingval").first().cloned()
                } else {
                    None
                },
                dropped: r.bool("attisdropped"),
                collation: r.oid("attcollation"),
                storage: r.char("attstorage"),
                compression: r.char("attcompression"),
                acl: Acl::of_value(r.get("attacl")),
            })
            .collect();
        list.sort_by_key(|a| a.attnum);
        for a in list.iter_mut().filter(|a| user::is_user(a.ty.oid) && !a.dropped) {
            a.ty = self.plain_type(snapshot, a.ty)?;
        }
        for a in list.iter_mut().filter(|a| a.identity != 0) {
            a.default = self.identity_default(snapshot, oid, a.attnum)?;
        }
        Ok(list)
    }

    /// An identity column's default: the next value of the sequence that is a part of it.
    fn identity_default(&self, snapshot: &Snapshot, relation: Oid, attnum: i16) -> Result<Option<String>> {
        let key = [Value::Oid(PG_CLASS), Value::Oid(relation), Value::Int4(i32::from(attnum))];
        for d in self.find(snapshot, PG_DEPEND, &["refclassid", "refobjid", "refobjsubid"], &key)? {
            if d.oid("classid") != PG_CLASS || d.char("deptype") != b'i' {
                continue;
            }
            return Ok(Some(format!("nextval('{}'::regclass)", d.oid("objid"))));
        }
        Ok(None)
    }

    fn load_indexes(
        &self,
        snapshot: &Snapshot,
        oid: Oid,
        attributes: &[Attribute],
    ) -> Result<Vec<Arc<Index>>> {
        let mut list = Vec::new();
        for r in self.find(snapshot, PG_INDEX, &["indrelid"], &[Value::Oid(oid)])? {
            // One that is being dropped: no one looks at it any more.
            if !r.bool("indislive") {
                continue;
            }
            let index_oid = r.oid("indexrelid");
            let Some(class) = self.find_one(snapshot, PG_CLASS, &["oid"], &[Value::Oid(index_oid)])? else {
                continue;
            };
            let columns = self.load_attributes(snapshot, index_oid)?;
            let options = r.int2s("indoption");
            let collations = r.array("indcollation");
            let mut expressions = r.text_option("indexprs").unwrap_or_default();
            let mut next_expression = || {
                let (first, rest) = match expressions.split_once(rows::EXPRESSION_SEPARATOR) {
                    Some((a, b)) => (a.to_string(), b.to_string()),
                    None => (expressions.clone(), String::new()),
                };
                expressions = rest;
                first
            };
            let key_count = r.int("indnkeyatts") as usize;
            let mut keys: Vec<IndexKey> = r
                .int2s("indkey")
                .into_iter()
                .enumerate()
                .map(|(n, attnum)| {
                    let option = options.get(n).copied().unwrap_or(0);
                    let column = attributes.iter().find(|a| a.attnum == attnum && attnum != 0);
                    IndexKey {
                        attnum,
                        expression: (attnum == 0).then(&mut next_expression),
                        ty: column
                            .map(|a| a.ty)
                            .or_else(|| columns.get(n).map(|a| a.ty))
                            .unwrap_or(SqlType::new(pg_types::oid::TEXT)),
                        descending: option & 1 != 0,
                        nulls_first: option & 2 != 0,
                        carried: n >= key_count,
                        class: None,
                        collation: collations
                            .get(n)
                            .map_or(0, |c| if let Value::Oid(c) = c { *c } else { 0 }),
                    }
                })
                .collect();
            let method = IndexMethod::of(class.oid("relam"));
            for (key, named) in keys.iter_mut().zip(r.array("indclass")) {
                let default = pg_functions::registry().default_class(method.oid(), key.ty.oid).map(|c| c.oid);
                if let Value::Oid(named) = named
                    && Some(*named) != default
                {
                    key.class = Some(*named);
                }
            }
            list.push(Arc::new(Index {
                oid: index_oid,
                name: class.text("relname").to_string(),
                storage: RelId(class.oid("relfilenode")),
                method,
                keys,
                key_count,
                unique: r.bool("indisunique"),
                primary: r.bool("indisprimary"),
                predicate: r.text_option("indpred"),
                deferrable: !r.bool("indimmediate"),
                nulls_not_distinct: r.bool("indnullsnotdistinct"),
                fill_factor: option(&class, "fillfactor"),
                valid: r.bool("indisvalid"),
            }));
        }
        list.sort_by_key(|i| i.oid);
        Ok(list)
    }

    fn load_constraints(&self, snapshot: &Snapshot, oid: Oid) -> Result<Vec<Constraint>> {
        let mut list: Vec<Constraint> = self
            .find(snapshot, PG_CONSTRAINT, &["conrelid"], &[Value::Oid(oid)])?
            .iter()
            .map(|r| Constraint {
                oid: r.oid("oid"),
                name: r.text("conname").to_string(),
                kind: match r.char("contype") {
                    b'c' => ConstraintKind::Check,
                    b'p' => ConstraintKind::Primary,
                    b'f' => ConstraintKind::Foreign,
                    _ => ConstraintKind::Unique,
                },
                columns: r.int2s("conkey"),
                expression: r.text_option("conbin"),
                index: r.oid("conindid"),
                no_inherit: r.bool("connoinherit"),
                deferrable: r.bool("condeferrable"),
                deferred: r.bool("condeferred"),
            })
            .collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    /// Foreign keys with this table on the one or the other side. `relhastriggers` says whether there may be any.
    fn load_foreign_keys(
        &self,
        snapshot: &Snapshot,
        side: &str,
        class: &Row,
    ) -> Result<Vec<Arc<ForeignKey>>> {
        if !class.bool("relhastriggers") {
            return Ok(Vec::new());
        }
        let mut list: Vec<Arc<ForeignKey>> = self
            .find(snapshot, PG_CONSTRAINT, &[side], &[class.get("oid").clone()])?
            .iter()
            .filter(|r| r.char("contype") == b'f')
            .map(|r| {
                Arc::new(ForeignKey {
                    oid: r.oid("oid"),
                    name: r.text("conname").to_string(),
                    table: r.oid("conrelid"),
                    columns: r.int2s("conkey"),
                    referenced: r.oid("confrelid"),
                    referenced_columns: r.int2s("confkey"),
                    on_update: r.char("confupdtype"),
                    on_delete: r.char("confdeltype"),
                    delete_columns: r.int2s("confdelsetcols"),
                    full: r.char("confmatchtype") == b'f',
                    deferrable: r.bool("condeferrable"),
                    deferred: r.bool("condeferred"),
                })
            })
            .collect();
        list.sort_by_key(|k| k.oid);
        Ok(list)
    }

    fn load_security(&self, snapshot: &Snapshot, class: &Row) -> Result<Security> {
        let row_security = class.bool("relrowsecurity");
        let mut policies = Vec::new();
        if row_security {
            for r in self.find(snapshot, PG_POLICY, &["polrelid"], &[class.get("oid").clone()])? {
                let role = |v: &Value| if let Value::Oid(o) = v { Some(*o) } else { None };
                policies.push(Arc::new(Policy {
                    oid: r.oid("oid"),
                    name: r.text("polname").to_string(),
                    command: r.char("polcmd"),
                    permissive: r.bool("polpermissive"),
                    roles: r.array("polroles").iter().filter_map(role).collect(),
                    using: r.text_option("polqual"),
                    check: r.text_option("polwithcheck"),
                }));
            }
            policies.sort_by(|a, b| a.name.cmp(&b.name));
        }
        let on = |name| option_text(class, name).and_then(pg_types::io::parse_boolean) == Some(true);
        Ok(Security {
            acl: Acl::of_value(class.get("relacl")),
            row_security,
            forced: class.bool("relforcerowsecurity"),
            policies,
            invoker: on("security_invoker"),
            barrier: on("security_barrier"),
        })
    }
}

/// A number among a relation's `reloptions`.
fn option<T: core::str::FromStr>(class: &Row, name: &str) -> Option<T> {
    option_text(class, name)?.parse().ok()
}

fn option_text<'r>(class: &'r Row, name: &str) -> Option<&'r str> {
    class.array("reloptions").iter().find_map(|o| match o {
        Value::Text(o) => o.strip_prefix(name)?.strip_prefix('='),
        _ => None,
    })
}

/// When a table is vacuumed and analysed by itself.
fn upkeep(class: &Row) -> Upkeep {
    const CHANGED: (u32, f64) = (50, 0.1);
    let mut upkeep = Upkeep::default();
    let limit = |kind: &str, (threshold, scale): (u32, f64)| {
        let given = option::<i64>(class, &format!("autovacuum_{kind}_threshold"));
        let threshold = given.map_or(threshold, |n| u32::try_from(n).unwrap_or(0));
        (threshold, option(class, &format!("autovacuum_{kind}_scale_factor")).unwrap_or(scale))
    };
    let off = |text: &str| pg_types::io::parse_boolean(text) == Some(false);
    upkeep.enabled = !option_text(class, "autovacuum_enabled").is_some_and(off);
    upkeep.dead = limit("vacuum", upkeep.dead);
    upkeep.added = upkeep.added.map(|l| limit("vacuum_insert", l));
    if option::<i64>(class, "autovacuum_vacuum_insert_threshold").is_some_and(|n| n < 0) {
        upkeep.added = None;
    }
    let changed = limit("analyze", CHANGED);
    upkeep.changed = (changed != CHANGED).then_some(changed);
    upkeep
}

/// A column's type; dropped columns keep their old type's layout through `attlen` and `attstorage`, so it is stored.
fn stored_type(r: &Row) -> Oid {
    r.oid("atttypid")
}
