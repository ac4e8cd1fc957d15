//! Expressions of a wanted type.
//!
//! *Safe* expressions do not fail whatever their arguments are: queries over tables are made of them, since which row's error
//! comes first is not said by the language. Everything else is tried over single rows.

use crate::{
    catalog::{Call, Catalog},
    node::{Node, list, maybe, seq, text},
    query::Scope,
    random::Random,
    values::{ARRAYS, TYPES, Type, array_of, literal, ordered},
};

/// Makes statements. What it made before decides about names only.
pub struct Generator<'a> {
    /// The numbers that decide.
    pub random: Random,
    /// What expressions are made of.
    pub catalog: &'a Catalog,
    /// The tables there are.
    pub tables: Vec<crate::schema::Table>,
    /// How many names were given.
    pub names: usize,
}

const SAFE_OPERATORS: [&str; 24] = [
    "=", "<>", "<", "<=", ">", ">=", "||", "&&", "@>", "<@", "?", "->", "->>", "~~", "!~~", "~~*", "!~~*",
    "^@", "<<=", ">>=", "#>", "#>>", "?|", "?&",
];

const SAFE_FUNCTIONS: [&str; 40] = [
    "length",
    "upper",
    "lower",
    "initcap",
    "reverse",
    "md5",
    "ascii",
    "btrim",
    "ltrim",
    "rtrim",
    "left",
    "right",
    "concat",
    "starts_with",
    "strpos",
    "translate",
    "replace",
    "octet_length",
    "bit_length",
    "char_length",
    "quote_literal",
    "quote_ident",
    "jsonb_typeof",
    "json_typeof",
    "cardinality",
    "array_to_string",
    "array_length",
    "array_ndims",
    "array_upper",
    "host",
    "family",
    "masklen",
    "network",
    "broadcast",
    "sign",
    "ceil",
    "floor",
    "isfinite",
    "sha256",
    "trunc",
];

fn wrap(of: Type, node: Node) -> Node {
    Node::Expression { of, node: Box::new(node) }
}

/// Operators of numbers, dates and networks fail beyond their types' ends.
fn safe_operator(call: &Call, of: Type) -> bool {
    SAFE_OPERATORS.contains(&call.name.as_str())
        && !(call.name == "||" && (of != "text" || call.arguments.iter().any(|a| a.starts_with("bit"))))
        && !(call.name == "<<" || call.name == ">>")
        || of == "numeric" && ["+", "-", "*"].contains(&call.name.as_str())
}

impl Generator<'_> {
    /// A name that was not given before.
    pub fn name(&mut self, stem: &str) -> String {
        self.names += 1;
        format!("{stem}{}", self.names)
    }

    /// Some type; those that most columns have come more often.
    pub fn some_type(&mut self) -> Type {
        if self.random.percent(50) {
            self.random.pick(&[
                "integer",
                "text",
                "numeric",
                "bigint",
                "boolean",
                "date",
                "timestamp without time zone",
                "jsonb",
            ])
        } else {
            self.random.pick(&TYPES)
        }
    }

    /// A type that has an order.
    pub fn ordered_type(&mut self) -> Type {
        loop {
            let of = self.some_type();
            if ordered(of) {
                return of;
            }
        }
    }

    fn leaf(&mut self, scope: &Scope, of: Type, safe: bool) -> Node {
        let columns: Vec<&String> = scope.columns().filter(|c| c.1 == of).map(|c| &c.0).collect();
        if !columns.is_empty() && self.random.percent(75) {
            let column = columns[self.random.below(columns.len())].clone();
            return wrap(of, text(column));
        }
        let odd = !safe || of != "numeric";
        wrap(of, text(literal(&mut self.random, of, odd)))
    }

    /// An expression of a type.
    pub fn expression(&mut self, scope: &Scope, of: Type, depth: usize, safe: bool) -> Node {
        if depth == 0 || self.random.percent(15) {
            return self.leaf(scope, of, safe);
        }
        let inner = depth - 1;
        let node = match self.random.below(12) {
            0 => self.case(scope, of, inner, safe),
            1 => {
                let word = self.random.pick(&["coalesce", "coalesce", "greatest", "least", "nullif"]);
                let word = if ordered(of) { word } else { "coalesce" };
                let (a, b) =
                    (self.expression(scope, of, inner, safe), self.expression(scope, of, inner, safe));
                let most = if word == "nullif" { 2 } else { 1 };
                seq(vec![text(format!("{word}(")), list(", ", most, vec![a, b]), text(")")])
            }
            10 if of == "text" && self.random.percent(40) => {
                let (a, b) =
                    (self.expression(scope, of, inner, safe), self.expression(scope, of, inner, safe));
                seq(vec![text("("), a, text(" |+| "), b, text(")")])
            }
            10 if of == "integer" && self.random.percent(30) => {
                seq(vec![text("("), self.expression(scope, "mood", inner, safe), text(")::integer")])
            }
            2 if scope.subqueries() => return self.scalar_subquery(scope, of, inner),
            3..=5 => return self.operator(scope, of, inner, safe),
            6..=8 => return self.function(scope, of, inner, safe),
            9 => return self.cast(scope, of, inner, safe),
            _ if of == "boolean" => return self.condition(scope, inner, safe),
            _ => match ARRAYS.iter().find(|a| a.1 == of) {
                Some((element, _)) => {
                    let items = (0..self.random.range(1, 3))
                        .map(|_| self.expression(scope, element, inner, safe))
                        .collect();
                    seq(vec![text("ARRAY["), list(", ", 1, items), text("]")])
                }
                None => return self.operator(scope, of, inner, safe),
            },
        };
        wrap(of, node)
    }

    fn case(&mut self, scope: &Scope, of: Type, depth: usize, safe: bool) -> Node {
        let mut branches = Vec::new();
        for _ in 0..self.random.range(1, 2) {
            let condition = self.condition(scope, depth, safe);
            let value = self.expression(scope, of, depth, safe);
            branches.push(seq(vec![text(" WHEN "), condition, text(" THEN "), value]));
        }
        let other = self.expression(scope, of, depth, safe);
        seq(vec![text("CASE"), list("", 1, branches), maybe(seq(vec![text(" ELSE "), other])), text(" END")])
    }

    fn cast(&mut self, scope: &Scope, of: Type, depth: usize, safe: bool) -> Node {
        let from: Vec<Type> = match of {
            "text" => TYPES.iter().copied().filter(|t| *t != "text").collect(),
            "numeric" if safe => vec!["integer", "bigint", "smallint"],
            "bigint" if safe => vec!["integer", "smallint"],
            "double precision" if safe => vec!["real", "integer", "bigint"],
            _ if safe => return self.leaf(scope, of, safe),
            _ => self.catalog.casts.get(of).cloned().unwrap_or_default(),
        };
        let Some(from) = self.random.of(&from).copied() else { return self.leaf(scope, of, safe) };
        let inner = self.expression(scope, from, depth, safe);
        wrap(of, seq(vec![text("("), inner, text(format!(")::{of}"))]))
    }

    fn operator(&mut self, scope: &Scope, of: Type, depth: usize, safe: bool) -> Node {
        let all = self.catalog.operators.get(of).map_or(&[][..], Vec::as_slice);
        let chosen: Vec<&Call> = all.iter().filter(|c| !safe || safe_operator(c, of)).collect();
        let Some(call) = self.random.of(&chosen).map(|c| (*c).clone()) else {
            return self.leaf(scope, of, safe);
        };
        let mut arguments: Vec<Node> =
            call.arguments.iter().map(|a| self.expression(scope, a, depth, safe)).collect();
        let last = arguments.pop().unwrap_or(text(""));
        let first = arguments.pop().unwrap_or(text(""));
        wrap(of, seq(vec![text("("), first, text(format!(" {} ", call.name)), last, text(")")]))
    }

    fn function(&mut self, scope: &Scope, of: Type, depth: usize, safe: bool) -> Node {
        let all = self.catalog.functions.get(of).map_or(&[][..], Vec::as_slice);
        let chosen: Vec<&Call> =
            all.iter().filter(|c| !safe || SAFE_FUNCTIONS.contains(&c.name.as_str())).collect();
        let Some(call) = self.random.of(&chosen).map(|c| (*c).clone()) else {
            return self.leaf(scope, of, safe);
        };
        let small = matches!(
            &*call.name,
            "repeat"
                | "lpad"
                | "rpad"
                | "factorial"
                | "power"
                | "pow"
                | "exp"
                | "numeric_power"
                | "numeric_exp"
                | "round"
                | "trunc"
                | "numeric_fac"
        );
        let arguments: Vec<Node> = call
            .arguments
            .iter()
            .map(|a| match *a {
                "integer" | "bigint" | "numeric" | "double precision" if small => {
                    wrap(a, text(format!("{}::{a}", self.random.below(40) as i64 - 8)))
                }
                "text" if self.random.percent(30) => {
                    let word = self.random.pick(&[
                        "year",
                        "month",
                        "day",
                        "hour",
                        "epoch",
                        "dow",
                        "isoyear",
                        "week",
                        "quarter",
                        "second",
                        "UTC",
                        "Europe/Berlin",
                        "hex",
                        "base64",
                        "escape",
                        "YYYY-MM-DD",
                        "FM999.99",
                        "HH24:MI:SS.US",
                        "g",
                        "i",
                        "[a-c]+",
                        "^.b",
                        "(.)(.)",
                        "(?=a)[a-z]",
                        "b(?!c)",
                        "(?<=a)b",
                        "(?<!a)b|(a)\\1",
                        "century",
                        "microseconds",
                        "9,999.99",
                        "Day DD Mon",
                        "%s-%s",
                        "a",
                        "c",
                    ]);
                    wrap(a, text(format!("'{word}'")))
                }
                _ => self.expression(scope, a, depth, safe),
            })
            .collect();
        let least = arguments.len();
        let named = if call.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            format!("{}(", call.name)
        } else {
            format!("\"{}\"(", call.name)
        };
        // These are words of the grammar.
        let keyword = matches!(
            &*call.name,
            "position"
                | "overlay"
                | "substring"
                | "overlaps"
                | "xmlexists"
                | "char"
                | "bit"
                | "varchar"
                | "bpchar"
                | "timestamp"
                | "timestamptz"
                | "time"
                | "timetz"
                | "interval"
                | "numeric"
                | "float4"
                | "float8"
                | "int2"
                | "int4"
                | "int8"
                | "text"
                | "date"
                | "bool"
                | "timezone"
                | "notlike"
                | "like"
                | "money"
                | "name"
        );
        let named = if keyword { format!("pg_catalog.\"{}\"(", call.name) } else { named };
        wrap(of, seq(vec![text(named), list(", ", least, arguments), text(")")]))
    }

    /// A condition.
    pub fn condition(&mut self, scope: &Scope, depth: usize, safe: bool) -> Node {
        if depth == 0 {
            return self.comparison(scope, 0, safe);
        }
        let inner = depth - 1;
        let node = match self.random.below(14) {
            0..=2 => {
                let (a, b) = (self.condition(scope, inner, safe), self.condition(scope, inner, safe));
                let word = self.random.pick(&[" AND ", " OR "]);
                seq(vec![text("("), list(word, 1, vec![a, b]), text(")")])
            }
            3 => seq(vec![text("(NOT "), self.condition(scope, inner, safe), text(")")]),
            4 => {
                let of = self.some_type();
                let word = self.random.pick(&[" IS NULL)", " IS NOT NULL)"]);
                seq(vec![text("("), self.expression(scope, of, inner, safe), text(word)])
            }
            5 => {
                let word = self.random.pick(&[
                    " IS TRUE)",
                    " IS NOT TRUE)",
                    " IS FALSE)",
                    " IS UNKNOWN)",
                    " IS NOT UNKNOWN)",
                ]);
                seq(vec![text("("), self.condition(scope, inner, safe), text(word)])
            }
            6 => {
                let of = self.ordered_type();
                let items =
                    (0..self.random.range(1, 5)).map(|_| self.expression(scope, of, 0, safe)).collect();
                let word = self.random.pick(&[" IN (", " NOT IN ("]);
                seq(vec![
                    text("("),
                    self.expression(scope, of, inner, safe),
                    text(word),
                    list(", ", 1, items),
                    text("))"),
                ])
            }
            7 => {
                let of = self.ordered_type();
                let word = self.random.pick(&[" BETWEEN ", " NOT BETWEEN ", " BETWEEN SYMMETRIC "]);
                let three: Vec<Node> =
                    (0..3).map(|_| self.expression(scope, of, inner.min(1), safe)).collect();
                let [a, b, c] =
                    <[Node; 3]>::try_from(three).unwrap_or_else(|_| unreachable!("there are three"));
                seq(vec![text("("), a, text(word), b, text(" AND "), c, text(")")])
            }
            8 => {
                let (element, array) = ARRAYS[self.random.below(ARRAYS.len())];
                let word = self.random.pick(&["= ANY (", "<> ALL (", "< ANY (", ">= ALL ("]);
                let a = self.expression(scope, element, inner, safe);
                seq(vec![
                    text("("),
                    a,
                    text(format!(" {word}")),
                    self.expression(scope, array, inner, safe),
                    text("))"),
                ])
            }
            9 | 10 if scope.subqueries() => return self.subquery_condition(scope, inner),
            // Comparisons of rows of constants are computed here and not there, and what follows is folded or not.
            11 if safe => {
                let (a, b) = (self.ordered_type(), self.ordered_type());
                let word = self.random.pick(&["=", "<>", "<", ">="]);
                let side = |g: &mut Self| {
                    seq(vec![g.expression(scope, a, 0, safe), text(", "), g.expression(scope, b, 0, safe)])
                };
                let (left, right) = (side(self), side(self));
                seq(vec![text("(("), left, text(format!(") {word} (")), right, text("))")])
            }
            _ => return self.comparison(scope, inner, safe),
        };
        wrap("boolean", node)
    }

    fn comparison(&mut self, scope: &Scope, depth: usize, safe: bool) -> Node {
        // A column of the scope, so that conditions hold of some rows and not of others.
        let columns: Vec<(String, Type)> = scope.columns().filter(|c| ordered(c.1)).cloned().collect();
        let (left, of) = match self.random.of(&columns) {
            Some((name, of)) if self.random.percent(70) => (wrap(of, text(name.clone())), *of),
            _ => {
                let of = self.ordered_type();
                (self.expression(scope, of, depth, safe), of)
            }
        };
        let word = self.random.pick(&[
            "=",
            "=",
            "<>",
            "<",
            "<=",
            ">",
            ">=",
            "IS DISTINCT FROM",
            "IS NOT DISTINCT FROM",
        ]);
        let right = self.expression(scope, of, depth, safe);
        wrap("boolean", seq(vec![text("("), left, text(format!(" {word} ")), right, text(")")]))
    }

    /// One value of a query; at most one row, or it may fail.
    fn scalar_subquery(&mut self, scope: &Scope, of: Type, depth: usize) -> Node {
        let (from, inner) = self.relation(scope, depth.min(1));
        let inner = scope.inside(inner);
        let wheres = self.condition(&inner, 1, true);
        let value = match of {
            "bigint" if self.random.percent(50) => text("count(*)"),
            "boolean" if self.random.percent(50) => {
                seq(vec![text("bool_or("), self.condition(&inner.own(), 1, true), text(")")])
            }
            _ if array_of(of).is_some() || matches!(of, "smallint" | "inet" | "interval") => {
                let word = self.random.pick(&["min(", "max("]);
                let word = if of == "boolean" { "bool_and(" } else { word };
                seq(vec![text(word), self.expression(&inner.own(), of, 1, true), text(")")])
            }
            _ => {
                return wrap(
                    of,
                    seq(vec![
                        text("(SELECT "),
                        self.expression(scope, of, depth, true),
                        maybe(seq(vec![text(" WHERE "), self.condition(scope, 1, true)])),
                        text(")"),
                    ]),
                );
            }
        };
        wrap(
            of,
            seq(vec![
                text("(SELECT "),
                value,
                text(" FROM "),
                from,
                maybe(seq(vec![text(" WHERE "), wheres])),
                text(")"),
            ]),
        )
    }

    fn subquery_condition(&mut self, scope: &Scope, depth: usize) -> Node {
        let (from, inner) = self.relation(scope, depth.min(1));
        let inner = scope.inside(inner);
        let wheres = maybe(seq(vec![text(" WHERE "), self.condition(&inner, 1, true)]));
        let node = if self.random.percent(40) {
            let word = self.random.pick(&["(EXISTS (SELECT 1 FROM ", "(NOT EXISTS (SELECT 1 FROM "]);
            seq(vec![text(word), from, wheres, text("))")])
        } else {
            let of = self.ordered_type();
            let word = self.random.pick(&["IN", "NOT IN", "= ANY", "<> ALL", "< ANY", ">= ALL"]);
            let left = self.expression(scope, of, 1, true);
            let value = self.expression(&inner, of, 1, true);
            seq(vec![
                text("("),
                left,
                text(format!(" {word} (SELECT ")),
                value,
                text(" FROM "),
                from,
                wheres,
                text("))"),
            ])
        };
        wrap("boolean", node)
    }

    /// A statement of one row that tries whatever there is: `SELECT` of one expression, over constants or a row of values.
    pub fn odd_select(&mut self) -> Node {
        let of = self.random.pick(&TYPES);
        let mut scope = Scope::default();
        if self.random.percent(40) {
            return seq(vec![text("SELECT "), self.expression(&scope, of, 2, false), text(" AS o")]);
        }
        let mut values = Vec::new();
        for n in 0..3 {
            let of = self.some_type();
            values.push(text(literal(&mut self.random, of, true)));
            scope.add(format!("v.c{n}"), of);
        }
        let value = self.expression(&scope, of, 2, false);
        seq(vec![
            text("SELECT "),
            value,
            text(" AS o FROM (VALUES ("),
            list(", ", 3, values),
            text(")) AS v (c0, c1, c2)"),
        ])
    }
}
