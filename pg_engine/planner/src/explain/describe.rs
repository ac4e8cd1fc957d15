//! Operators as EXPLAIN names them.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_catalog::{
    CatalogReader, Index, Relation,
    builtin::{DAGDB_EDGES, DAGDB_NODES},
};
use pg_functions::Function;
use pg_plan::{
    expr::{Expr, SubPlan, SubQuery},
    logical::{JoinKind, SetOp, SortKey, StoredFact},
    physical::{Bitmap, Estimate, IndexRange, Node, OnConflict, Physical, Target, Update},
    routine::Callee,
    statement::{ExplainOptions, Planned, SYSTEM_COLUMN_NAMES},
};
use pg_types::{Oid, Result, SqlType, oid};

use super::{Actual, Item, Property, held};

/// Item of a whole plan, common table expressions first.
pub(super) fn tree(
    planned: &Planned,
    options: &ExplainOptions,
    catalog: &dyn CatalogReader,
    actual: &[Actual],
) -> Result<Item> {
    let mut describer = Describer {
        catalog,
        verbose: options.verbose,
        qualify: planned.relations.len() > 1 || scans(&planned.root) > 1,
        actual,
        next: 0,
        slots: Vec::new(),
        subplans: 0,
        work_tables: Vec::new(),
    };
    let mut ctes = Vec::with_capacity(planned.ctes.len());
    for (i, cte) in planned.ctes.iter().enumerate() {
        if let Node::Recursive { work, .. } = &cte.node {
            describer.work_tables.push(*work);
        }
        let (mut item, _) = describer.node(cte)?;
        if matches!(planned.ctes.get(i + 1).map(|c| &c.node), Some(Node::Recursive { work, .. }) if *work as usize == i)
        {
            continue;
        }
        item.heading = Some(format!("CTE {}", cte_name(i as u32)));
        ctes.push(item);
    }
    let (mut root, _) = describer.node(&planned.root)?;
    root.children.splice(0..0, ctes);
    Ok(root)
}

fn cte_name(n: u32) -> String {
    format!("cte{}", n + 1)
}

/// WHERE CURRENT OF as a scan's condition, and the others.
fn split_current_of(filter: &Expr) -> (Option<Expr>, Option<Expr>) {
    let (mut current, rest): (Vec<Expr>, Vec<Expr>) =
        filter.clone().conjuncts().into_iter().partition(|e| matches!(e, Expr::CurrentOf(_)));
    (current.pop(), Expr::all_of(rest))
}

/// Number of table scans below.
fn scans(plan: &Physical) -> usize {
    match &plan.node {
        Node::SeqScan { .. } | Node::IndexScan { .. } | Node::BitmapScan { .. } => 1,
        Node::Filter(i, _)
        | Node::Project(i, _)
        | Node::ProjectSet(i, _)
        | Node::Distinct(i, _)
        | Node::HashAggregate { input: i, .. }
        | Node::Window { input: i, .. }
        | Node::Sort { input: i, .. }
        | Node::Limit { input: i, .. } => scans(i),
        Node::LockRows { input: i, .. } => scans(i),
        Node::NestedLoop { left, right, .. }
        | Node::HashJoin { left, right, .. }
        | Node::MergeJoin { left, right, .. }
        | Node::Recursive { left, right, .. }
        | Node::Set { left, right, .. } => scans(left) + scans(right),
        Node::Append(inputs) | Node::MergeAppend { inputs, .. } => inputs.iter().map(scans).sum(),
        Node::Insert(i) => scans(&i.source),
        Node::Update(u) => scans(&u.source),
        Node::Delete(d) => scans(&d.source),
        Node::Merge(m) => scans(&m.source),
        _ => 0,
    }
}

struct Describer<'a> {
    catalog: &'a dyn CatalogReader,
    verbose: bool,
    /// More than one table: columns are shown with theirs.
    qualify: bool,
    actual: &'a [Actual],
    next: usize,
    /// What slots in scope stand for.
    slots: Vec<(u32, String)>,
    subplans: u32,
    /// Common table expressions that hold the rows a recursion added last.
    work_tables: Vec<u32>,
}

/// An item and the names of its output columns.
type Described = (Item, Vec<String>);

impl Describer<'_> {
    fn item(&mut self, plan: &Physical, kind: impl Into<String>) -> Item {
        let actual = self.actual.get(self.next).copied();
        self.next += 1;
        Item {
            kind: kind.into(),
            suffix: String::new(),
            hidden: Vec::new(),
            properties: Vec::new(),
            estimate: plan.estimate,
            actual,
            heading: None,
            children: Vec::new(),
        }
    }

    /// An operator, with its columns if they are asked for.
    fn node(&mut self, plan: &Physical) -> Result<Described> {
        let (mut item, names) = self.operator(plan)?;
        if self.verbose {
            output(&mut item, &names);
        }
        Ok((item, names))
    }

    fn operator(&mut self, plan: &Physical) -> Result<Described> {
        match &plan.node {
            Node::Project(input, exprs) => {
                self.merged(plan, input, |d, item, names| d.list(exprs, names, item))
            }
            Node::Filter(input, condition) => self.merged(plan, input, |d, item, names| {
                let text = d.text(condition, &names, item)?;
                d.filter(item, text);
                Ok(names)
            }),
            Node::SeqScan { relation, alias, columns, filter } => {
                let graph = matches!(relation.oid, DAGDB_NODES | DAGDB_EDGES);
                let (current, rest) = filter.as_ref().map_or((None, None), split_current_of);
                let kind = match current {
                    _ if graph => "Graph Scan",
                    Some(_) => "Tid Scan",
                    None => "Seq Scan",
                };
                let mut item = self.item(plan, kind);
                self.on(&mut item, relation, alias);
                let own = self.own_names(relation, alias, columns);
                if let Some(current) = &current {
                    let text = self.text(current, &own, &mut item)?;
                    item.properties.push(("TID Cond", Property::Text(text)));
                }
                self.scan_filter(&mut item, rest.as_ref(), &own)?;
                if let Some(actual) = item.actual.filter(|a| a.unwanted > 0) {
                    let removed = super::per_loop(actual.unwanted, actual.loops);
                    item.properties.push(("Rows Removed by Join Keys", Property::Number(removed)));
                }
                if graph {
                    self.backend(&mut item);
                }
                Ok((item, self.column_names(relation, alias, columns)))
            }
            Node::IndexScan { relation, index, alias, range, backward, only, columns, filter, .. } => {
                let graph = matches!(relation.oid, DAGDB_NODES | DAGDB_EDGES);
                let kind = match (*only, *backward) {
                    _ if graph => "Graph Index Scan",
                    (false, false) => "Index Scan",
                    (false, true) => "Index Scan Backward",
                    (true, false) => "Index Only Scan",
                    (true, true) => "Index Only Scan Backward",
                };
                let mut item = self.item(plan, kind);
                item.suffix = format!(" using {}", index.name);
                let direction = if *backward { "Backward" } else { "Forward" };
                item.hidden.push(("Scan Direction", direction.into()));
                item.hidden.push(("Index Name", index.name.clone()));
                self.on(&mut item, relation, alias);
                if let Some(text) = self.range(range, relation, index, alias, &mut item)? {
                    item.properties.push(("Index Cond", Property::Text(text)));
                }
                self.scan_filter(&mut item, filter.as_ref(), &self.own_names(relation, alias, columns))?;
                if *only && let Some(actual) = item.actual {
                    item.properties.push(("Heap Fetches", Property::Number(actual.heap_fetches)));
                }
                if graph {
                    self.backend(&mut item);
                }
                Ok((item, self.column_names(relation, alias, columns)))
            }
            Node::BitmapScan { relation, alias, bitmap, columns, filter } => {
                let mut item = self.item(plan, "Bitmap Heap Scan");
                self.on(&mut item, relation, alias);
                let (child, _) = self.bitmap(bitmap, relation, alias)?;
                self.scan_filter(&mut item, filter.as_ref(), &self.own_names(relation, alias, columns))?;
                item.children.push(child);
                Ok((item, self.column_names(relation, alias, columns)))
            }
            Node::NestedLoop { kind, left, right, slots, on } => {
                self.nested_loop(plan, *kind, (left, right), slots, on.as_ref())
            }
            Node::HashJoin { kind, left, right, keys, on } => {
                self.keyed_join(plan, ("Hash", "Hash Cond"), *kind, (left, right), keys, on.as_ref())
            }
            Node::MergeJoin { kind, left, right, keys, on } => {
                self.keyed_join(plan, ("Merge", "Merge Cond"), *kind, (left, right), keys, on.as_ref())
            }
            other => self.rare(plan, other),
        }
    }

    #[inline(never)]
    fn rare(&mut self, plan: &Physical, node: &Node) -> Result<Described> {
        match node {
            Node::FunctionScan { function, alias, .. } => {
                let mut item = self.item(plan, "Function Scan");
                let schema = match function {
                    Callee::Routine(r) if self.verbose => format!("{}.", r.routine.schema_name),
                    Callee::Builtin(_) if self.verbose => "pg_catalog.".into(),
                    _ => String::new(),
                };
                item.suffix = format!(" on {schema}{}", function.name());
                if alias != function.name() {
                    item.suffix.push_str(&format!(" {alias}"));
                }
                item.hidden.push(("Function Name", function.name().into()));
                if !schema.is_empty() {
                    item.hidden.push(("Schema", schema.trim_end_matches('.').into()));
                }
                item.hidden.push(("Alias", alias.clone()));
                if matches!(function, Callee::Builtin(f) if f.graph) {
                    self.backend(&mut item);
                }
                let shown = |name: &str| match self.qualify || self.verbose {
                    true => format!("{alias}.{name}"),
                    false => name.into(),
                };
                let names = match function.column_names().as_slice() {
                    [] => Vec::from([shown(alias)]),
                    columns => columns.iter().map(|n| shown(n)).collect(),
                };
                Ok((item, pad(names, plan)))
            }
            Node::Values(rows) => {
                let mut item = self.item(plan, if rows.len() > 1 { "Values Scan" } else { "Result" });
                if rows.len() > 1 {
                    item.suffix = " on \"*VALUES*\"".into();
                } else if rows.is_empty() {
                    item.properties.push(("One-Time Filter", Property::Text("false".into())));
                }
                let names = (0..plan.types.len()).map(|i| format!("column{}", i + 1)).collect();
                Ok((item, names))
            }
            Node::ProjectSet(input, exprs) => {
                let mut item = self.item(plan, "ProjectSet");
                let mut names = self.child(&mut item, input)?;
                let added = self.list(exprs, names.clone(), &mut item)?;
                names.extend(added);
                Ok((item, names))
            }
            Node::HashAggregate { input, groups, aggregates, .. } => {
                let mut item = self.item(plan, if groups.is_empty() { "Aggregate" } else { "HashAggregate" });
                let strategy = if groups.is_empty() { "Plain" } else { "Hashed" };
                item.hidden.extend([("Strategy", strategy.into()), ("Partial Mode", "Simple".into())]);
                let below = self.child(&mut item, input)?;
                let mut names = self.list(groups, below.clone(), &mut item)?;
                if !names.is_empty() {
                    item.properties.push(("Group Key", Property::List(names.clone())));
                }
                for call in aggregates {
                    let args = self.list(&call.args, below.clone(), &mut item)?;
                    let args = if args.is_empty() { "*".to_string() } else { args.join(", ") };
                    let distinct = if call.distinct { "DISTINCT " } else { "" };
                    names.push(format!("{}({distinct}{args})", call.function.name()));
                }
                held::aggregate(&mut item);
                Ok((item, names))
            }
            Node::Window { input, calls, .. } => {
                let mut item = self.item(plan, "WindowAgg");
                let below = self.child(&mut item, input)?;
                let mut names = below.clone();
                for call in calls {
                    let args = self.list(&call.args, below.clone(), &mut item)?;
                    let counts_rows = call.function.name() == "count" && args.is_empty();
                    let args = if counts_rows { "*".to_string() } else { args.join(", ") };
                    names.push(format!("{}({args}) OVER (?)", call.function.name()));
                }
                Ok((item, names))
            }
            Node::Distinct(input, None) => {
                let mut item = self.item(plan, "HashAggregate");
                item.hidden.extend([("Strategy", "Hashed".into()), ("Partial Mode", "Simple".into())]);
                let names = self.child(&mut item, input)?;
                item.properties.push(("Group Key", Property::List(names.clone())));
                held::aggregate(&mut item);
                Ok((item, names))
            }
            Node::Distinct(input, Some(_)) => self.passing(plan, "Unique", input),
            Node::Sort { input, keys, presorted, .. } => {
                let mut item = self.item(plan, if *presorted > 0 { "Incremental Sort" } else { "Sort" });
                let names = self.child(&mut item, input)?;
                let keys = self.keys(keys, &names, &mut item)?;
                let held = if *presorted > 0 { held::portions } else { held::sort };
                let before = keys.iter().take(*presorted).cloned().collect();
                item.properties.push(("Sort Key", Property::List(keys)));
                if *presorted > 0 {
                    item.properties.push(("Presorted Key", Property::List(before)));
                }
                held(&mut item);
                Ok((item, names))
            }
            Node::Limit { input, .. } => self.passing(plan, "Limit", input),
            Node::LockRows { input, .. } => self.passing(plan, "LockRows", input),
            Node::Append(inputs) => {
                let mut item = self.item(plan, "Append");
                let mut names = None;
                for input in inputs {
                    let below = self.child(&mut item, input)?;
                    names.get_or_insert(below);
                }
                Ok((item, names.unwrap_or_default()))
            }
            Node::MergeAppend { inputs, keys } => {
                let mut item = self.item(plan, "Merge Append");
                let mut names = None;
                for input in inputs {
                    let below = self.child(&mut item, input)?;
                    names.get_or_insert(below);
                }
                let names = names.unwrap_or_default();
                let keys = self.keys(keys, &names, &mut item)?;
                item.properties.push(("Sort Key", Property::List(keys)));
                Ok((item, names))
            }
            Node::Set { op, all, left, right } => {
                let op = match op {
                    SetOp::Union => "Union",
                    SetOp::Intersect => "Intersect",
                    SetOp::Except => "Except",
                };
                let mut item = self.item(plan, "HashSetOp");
                let command = format!("{op}{}", if *all { " All" } else { "" });
                item.suffix = format!(" {command}");
                item.hidden.extend([("Strategy", "Hashed".into()), ("Command", command)]);
                let names = self.child(&mut item, left)?;
                self.child(&mut item, right)?;
                Ok((item, names))
            }
            Node::Recursive { left, right, .. } => {
                let mut item = self.item(plan, "Recursive Union");
                let names = self.child(&mut item, left)?;
                self.child(&mut item, right)?;
                Ok((item, names))
            }
            Node::CteScan(n) if self.work_tables.contains(n) => {
                let mut item = self.item(plan, "WorkTable Scan");
                item.suffix = format!(" on {}", cte_name(*n + 1));
                Ok((item, pad(Vec::new(), plan)))
            }
            Node::CteScan(n) => {
                let mut item = self.item(plan, "CTE Scan");
                item.suffix = format!(" on {}", cte_name(*n));
                Ok((item, pad(Vec::new(), plan)))
            }
            Node::Insert(insert) => {
                let (mut item, names) = self.change(plan, "Insert", &insert.target, &insert.source)?;
                if let Some(conflict) = &insert.on_conflict {
                    self.conflict(&mut item, &insert.target.relation, conflict)?;
                }
                Ok((item, names))
            }
            Node::Update(update) => self.update(plan, update),
            Node::Delete(delete) => self.change(plan, "Delete", &delete.target, &delete.source),
            Node::Merge(merge) => self.change(plan, "Merge", &merge.target, &merge.source),
            _ => {
                let item = self.item(plan, "Result");
                Ok((item, pad(Vec::new(), plan)))
            }
        }
    }

    /// An operator shown as part of the one below it.
    fn merged(
        &mut self,
        plan: &Physical,
        input: &Physical,
        f: impl FnOnce(&mut Self, &mut Item, Vec<String>) -> Result<Vec<String>>,
    ) -> Result<Described> {
        let own = self.item(plan, "");
        let (mut item, names) = self.node(input)?;
        item.estimate = own.estimate;
        item.actual =
            own.actual.map(|a| Actual { filtered: a.filtered + item.actual.map_or(0, |i| i.filtered), ..a });
        let names = f(self, &mut item, names)?;
        Ok((item, names))
    }

    fn passing(&mut self, plan: &Physical, kind: &str, input: &Physical) -> Result<Described> {
        let mut item = self.item(plan, kind);
        let names = self.child(&mut item, input)?;
        Ok((item, names))
    }

    fn child(&mut self, item: &mut Item, plan: &Physical) -> Result<Vec<String>> {
        let (child, names) = self.node(plan)?;
        item.children.push(child);
        Ok(names)
    }

    fn change(
        &mut self,
        plan: &Physical,
        kind: &str,
        target: &Target,
        source: &Physical,
    ) -> Result<Described> {
        let mut item = self.item(plan, kind);
        self.on(&mut item, &target.relation, &target.relation.name);
        self.child(&mut item, source)?;
        Ok((item, pad(Vec::new(), plan)))
    }

    /// Subqueries of the new values are asked where the rows come from, those that are asked once above.
    fn update(&mut self, plan: &Physical, update: &Update) -> Result<Described> {
        let mut item = self.item(plan, "Update");
        self.on(&mut item, &update.target.relation, &update.target.relation.name);
        let (mut source, names) = self.node(&update.source)?;
        let own = source.children.len();
        for (_, value) in &update.assignments {
            self.subqueries(value, &names, &mut source)?;
        }
        let asked = source.children.split_off(own);
        let once = |i: &Item| i.heading.as_ref().is_some_and(|h| h.starts_with("InitPlan"));
        let (once, each): (Vec<Item>, Vec<Item>) = asked.into_iter().partition(once);
        item.children.extend(once);
        source.children.extend(each);
        item.children.push(source);
        Ok((item, pad(Vec::new(), plan)))
    }

    /// ON CONFLICT.
    fn conflict(&mut self, item: &mut Item, relation: &Relation, conflict: &OnConflict) -> Result<()> {
        let word = if conflict.update.is_some() { "UPDATE" } else { "NOTHING" };
        item.properties.push(("Conflict Resolution", Property::Text(word.into())));
        let arbiters = conflict.arbiters.iter().filter_map(|n| relation.indexes.get(*n));
        let names: Vec<String> = arbiters.map(|i| i.name.clone()).collect();
        if !names.is_empty() {
            item.properties.push(("Conflict Arbiter Indexes", Property::List(names)));
        }
        if let Some((_, Some(condition))) = &conflict.update {
            let of = |alias: &str| -> Vec<String> {
                relation.live().map(|a| format!("{alias}.{}", a.name)).collect()
            };
            let text = self.text(condition, &[of(&relation.name), of("excluded")].concat(), item)?;
            item.properties.push(("Conflict Filter", Property::Text(text)));
        }
        Ok(())
    }

    fn on(&self, item: &mut Item, relation: &Relation, alias: &str) {
        let schema = if self.verbose { format!("{}.", relation.schema_name) } else { String::new() };
        item.suffix.push_str(&format!(" on {schema}{}", relation.name));
        if alias != relation.name {
            item.suffix.push_str(&format!(" {alias}"));
        }
        item.hidden.push(("Relation Name", relation.name.clone()));
        if self.verbose {
            item.hidden.push(("Schema", relation.schema_name.clone()));
        }
        item.hidden.push(("Alias", alias.into()));
    }

    /// A column as what reads the table sees it: nobody else's can be meant.
    fn own_attribute(&self, relation: &Relation, alias: &str, attnum: i16) -> String {
        self.attribute_as(relation, (self.verbose).then_some(alias), attnum)
    }

    fn attribute(&self, relation: &Relation, alias: &str, attnum: i16) -> String {
        self.attribute_as(relation, (self.qualify || self.verbose).then_some(alias), attnum)
    }

    fn attribute_as(&self, relation: &Relation, alias: Option<&str>, attnum: i16) -> String {
        if let Some(fact) = StoredFact::of(attnum) {
            let (function, attnum) = match fact {
                StoredFact::Size(a) => ("pg_column_size", a),
                StoredFact::Method(a) => ("pg_column_compression", a),
            };
            return format!("{function}({})", self.attribute_as(relation, alias, attnum));
        }
        let name = if attnum < 0 {
            SYSTEM_COLUMN_NAMES.get((-attnum - 1) as usize).copied().unwrap_or("?")
        } else {
            relation.attributes.get((attnum - 1).max(0) as usize).map_or("?", |a| a.name.as_str())
        };
        alias.map_or_else(|| name.into(), |alias| format!("{alias}.{name}"))
    }

    /// What evaluates the graph.
    fn backend(&self, item: &mut Item) {
        if let Some(name) = self.catalog.graph_backend() {
            item.properties.push(("Backend", Property::Text(name)));
        }
    }

    fn column_names(&self, relation: &Relation, alias: &str, columns: &[i16]) -> Vec<String> {
        columns.iter().map(|n| self.attribute(relation, alias, *n)).collect()
    }

    fn own_names(&self, relation: &Relation, alias: &str, columns: &[i16]) -> Vec<String> {
        columns.iter().map(|n| self.own_attribute(relation, alias, *n)).collect()
    }

    fn scan_filter(&mut self, item: &mut Item, filter: Option<&Expr>, names: &[String]) -> Result<()> {
        if let Some(filter) = filter {
            let text = self.text(filter, names, item)?;
            self.filter(item, text);
        }
        Ok(())
    }

    fn filter(&self, item: &mut Item, text: String) {
        item.properties.push(("Filter", Property::Text(text)));
        if let Some(actual) = item.actual
            && actual.filtered > 0
        {
            let removed = super::per_loop(actual.filtered, actual.loops);
            item.properties.push(("Rows Removed by Filter", Property::Number(removed)));
        }
    }

    /// The text of an expression over named columns; its subqueries become children of the item.
    fn text(&mut self, expr: &Expr, names: &[String], item: &mut Item) -> Result<String> {
        self.subqueries(expr, names, item)?;
        let mut expr = expr.clone();
        let first = names.len() as u32;
        name_slots(&mut expr, first, &self.slots);
        let slots = &self.slots;
        let text = pg_sql::deparse(&expr, self.catalog, &|i| {
            let name = names.get(i as usize).cloned();
            name.or_else(|| slots.get((i - first.min(i)) as usize).map(|(_, n)| n.clone()))
                .unwrap_or_else(|| "?".into())
        })?;
        let named = |oid| self.catalog.routine(oid).ok().flatten().map(|r| r.name.clone());
        let named = |oid| named(oid).or_else(|| self.catalog.type_name(oid));
        let named =
            |oid| named(oid).or_else(|| self.catalog.collation_name(oid)).unwrap_or_else(|| "?".into());
        let label = |ty, place| {
            let described = self.catalog.user_type(ty).ok().flatten();
            let label =
                described.as_ref().and_then(|t| t.label_at(place)).map(|l| l.text.replace('\'', "''"));
            format!("'{}'", label.unwrap_or_else(|| "?".into()))
        };
        let text = pg_types::user::name_references(&text, &named, &label);
        let object = |ty, o| match ty {
            oid::REGCLASS => self.class_name(o),
            oid::REGTYPE => self.catalog.type_name(o),
            _ => None,
        };
        Ok(pg_types::user::name_objects(&text, &object))
    }

    /// A relation's name, with its schema if it is not found without.
    fn class_name(&self, oid: Oid) -> Option<String> {
        let relation = self.catalog.relation_by_oid(oid).ok().flatten()?;
        let found = self.catalog.relation(None, &relation.name).ok().flatten();
        let visible = found.is_some_and(|f| f.oid == oid);
        Some(if visible {
            relation.name.clone()
        } else {
            format!("{}.{}", relation.schema_name, relation.name)
        })
    }

    fn list(&mut self, exprs: &[Expr], names: Vec<String>, item: &mut Item) -> Result<Vec<String>> {
        exprs.iter().map(|e| self.text(e, &names, item)).collect()
    }

    fn keys(&mut self, keys: &[SortKey], names: &[String], item: &mut Item) -> Result<Vec<String>> {
        let mut out = Vec::with_capacity(keys.len());
        for key in keys {
            let mut text = self.text(&key.expr, names, item)?;
            if key.descending {
                text.push_str(" DESC");
            }
            if key.nulls_first != key.descending {
                text.push_str(if key.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
            }
            out.push(text);
        }
        Ok(out)
    }

    fn subqueries(&mut self, expr: &Expr, names: &[String], item: &mut Item) -> Result<()> {
        let mut found: Vec<&SubPlan> = Vec::new();
        collect(expr, &mut found);
        for plan in found {
            let SubQuery::Physical(query) = &plan.query else { continue };
            let before = self.slots.len();
            for (slot, e) in &plan.args {
                let text = if e.has_subplan() { format!("${slot}") } else { self.text(e, names, item)? };
                self.slots.push((*slot, text));
            }
            // Operators of subqueries are not counted.
            let actual = core::mem::take(&mut self.actual);
            let result = self.node(query);
            self.actual = actual;
            self.slots.truncate(before);
            let (mut child, _) = result?;
            self.subplans += 1;
            let kind = if plan.correlated { "SubPlan" } else { "InitPlan" };
            child.heading = Some(format!("{kind} {}", self.subplans));
            item.children.push(child);
        }
        Ok(())
    }

    fn range(
        &mut self,
        range: &IndexRange,
        relation: &Relation,
        index: &Index,
        alias: &str,
        item: &mut Item,
    ) -> Result<Option<String>> {
        let mut parts = Vec::new();
        let key = |d: &Self, i: usize| {
            index.keys.get(i).map_or_else(String::new, |k| match &k.expression {
                Some(text) => text.clone(),
                None => d.own_attribute(relation, alias, k.attnum),
            })
        };
        let leading = |d: &Self, n| (0..n).map(|i| key(d, i)).collect::<Vec<_>>().join(", ");
        for (name, n) in [("Skipped Columns", range.skip), ("Distinct Columns", range.distinct)] {
            if n > 0 {
                item.properties.push((name, Property::Text(leading(self, n))));
            }
        }
        for (i, e) in range.equal.iter().enumerate() {
            parts.push(format!("({} = {})", key(self, range.skip + i), self.text(e, &[], item)?));
        }
        let next = key(self, range.skip + range.equal.len());
        if let Some((e, inclusive)) = &range.lower {
            let op = if *inclusive { ">=" } else { ">" };
            parts.push(format!("({next} {op} {})", self.text(e, &[], item)?));
        }
        if let Some((e, inclusive)) = &range.upper {
            let op = if *inclusive { "<=" } else { "<" };
            parts.push(format!("({next} {op} {})", self.text(e, &[], item)?));
        }
        if range.is_null {
            parts.push(format!("({next} IS NULL)"));
        }
        if range.not_null {
            parts.push(format!("({next} IS NOT NULL)"));
        }
        if let Some(e) = &range.any_of {
            parts.push(format!("({next} = ANY ({}))", self.text(e, &[], item)?));
        }
        Ok(match parts.len() {
            0 => None,
            1 => parts.pop(),
            _ => Some(format!("({})", parts.join(" AND "))),
        })
    }

    /// A part of a bitmap, and what it costs.
    fn bitmap(&mut self, bitmap: &Bitmap, relation: &Relation, alias: &str) -> Result<(Item, Estimate)> {
        let bare = |kind: &str, estimate| Item {
            kind: kind.into(),
            suffix: String::new(),
            hidden: Vec::new(),
            properties: Vec::new(),
            estimate,
            actual: None,
            heading: None,
            children: Vec::new(),
        };
        let (kind, parts) = match bitmap {
            Bitmap::Index(index, range, estimate) => {
                let mut item = bare("Bitmap Index Scan", *estimate);
                item.suffix = format!(" on {}", index.name);
                item.hidden.push(("Index Name", index.name.clone()));
                if let Some(text) = self.range(range, relation, index, alias, &mut item)? {
                    item.properties.push(("Index Cond", Property::Text(text)));
                }
                return Ok((item, *estimate));
            }
            Bitmap::And(parts) => ("BitmapAnd", parts),
            Bitmap::Or(parts) => ("BitmapOr", parts),
        };
        let mut sum = Estimate::default();
        let mut children = Vec::with_capacity(parts.len());
        for part in parts {
            let (item, estimate) = self.bitmap(part, relation, alias)?;
            sum.total += estimate.total;
            sum.rows = if kind == "BitmapOr" || children.is_empty() {
                sum.rows + estimate.rows
            } else {
                sum.rows.min(estimate.rows)
            };
            children.push(item);
        }
        sum.startup = sum.total;
        let mut item = bare(kind, sum);
        item.children = children;
        Ok((item, sum))
    }

    fn nested_loop(
        &mut self,
        plan: &Physical,
        kind: JoinKind,
        (left, right): (&Physical, &Physical),
        slots: &[(u32, Expr)],
        on: Option<&Expr>,
    ) -> Result<Described> {
        let mut item = self.item(plan, format!("Nested Loop{}", join_suffix(kind, true)));
        item.hidden.push(("Join Type", join_type(kind).into()));
        let outer = self.child(&mut item, left)?;
        let before = self.slots.len();
        for (slot, e) in slots {
            let text = self.text(e, &outer, &mut item)?;
            self.slots.push((*slot, text));
        }
        let inner = self.child(&mut item, right);
        self.slots.truncate(before);
        let names = self.join_names(kind, outer, inner?, on, &mut item)?;
        Ok((item, names))
    }

    fn keyed_join(
        &mut self,
        plan: &Physical,
        (method, condition): (&str, &'static str),
        kind: JoinKind,
        (left, right): (&Physical, &Physical),
        keys: &[(Expr, Expr, &'static Function)],
        on: Option<&Expr>,
    ) -> Result<Described> {
        let mut item = self.item(plan, format!("{method}{}", join_suffix(kind, false)));
        item.hidden.push(("Join Type", join_type(kind).into()));
        let outer = self.child(&mut item, left)?;
        let inner = self.child(&mut item, right)?;
        let mut parts = Vec::with_capacity(keys.len());
        for (a, b, _) in keys {
            let a = self.text(a, &outer, &mut item)?;
            parts.push(format!("({a} = {})", self.text(b, &inner, &mut item)?));
        }
        let text = if parts.len() == 1 { parts.swap_remove(0) } else { format!("({})", parts.join(" AND ")) };
        item.properties.push((condition, Property::Text(text)));
        // PostgreSQL shows the building of the table as an operator.
        if method == "Hash"
            && let Some(built) = item.children.pop()
        {
            let estimate = pg_plan::physical::Estimate { startup: built.estimate.total, ..built.estimate };
            let mut hash = Item {
                kind: "Hash".into(),
                suffix: String::new(),
                hidden: Vec::new(),
                properties: held::table(item.actual),
                estimate,
                actual: built.actual,
                heading: None,
                children: Vec::from([built]),
            };
            if self.verbose {
                output(&mut hash, &inner);
            }
            item.children.push(hash);
        }
        let names = self.join_names(kind, outer, inner, on, &mut item)?;
        Ok((item, names))
    }

    fn join_names(
        &mut self,
        kind: JoinKind,
        mut outer: Vec<String>,
        inner: Vec<String>,
        on: Option<&Expr>,
        item: &mut Item,
    ) -> Result<Vec<String>> {
        let left = outer.len();
        outer.extend(inner);
        if let Some(on) = on {
            let text = self.text(on, &outer, item)?;
            item.properties.push(("Join Filter", Property::Text(text)));
        }
        if matches!(kind, JoinKind::Semi | JoinKind::Anti) {
            outer.truncate(left);
        }
        Ok(outer)
    }
}

/// ` Left Join`, ` Join`, or nothing for a plain nested loop.
fn join_suffix(kind: JoinKind, bare: bool) -> &'static str {
    match kind {
        JoinKind::Inner if bare => "",
        JoinKind::Inner => " Join",
        JoinKind::Left => " Left Join",
        JoinKind::Right => " Right Join",
        JoinKind::Full => " Full Join",
        JoinKind::Semi => " Semi Join",
        JoinKind::Anti => " Anti Join",
    }
}

/// The kind of a join as documents name it.
fn join_type(kind: JoinKind) -> &'static str {
    match join_suffix(kind, false).trim_start().strip_suffix(" Join") {
        Some(name) => name,
        None => "Inner",
    }
}

/// Says the columns first; what an operator that is shown as part of this one has said before is no longer so.
fn output(item: &mut Item, names: &[String]) {
    if item.properties.first().is_some_and(|p| p.0 == "Output") {
        item.properties.remove(0);
    }
    if !names.is_empty() {
        item.properties.insert(0, ("Output", Property::List(names.to_vec())));
    }
}

/// As many names as there are columns.
fn pad(mut names: Vec<String>, plan: &Physical) -> Vec<String> {
    while names.len() < plan.types.len() {
        names.push(format!("column{}", names.len() + 1));
    }
    names
}

/// Replaces slots by columns behind the named ones.
fn name_slots(expr: &mut Expr, first: u32, slots: &[(u32, String)]) {
    if let Expr::Slot(slot, ty) = expr {
        if let Some(at) = slots.iter().rposition(|(s, _)| s == slot) {
            let ty: SqlType = *ty;
            *expr = Expr::Column(first + at as u32, ty);
        }
        return;
    }
    expr.for_each_child_mut(&mut |child| name_slots(child, first, slots));
}

fn collect<'e>(expr: &'e Expr, found: &mut Vec<&'e SubPlan>) {
    if let Expr::SubPlan(plan) = expr {
        found.push(plan);
    }
    expr.for_each_child(&mut |child| collect(child, found));
}
