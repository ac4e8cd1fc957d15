//! Tables with types, constraints and indexes of all kinds, and their first rows.

use crate::{
    expression::Generator,
    query::Scope,
    values::{TYPES, Type, column_type, ordered, stored},
};

/// A column of a table.
#[derive(Clone, Debug)]
pub struct ColumnOf {
    /// Name.
    pub name: String,
    /// Type.
    pub of: Type,
    /// As declared.
    pub declared: String,
    /// Computed from another: nothing is written there.
    pub generated: bool,
}

/// A table (or a view); tables have a key `id` besides these.
#[derive(Clone, Debug)]
pub struct Table {
    /// Name.
    pub name: String,
    /// Its columns, the key left out.
    pub columns: Vec<ColumnOf>,
    /// It is a view, which is not changed.
    pub view: bool,
    /// Others inherit from it, so that several rows may have one key.
    pub heirs: bool,
}

impl Table {
    /// Columns with their types under an alias.
    pub fn under(&self, alias: &str) -> Vec<(String, Type)> {
        let key = (!self.view).then(|| (format!("{alias}.id"), "integer"));
        let others = self.columns.iter().map(|c| (format!("{alias}.{}", c.name), c.of));
        key.into_iter().chain(others).collect()
    }
}

/// What every round begins with.
const PRELUDE: [&str; 11] = [
    "DROP SCHEMA IF EXISTS fuzz CASCADE",
    "CREATE SCHEMA fuzz",
    "SET search_path = fuzz",
    "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')",
    "CREATE DOMAIN small_number AS integer CHECK (VALUE >= 0 AND VALUE < 100)",
    "CREATE FUNCTION joined(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1 || ''+'' || $2'",
    "CREATE FUNCTION place(mood) RETURNS integer LANGUAGE sql IMMUTABLE STRICT AS 'SELECT array_position(enum_range(NULL::fuzz.mood), $1)'",
    "CREATE OPERATOR |+| (FUNCTION = joined, LEFTARG = text, RIGHTARG = text)",
    "CREATE AGGREGATE chained (text) (SFUNC = joined, STYPE = text, INITCOND = '')",
    "CREATE CAST (mood AS integer) WITH FUNCTION place(mood)",
    "SET statement_timeout = '20s'",
];

const SETTINGS: [&str; 5] = ["hashjoin", "mergejoin", "nestloop", "indexscan", "hashagg"];

impl Generator<'_> {
    /// The statements that make a round's schema; what they make is in `tables` from then on.
    pub fn schema(&mut self) -> Vec<String> {
        let mut all: Vec<String> = PRELUDE.iter().map(|s| (*s).to_owned()).collect();
        self.tables.clear();
        for n in 0..self.random.range(2, 4) {
            self.table(n, &mut all);
            if self.random.percent(20) {
                self.heir(n, &mut all);
            }
        }
        for n in 0..2 {
            let (query, types) = self.query(&Scope::default(), None, 2);
            let columns = types
                .iter()
                .enumerate()
                .map(|(n, of)| ColumnOf {
                    name: format!("o{n}"),
                    of,
                    declared: (*of).into(),
                    generated: false,
                })
                .collect();
            all.push(format!("CREATE VIEW v{n} AS {}", query.sql()));
            self.tables.push(Table { name: format!("v{n}"), columns, view: true, heirs: false });
        }
        if self.random.percent(30) {
            all.push(format!("SET enable_{} = off", self.random.pick(&SETTINGS)));
        }
        if self.random.percent(40) {
            all.push("SET work_mem = '64kB'".into());
        }
        if self.random.percent(50) {
            all.push("ANALYZE".into());
        }
        all
    }

    fn table(&mut self, n: usize, all: &mut Vec<String>) {
        let name = format!("t{n}");
        let mut columns = Vec::new();
        let mut items = vec!["id integer PRIMARY KEY".to_owned()];
        for c in 0..self.random.range(3, 6) {
            let of = if self.random.percent(60) {
                self.some_type()
            } else {
                TYPES[self.random.below(TYPES.len())]
            };
            let declared = column_type(&mut self.random, of);
            let column = format!("c{c}");
            let mut item = format!("{column} {declared}");
            let generated = matches!(of, "integer" | "bigint" | "text") && self.random.percent(12);
            if generated {
                item.push_str(match of {
                    "text" => " GENERATED ALWAYS AS ('k' || (id % 3)::text) STORED",
                    _ => " GENERATED ALWAYS AS (id % 5 + 1) STORED",
                });
            } else if self.random.percent(15) {
                item.push_str(&format!(" DEFAULT {}", stored(&mut self.random, of, &declared)));
            } else if of == "integer" && n > 0 && self.random.percent(40) {
                let action =
                    self.random.pick(&["CASCADE", "SET NULL", "NO ACTION", "RESTRICT", "SET DEFAULT"]);
                item.push_str(&format!(
                    " REFERENCES t{} (id) ON DELETE {action} ON UPDATE CASCADE",
                    self.random.below(n)
                ));
            } else if ordered(of) && self.random.percent(6) {
                item.push_str(" UNIQUE");
            }
            items.push(item);
            columns.push(ColumnOf { name: column, of, declared, generated });
        }
        if self.random.percent(30) {
            items.push("CHECK (id < 100000 OR c0 IS NOT NULL)".into());
        }
        all.push(format!("CREATE TABLE {name} ({})", items.join(", ")));
        self.tables.push(Table { name, columns, view: false, heirs: false });
        let rows = self.random.pick(&["0", "3", "12", "12", "40"]).parse().unwrap_or(3);
        for id in 1..=rows {
            all.push(self.insert_row(self.tables.len() - 1, id));
        }
        for i in 0..self.random.below(4) {
            all.push(self.index(&format!("i{n}_{i}")));
        }
    }

    /// A table that inherits from the last one, with rows of its own.
    fn heir(&mut self, n: usize, all: &mut Vec<String>) {
        let Some(parent) = self.tables.last_mut() else { return };
        parent.heirs = true;
        let name = format!("h{n}");
        all.push(format!("CREATE TABLE {name} (extra integer DEFAULT 7) INHERITS ({})", parent.name));
        for id in 200..200 + self.random.range(1, 6) {
            let row = self.insert_row(self.tables.len() - 1, id);
            all.push(row.replacen(&format!("INTO t{n} "), &format!("INTO {name} "), 1));
        }
    }

    /// An `INSERT` of one row, which a constraint may refuse.
    pub fn insert_row(&mut self, table: usize, id: usize) -> String {
        let table = self.tables[table].clone();
        let (mut names, mut values) = (vec!["id".to_owned()], vec![id.to_string()]);
        for c in table.columns.iter().filter(|c| !c.generated) {
            names.push(c.name.clone());
            values.push(match self.random.below(100) {
                0..15 => "NULL".into(),
                15..18 => "DEFAULT".into(),
                _ => stored(&mut self.random, c.of, &c.declared),
            });
        }
        format!("INSERT INTO {} ({}) VALUES ({})", table.name, names.join(", "), values.join(", "))
    }

    fn index(&mut self, name: &str) -> String {
        let Some(table) = self.tables.last().cloned() else { return "SELECT 1".into() };
        let keys: Vec<&ColumnOf> = table.columns.iter().filter(|c| ordered(c.of)).collect();
        let pick = |g: &mut Self| g.random.of(&keys).map_or("id".to_owned(), |c| c.name.clone());
        let (a, b) = (pick(self), pick(self));
        let end = self.random.pick(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
        let on = format!("CREATE INDEX {name} ON {}", table.name);
        match self.random.below(6) {
            0 if !keys.iter().any(|c| c.name == a && matches!(c.of, "money" | "bit" | "bit varying")) => {
                format!("{on} USING hash ({a})")
            }
            1 => format!("{on} ({a}{end}) INCLUDE (id)"),
            2 => format!("{on} ({a}{end}) WHERE id % 2 = 0"),
            3 => format!("{on} ((id % 3), {a}{end})"),
            4 => format!("{on} ({a}{end}, {b}, id)"),
            _ => format!("{on} ({a}{end})"),
        }
    }
}
