//! Queries: joins, subqueries, aggregates, windows, set operations, common table expressions.
//!
//! What a query answers is said by the language but for the order of its rows: where an order decides about rows (LIMIT, windows that
//! count rows), all columns are in it.

use crate::{
    expression::Generator,
    node::{Node, list, maybe, seq, text},
    values::{Type, element_of, ordered},
};

/// The columns that expressions may name.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    here: Vec<(String, Type)>,
    outer: Vec<(String, Type)>,
    /// How many levels of subqueries are around.
    level: usize,
}

impl Scope {
    /// Of these columns.
    pub fn of(here: Vec<(String, Type)>) -> Self {
        Self { here, outer: Vec::new(), level: 0 }
    }

    /// Adds a column.
    pub fn add(&mut self, name: String, of: Type) {
        self.here.push((name, of));
    }

    /// All that may be named; those of queries around too.
    pub fn columns(&self) -> impl Iterator<Item = &(String, Type)> {
        self.here.iter().chain(&self.outer)
    }

    /// Are there tables below, and is it not too deep yet?
    pub fn subqueries(&self) -> bool {
        self.level < 2 && !self.here.is_empty() && !self.here[0].0.starts_with("v.")
    }

    /// The columns of this level alone: an aggregate of those around would belong to the query around.
    pub fn own(&self) -> Self {
        Self { here: self.here.clone(), outer: Vec::new(), level: 2 }
    }

    /// The scope of a subquery over these columns.
    pub fn inside(&self, here: Vec<(String, Type)>) -> Self {
        Self { here, outer: self.columns().cloned().collect(), level: self.level + 1 }
    }
}

fn query(node: Node) -> Node {
    Node::Query(Box::new(node))
}

/// Has every relation whose columns these are a key?
fn keyed(columns: &[(String, Type)]) -> bool {
    let alias = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    columns.iter().all(|c| columns.iter().any(|k| k.0.ends_with(".id") && alias(&k.0) == alias(&c.0)))
}

/// Columns that a total order is made of.
pub fn order_of(columns: &[(String, Type)]) -> String {
    let key = |c: &(String, Type)| if ordered(c.1) { c.0.clone() } else { format!("{}::text", c.0) };
    columns.iter().map(key).collect::<Vec<_>>().join(", ")
}

impl Generator<'_> {
    /// Something for FROM, and its columns.
    pub fn relation(&mut self, outer: &Scope, depth: usize) -> (Node, Vec<(String, Type)>) {
        match self.random.below(10) {
            0..=3 if depth > 0 => self.join(outer, depth - 1),
            4 if depth > 0 => self.derived(outer, depth - 1),
            5 if depth > 0 => self.function_item(),
            _ => self.table_item(),
        }
    }

    fn table_item(&mut self) -> (Node, Vec<(String, Type)>) {
        let alias = self.name("a");
        match self.tables.get(self.random.below(self.tables.len())) {
            Some(t) => (text(format!("{} AS {alias}", t.name)), t.under(&alias)),
            None => (
                text(format!("generate_series(1, 3) AS {alias} (n)")),
                vec![(format!("{alias}.n"), "integer")],
            ),
        }
    }

    fn function_item(&mut self) -> (Node, Vec<(String, Type)>) {
        let alias = self.name("f");
        let array = self.random.pick(&["integer[]", "text[]", "numeric[]"]);
        let element = element_of(array).unwrap_or("integer");
        match self.random.below(4) {
            0 => {
                let to = self.random.below(6);
                (
                    text(format!("generate_series(1, {to}) AS {alias} (n)")),
                    vec![(format!("{alias}.n"), "integer")],
                )
            }
            1 => {
                let value = self.expression(&Scope::default(), array, 1, true);
                let node =
                    seq(vec![text("unnest("), value, text(format!(") WITH ORDINALITY AS {alias} (n, o)"))]);
                (node, vec![(format!("{alias}.n"), element), (format!("{alias}.o"), "bigint")])
            }
            _ => {
                let types = [self.some_type(), self.some_type()];
                let rows = (0..self.random.range(1, 3))
                    .map(|_| {
                        let values =
                            types.iter().map(|of| self.expression(&Scope::default(), of, 1, true)).collect();
                        seq(vec![text("("), list(", ", 2, values), text(")")])
                    })
                    .collect();
                let columns = (0..2).map(|n| (format!("{alias}.x{n}"), types[n])).collect();
                (
                    seq(vec![text("(VALUES "), list(", ", 1, rows), text(format!(") AS {alias} (x0, x1)"))]),
                    columns,
                )
            }
        }
    }

    fn derived(&mut self, outer: &Scope, depth: usize) -> (Node, Vec<(String, Type)>) {
        let alias = self.name("q");
        let (node, types) = self.query(outer, None, depth);
        let columns = types.iter().enumerate().map(|(n, of)| (format!("{alias}.o{n}"), *of)).collect();
        if self.random.percent(15) {
            // Cut in a total order.
            let named: Vec<(String, Type)> =
                types.iter().enumerate().map(|(n, of)| (format!("o{n}"), *of)).collect();
            let (order, to) = (order_of(&named), self.random.range(1, 8));
            let cut = format!(") AS cut ORDER BY {order} LIMIT {to}) AS {alias}");
            return (seq(vec![text("(SELECT * FROM ("), node, text(cut)]), columns);
        }
        (seq(vec![text("("), node, text(format!(") AS {alias}"))]), columns)
    }

    fn join(&mut self, outer: &Scope, depth: usize) -> (Node, Vec<(String, Type)>) {
        let (left, mut columns) = self.relation(outer, depth);
        if self.random.percent(12) {
            let word = self.random.pick(&["JOIN", "LEFT JOIN"]);
            let around = outer.inside(columns.clone());
            let (right, more) = self.derived(&around, depth.min(1));
            columns.extend(more);
            let on = self.condition(&Scope::of(columns.clone()), 1, true);
            return (
                query(seq(vec![left, text(format!(" {word} LATERAL ")), right, text(" ON "), on])),
                columns,
            );
        }
        let (right, more) = self.relation(&Scope::default(), depth);
        if self.random.percent(10) {
            columns.extend(more);
            return (query(seq(vec![left, text(" CROSS JOIN "), right])), columns);
        }
        let keys = |all: &[(String, Type)]| all.iter().filter(|c| c.0.ends_with(".id")).count() == 1;
        if keys(&columns) && keys(&more) && self.random.percent(25) {
            let word = self.random.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
            columns.extend(more);
            return (query(seq(vec![left, text(format!(" {word} ")), right, text(" USING (id)")])), columns);
        }
        let same: Vec<(&str, &str)> = columns
            .iter()
            .flat_map(|a| {
                more.iter().filter(|b| b.1 == a.1 && ordered(a.1)).map(|b| (a.0.as_str(), b.0.as_str()))
            })
            .collect();
        let mut on = Vec::new();
        if let Some((a, b)) = self.random.of(&same) {
            on.push(text(format!("{a} = {b}")));
        }
        let word = self.random.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "LEFT JOIN"]);
        columns.extend(more);
        // FULL JOIN takes conditions by which it can be merged or hashed only.
        if on.is_empty() || word != "FULL JOIN" && self.random.percent(30) {
            let word = if on.is_empty() { "LEFT JOIN" } else { word };
            on.push(self.condition(&Scope::of(columns.clone()), 1, true));
            return (
                query(seq(vec![left, text(format!(" {word} ")), right, text(" ON "), list(" AND ", 1, on)])),
                columns,
            );
        }
        (
            query(seq(vec![left, text(format!(" {word} ")), right, text(" ON "), list(" AND ", 1, on)])),
            columns,
        )
    }

    /// A query whose columns are named `o0`, `o1` and so on; of these types, if they are wanted.
    pub fn query(&mut self, outer: &Scope, want: Option<&[Type]>, depth: usize) -> (Node, Vec<Type>) {
        let (node, types) = match self.random.below(10) {
            0 | 1 if depth > 0 => self.set_operation(outer, want, depth - 1),
            2 | 3 if want.is_none() => self.aggregation(outer, depth),
            4 if want.is_none() => self.window(outer, depth),
            5 if depth > 0 => self.with(outer, want, depth - 1),
            6 if want.is_none() && depth > 0 => self.distinct_on(depth - 1),
            _ => self.plain(outer, want, depth),
        };
        (query(node), types)
    }

    fn wanted(&mut self, want: Option<&[Type]>) -> Vec<Type> {
        match want {
            Some(types) => types.to_vec(),
            None => (0..self.random.range(1, 4)).map(|_| self.some_type()).collect(),
        }
    }

    fn named(&mut self, scope: &Scope, types: &[Type], depth: usize) -> Node {
        let item = |g: &mut Self, (n, of): (usize, &Type)| {
            seq(vec![g.expression(scope, of, depth, true), text(format!(" AS o{n}"))])
        };
        let items: Vec<Node> = types.iter().enumerate().map(|i| item(self, i)).collect();
        list(", ", 1, items)
    }

    fn plain(&mut self, outer: &Scope, want: Option<&[Type]>, depth: usize) -> (Node, Vec<Type>) {
        let (from, columns) = self.relation(outer, depth);
        let scope = outer.inside(columns);
        let types = self.wanted(want);
        let distinct = if types.iter().all(|t| ordered(t)) && self.random.percent(15) {
            "SELECT DISTINCT "
        } else {
            "SELECT "
        };
        let mut node = vec![text(distinct), self.named(&scope, &types, 2), text(" FROM "), from];
        if self.random.percent(70) {
            node.push(maybe(seq(vec![text(" WHERE "), self.condition(&scope, 2, true)])));
        }
        (seq(node), types)
    }

    fn set_operation(&mut self, outer: &Scope, want: Option<&[Type]>, depth: usize) -> (Node, Vec<Type>) {
        let types: Vec<Type> = match want {
            Some(t) => t.to_vec(),
            None => (0..self.random.range(1, 3)).map(|_| self.ordered_type()).collect(),
        };
        let all = if types.iter().all(|t| ordered(t)) { self.random.pick(&["", "", " ALL"]) } else { " ALL" };
        let word = if all == " ALL" && !types.iter().all(|t| ordered(t)) {
            "UNION"
        } else {
            self.random.pick(&["UNION", "INTERSECT", "EXCEPT"])
        };
        let (a, _) = self.query(outer, Some(&types), depth);
        let (b, _) = self.query(outer, Some(&types), depth);
        (seq(vec![text("("), a, text(format!(") {word}{all} (")), b, text(")")]), types)
    }

    fn with(&mut self, outer: &Scope, want: Option<&[Type]>, depth: usize) -> (Node, Vec<Type>) {
        let name = self.name("w");
        if self.random.percent(25) && want.is_none() {
            let of = self.random.pick(&["integer", "text", "numeric"]);
            let first = self.expression(&Scope::default(), of, 1, true);
            let step = Scope::of(vec![(format!("{name}.n"), "integer"), (format!("{name}.x"), of)]);
            let next = if of == "text" {
                seq(vec![text("left("), self.expression(&step, of, 1, true), text(", 20)")])
            } else {
                self.expression(&step, of, 1, true)
            };
            let all = self.random.pick(&["UNION ALL", "UNION"]);
            let to = self.random.range(1, 6);
            let node = seq(vec![
                text(format!("WITH RECURSIVE {name} (n, x) AS (SELECT 1, ")),
                first,
                text(format!("::{of} {all} SELECT n + 1, ")),
                next,
                text(format!(" FROM {name} WHERE n < {to}) SELECT n AS o0, x AS o1 FROM {name}")),
            ]);
            return (node, vec!["integer", of]);
        }
        let (inner, types) = self.query(&Scope::default(), None, depth);
        let columns = types
            .iter()
            .enumerate()
            .map(|(n, of)| crate::schema::ColumnOf {
                name: format!("o{n}"),
                of,
                declared: (*of).into(),
                generated: false,
            })
            .collect();
        self.tables.push(crate::schema::Table { name: name.clone(), columns, view: true, heirs: false });
        let (outer_query, types) = self.plain(outer, want, depth.max(1));
        self.tables.retain(|t| t.name != name);
        let word = self.random.pick(&["", " MATERIALIZED", " NOT MATERIALIZED"]);
        (seq(vec![text(format!("WITH {name} AS{word} (")), inner, text(") "), outer_query]), types)
    }

    fn distinct_on(&mut self, depth: usize) -> (Node, Vec<Type>) {
        let (from, columns) = self.relation(&Scope::default(), depth);
        let keys: Vec<(String, Type)> = columns.iter().filter(|c| ordered(c.1)).cloned().collect();
        let Some((key, of)) = self.random.of(&keys).cloned() else {
            return self.plain(&Scope::default(), None, depth);
        };
        let Some((value, value_of)) = self.random.of(&columns).cloned() else {
            return self.plain(&Scope::default(), None, depth);
        };
        let order = order_of(&columns);
        let end = self.random.pick(&["", " DESC", " NULLS FIRST"]);
        let wheres = self.condition(&Scope::of(columns), 1, true);
        let node = seq(vec![
            text(format!("SELECT DISTINCT ON ({key}) {key} AS o0, {value} AS o1 FROM ")),
            from,
            maybe(seq(vec![text(" WHERE "), wheres])),
            text(format!(" ORDER BY {key}{end}, {order}")),
        ]);
        (node, vec![of, value_of])
    }

    fn aggregate(&mut self, scope: &Scope) -> (Node, Type) {
        let scope = &scope.own();
        let filter = |g: &mut Self| match g.random.percent(20) {
            true => maybe(seq(vec![text(" FILTER (WHERE "), g.condition(scope, 1, true), text(")")])),
            false => text(""),
        };
        let distinct = self.random.pick(&["", "", "DISTINCT "]);
        let (word, of, argument): (&str, Type, Type) = match self.random.below(12) {
            0 => return (seq(vec![text("count(*)"), filter(self)]), "bigint"),
            1 => ("count", "bigint", self.ordered_type()),
            2 | 3 => {
                let of = self.random.pick(&[
                    "integer",
                    "text",
                    "numeric",
                    "date",
                    "interval",
                    "timestamp with time zone",
                    "inet",
                    "money",
                    "bigint",
                    "time without time zone",
                    "character",
                ]);
                (self.random.pick(&["min", "max"]), of, of)
            }
            4 => ("sum", "bigint", self.random.pick(&["integer", "smallint"])),
            5 => ("sum", "numeric", self.random.pick(&["bigint", "numeric"])),
            6 => (
                self.random.pick(&["avg", "stddev", "variance", "var_pop", "stddev_pop"]),
                "numeric",
                self.random.pick(&["integer", "smallint", "numeric", "bigint"]),
            ),
            7 => (self.random.pick(&["bool_and", "bool_or", "every"]), "boolean", "boolean"),
            8 => {
                let of = self.random.pick(&["integer", "bigint", "smallint"]);
                (self.random.pick(&["bit_and", "bit_or", "bit_xor"]), of, of)
            }
            9 if self.random.percent(25) => {
                let value = self.expression(scope, "text", 1, true).sql();
                let node = format!("chained({value} ORDER BY {value})");
                return (seq(vec![wrapped("text", text(node)), filter(self)]), "text");
            }
            9 => {
                let value = self.expression(scope, "text", 1, true).sql();
                let node = format!("string_agg({value}, ',' ORDER BY {value})");
                return (seq(vec![wrapped("text", text(node)), filter(self)]), "text");
            }
            10 => {
                let (of, array) =
                    self.random.of(&crate::values::ARRAYS).copied().unwrap_or(("integer", "integer[]"));
                let value = self.expression(scope, of, 1, true).sql();
                return (
                    seq(vec![
                        wrapped(array, text(format!("array_agg({distinct}{value} ORDER BY {value})"))),
                        filter(self),
                    ]),
                    array,
                );
            }
            _ => {
                let of = self.random.pick(&["integer", "numeric", "text", "date"]);
                let value = self.expression(scope, of, 1, true);
                return (
                    seq(vec![
                        text("percentile_disc(0.5) WITHIN GROUP (ORDER BY "),
                        value,
                        text(")"),
                        filter(self),
                    ]),
                    of,
                );
            }
        };
        let value = self.expression(scope, argument, 1, true);
        (
            seq(vec![
                wrapped(of, seq(vec![text(format!("{word}({distinct}")), value, text(")")])),
                filter(self),
            ]),
            of,
        )
    }

    fn aggregation(&mut self, outer: &Scope, depth: usize) -> (Node, Vec<Type>) {
        let (from, columns) = self.relation(outer, depth);
        let keys: Vec<(String, Type)> = columns.iter().filter(|c| ordered(c.1)).cloned().collect();
        let scope = outer.inside(columns);
        let mut chosen: Vec<(String, Type)> = Vec::new();
        for _ in 0..self.random.below(3) {
            let key = match self.random.of(&keys) {
                Some(k) if self.random.percent(70) => k.clone(),
                _ => {
                    let of = self.ordered_type();
                    (self.expression(&scope, of, 1, true).sql(), of)
                }
            };
            // A constant would be a position.
            if key.0.contains('.') && !chosen.iter().any(|c| c.0 == key.0) {
                chosen.push(key);
            }
        }
        let mut types: Vec<Type> = chosen.iter().map(|c| c.1).collect();
        let mut items: Vec<Node> =
            chosen.iter().enumerate().map(|(n, c)| text(format!("{} AS o{n}", c.0))).collect();
        for _ in 0..self.random.range(1, 3) {
            let (node, of) = self.aggregate(&scope);
            items.push(seq(vec![node, text(format!(" AS o{}", types.len()))]));
            types.push(of);
        }
        let mut node = vec![text("SELECT "), list(", ", 1, items), text(" FROM "), from];
        if self.random.percent(50) {
            node.push(maybe(seq(vec![text(" WHERE "), self.condition(&scope, 1, true)])));
        }
        if !chosen.is_empty() {
            let keys: Vec<&str> = chosen.iter().map(|c| c.0.as_str()).collect();
            let by = match self.random.below(8) {
                0 => format!("ROLLUP ({})", keys.join(", ")),
                1 => format!("CUBE ({})", keys.join(", ")),
                2 => format!("GROUPING SETS (({}), ({}), ())", keys.join(", "), keys[0]),
                _ => keys.join(", "),
            };
            node.push(text(format!(" GROUP BY {by}")));
        }
        if self.random.percent(20) {
            let (value, of) = self.aggregate(&scope);
            let right = self.expression(&Scope::default(), of, 0, true);
            if ordered(of) {
                node.push(maybe(seq(vec![text(" HAVING "), value, text(" IS DISTINCT FROM "), right])));
            }
        }
        (seq(node), types)
    }

    fn window(&mut self, outer: &Scope, depth: usize) -> (Node, Vec<Type>) {
        let (from, columns) = self.relation(outer, depth);
        let order = order_of(&columns);
        let keys: Vec<(String, Type)> = columns.iter().filter(|c| ordered(c.1)).cloned().collect();
        let scope = outer.inside(columns.clone());
        let (mut items, mut types) = (Vec::new(), Vec::new());
        if let Some((name, of)) = self.random.of(&columns).cloned() {
            items.push(text(format!("{name} AS o0")));
            types.push(of);
        }
        // Rows that are equal are told apart by what counts them, and two counts of them need not go together.
        let told_apart = keyed(&columns) && !self.tables.iter().any(|t| t.heirs);
        for _ in 0..self.random.range(1, if told_apart { 2 } else { 1 }) {
            let part = match self.random.of(&keys) {
                Some(k) if self.random.percent(50) => format!("PARTITION BY {} ", k.0),
                _ => String::new(),
            };
            let end = self.random.pick(&["", "", " DESC", " NULLS FIRST"]);
            let frame = self.frame();
            let (call, of): (Node, Type) = match self.random.below(8) {
                0 => (text(self.random.pick(&["row_number()", "rank()", "dense_rank()"])), "bigint"),
                1 => (text(self.random.pick(&["percent_rank()", "cume_dist()"])), "double precision"),
                2 => (text(format!("ntile({})", self.random.range(1, 4))), "integer"),
                3 | 4 => {
                    let of = self.some_type();
                    let value = self.expression(&scope, of, 1, true);
                    let word = self.random.pick(&["lag", "lead", "first_value", "last_value"]);
                    (seq(vec![text(format!("{word}(")), value, text(")")]), of)
                }
                5 => {
                    let of = self.some_type();
                    let value = self.expression(&scope, of, 1, true);
                    (
                        seq(vec![text("nth_value("), value, text(format!(", {})", self.random.range(1, 3)))]),
                        of,
                    )
                }
                6 => (text("count(*)"), "bigint"),
                _ => {
                    let value = self.expression(&scope, "integer", 1, true);
                    let word = self.random.pick(&["sum", "count"]);
                    (seq(vec![text(format!("{word}(")), value, text(")")]), "bigint")
                }
            };
            let first = order.split(", ").next().unwrap_or_default();
            let rest = format!("{first}{end}, {order}");
            items.push(seq(vec![
                call,
                text(format!(" OVER ({part}ORDER BY {rest}{frame}) AS o{}", types.len())),
            ]));
            types.push(of);
        }
        let mut node = vec![text("SELECT "), list(", ", 1, items), text(" FROM "), from];
        if self.random.percent(50) {
            node.push(maybe(seq(vec![text(" WHERE "), self.condition(&scope, 1, true)])));
        }
        (seq(node), types)
    }

    fn frame(&mut self) -> String {
        if self.random.percent(50) {
            return String::new();
        }
        let unit = self.random.pick(&["ROWS", "GROUPS", "RANGE"]);
        let bounds: &[&str] = if unit == "RANGE" {
            &[
                "UNBOUNDED PRECEDING AND CURRENT ROW",
                "CURRENT ROW AND UNBOUNDED FOLLOWING",
                "UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
            ]
        } else {
            &[
                "1 PRECEDING AND 1 FOLLOWING",
                "2 PRECEDING AND 1 PRECEDING",
                "CURRENT ROW AND 2 FOLLOWING",
                "UNBOUNDED PRECEDING AND 1 FOLLOWING",
                "1 FOLLOWING AND UNBOUNDED FOLLOWING",
            ]
        };
        let exclude = self.random.pick(&["", "", " EXCLUDE CURRENT ROW", " EXCLUDE TIES", " EXCLUDE GROUP"]);
        format!(" {unit} BETWEEN {}{exclude}", self.random.pick(bounds))
    }

    /// A query as a statement, perhaps in a total order and cut.
    pub fn select(&mut self) -> Node {
        let (node, types) = self.query(&Scope::default(), None, 3);
        if self.random.percent(70) {
            return node;
        }
        let columns: Vec<(String, Type)> =
            types.iter().enumerate().map(|(n, t)| (format!("o{n}"), *t)).collect();
        let desc = self.random.pick(&["", " DESC", " NULLS FIRST"]);
        let order = order_of(&columns).replacen(", ", &format!("{desc}, "), 1);
        let cut = match self.random.below(4) {
            0 => format!(" LIMIT {}", self.random.below(10)),
            1 => format!(" OFFSET {} LIMIT {}", self.random.below(4), self.random.below(10)),
            2 => format!(" FETCH FIRST {} ROWS WITH TIES", self.random.range(1, 4)),
            _ => String::new(),
        };
        seq(vec![
            text("SELECT * FROM ("),
            node,
            text(format!(") AS whole ORDER BY {order}")),
            maybe(text(cut)),
        ])
    }
}

fn wrapped(of: Type, node: Node) -> Node {
    Node::Expression { of, node: Box::new(node) }
}
