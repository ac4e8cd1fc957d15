//! Text of whole queries, laid out as PostgreSQL does.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_plan::{
    expr::{Expr, SubPlan, SubPlanKind},
    logical::{JoinKind, SetOp, SortKey},
};
use pg_types::{Oid, Result, SqlError, SqlType, oid};

use super::{
    Body, CallText, CteTree, DefinedCall, FromItem, GroupText, JoinItem, Key, Note, QueryTree, SampleText,
    Scope, SelectTree, SetNode, TableItem, TableKind,
};
use crate::deparse::{Source, Writer, operator_of, quote};

/// Indentation of a clause, of a continued list, of a join.
const STEP: i32 = 8;
const LIST: i32 = 4;
const JOIN: i32 = 4;

/// Queries within queries that are printed.
const MAX_NESTING: usize = 120;

impl<'a> Writer<'a> {
    pub(super) fn scope(&mut self) -> Result<&mut Scope<'a>> {
        match &mut self.source {
            Source::Query(scope) => Ok(scope),
            Source::Columns(..) => Err(SqlError::internal("a query among a table's expressions")),
        }
    }

    /// A column by its id: what it was computed from, or its name.
    pub(crate) fn query_column(&mut self, id: u32) -> Result<()> {
        let scope = self.scope()?;
        if let Some(call) = scope.calls.get(&id).copied() {
            return match call {
                CallText::Aggregate(call) => self.aggregate(call),
                CallText::Window(spec, call) => self.window_call(id, spec, call),
                CallText::Set(call) => self.expr(call),
                CallText::Grouping(args) => {
                    self.put("GROUPING(");
                    self.list(args)?;
                    self.put(")");
                    Ok(())
                }
            };
        }
        let Some(column) = scope.columns.get(&id) else {
            return Err(SqlError::internal("a column of no FROM item"));
        };
        let text = match column.qualifier.as_str() {
            _ if scope.bare => quote(&column.name),
            "" => quote(&column.name),
            qualifier => format!("{}.{}", quote(qualifier), quote(&column.name)),
        };
        let origin = column.origin;
        if origin.0 != 0 {
            scope.used.push(origin);
        }
        self.put(&text);
        Ok(())
    }

    /// Expressions that a query writes in a way of their own.
    pub(crate) fn special(&mut self, e: &Expr) -> Result<bool> {
        if matches!(
            e,
            Expr::Column(..) | Expr::Coalesce(..) | Expr::Relabel(..) | Expr::CoerceViaIo(..) | Expr::Call(_)
        ) && let Source::Query(scope) = &mut self.source
            && let Some((text, _)) = scope.merged.iter().rev().find(|(_, m)| m.same(e))
        {
            let text = text.clone();
            e.for_each_column(&mut |id| {
                if let Some(c) = scope.columns.get(&id).filter(|c| c.origin.0 != 0) {
                    scope.used.push(c.origin);
                }
            });
            self.put(&text);
            return Ok(true);
        }
        if let Some(Note::Hypothetical(name, given, keys, filter)) = self.note(e) {
            self.put(&format!("{}(", quote(name)));
            self.list(given)?;
            self.put(") WITHIN GROUP (ORDER BY ");
            self.sort_keys(keys)?;
            self.filter(filter.as_ref())?;
            self.put(")");
            return Ok(true);
        }
        if let Expr::Row(items, ..) = e
            && matches!(self.note(e), Some(Note::WholeRow))
        {
            return self.whole_row(items);
        }
        if !matches!(e, Expr::And(_) | Expr::Or(_)) {
            return Ok(false);
        }
        let Some(Note::Rows(op, left, right)) = self.note(e) else { return Ok(false) };
        self.put("(ROW(");
        self.list(left)?;
        self.put(&format!(") {op} ROW("));
        self.list(right)?;
        self.put("))");
        Ok(true)
    }

    /// `item.*`.
    fn whole_row(&mut self, items: &[Expr]) -> Result<bool> {
        let Source::Query(scope) = &mut self.source else { return Ok(false) };
        let mut qualifier = String::new();
        let mut used = Vec::with_capacity(items.len());
        for item in items {
            let column = match item {
                Expr::Slot(n, _) => scope.slots.get(n).copied(),
                item => Some(item),
            };
            let Some(Expr::Column(id, _)) = column else { return Ok(false) };
            let Some(column) = scope.columns.get(id) else { return Ok(false) };
            qualifier.clone_from(&column.qualifier);
            used.extend(Some(column.origin).filter(|o| o.0 != 0));
        }
        if qualifier.is_empty() {
            return Ok(false);
        }
        scope.used.extend(used);
        self.put(&format!("{}.*", quote(&qualifier)));
        Ok(true)
    }

    /// A query, at the indentation reached.
    pub(crate) fn query(
        &mut self,
        query: &'a QueryTree,
        names: Option<&[String]>,
        shown: bool,
    ) -> Result<()> {
        let level = self.level;
        let scope = self.scope()?;
        if scope.taken.len() > 10_000 || level > STEP * MAX_NESTING as i32 {
            return Err(crate::lexer::too_complex());
        }
        let (taken, merged, ctes) = (scope.taken.len(), scope.merged.len(), scope.ctes.len());
        scope.ctes.extend(query.ctes.iter().map(|c| c.name.clone()));
        if let Body::Select(select) = &query.body {
            self.name_from(select)?;
            self.name_calls(select)?;
        }
        let result = self.query_parts(query, names, shown);
        let scope = self.scope()?;
        scope.taken.truncate(taken);
        scope.merged.truncate(merged);
        scope.ctes.truncate(ctes);
        self.level = level;
        result
    }

    fn query_parts(&mut self, query: &'a QueryTree, names: Option<&[String]>, shown: bool) -> Result<()> {
        self.with(&query.ctes, query.recursive)?;
        match &query.body {
            Body::Nothing => {}
            Body::Select(select) => self.select(select, names, shown)?,
            Body::Values(rows) => {
                self.begin();
                self.values(rows)?;
            }
            Body::Set(node) => self.set(node, names, shown)?,
        }
        if !query.order.is_empty() {
            self.keyword(" ORDER BY ", -STEP, STEP, 1);
            for (n, (key, descending, nulls_first)) in query.order.iter().enumerate() {
                if n > 0 {
                    self.put(", ");
                }
                match key {
                    Key::Number(number) => self.put(&number.to_string()),
                    Key::Expr(e) => self.key(e)?,
                }
                self.direction(*descending, *nulls_first);
            }
        }
        if let Some(offset) = &query.offset {
            self.keyword(" OFFSET ", -STEP, STEP, 0);
            self.count(offset)?;
        }
        if let Some(limit) = query.limit.as_ref().filter(|_| query.ties) {
            self.keyword(" FETCH FIRST ", -STEP, STEP, 0);
            // As PostgreSQL shows it; the parser takes a number.
            self.put(if self.style.qualify { "" } else { "(" });
            self.count(limit)?;
            self.put(if self.style.qualify { " ROWS WITH TIES" } else { ") ROWS WITH TIES" });
        } else if let Some(limit) = &query.limit {
            self.keyword(" LIMIT ", -STEP, STEP, 0);
            match limit {
                Expr::Const(pg_types::Value::Null, _) => self.put("ALL"),
                limit => self.count(limit)?,
            }
        }
        for (strength, of, wait) in &query.locks {
            self.keyword(&format!(" FOR {strength}"), -STEP, STEP, 0);
            self.put(&format!(" OF {}{wait}", quote(of)));
        }
        Ok(())
    }

    /// A number of rows, which was widened when it was bound.
    pub(super) fn count(&mut self, e: &Expr) -> Result<()> {
        match e {
            Expr::Call(c) if c.ty.oid == oid::INT8 && matches!(c.args.as_slice(), [Expr::Const(..)]) => {
                c.args.first().map_or(Ok(()), |e| self.expr(e))
            }
            e => self.expr(e),
        }
    }

    fn begin(&mut self) {
        if self.style.indent {
            self.level += STEP;
            self.put(" ");
        }
    }

    fn with(&mut self, ctes: &'a [CteTree], recursive: bool) -> Result<()> {
        if ctes.is_empty() {
            return Ok(());
        }
        self.begin();
        let mut separator = if recursive { "WITH RECURSIVE " } else { "WITH " };
        for cte in ctes {
            self.put(separator);
            self.put(&quote(&cte.name));
            if !cte.columns.is_empty() {
                let columns: Vec<String> = cte.columns.iter().map(|c| quote(c)).collect();
                self.put(&format!("({})", columns.join(", ")));
            }
            self.put(match cte.materialized {
                None => " AS (",
                Some(true) => " AS MATERIALIZED (",
                Some(false) => " AS NOT MATERIALIZED (",
            });
            if self.style.indent {
                self.keyword("", 0, 0, 0);
            }
            self.query(&cte.query, None, true)?;
            if self.style.indent {
                self.keyword("", 0, 0, 0);
            }
            self.put(")");
            self.search_clauses(cte)?;
            separator = ", ";
        }
        if self.style.indent {
            self.level -= STEP;
            self.keyword("", 0, 0, 0);
        } else {
            self.put(" ");
        }
        Ok(())
    }

    /// SEARCH and CYCLE behind a WITH query.
    fn search_clauses(&mut self, cte: &'a CteTree) -> Result<()> {
        let names = |columns: &[String]| {
            let columns: Vec<String> = columns.iter().map(|c| quote(c)).collect();
            columns.join(", ")
        };
        if let Some(search) = &cte.search {
            let kind = if search.breadth { "BREADTH" } else { "DEPTH" };
            let columns = names(&search.columns);
            self.put(&format!(" SEARCH {kind} FIRST BY {columns} SET {}", quote(&search.sequence)));
        }
        if let Some((cycle, value, default)) = &cte.cycle {
            self.put(&format!(" CYCLE {} SET {}", names(&cycle.columns), quote(&cycle.mark)));
            let usual = |e: &Expr, b| matches!(e, Expr::Const(pg_types::Value::Bool(x), _) if *x == b);
            if !(usual(value, true) && usual(default, false)) {
                self.put(" TO ");
                self.expr(value)?;
                self.put(" DEFAULT ");
                self.expr(default)?;
            }
            self.put(&format!(" USING {}", quote(&cycle.path)));
        }
        Ok(())
    }

    fn values(&mut self, rows: &[Vec<Expr>]) -> Result<()> {
        self.put("VALUES ");
        for (n, row) in rows.iter().enumerate() {
            self.put(if n > 0 { ", (" } else { "(" });
            for (n, e) in row.iter().enumerate() {
                if n > 0 {
                    self.put(",");
                }
                self.expr(e)?;
            }
            self.put(")");
        }
        Ok(())
    }

    fn set(&mut self, node: &'a SetNode, names: Option<&[String]>, shown: bool) -> Result<()> {
        match node {
            SetNode::Leaf(query) => {
                let parentheses = !query.ctes.is_empty()
                    || !query.order.is_empty()
                    || !query.locks.is_empty()
                    || query.limit.is_some()
                    || query.offset.is_some();
                if parentheses {
                    self.put("(");
                }
                self.query(query, names, shown)?;
                if parentheses {
                    self.put(")");
                }
            }
            SetNode::Op { op, all, left, right } => {
                let nested = match &**left {
                    SetNode::Op { op: o, all: a, .. } => o != op || a != all,
                    SetNode::Leaf(_) => false,
                };
                let step = if nested { STEP } else { 0 };
                if nested {
                    self.put("(");
                    self.keyword("", step, 0, 0);
                }
                self.set(left, names, shown)?;
                if nested {
                    self.keyword(") ", -step, 0, 0);
                } else if self.style.indent {
                    self.keyword("", -step, 0, 0);
                } else {
                    self.put(" ");
                }
                self.put(match op {
                    SetOp::Union => "UNION ",
                    SetOp::Intersect => "INTERSECT ",
                    SetOp::Except => "EXCEPT ",
                });
                if *all {
                    self.put("ALL ");
                }
                let nested = matches!(**right, SetNode::Op { .. });
                let step = if nested { STEP } else { 0 };
                if nested {
                    self.put("(");
                }
                self.keyword("", step, 0, 0);
                self.set(right, names, false)?;
                if self.style.indent {
                    self.level -= step;
                }
                if nested {
                    self.keyword(")", 0, 0, 0);
                }
            }
        }
        Ok(())
    }

    fn select(&mut self, select: &'a SelectTree, names: Option<&[String]>, shown: bool) -> Result<()> {
        self.begin();
        self.put("SELECT");
        if !select.on.is_empty() {
            self.put(" DISTINCT ON (");
            for (n, e) in select.on.iter().enumerate() {
                if n > 0 {
                    self.put(", ");
                }
                self.key(e)?;
            }
            self.put(")");
        } else if select.distinct {
            self.put(" DISTINCT");
        }
        self.targets(select, names, shown)?;
        self.from(select)?;
        if let Some(filter) = &select.filter {
            self.keyword(" WHERE ", -STEP, STEP, 1);
            self.expr(filter)?;
        }
        self.groups(select)?;
        if let Some(having) = &select.having {
            self.keyword(" HAVING ", -STEP, STEP, 0);
            self.expr(having)?;
        }
        for (n, (name, spec, base)) in select.named_windows.iter().enumerate() {
            if n == 0 {
                self.keyword(" WINDOW ", -STEP, STEP, 1);
            } else {
                self.put(", ");
            }
            self.put(&format!("{} AS ", quote(name)));
            self.window(spec, base.as_ref())?;
        }
        Ok(())
    }

    fn groups(&mut self, select: &'a SelectTree) -> Result<()> {
        let plain: Vec<usize> = (0..select.groups.len()).collect();
        if select.group_sets.is_none() && plain.is_empty() {
            return Ok(());
        }
        self.keyword(" GROUP BY ", -STEP, STEP, 1);
        if select.group_distinct {
            self.put("DISTINCT ");
        }
        match &select.group_sets {
            None => self.group_keys(select, &plain),
            Some(items) => self.group_items(select, items, true),
        }
    }

    fn group_items(&mut self, select: &'a SelectTree, items: &[GroupText], bare: bool) -> Result<()> {
        for (n, item) in items.iter().enumerate() {
            if n > 0 {
                self.put(", ");
            }
            match item {
                GroupText::Keys(keys) => self.group_set(select, keys, bare)?,
                GroupText::Rollup(parts) => self.group_parts(select, "ROLLUP(", parts)?,
                GroupText::Cube(parts) => self.group_parts(select, "CUBE(", parts)?,
                GroupText::Sets(inner) => {
                    self.put("GROUPING SETS (");
                    self.group_items(select, inner, false)?;
                    self.put(")");
                }
            }
        }
        Ok(())
    }

    fn group_parts(&mut self, select: &'a SelectTree, opening: &str, parts: &[Vec<usize>]) -> Result<()> {
        self.put(opening);
        for (n, part) in parts.iter().enumerate() {
            if n > 0 {
                self.put(", ");
            }
            self.group_set(select, part, true)?;
        }
        self.put(")");
        Ok(())
    }

    /// One set; `bare`: a single key needs no parentheses.
    fn group_set(&mut self, select: &'a SelectTree, keys: &[usize], bare: bool) -> Result<()> {
        let parentheses = !bare || keys.len() != 1;
        self.put(if parentheses { "(" } else { "" });
        self.group_keys(select, keys)?;
        self.put(if parentheses { ")" } else { "" });
        Ok(())
    }

    fn group_keys(&mut self, select: &'a SelectTree, keys: &[usize]) -> Result<()> {
        for (n, e) in keys.iter().filter_map(|k| select.groups.get(*k)).enumerate() {
            if n > 0 {
                self.put(", ");
            }
            self.key(e)?;
        }
        Ok(())
    }

    fn targets(&mut self, select: &'a SelectTree, names: Option<&[String]>, shown: bool) -> Result<()> {
        let mut broken = false;
        for (n, (name, e)) in select.targets.iter().enumerate() {
            self.put(if n == 0 { " " } else { ", " });
            let text = self.apart(|w| {
                let own = w.own_name(e)?;
                w.top(e)?;
                let wanted = names.and_then(|names| names.get(n)).unwrap_or(name);
                let own = own.or_else(|| if shown { None } else { Some("?column?".into()) });
                if own.as_deref() != Some(wanted.as_str()) {
                    w.put(&format!(" AS {}", quote(wanted)));
                }
                Ok(())
            })?;
            if self.style.indent && self.style.wrap >= 0 {
                if text.starts_with('\n') {
                    self.trim();
                } else {
                    if n > 0 && (self.overflows(&text) || broken) {
                        self.keyword("", -STEP, STEP, LIST);
                    }
                    broken = text.contains('\n');
                }
            }
            self.put(&text);
        }
        Ok(())
    }

    /// Does text go beyond where lines are to end?
    fn overflows(&self, text: &str) -> bool {
        let line = self.out.rfind('\n').map_or(self.out.len(), |at| self.out.len() - at - 1);
        line + text.len() > self.style.wrap.max(0) as usize
    }

    /// The name that a target has without AS, if it is a column.
    fn own_name(&mut self, e: &Expr) -> Result<Option<String>> {
        let scope = self.scope()?;
        if let Some((text, _)) = scope.merged.iter().rev().find(|(_, m)| m.same(e)) {
            let bare = text.rsplit('.').next().unwrap_or(text).trim_matches('"');
            return Ok(Some(bare.into()));
        }
        let mut e = e;
        for _ in 0..MAX_NESTING {
            match e {
                Expr::Slot(n, _) => match scope.slots.get(n) {
                    Some(inner) => e = inner,
                    None => return Ok(None),
                },
                Expr::Column(id, _) => return Ok(scope.columns.get(id).map(|c| c.name.clone())),
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// An expression of a select list; a whole row is its FROM item's name.
    fn top(&mut self, e: &Expr) -> Result<()> {
        let from = self.out.len();
        self.expr(e)?;
        // Alone it would stand for the columns.
        if matches!(e, Expr::Row(..)) && self.out.get(from..).is_some_and(|text| text.ends_with(".*")) {
            self.put(&format!("::{}", crate::deparse::type_name(e.ty())));
        }
        Ok(())
    }

    /// A key of GROUP BY, ORDER BY or the like.
    pub(super) fn key(&mut self, e: &Expr) -> Result<()> {
        match e {
            Expr::Const(pg_types::Value::Int4(n), _) if *n >= 0 => {
                self.put(&format!("{n}::integer"));
                Ok(())
            }
            // A bare number would be a position.
            Expr::Const(pg_types::Value::Numeric(_) | pg_types::Value::Bool(_), ty) => {
                let from = self.out.len();
                self.expr(e)?;
                if !self.out.get(from..).is_some_and(|text| text.contains("::")) {
                    self.put(&format!("::{}", pg_types::typeinfo::display(*ty)));
                }
                Ok(())
            }
            Expr::Const(..) => self.expr(e),
            // A number with a sign in front would be one, too.
            Expr::Call(call)
                if let ([Expr::Const(value, ty)], Some(sign @ ("-" | "+"))) =
                    (call.args.as_slice(), operator_of(call.function)) =>
            {
                let text = self.plain_constant(value, *ty)?;
                self.put(&format!("({sign} {text}::{})", crate::deparse::type_name(*ty)));
                Ok(())
            }
            Expr::Column(id, _) if !self.scope()?.calls.contains_key(id) => self.expr(e),
            Expr::Slot(..) => self.expr(e),
            _ => {
                let function = match e {
                    Expr::Column(id, _) => {
                        !matches!(self.scope()?.calls.get(id), Some(CallText::Grouping(_)))
                    }
                    Expr::Call(c) => operator_of(c.function).is_none(),
                    _ => false,
                };
                let parentheses = self.style.sparse || function;
                if parentheses {
                    self.put("(");
                }
                self.expr(e)?;
                if parentheses {
                    self.put(")");
                }
                Ok(())
            }
        }
    }

    pub(super) fn direction(&mut self, descending: bool, nulls_first: bool) {
        self.put(match (descending, nulls_first) {
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC",
            (true, false) => " DESC NULLS LAST",
        });
    }

    pub(super) fn sort_keys(&mut self, keys: &[SortKey]) -> Result<()> {
        for (n, key) in keys.iter().enumerate() {
            if n > 0 {
                self.put(", ");
            }
            self.key(&key.expr)?;
            self.direction(key.descending, key.nulls_first);
        }
        Ok(())
    }

    fn from(&mut self, select: &'a SelectTree) -> Result<()> {
        for (n, item) in select.from.iter().enumerate() {
            if n == 0 {
                self.keyword(" FROM ", -STEP, STEP, 2);
                self.item(item)?;
                continue;
            }
            self.put(", ");
            let text = self.apart(|w| w.item(item))?;
            if self.style.indent && self.style.wrap >= 0 {
                if text.starts_with('\n') {
                    self.trim();
                } else if self.overflows(&text) {
                    self.keyword("", -STEP, STEP, LIST);
                }
            }
            self.put(&text);
        }
        Ok(())
    }

    fn item(&mut self, item: &'a FromItem) -> Result<()> {
        match item {
            FromItem::Table(table) => self.table_item(table),
            FromItem::Join(join) => self.join(join),
        }
    }

    fn table_item(&mut self, table: &'a TableItem) -> Result<()> {
        if table.lateral {
            self.put("LATERAL ");
        }
        let shown = self.qualifier(table)?;
        let mut real = String::new();
        match &table.kind {
            TableKind::Relation { oid, only, .. } => {
                let (text, name) = self.relation_text(*oid)?;
                self.put(if *only { "ONLY " } else { "" });
                self.put(&text);
                real = name;
            }
            TableKind::Cte(name) => {
                self.put(&quote(name));
                real.clone_from(name);
            }
            TableKind::Query(query) => {
                self.put("(");
                self.query(query, None, true)?;
                self.put(")");
            }
            TableKind::Functions { calls, ordinality } => {
                let array = |c: &'a DefinedCall| match &c.0 {
                    Expr::Call(c) if c.function.name == "unnest" => c.args.first(),
                    _ => None,
                };
                let arrays: Option<Vec<&Expr>> = calls.iter().map(array).collect();
                let (word, list) = match arrays {
                    Some(arrays) => ("UNNEST(", arrays),
                    None => ("ROWS FROM(", calls.iter().map(|c| &c.0).collect()),
                };
                self.put(word);
                for (n, e) in list.into_iter().enumerate() {
                    if n > 0 {
                        self.put(", ");
                    }
                    self.expr(e)?;
                    let defined = calls.get(n).map_or(&[][..], |c| &c.1);
                    if !defined.is_empty() {
                        let column = |c: &(String, SqlType)| {
                            format!("{} {}", quote(&c.0), pg_types::typeinfo::display(c.1))
                        };
                        let columns: Vec<String> = defined.iter().map(column).collect();
                        self.put(&format!(" AS ({})", columns.join(", ")));
                    }
                }
                self.put(")");
                if *ordinality {
                    self.put(" WITH ORDINALITY");
                }
            }
            TableKind::Function { call, ordinality } => {
                self.expr(call)?;
                if *ordinality {
                    self.put(" WITH ORDINALITY");
                }
            }
        }
        let function = matches!(table.kind, TableKind::Function { .. } | TableKind::Functions { .. });
        let (names, renamed) = self.scope()?.names_of(table);
        let list = function || renamed || table.listed && !matches!(table.kind, TableKind::Relation { .. });
        let aliased = table.alias.as_deref().and_then(super::given_alias).is_some();
        if aliased || shown != real || list {
            self.put(&format!(" {}", quote(&shown)));
        }
        if list {
            // Of a record the types are said, too.
            let typed = match &table.kind {
                TableKind::Function { call, .. } => undeclared(call),
                _ => false,
            };
            let column = |(n, name): (usize, &String)| match table.columns.get(n).filter(|_| typed) {
                Some(c) => format!("{} {}", quote(name), pg_types::typeinfo::display(c.1.ty())),
                None => quote(name),
            };
            let columns: Vec<String> = names.iter().enumerate().map(column).collect();
            self.put(&format!("({})", columns.join(", ")));
        }
        match &table.sample {
            Some(sample) => self.sample(sample),
            None => Ok(()),
        }
    }

    fn sample(&mut self, sample: &'a SampleText) -> Result<()> {
        self.put(if sample.pages { " TABLESAMPLE system (" } else { " TABLESAMPLE bernoulli (" });
        self.expr(&sample.percent)?;
        self.put(")");
        if let Some(seed) = &sample.seed {
            self.put(" REPEATABLE (");
            self.expr(seed)?;
            self.put(")");
        }
        Ok(())
    }

    /// A relation's name, with its schema where it would not be found without, and bare.
    fn relation_text(&mut self, oid: Oid) -> Result<(String, String)> {
        let Some(relation) = self.catalog.relation_by_oid(oid)? else {
            return Err(SqlError::internal("a view's relation is gone"));
        };
        let hidden = self.scope()?.ctes.contains(&relation.name);
        let visible = !self.style.qualify
            && !hidden
            && self.catalog.relation(None, &relation.name)?.is_some_and(|r| r.oid == oid);
        let name = quote(&relation.name);
        let text = if visible { name } else { format!("{}.{name}", quote(&relation.schema_name)) };
        Ok((text, relation.name.clone()))
    }

    /// The qualifier that was chosen for an item.
    fn qualifier(&mut self, table: &TableItem) -> Result<String> {
        for (_, e, _) in &table.columns {
            if let Expr::Column(id, _) = e
                && let Some(column) = self.scope()?.columns.get(id)
            {
                return Ok(column.qualifier.clone());
            }
        }
        self.plain_name(table)
    }

    pub(super) fn plain_name(&self, table: &TableItem) -> Result<String> {
        Ok(match (table.alias.as_deref().and_then(super::given_alias), &table.kind) {
            (Some(alias), _) => alias.into(),
            (None, TableKind::Relation { oid, .. }) => {
                self.catalog.relation_by_oid(*oid)?.map_or_else(String::new, |r| r.name.clone())
            }
            (None, TableKind::Cte(name)) => name.clone(),
            (None, TableKind::Functions { calls, .. }) => match calls.first().map(|c| &c.0) {
                Some(Expr::Call(call)) => call.function.name.into(),
                Some(Expr::Routine(call)) => call.target.routine.name.clone(),
                _ => "unnamed".into(),
            },
            (None, TableKind::Function { call: Expr::Call(call), .. }) => call.function.name.into(),
            (None, TableKind::Function { call: Expr::Routine(call), .. }) => call.target.routine.name.clone(),
            (None, _) => "unnamed".into(),
        })
    }

    fn join(&mut self, join: &'a JoinItem) -> Result<()> {
        // Inside, a join's own name does not count yet.
        let hidden = self.hide_alias(join)?;
        let parentheses = !self.style.sparse || join.alias.is_some();
        if parentheses {
            self.put("(");
        }
        self.item(&join.left)?;
        let conditional = join.on.is_some() && join.using.is_empty() || !join.using.is_empty();
        let word = match join.kind {
            JoinKind::Left => " LEFT JOIN ",
            JoinKind::Right => " RIGHT JOIN ",
            JoinKind::Full => " FULL JOIN ",
            _ if conditional => " JOIN ",
            _ => " CROSS JOIN ",
        };
        self.keyword(word, -STEP, STEP, JOIN);
        let nested = matches!(&join.right, FromItem::Join(j) if j.alias.is_none()) && self.style.sparse;
        if nested {
            self.put("(");
        }
        self.item(&join.right)?;
        if nested {
            self.put(")");
        }
        if !join.using.is_empty() {
            let columns: Vec<String> = self.scope()?.using_of(join).iter().map(|n| quote(n)).collect();
            self.put(&format!(" USING ({})", columns.join(", ")));
            if let Some(name) = &join.merged_as {
                self.put(&format!(" AS {}", quote(name)));
            }
        } else if let Some(on) = &join.on {
            self.put(" ON ");
            if !self.style.sparse {
                self.put("(");
            }
            self.expr(on)?;
            if !self.style.sparse {
                self.put(")");
            }
        } else if join.kind != JoinKind::Inner {
            self.put(if self.style.sparse { " ON true" } else { " ON (true)" });
        }
        if parentheses {
            self.put(")");
        }
        self.scope()?.merged.extend(hidden);
        if let Some(alias) = &join.alias {
            let name = self.scope()?.join_name(join).unwrap_or_else(|| alias.name.clone());
            self.put(&format!(" {}", quote(&name)));
            if alias.listed {
                let columns: Vec<String> = alias.columns.iter().map(|c| quote(&c.0)).collect();
                self.put(&format!("({})", columns.join(", ")));
            }
        }
        Ok(())
    }

    /// Takes what a join's name stands for out of the scope.
    fn hide_alias(&mut self, join: &'a JoinItem) -> Result<Vec<(String, &'a Expr)>> {
        let Some(alias) = &join.alias else { return Ok(Vec::new()) };
        let scope = self.scope()?;
        let own = |e: &Expr| alias.columns.iter().any(|(_, c)| core::ptr::eq(c, e));
        let (hidden, kept) = core::mem::take(&mut scope.merged).into_iter().partition(|(_, e)| own(e));
        scope.merged = kept;
        Ok(hidden)
    }

    /// A subquery in an expression.
    pub(crate) fn subplan(&mut self, plan: &SubPlan) -> Result<()> {
        let Source::Query(scope) = &self.source else {
            self.put(if matches!(plan.kind, SubPlanKind::Exists) { "EXISTS(SubPlan)" } else { "(SubPlan)" });
            return Ok(());
        };
        let tree = (plan.source as usize).checked_sub(1).and_then(|n| scope.plans.get(n));
        let Some(tree) = tree else { return Err(SqlError::internal("a subquery was not recorded")) };
        let mut closing = "))";
        let rows = scope.row_tests.iter().find(|(source, ..)| *source == plan.source);
        if let Some((_, op, left)) = rows {
            self.put("((");
            self.list(left)?;
            self.put(&format!(") {op} ("));
            return self.subplan_query(tree, closing);
        }
        match &plan.kind {
            SubPlanKind::Exists => self.put("(EXISTS ("),
            SubPlanKind::Scalar => {
                self.put("(");
                closing = ")";
            }
            SubPlanKind::Array => {
                self.put("ARRAY(");
                closing = ")";
            }
            SubPlanKind::Compare { test, any, .. } => {
                self.put("(");
                if let Some(Note::Rows(op, left, _)) = self.note(test) {
                    self.put("(");
                    for (n, e) in left.iter().enumerate() {
                        self.put(if n > 0 { ", " } else { "" });
                        self.test_side(e, plan)?;
                    }
                    self.put(&format!(") {op} {} (", if *any { "ANY" } else { "ALL" }));
                    return self.subplan_query(tree, closing);
                }
                let parts: &[Expr] = match &**test {
                    Expr::And(parts) | Expr::Or(parts) => parts,
                    one => core::slice::from_ref(one),
                };
                let mut op = None;
                if parts.len() > 1 {
                    self.put("(");
                }
                for (n, part) in parts.iter().enumerate() {
                    if n > 0 {
                        self.put(", ");
                    }
                    if let Expr::Call(call) = part {
                        op = op.or(operator_of(call.function));
                        if let Some(left) = call.args.first() {
                            self.test_side(left, plan)?;
                        }
                    }
                }
                if parts.len() > 1 {
                    self.put(")");
                }
                let op = op.unwrap_or("=");
                match (op, any) {
                    ("=", true) => self.put(" IN ("),
                    (op, true) => self.put(&format!(" {op} ANY (")),
                    (op, false) => self.put(&format!(" {op} ALL (")),
                }
            }
        }
        self.subplan_query(tree, closing)
    }

    fn subplan_query(&mut self, tree: &'a QueryTree, closing: &str) -> Result<()> {
        let bare = core::mem::replace(&mut self.scope()?.bare, false);
        self.query(tree, None, false)?;
        self.scope()?.bare = bare;
        self.put(closing);
        Ok(())
    }

    /// The left side of a comparison with a subquery: slots stand for what the plan passes.
    fn test_side(&mut self, e: &Expr, plan: &SubPlan) -> Result<()> {
        let mut inner = e.clone();
        replace_slots(&mut inner, plan);
        self.expr(&inner)
    }
}

fn replace_slots(e: &mut Expr, plan: &SubPlan) {
    if let Expr::Slot(n, _) = e
        && let Some((_, outer)) = plan.args.iter().find(|(slot, _)| slot == n)
    {
        *e = outer.clone();
        return;
    }
    e.for_each_child_mut(&mut |child| replace_slots(child, plan));
}

/// Does a call's row have no columns but those that an alias gives it?
fn undeclared(call: &Expr) -> bool {
    match call {
        Expr::Call(c) => c.function.shaped && c.function.result == oid::RECORD,
        Expr::Routine(c) => c.target.result.oid == oid::RECORD && c.target.routine.outputs().is_empty(),
        _ => false,
    }
}
