//! Changes of data: INSERT, UPDATE, DELETE and MERGE, each of whose rows is changed by one other row at most, so that what comes of it
//! does not depend on an order.

use crate::{
    expression::Generator,
    node::{Node, list, maybe, seq, text},
    query::Scope,
    schema::Table,
    values::{Type, stored},
};

impl Generator<'_> {
    /// A table that may be changed.
    pub fn some_table(&mut self) -> Table {
        let tables: Vec<Table> = self.tables.iter().filter(|t| !t.view).cloned().collect();
        let at = self.random.below(tables.len());
        let none = Table { name: "t0".into(), columns: Vec::new(), view: false, heirs: false };
        tables.into_iter().nth(at).unwrap_or(none)
    }

    /// A table in which keys are unique: each row of another finds one row there at most.
    fn some_source(&mut self) -> Table {
        let other = self.some_table();
        if !other.heirs {
            return other;
        }
        Table { name: format!("(SELECT * FROM ONLY {})", other.name), heirs: false, ..other }
    }

    fn assignments(&mut self, table: &Table, scope: &Scope) -> Node {
        let free: Vec<_> = table.columns.iter().filter(|c| !c.generated).cloned().collect();
        let mut items: Vec<Node> = Vec::new();
        for c in &free {
            if !items.is_empty() && !self.random.percent(30) {
                continue;
            }
            let value = if c.of == "bit" || self.random.percent(50) {
                text(stored(&mut self.random, c.of, &c.declared))
            } else {
                self.expression(scope, c.of, 1, true)
            };
            items.push(seq(vec![text(format!("{} = ", c.name)), value]));
        }
        if items.is_empty() {
            items.push(text("id = id"));
        }
        list(", ", 1, items)
    }

    fn returning(&mut self, scope: &Scope) -> Node {
        if self.random.percent(50) {
            return text("");
        }
        let of = self.some_type();
        maybe(seq(vec![text(" RETURNING "), self.expression(scope, of, 1, true), text(" AS o0")]))
    }

    /// One statement.
    pub fn change(&mut self) -> Node {
        let table = self.some_table();
        let whole = Scope::of(table.under(&table.name));
        match self.random.below(7) {
            5 => self.insert_select(&table),
            6 => {
                // A change whose rows a query reads.
                let name = self.name("w");
                let inner = loop {
                    let node = self.change();
                    let sql = node.sql();
                    if !sql.starts_with("MERGE") && !sql.starts_with("WITH") && !sql.contains(" RETURNING ") {
                        break node;
                    }
                };
                let end =
                    format!(" RETURNING id) SELECT count(*) AS o0, min(id) AS o1, sum(id) AS o2 FROM {name}");
                let end = if inner.sql().contains(" AS s ") && !inner.sql().starts_with("INSERT") {
                    end.replace("RETURNING id", "RETURNING s.id")
                } else {
                    end
                };
                seq(vec![text(format!("WITH {name} (id) AS (")), inner, text(end)])
            }
            0 => {
                let at = self.tables.iter().position(|t| t.name == table.name).unwrap_or(0);
                let id = self.random.range(1, 60);
                let row = text(self.insert_row(at, id));
                let conflict = match self.random.below(4) {
                    0 => text(" ON CONFLICT DO NOTHING"),
                    1 => {
                        seq(vec![text(" ON CONFLICT (id) DO UPDATE SET "), self.assignments(&table, &whole)])
                    }
                    2 => {
                        let wheres = self.condition(&whole, 1, true);
                        let sets = self.assignments(&table, &whole);
                        seq(vec![
                            text(" ON CONFLICT (id) DO UPDATE SET "),
                            sets,
                            maybe(seq(vec![text(" WHERE "), wheres])),
                        ])
                    }
                    _ => text(""),
                };
                seq(vec![row, maybe(conflict), self.returning(&whole)])
            }
            1 => {
                let sets = self.assignments(&table, &whole);
                let wheres = self.condition(&whole, 2, true);
                let returning = self.returning(&whole);
                seq(vec![
                    text(format!("UPDATE {} SET ", table.name)),
                    sets,
                    maybe(seq(vec![text(" WHERE "), wheres])),
                    returning,
                ])
            }
            2 => {
                let other = self.some_source();
                let both = Scope::of(table.under(&table.name).into_iter().chain(other.under("s")).collect());
                let sets = self.assignments(&table, &both);
                let wheres = self.condition(&both, 1, true);
                let returning = self.returning(&both);
                seq(vec![
                    text(format!("UPDATE {} SET ", table.name)),
                    sets,
                    text(format!(" FROM {} AS s WHERE s.id = {}.id", other.name, table.name)),
                    maybe(seq(vec![text(" AND "), wheres])),
                    returning,
                ])
            }
            3 => {
                let other = self.some_source();
                let both = Scope::of(table.under(&table.name).into_iter().chain(other.under("s")).collect());
                let wheres = self.condition(&both, 2, true);
                let using = if self.random.percent(50) {
                    format!(" USING {} AS s WHERE s.id = {}.id AND ", other.name, table.name)
                } else {
                    String::new()
                };
                let (using, wheres) = match using.is_empty() {
                    true => (" WHERE ".to_owned(), self.condition(&whole, 2, true)),
                    false => (using, wheres),
                };
                let returning = self.returning(&whole);
                seq(vec![text(format!("DELETE FROM {}{using}", table.name)), wheres, returning])
            }
            _ => self.merge(&table),
        }
    }

    fn insert_select(&mut self, table: &Table) -> Node {
        let other = self.some_source();
        let scope = Scope::of(other.under("s"));
        let free: Vec<_> = table.columns.iter().filter(|c| !c.generated && c.of != "bit").cloned().collect();
        let names: Vec<&str> = free.iter().map(|c| c.name.as_str()).collect();
        let names = ["id"].into_iter().chain(names).collect::<Vec<_>>().join(", ");
        let mut values = vec![text(format!("s.id + {}", self.random.pick(&["0", "5", "3000"])))];
        for c in &free {
            values.push(self.expression(&scope, c.of, 1, true));
        }
        let least = values.len();
        let wheres = self.condition(&scope, 1, true);
        let conflict = self.random.pick(&["", " ON CONFLICT DO NOTHING", " ON CONFLICT (id) DO NOTHING"]);
        seq(vec![
            text(format!("INSERT INTO {} ({names}) SELECT ", table.name)),
            list(", ", least, values),
            text(format!(" FROM {} AS s", other.name)),
            maybe(seq(vec![text(" WHERE "), wheres])),
            // Of rows that conflict with each other, the first wins.
            text(" ORDER BY s.id"),
            maybe(text(conflict)),
        ])
    }

    fn merge(&mut self, table: &Table) -> Node {
        let other = self.some_source();
        let source: Vec<(String, Type)> = other.under("s");
        let both = Scope::of(table.under("m").into_iter().chain(source.clone()).collect());
        let mut clauses = Vec::new();
        for _ in 0..self.random.range(1, 3) {
            let matched = self.random.percent(60);
            let scope = if matched { both.clone() } else { Scope::of(source.clone()) };
            let condition = maybe(seq(vec![text(" AND "), self.condition(&scope, 1, true)]));
            let (head, action) = if matched {
                let action = match self.random.below(3) {
                    0 => text(" THEN DELETE"),
                    1 => text(" THEN DO NOTHING"),
                    _ => seq(vec![text(" THEN UPDATE SET "), self.assignments(table, &both)]),
                };
                (" WHEN MATCHED", action)
            } else {
                let names: Vec<String> =
                    table.columns.iter().filter(|c| !c.generated).map(|c| c.name.clone()).collect();
                let mut values = Vec::new();
                for c in table.columns.iter().filter(|c| !c.generated) {
                    let of_bits = c.of == "bit";
                    values.push(if of_bits { text("NULL") } else { self.expression(&scope, c.of, 1, true) });
                }
                let values = seq(vec![
                    text(format!(" THEN INSERT (id, {}) VALUES (s.id + 1000, ", names.join(", "))),
                    list(", ", names.len(), values),
                    text(")"),
                ]);
                (" WHEN NOT MATCHED", if names.is_empty() { text(" THEN DO NOTHING") } else { values })
            };
            clauses.push(seq(vec![text(head), condition, action]));
        }
        let on = maybe(seq(vec![text(" AND "), self.condition(&both, 1, true)]));
        seq(vec![
            text(format!("MERGE INTO {} AS m USING {} AS s ON m.id = s.id", table.name, other.name)),
            on,
            list("", 1, clauses),
        ])
    }
}
