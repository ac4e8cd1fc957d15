//! What takes more than one statement: cursors, savepoints, changes of tables that hold rows, and statements with parameters over the
//! extended protocol, in both formats.

use crate::{
    expression::Generator,
    query::{Scope, order_of},
    schema::Table,
    values::{TYPES, Type, content, element_of, stored},
};

/// Statements of one transaction that is undone in the end; each is compared.
pub struct Script {
    /// The statements.
    pub statements: Vec<String>,
}

/// A statement with parameters.
pub struct Prepared {
    /// Its text.
    pub sql: String,
    /// The parameters' types and values.
    pub parameters: Vec<(Type, Option<String>)>,
    /// They are sent in binary form.
    pub binary: bool,
    /// One of them has a byte spoiled: which one, and what decides how.
    pub spoiled: Option<(usize, u64)>,
    /// The result comes in binary form.
    pub binary_result: bool,
}

impl Generator<'_> {
    /// A statement with parameters that does not fail unless one of them cannot be read.
    pub fn prepared(&mut self) -> Prepared {
        let mut scope = Scope::default();
        let mut parameters = Vec::new();
        let mut items = Vec::new();
        for n in 0..3 {
            let of = if self.random.percent(50) { self.some_type() } else { self.random.pick(&TYPES) };
            let value = (!self.random.percent(8)).then(|| content(&mut self.random, of, true));
            items.push(format!("${}::{of} AS c{n}", n + 1));
            scope.add(format!("v.c{n}"), of);
            parameters.push((of, value));
        }
        let (of, spoil) = (self.random.pick(&TYPES), self.random.percent(30));
        let value = self.expression(&scope, of, 2, true).sql();
        let sql = format!("SELECT v.*, {value} AS o FROM (SELECT {}) AS v", items.join(", "));
        let spoiled = spoil.then(|| (self.random.below(3), self.random.next()));
        let binary = spoil || self.random.percent(50);
        Prepared { sql, parameters, binary, spoiled, binary_result: self.random.percent(60) }
    }

    /// A cursor over a query in a total order.
    fn cursor(&mut self) -> Vec<String> {
        let (node, types) = self.query(&Scope::default(), None, 2);
        let columns: Vec<(String, Type)> =
            types.iter().enumerate().map(|(n, t)| (format!("o{n}"), *t)).collect();
        let scroll = self.random.pick(&["SCROLL ", "SCROLL ", "NO SCROLL ", ""]);
        let hold = self.random.pick(&["", "", " WITH HOLD"]);
        let order = order_of(&columns);
        let mut all = vec![format!(
            "DECLARE cur {scroll}CURSOR{hold} FOR SELECT * FROM ({}) AS whole ORDER BY {order}",
            node.sql()
        )];
        for _ in 0..self.random.range(2, 6) {
            let verb = self.random.pick(&["FETCH", "FETCH", "FETCH", "MOVE"]);
            // Without a word, whether it may go back is the plan's affair, and so whether a row is given again.
            let n = self.random.range(usize::from(scroll.is_empty()), 5);
            let forward = ["NEXT".into(), format!("{n}"), format!("FORWARD {n}"), "FORWARD ALL".into()];
            let back = [
                "PRIOR".into(),
                "FIRST".into(),
                "LAST".into(),
                format!("ABSOLUTE {n}"),
                format!("ABSOLUTE -{n}"),
                format!("RELATIVE -{n}"),
                format!("RELATIVE {n}"),
                format!("BACKWARD {n}"),
                "BACKWARD ALL".into(),
            ];
            let way = if !scroll.is_empty() && self.random.percent(60) {
                self.random.of(&back).cloned()
            } else {
                self.random.of(&forward).cloned()
            };
            all.push(format!("{verb} {} FROM cur", way.unwrap_or_default()));
        }
        all.push("CLOSE cur".into());
        all
    }

    /// Changes between savepoints.
    fn savepoints(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        let mut open = 0;
        for _ in 0..self.random.range(2, 4) {
            match self.random.below(4) {
                0 if open > 0 => {
                    all.push(format!("ROLLBACK TO SAVEPOINT s{}", self.random.range(1, open)));
                }
                1 if open > 0 => {
                    all.push(format!("RELEASE SAVEPOINT s{open}"));
                    open -= 1;
                }
                _ => {
                    open += 1;
                    all.push(format!("SAVEPOINT s{open}"));
                }
            }
            all.push(self.change().sql());
        }
        if open > 0 && self.random.percent(60) {
            all.push("ROLLBACK TO SAVEPOINT s1".into());
        }
        all
    }

    /// Changes of a table that holds rows.
    fn alterations(&mut self, table: &Table) -> Vec<String> {
        let mut all = Vec::new();
        let name = &table.name;
        let mut columns: Vec<String> = table.columns.iter().map(|c| c.name.clone()).collect();
        for n in 0..self.random.range(1, 3) {
            let Some(column) = self.random.of(&columns).cloned() else { break };
            let of = self.some_type();
            let what = match self.random.below(10) {
                0 => format!("ADD COLUMN n{n} {of} DEFAULT {}", stored(&mut self.random, of, of)),
                1 => format!("ADD COLUMN n{n} {of}"),
                2 => format!("ADD COLUMN n{n} integer GENERATED ALWAYS AS (id * 2) STORED"),
                3 => {
                    columns.retain(|c| *c != column);
                    format!("DROP COLUMN {column} CASCADE")
                }
                4 => format!("ALTER COLUMN {column} TYPE text USING {column}::text"),
                5 => format!("ALTER COLUMN {column} SET NOT NULL"),
                6 => format!("ADD CHECK ({column} IS NOT NULL OR id > 3)"),
                7 => {
                    let from = column.clone();
                    let to = format!("{column}_x");
                    columns.iter_mut().filter(|c| **c == from).for_each(|c| c.clone_from(&to));
                    format!("RENAME COLUMN {from} TO {to}")
                }
                8 => format!("ALTER COLUMN {column} DROP DEFAULT"),
                _ => format!("ADD UNIQUE ({column}, id)"),
            };
            all.push(format!("ALTER TABLE {name} {what}"));
            all.push(format!("SELECT * FROM {name}"));
            if self.random.percent(50) {
                all.push(format!("UPDATE {name} SET id = id + 5000 WHERE id % 3 = 1"));
                all.push(format!("SELECT * FROM {name}"));
            }
        }
        all
    }

    /// Assignments to elements and fields.
    fn elements(&mut self, table: &Table) -> Vec<String> {
        let mut all = Vec::new();
        for c in table.columns.iter().filter(|c| !c.generated) {
            let place = match element_of(c.of) {
                Some(_) => {
                    self.random.pick(&["[1]", "[0]", "[2:3]", "[5]", "[-1:1]", "[:2]", "[1][1]"]).to_owned()
                }
                None if c.of == "jsonb" => self.random.pick(&["['a']", "['b'][0]", "[1]", "[-1]"]).to_owned(),
                None => continue,
            };
            let of = match element_of(c.of) {
                Some(element) if !place.contains(':') => element,
                Some(_) => c.of,
                None => "jsonb",
            };
            let value = crate::values::literal(&mut self.random, of, true);
            all.push(format!("UPDATE {} SET {}{place} = {value}", table.name, c.name));
            all.push(format!("SELECT * FROM {}", table.name));
        }
        all
    }

    /// One script.
    pub fn script(&mut self) -> Script {
        let table = self.some_table();
        let statements = match self.random.below(4) {
            0 => self.cursor(),
            1 => self.savepoints(),
            2 => self.alterations(&table),
            _ => self.elements(&table),
        };
        Script { statements }
    }
}
