//! A fixed catalog: two tables, and the system catalogs' shapes.

#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

use std::sync::Arc;

use pg_catalog::{
    Attribute, CatalogReader, ColumnStatistics, Constraint, ConstraintKind, Index, Relation, RelationKind,
    desc::IndexKey,
};
use pg_sql::BindOptions;
use pg_types::{Oid, Result, SqlType, format::FormatSettings, oid};

pub struct Mock(Vec<Arc<Relation>>);

fn attribute(n: usize, name: &str, ty: SqlType) -> Attribute {
    Attribute {
        attnum: n as i16,
        name: name.into(),
        ty,
        declared: ty,
        not_null: false,
        default: None,
        identity: 0,
        generated: 0,
        missing: None,
        dropped: false,
        collation: 0,
        storage: b'p',
        compression: 0,
        acl: None,
    }
}

fn relation(oid: Oid, schema: &str, name: &str, columns: &[(&str, SqlType)]) -> Relation {
    Relation {
        oid,
        name: name.into(),
        schema: if schema == "public" { 2200 } else { 11 },
        schema_name: schema.into(),
        kind: RelationKind::Table,
        persistence: b'p',
        populated: true,
        row_type: 0,
        owner: 10,
        security: Default::default(),
        storage: pg_storage::RelId(0),
        attributes: columns.iter().enumerate().map(|(i, (n, t))| attribute(i + 1, n, *t)).collect(),
        indexes: Vec::new(),
        constraints: Vec::new(),
        toast: None,
        toast_target: None,
        check_option: pg_catalog::CheckOption::None,
        view: None,
        children: Vec::new(),
        foreign_keys: Vec::new(),
        referenced_by: Vec::new(),
        row_estimate: 10_000.0,
        page_estimate: 100,
    }
}

fn index(oid: Oid, name: &str, attnum: i16, ty: Oid, unique: bool) -> Arc<Index> {
    Arc::new(Index {
        oid,
        name: name.into(),
        storage: pg_storage::RelId(0),
        method: pg_catalog::IndexMethod::BTree,
        keys: vec![IndexKey {
            attnum,
            expression: None,
            ty: SqlType::new(ty),
            descending: false,
            nulls_first: false,
            carried: false,
            class: None,
            collation: 0,
        }],
        key_count: 1,
        unique,
        primary: unique,
        predicate: None,
        deferrable: false,
        nulls_not_distinct: false,
        fill_factor: None,
        valid: true,
    })
}

impl Mock {
    pub fn new() -> Self {
        let ty = SqlType::new;
        let price = SqlType::with_typmod(oid::NUMERIC, ((10 << 16) | 2) + 4);
        let columns = [("a", ty(oid::INT4)), ("b", ty(oid::INT8)), ("name", ty(oid::TEXT)), ("price", price)];
        let mut t = relation(16_384, "public", "t", &columns);
        t.attributes[0].not_null = true;
        t.attributes[1].not_null = true;
        t.attributes[1].default = Some("7".into());
        t.indexes.push(index(16_390, "t_pkey", 1, oid::INT4, true));
        t.constraints.push(Constraint {
            oid: 16_391,
            name: "t_pkey".into(),
            kind: ConstraintKind::Primary,
            columns: vec![1],
            expression: None,
            index: 16_390,
            no_inherit: false,
            deferrable: false,
            deferred: false,
        });
        let columns = [("a", ty(oid::INT4)), ("b", ty(oid::TEXT)), ("t_a", ty(oid::INT4))];
        let mut u = relation(16_400, "public", "u", &columns);
        u.indexes.push(index(16_401, "u_a", 1, oid::INT4, false));
        let mut all = vec![Arc::new(t), Arc::new(u)];
        for line in include_str!("../catalog.txt").lines() {
            let mut parts = line.split('|');
            let (name, oid) = (parts.next().unwrap(), parts.next().unwrap().parse().unwrap());
            let columns: Vec<(&str, SqlType)> = parts
                .nth(1)
                .unwrap()
                .split(',')
                .map(|c| {
                    let (name, ty) = c.split_once(':').unwrap();
                    (name, SqlType::new(ty.parse().unwrap()))
                })
                .collect();
            all.push(Arc::new(relation(oid, "pg_catalog", name, &columns)));
        }
        Self(all)
    }
}

impl CatalogReader for Mock {
    fn relation(&self, schema: Option<&str>, name: &str) -> Result<Option<Arc<Relation>>> {
        let fits = |r: &&Arc<Relation>| r.name == name && schema.is_none_or(|s| s == r.schema_name);
        Ok(self.0.iter().find(fits).cloned())
    }
    fn relation_by_oid(&self, oid: Oid) -> Result<Option<Arc<Relation>>> {
        Ok(self.0.iter().find(|r| r.oid == oid).cloned())
    }
    fn schema_exists(&self, name: &str) -> Result<bool> {
        Ok(matches!(name, "public" | "pg_catalog"))
    }
    fn type_by_name(&self, _schema: Option<&str>, _name: &str) -> Result<Option<Oid>> {
        Ok(None)
    }
    fn column_statistics(&self, _relation: Oid, _attnum: i16) -> Result<Option<Arc<ColumnStatistics>>> {
        Ok(None)
    }
    fn relation_size(&self, _relation: &Relation) -> Option<(u64, Option<f64>)> {
        None
    }
    fn creation_schema(&self) -> Option<String> {
        Some("public".into())
    }
}

pub fn bind(text: &str) -> Result<pg_plan::statement::Statement> {
    let parsed = pg_sql::parse(text)?;
    let format = FormatSettings::default();
    let options = BindOptions { param_types: &[], format: &format };
    let statement = parsed.first().expect("a statement");
    pg_sql::bind(statement, &Mock::new(), &options)
}

/// Binds every statement of a text.
pub fn bind_any(text: &str) -> Result<()> {
    let format = FormatSettings::default();
    let options = BindOptions { param_types: &[], format: &format };
    let catalog = Mock::new();
    for statement in pg_sql::parse(text)? {
        pg_sql::bind(&statement, &catalog, &options)?;
    }
    Ok(())
}
