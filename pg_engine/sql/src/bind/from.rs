//! FROM: tables, joins, derived tables, functions.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec, vec::Vec};

use pg_catalog::{
    Relation, RelationKind,
    acl::{Rights, right},
};
use pg_functions::FunctionKind;
use pg_plan::{
    expr::{Call, Expr},
    logical::{self, Column, JoinKind, Logical},
    routine::{Callee, RoutineCall},
};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, oid};
use sqlparser::ast as sq;

use super::{
    Binder, Bound,
    call::Arguments,
    collation::Derived,
    expr::start,
    part,
    resolve::{self, Resolution},
    routine::Choice,
    rowtype::Defined,
    scope::{Entry, EntryColumn, Frame, Place, SYSTEM, Scan, Visible, at},
};
use crate::grammar::special::join_alias;
use crate::{
    ast::NameAt,
    grammar,
    ruleutils::{TableKind, Using},
};

/// A FROM item and what it needs from the items to its left.
pub(super) type Item = (Logical, Vec<(u32, Expr)>);

impl Binder<'_> {
    /// The whole FROM list, entered into the current frame.
    pub(super) fn from(&mut self, from: &[sq::TableWithJoins]) -> Result<Logical> {
        let mut plan: Option<Logical> = None;
        for item in from {
            let (right, lateral) = self.table_with_joins(item)?;
            plan = Some(match plan {
                None if lateral.is_empty() => right,
                left => join(left.unwrap_or(Logical::OneRow), right, JoinKind::Inner, None, lateral),
            });
        }
        Ok(plan.unwrap_or(Logical::OneRow))
    }

    fn table_with_joins(&mut self, item: &sq::TableWithJoins) -> Result<Item> {
        let (entries, visible) = self.marks()?;
        let first = self.next_column;
        let (mut plan, mut lateral) = self.factor(&item.relation)?;
        for next in &item.joins {
            let outside = |e: &Expr| {
                let mut outside = true;
                e.for_each_column(&mut |id| outside &= id < first);
                outside
            };
            let further;
            (plan, further) = self.join(plan, next, (entries, visible), &outside)?;
            lateral.extend(further);
        }
        Ok((plan, lateral))
    }

    fn marks(&mut self) -> Result<(usize, usize)> {
        let frame = self.frame()?;
        Ok((frame.entries.len(), frame.visible.len()))
    }

    /// Joins one more item. What it needs of items to the left of the whole join (`outside`) is for the caller to give.
    fn join(
        &mut self,
        left: Logical,
        item: &sq::Join,
        (entries, visible): (usize, usize),
        outside: &dyn Fn(&Expr) -> bool,
    ) -> Result<Item> {
        use sq::JoinOperator as J;
        let (kind, constraint) = match &item.join_operator {
            J::Join(c) | J::Inner(c) => (JoinKind::Inner, c),
            J::CrossJoin(c) => (JoinKind::Inner, c),
            J::Left(c) | J::LeftOuter(c) => (JoinKind::Left, c),
            J::Right(c) | J::RightOuter(c) => (JoinKind::Right, c),
            J::FullOuter(c) => (JoinKind::Full, c),
            _ => return Err(SqlError::unsupported("this kind of JOIN")),
        };
        let cross = matches!(item.join_operator, J::CrossJoin(_));
        if !cross && matches!(constraint, sq::JoinConstraint::None) {
            return Err(SqlError::syntax("JOIN must have a condition"));
        }
        let (between, middle) = self.marks()?;
        let (right, lateral) = self.factor(&item.relation)?;
        let (further, lateral): (Vec<_>, Vec<_>) = lateral.into_iter().partition(|(_, e)| outside(e));
        if !lateral.is_empty() && matches!(kind, JoinKind::Right | JoinKind::Full) {
            return Err(self.no_lateral(&lateral));
        }
        let mut merged_as = None;
        let on = match constraint {
            sq::JoinConstraint::None => None,
            sq::JoinConstraint::On(condition) => {
                let condition = self.join_condition(condition, entries, visible)?;
                Some(condition)
            }
            sq::JoinConstraint::Using(names) => {
                let mut idents = Vec::with_capacity(names.len());
                for name in names {
                    match name.0.as_slice() {
                        [one] => idents.push(part(one)?.clone()),
                        _ => return Err(SqlError::syntax("USING takes plain column names")),
                    }
                }
                let alias = idents.pop_if(|i| join_alias(i).is_some());
                let condition = self.using(kind, &idents, visible, middle)?;
                if let Some(alias) = alias.as_ref().and_then(join_alias) {
                    self.name_merged(alias, visible, idents.len())?;
                    merged_as = Some(String::from(alias));
                }
                condition
            }
            sq::JoinConstraint::Natural => {
                let frame = self.frame()?;
                let mut common: Vec<sq::Ident> = Vec::new();
                for v in frame.visible.get(visible..middle).unwrap_or(&[]) {
                    let right = frame.visible.get(middle..).unwrap_or(&[]);
                    if right.iter().any(|r| r.name == v.name) && !common.iter().any(|c| c.value == v.name) {
                        common.push(sq::Ident::new(v.name.clone()));
                    }
                }
                self.using(kind, &common, visible, middle)?
            }
        };
        let frame = self.frame()?;
        let nulled = match kind {
            JoinKind::Left => frame.entries.get_mut(between..),
            JoinKind::Right => frame.entries.get_mut(entries..between),
            JoinKind::Full => frame.entries.get_mut(entries..),
            _ => None,
        };
        nulled.into_iter().flatten().for_each(|e| e.nullable = true);
        self.record_join(kind, on.as_ref(), merged_as.as_deref());
        Ok((join(left, right, kind, on, lateral), further))
    }

    /// 42P10 for what the right side of a RIGHT or FULL JOIN needs of the left one.
    fn no_lateral(&mut self, needed: &[(u32, Expr)]) -> SqlError {
        let mut ids = Vec::new();
        needed.iter().for_each(|(_, e)| e.for_each_column(&mut |id| ids.push(id)));
        let mention = self.frames.last().and_then(|f| f.mentions.iter().find(|m| ids.contains(&m.0)));
        let (at, shown) = mention.map_or((0, ""), |m| (m.1, m.2.as_str()));
        let table = shown.rsplit_once('.').map_or(shown, |(table, _)| table);
        let text = format!("invalid reference to FROM-clause entry for table \"{table}\"");
        SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, text)
            .detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference.")
            .at(at)
    }

    /// `USING (...) AS alias`: the merged columns can be named with the alias.
    fn name_merged(&mut self, alias: &str, from: usize, count: usize) -> Result<()> {
        let frame = self.frame()?;
        if frame.entries.iter().any(|e| e.alias == alias) {
            return Err(super::scope::named_twice(alias));
        }
        let merged = frame.visible.iter().skip(from).take(count);
        let columns =
            merged.map(|v| EntryColumn { name: v.name.clone(), expr: v.expr.clone(), origin: v.origin });
        let columns = columns.collect();
        let (schema, scan) = (None, None);
        frame.merged.push(alias.into());
        frame.entries.push(Entry {
            alias: alias.into(),
            schema,
            columns,
            scan,
            scalar: false,
            nullable: false,
        });
        Ok(())
    }

    /// An ON condition sees the two sides of its join only.
    fn join_condition(&mut self, condition: &sq::Expr, entries: usize, visible: usize) -> Result<Expr> {
        let frame = self.frame()?;
        let hidden_entries: Vec<Entry> = frame.entries.drain(..entries).collect();
        let hidden_visible: Vec<Visible> = frame.visible.drain(..visible).collect();
        let gone = frame.gone.len();
        frame.gone.extend(hidden_entries.iter().map(|e| e.alias.clone()));
        let barred = frame.barred.take();
        let result = self.at_place(Place::JoinOn, |b| {
            let bound = b.expr(condition)?;
            b.boolean(bound, "JOIN/ON", start(condition))
        });
        let frame = self.frame()?;
        frame.gone.truncate(gone);
        frame.barred = barred;
        frame.entries.splice(0..0, hidden_entries);
        frame.visible.splice(0..0, hidden_visible);
        result
    }

    /// The condition of USING; the named columns become one each, in front of the others.
    fn using(
        &mut self,
        kind: JoinKind,
        names: &[sq::Ident],
        visible: usize,
        middle: usize,
    ) -> Result<Option<Expr>> {
        let frame = self.frame()?;
        let right: Vec<Visible> = frame.visible.split_off(middle);
        let left: Vec<Visible> = frame.visible.split_off(visible);
        let pick = |side: &[Visible], name: &sq::Ident, which: &str| -> Result<Visible> {
            let mut found = side.iter().filter(|v| v.name == name.value);
            let first = found.next().cloned();
            if found.next().is_some() {
                return Err(SqlError::new(
                    SqlState::AMBIGUOUS_COLUMN,
                    format!("common column name \"{}\" appears more than once in {which} table", name.value),
                )
                .at(at(name)));
            }
            first.ok_or_else(|| {
                SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!(
                        "column \"{}\" specified in USING clause does not exist in {which} table",
                        name.value
                    ),
                )
            })
        };
        let mut merged = Vec::with_capacity(names.len());
        let mut conditions = Vec::with_capacity(names.len());
        let mut using: Vec<Using> = Vec::new();
        for name in names {
            let l = pick(&left, name, "left")?;
            let r = pick(&right, name, "right")?;
            for e in [&l.expr, &r.expr] {
                let mut ids = Vec::new();
                e.for_each_column(&mut |id| ids.push(id));
                ids.into_iter().for_each(|id| self.use_column(id));
            }
            let common = self.common_type(&[l.expr.ty(), r.expr.ty()], "JOIN/USING", 0)?;
            conditions.push(self.operator("=", l.expr.clone(), r.expr.clone(), at(name))?);
            let left_value = self.coerce_to_common(l.expr.clone(), common, "JOIN/USING", at(name))?;
            let right_value = self.coerce_to_common(r.expr.clone(), common, "JOIN/USING", at(name))?;
            // Of an inner join either side will do: one that is a column as it is.
            let plain = |e: &Expr| matches!(e, Expr::Column(..));
            let rightly = kind == JoinKind::Right
                || kind == JoinKind::Inner && !plain(&left_value) && plain(&right_value);
            let expr = match kind {
                JoinKind::Full => Expr::Coalesce(vec![left_value, right_value], common),
                _ if rightly => right_value,
                _ => left_value,
            };
            let origin = if rightly { r.origin } else { l.origin };
            if self.recording() {
                let (left, right) = (l.expr.clone(), r.expr.clone());
                using.push(Using { name: name.value.clone(), merged: expr.clone(), left, right });
            }
            merged.push(Visible { name: name.value.clone(), expr, origin });
        }
        self.record_using(|| using);
        let other = |v: &Visible| !names.iter().any(|n| n.value == v.name);
        let frame = self.frame()?;
        frame.visible.extend(merged);
        frame.visible.extend(left.into_iter().filter(other));
        frame.visible.extend(right.into_iter().filter(other));
        Ok(Expr::all_of(conditions))
    }

    fn factor(&mut self, factor: &sq::TableFactor) -> Result<Item> {
        let value = match factor {
            sq::TableFactor::Table { name, args, alias, with_ordinality, sample: None, .. } => {
                let found = super::value_from::value(name, args.as_ref().map(|a| a.args.as_slice()))?;
                found.map(|v| (v, *with_ordinality, alias))
            }
            sq::TableFactor::Function { name, args, alias, with_ordinality, .. } => {
                super::value_from::value(name, Some(args))?.map(|v| (v, *with_ordinality, alias))
            }
            _ => None,
        };
        if let Some((value, ordinality, alias)) = value {
            return self.value_in_from(value, ordinality, alias.as_ref());
        }
        match factor {
            sq::TableFactor::Table { name, alias, args: None, with_hints, version, sample, .. } => {
                if !with_hints.is_empty() || version.is_some() {
                    return Err(SqlError::unsupported("this FROM item"));
                }
                let sample = sample.as_ref().map(|s| self.sample(s)).transpose()?;
                let plan = self.table(name, alias.as_ref())?;
                let plan = match sample {
                    None => plan,
                    Some(sample) => self.sampled(plan, sample, grammar::name_of(name)?.at)?,
                };
                Ok((plan, Vec::new()))
            }
            sq::TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. }
                if super::rows_from::is(name, &args.args) =>
            {
                let list = super::rows_from::listed(name, &args.args)?;
                self.rows_from(&list, *with_ordinality, alias.as_ref())
            }
            sq::TableFactor::Function { name, args, alias, with_ordinality, .. }
                if super::rows_from::is(name, args) =>
            {
                let list = super::rows_from::listed(name, args)?;
                self.rows_from(&list, *with_ordinality, alias.as_ref())
            }
            sq::TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
                self.table_function(name, &args.args, *with_ordinality, alias.as_ref())
            }
            sq::TableFactor::Function { name, args, alias, with_ordinality, .. } => {
                self.table_function(name, args, *with_ordinality, alias.as_ref())
            }
            sq::TableFactor::Derived { lateral, subquery, alias, sample: None } => {
                self.derived(*lateral, subquery, alias.as_ref())
            }
            sq::TableFactor::NestedJoin { table_with_joins, alias } => {
                self.nested_join(table_with_joins, alias.as_ref())
            }
            _ => Err(SqlError::unsupported("this FROM item")),
        }
    }

    fn nested_join(&mut self, inner: &sq::TableWithJoins, alias: Option<&sq::TableAlias>) -> Result<Item> {
        let (entries, visible) = self.marks()?;
        // Behind an alias names are the join's own: the same ones outside do not matter.
        let own = if alias.is_some() { entries } else { self.frame()?.names_from };
        let outside = core::mem::replace(&mut self.frame()?.names_from, own);
        let result = self.table_with_joins(inner);
        self.frame()?.names_from = outside;
        let result = result?;
        if let Some(alias) = alias {
            let frame = self.frame()?;
            let hidden: Vec<Entry> = frame.entries.split_off(entries);
            let merged = core::mem::take(&mut frame.merged);
            let named = hidden.into_iter().map(|e| e.alias).filter(|a| !merged.contains(a));
            frame.gone.extend(named);
            let columns: Vec<EntryColumn> = frame
                .visible
                .split_off(visible)
                .into_iter()
                .map(|v| EntryColumn { name: v.name, expr: v.expr, origin: v.origin })
                .collect();
            let entry = Entry {
                alias: alias.name.value.clone(),
                schema: None,
                columns,
                scan: None,
                scalar: false,
                nullable: false,
            };
            self.enter_as(entry, Some(alias), "join expression")?;
        }
        Ok(result)
    }

    /// Adds a FROM item to the frame, its columns renamed by the alias.
    pub(super) fn enter(&mut self, entry: Entry, alias: Option<&sq::TableAlias>) -> Result<()> {
        self.enter_as(entry, alias, "table")
    }

    fn enter_as(&mut self, mut entry: Entry, alias: Option<&sq::TableAlias>, what: &str) -> Result<()> {
        if let Some(alias) = alias {
            let renamed = &alias.columns;
            if renamed.len() > entry.columns.len() {
                return Err(SqlError::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    format!(
                        "{what} \"{}\" has {} columns available but {} columns specified",
                        entry.alias,
                        entry.columns.len(),
                        renamed.len()
                    ),
                ));
            }
            for (column, name) in entry.columns.iter_mut().zip(renamed) {
                if name.data_type.is_some() {
                    return Err(SqlError::new(
                        SqlState::SYNTAX_ERROR,
                        "a column definition list is only allowed for functions returning \"record\"",
                    )
                    .at(at(&name.name)));
                }
                column.name = name.name.value.clone();
            }
        }
        self.check_alias(&entry.alias)?;
        self.record_entry(&entry, alias);
        let frame = self.frame()?;
        frame.visible.extend(entry.columns.iter().map(|c| Visible {
            name: c.name.clone(),
            expr: c.expr.clone(),
            origin: c.origin,
        }));
        frame.entries.push(entry);
        Ok(())
    }

    fn table(&mut self, name: &sq::ObjectName, alias: Option<&sq::TableAlias>) -> Result<Logical> {
        let name = grammar::name_of(name)?;
        if name.name.schema.is_none()
            && let Some((plan, columns)) = self.cte(&name)?
        {
            let shown = alias.map_or(&name.name.name, |a| &a.name.value).clone();
            self.record_kind(false, |_| Some(TableKind::Cte(name.name.name.clone())));
            self.enter(entry_of(shown, &columns, &[]), alias)?;
            return Ok(plan);
        }
        let relation = self.relation(&name)?;
        match relation.kind {
            RelationKind::Table
            | RelationKind::Toast
            | RelationKind::MaterializedView
            | RelationKind::Virtual
            | RelationKind::Sequence => {}
            RelationKind::View => return self.view(&relation, alias),
            RelationKind::Composite => {
                let message = format!("\"{}\" is a composite type", relation.name);
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(name.at));
            }
            RelationKind::Index => {
                return Err(SqlError::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("cannot open relation \"{}\"", relation.name),
                )
                .detail("This operation is not supported for indexes.")
                .at(name.at));
            }
        }
        let (plan, entry) = self.scan(&relation, alias.map(|a| a.name.value.as_str()), right::SELECT);
        let base = entry.scan.and_then(|s| self.scans.get(s)).map_or(0, |s| s.base);
        if !relation.children.is_empty() && !name.only {
            let family = self.descendants(&relation)?;
            if let Some(scan) = entry.scan.and_then(|s| self.scans.get_mut(s)) {
                scan.tells = false;
            }
            self.families.push((base, family));
        }
        let system = super::record::system_columns(&relation, &entry, &self.scans);
        self.record_kind(false, |_| Some(TableKind::Relation { oid: relation.oid, system, only: name.only }));
        self.enter(entry, alias)?;
        if self.securing_off { Ok(plan) } else { self.secured(plan, &relation, base) }
    }

    /// A scan of a stored table; its columns are filled in by [`Binder::fill_scans`].
    pub(super) fn scan(
        &mut self,
        relation: &Arc<Relation>,
        alias: Option<&str>,
        rights: Rights,
    ) -> (Logical, Entry) {
        let base = self.next_column;
        let live = relation.live().count() as u32;
        let attributes = relation.live().map(|a| a.attnum).chain(SYSTEM.iter().map(|s| s.1));
        let access = self.accesses.open(relation, rights);
        self.accesses.span(access, (base..).zip(attributes).collect());
        self.next_column += 3 * live + SYSTEM.len() as u32;
        let index = self.scans.len();
        for (column, a) in (base..).zip(relation.live()) {
            self.keep_collation(column, a.ty, Derived::Implicit(a.collation, 0));
        }
        let tells = relation.kind.is_stored();
        self.scans.push(Scan { relation: relation.clone(), base, tells });
        let columns = relation
            .live()
            .enumerate()
            .map(|(i, a)| EntryColumn {
                name: a.name.clone(),
                expr: Expr::Column(base + i as u32, a.ty),
                origin: (relation.oid, a.attnum),
            })
            .collect();
        let shown = alias.unwrap_or(&relation.name);
        let entry = Entry {
            alias: shown.into(),
            schema: if alias.is_none() { Some(relation.schema_name.clone()) } else { None },
            columns,
            scan: Some(index),
            scalar: false,
            nullable: false,
        };
        let marker = Column { id: base, name: String::new(), ty: SqlType::new(oid::VOID) };
        let plan = Logical::Scan {
            relation: relation.clone(),
            alias: crate::ruleutils::given_alias(shown).unwrap_or(&relation.name).into(),
            columns: vec![(marker, i16::MIN)],
        };
        (plan, entry)
    }

    /// Puts into the scans of a FROM tree the columns that were used, once the level is bound.
    pub(super) fn fill_scans(&mut self, plan: &mut Logical) {
        match plan {
            Logical::Scan { relation, columns, .. } => {
                let Some((marker, i16::MIN)) = columns.first() else { return };
                let base = marker.id;
                columns.clear();
                let live = relation.live().count() as u32;
                for (i, a) in relation.live().enumerate() {
                    let id = base + i as u32;
                    if self.is_used(id) {
                        columns.push((Column { id, name: a.name.clone(), ty: a.ty }, a.attnum));
                    }
                }
                for (i, (name, attnum, ty)) in SYSTEM.iter().enumerate() {
                    let id = base + live + i as u32;
                    if self.is_used(id) {
                        let column = Column { id, name: (*name).into(), ty: SqlType::new(*ty) };
                        columns.push((column, *attnum));
                    }
                }
                let facts = base + live + SYSTEM.len() as u32;
                for (i, a) in relation.live().enumerate() {
                    let (size, method) = (facts + i as u32, facts + live + i as u32);
                    for (id, ty, attnum) in [
                        (size, oid::INT4, logical::stored_size(a.attnum)),
                        (method, oid::TEXT, logical::stored_method(a.attnum)),
                    ] {
                        if self.is_used(id) {
                            let column = Column { id, name: String::new(), ty: SqlType::new(ty) };
                            columns.push((column, attnum));
                        }
                    }
                }
                if let Some(family) = self.families.iter().find(|f| f.0 == base).map(|f| f.1.clone()) {
                    let scan = core::mem::replace(plan, Logical::OneRow);
                    *plan = self.with_children(scan, &family);
                }
            }
            Logical::Join { left, right, .. } => {
                self.fill_scans(left);
                self.fill_scans(right);
            }
            Logical::Filter(input, _) | Logical::Secure(input) => self.fill_scans(input),
            _ => {}
        }
    }

    /// `pg_column_size` (`method` false) or `pg_column_compression` of a stored column, told by its scan. The column itself need
    /// not be read for it: `used` says which columns were in use before the argument was bound.
    pub(super) fn stored_fact(&mut self, arg: &Expr, method: bool, used: &[bool]) -> Option<Expr> {
        let Expr::Column(id, _) = arg else { return None };
        let (scan, live) = self.scans.iter().find_map(|s| {
            let live = s.relation.live().count() as u32;
            (s.tells && (s.base..s.base + live).contains(id)).then_some((s.base, live))
        })?;
        let ty = if method { oid::TEXT } else { oid::INT4 };
        let facts = scan + live + SYSTEM.len() as u32 + if method { live } else { 0 };
        let fact = facts + (id - scan);
        if !used.get(*id as usize).copied().unwrap_or(false)
            && let Some(u) = self.used.get_mut(*id as usize)
        {
            *u = false;
        }
        self.use_column(fact);
        Some(Expr::Column(fact, SqlType::new(ty)))
    }

    fn is_used(&self, id: u32) -> bool {
        self.used.get(id as usize).copied().unwrap_or(false)
    }

    /// A view is its query.
    fn view(&mut self, relation: &Arc<Relation>, alias: Option<&sq::TableAlias>) -> Result<Logical> {
        let text = relation.view.clone().unwrap_or_default();
        let parsed = grammar::statements(&text)?;
        let Some(crate::ast::Ast::Query(query)) = parsed.into_iter().next().map(|i| i.ast) else {
            return Err(SqlError::internal("view without query"));
        };
        // Its names mean what they mean without this statement's FROM and WITH.
        let shown = alias.map_or(&relation.name, |a| &a.name.value).clone();
        let pushed = self.lock_of(&shown);
        let rights = right::SELECT | if pushed.is_some() { right::UPDATE } else { 0 };
        let access = self.accesses.open(relation, rights);
        let mark = self.accesses.mark();
        let (role, stored) = (self.accesses.role, self.accesses.stored);
        // In the user's own name also where another view is in between.
        self.accesses.role = (!relation.security.invoker).then_some(relation.owner);
        self.accesses.stored = true;
        let frames = core::mem::take(&mut self.frames);
        let result = self.under_lock(pushed, |b| b.unrecorded(|b| b.enclosed(|b| b.query_here(&query))));
        self.frames = frames;
        (self.accesses.role, self.accesses.stored) = (role, stored);
        let ((mut bound, _), hoisted) = result?;
        self.frame()?.hoisted.extend(hoisted);
        self.accesses.settle(mark);
        self.accesses.unread(bound.columns.iter().map(|c| c.id));
        let columns = bound.columns.iter().zip(relation.live()).map(|(c, a)| (c.id, a.attnum));
        self.accesses.span(access, columns.collect());
        if relation.security.barrier {
            bound.plan = Logical::Secure(Box::new(bound.plan));
        }
        let origins: Vec<(Oid, i16)> = relation.live().map(|a| (relation.oid, a.attnum)).collect();
        let mut entry = entry_of(shown, &bound.columns, &origins);
        for (column, attribute) in entry.columns.iter_mut().zip(relation.live()) {
            column.name = attribute.name.clone();
        }
        if alias.is_none() {
            entry.schema = Some(relation.schema_name.clone());
        }
        self.record_kind(false, |_| {
            Some(TableKind::Relation { oid: relation.oid, system: None, only: false })
        });
        self.enter(entry, alias)?;
        Ok(bound.plan)
    }

    fn derived(&mut self, lateral: bool, query: &sq::Query, alias: Option<&sq::TableAlias>) -> Result<Item> {
        if alias.is_none() {
            let values = matches!(*query.body, sq::SetExpr::Values(_));
            let error = if values {
                SqlError::syntax("VALUES in FROM must have an alias")
                    .hint("For example, FROM (VALUES ...) [AS] foo.")
            } else {
                SqlError::syntax("subquery in FROM must have an alias")
                    .hint("For example, FROM (SELECT ...) [AS] foo.")
            };
            use sqlparser::ast::Spanned;
            let at = grammar::position(query.span().start);
            return Err(error.at(at.saturating_sub(1).max(1)));
        }
        let shut = core::mem::replace(&mut self.frame()?.shut, !lateral);
        let pushed = alias.and_then(|a| self.lock_of(&a.name.value));
        let result =
            self.under_lock(pushed, |b| b.at_place(Place::From, |b| b.enclosed(|b| b.query_here(query))));
        self.frame()?.shut = shut;
        let ((bound, args), hoisted): ((Bound, _), _) = result?;
        self.frame()?.hoisted.extend(hoisted);
        let shown = alias.map_or_else(String::new, |a| a.name.value.clone());
        self.record_kind(lateral, |r| r.queries.pop().map(|q| TableKind::Query(Box::new(q))));
        self.enter(entry_of(shown, &bound.columns, &bound.origins), alias)?;
        Ok((bound.plan, args))
    }

    /// A function in FROM; its arguments may use what stands to its left.
    pub(super) fn table_function(
        &mut self,
        name: &sq::ObjectName,
        args: &[sq::FunctionArg],
        ordinality: bool,
        alias: Option<&sq::TableAlias>,
    ) -> Result<Item> {
        let name: NameAt = grammar::name_of(name)?;
        let mut given = Arguments::none();
        for arg in args {
            super::call::argument(arg, &mut given)?;
        }
        let defined = self.defined_columns(alias)?;
        // The types are said: what remains are names.
        let mut plain = alias.map(plain_alias);
        let routines = self.routines_named(name.name.schema.as_deref(), &name.name.name)?;
        let function = match (routines.as_slice(), name.name.schema.as_deref()) {
            ([first, ..], _) => first.name.clone(),
            (_, None | Some("pg_catalog")) => name.name.name.clone(),
            (_, Some(schema)) => format!("{schema}.{}", name.name.name),
        };
        // An alias may have columns and no name.
        if let Some(a) = plain.as_mut().filter(|a| a.name.value.is_empty()) {
            a.name.value.clone_from(&function);
        }
        let alias = plain.as_ref();
        let shown = match alias {
            Some(a) if !a.name.value.is_empty() => a.name.value.clone(),
            _ if routines.is_empty() => name.name.name.clone(),
            _ => function.clone(),
        };
        let ((plan, columns, scalar), outer) = self.enclosed(|b| {
            b.frames.last_mut().into_iter().for_each(|f: &mut Frame| f.place = Some(Place::From));
            let how = (ordinality, shown.as_str());
            if routines.is_empty() {
                b.function_plan(&function, &given, how, defined.as_deref(), name.at)
            } else {
                b.users_plan(&routines, &name, &given, how, defined.as_deref())
            }
        })?;
        let mut entry = entry_of(shown.clone(), &columns, &[]);
        entry.scalar = scalar;
        // A single column without a name of its own takes the alias.
        if (scalar || ordinality && entry.columns.len() == 2)
            && let Some(first) = entry.columns.first_mut()
            && first.name == function
        {
            first.name = shown;
        }
        let lateral = outer.iter().any(|(_, e)| e.any(&mut |e| matches!(e, Expr::Column(..))));
        self.record_kind(lateral, |_| call_of(&plan, ordinality));
        self.enter(entry, alias)?;
        Ok((plan, outer))
    }

    /// The columns that an alias says a record has.
    pub(super) fn defined_columns(&mut self, alias: Option<&sq::TableAlias>) -> Result<Option<Vec<Defined>>> {
        let Some(alias) = alias.filter(|a| a.columns.iter().any(|c| c.data_type.is_some())) else {
            return Ok(None);
        };
        let mut columns = Vec::with_capacity(alias.columns.len());
        for c in &alias.columns {
            let Some(ty) = &c.data_type else {
                return Err(SqlError::syntax("syntax error in a column definition list").at(at(&c.name)));
            };
            let declared = self.data_type(ty)?;
            let plain = self.catalog.plain_type(declared)?;
            columns.push(Defined { name: c.name.value.clone(), at: at(&c.name), declared, plain });
        }
        Ok(Some(columns))
    }

    /// A call in FROM of a name that users gave to functions.
    pub(super) fn users_plan(
        &mut self,
        routines: &[Arc<pg_catalog::Routine>],
        name: &NameAt,
        args: &Arguments<'_>,
        how: (bool, &str),
        defined: Option<&[Defined]>,
    ) -> Result<(Logical, Vec<Column>, bool)> {
        let given = self.given(args)?;
        let types: Vec<SqlType> = given.exprs.iter().map(Expr::ty).collect();
        let builtin = name.name.schema.is_none().then_some(name.name.name.as_str());
        let shown = match &name.name.schema {
            Some(schema) => format!("{schema}.{}", name.name.name),
            None => name.name.name.clone(),
        };
        match self.choose(routines, &shown, builtin, given, false, name.at)? {
            Choice::Routine(found) => self.routine_plan(found, how, defined, name.at),
            Choice::Builtin(candidate, exprs) => {
                self.candidate_plan(&name.name.name, candidate, exprs, how, defined, name.at)
            }
            Choice::None(_) => {
                Err(super::routine::not_one(&shown, &types, &args.names, false, false).at(name.at))
            }
        }
    }

    pub(super) fn function_plan(
        &mut self,
        name: &str,
        args: &Arguments<'_>,
        how: (bool, &str),
        defined: Option<&[Defined]>,
        at: u32,
    ) -> Result<(Logical, Vec<Column>, bool)> {
        if args.names.iter().any(Option::is_some) {
            let given = self.given(args)?;
            let (candidate, exprs) = self.named_builtin(None, name, given, at)?;
            return self.candidate_plan(name, candidate, exprs, how, defined, at);
        }
        let mut bound = Vec::with_capacity(args.exprs.len());
        for e in &args.exprs {
            bound.push(self.expr(e)?);
        }
        bound.retain(|e| !super::routine::is_said_void(e));
        let types: Vec<SqlType> = bound.iter().map(Expr::ty).collect();
        let candidate = match resolve::function(name, &types, args.variadic, &self.casts) {
            Resolution::One(candidate) => candidate,
            Resolution::Ambiguous => return Err(resolve::ambiguous_function(name, &types).at(at)),
            Resolution::None => return Err(resolve::no_function(name, &types).at(at)),
        };
        self.candidate_plan(name, candidate, bound, how, defined, at)
    }

    fn candidate_plan(
        &mut self,
        name: &str,
        candidate: resolve::Candidate<&'static pg_functions::Function>,
        bound: Vec<Expr>,
        (ordinality, alias): (bool, &str),
        defined: Option<&[Defined]>,
        at: u32,
    ) -> Result<(Logical, Vec<Column>, bool)> {
        let function = candidate.what;
        if function.shaped {
            let made = self.coerce_arguments(&candidate, bound, at)?;
            return self.row_plan(function, made, (ordinality, alias), defined, at);
        }
        if defined.is_some() {
            let text = if function.columns.is_empty() {
                "a column definition list is only allowed for functions returning \"record\""
            } else {
                "a column definition list is redundant for a function with OUT parameters"
            };
            return Err(SqlError::syntax(text).at(at));
        }
        if function.kind == FunctionKind::Scalar && !function.columns.is_empty() && !ordinality {
            // One row, whose fields are the columns.
            let call = self.call(name, bound, at)?;
            let record = self.column(name, call.ty());
            self.keep_column(record.id);
            let row = Expr::Column(record.id, record.ty);
            let inner = Logical::Project(Box::new(Logical::OneRow), vec![(record, call)]);
            let mut columns = Vec::with_capacity(function.columns.len());
            let mut fields = Vec::with_capacity(function.columns.len());
            for (n, (name, ty)) in function.columns.iter().enumerate() {
                let column = self.column(name, SqlType::new(*ty));
                let field = Expr::Field(Box::new(row.clone()), n as u32, column.ty);
                fields.push((column.clone(), field));
                columns.push(column);
            }
            return Ok((Logical::Project(Box::new(inner), fields), columns, false));
        }
        let scalar = function.kind == FunctionKind::Scalar && function.columns.is_empty();
        if function.kind != FunctionKind::Set && !scalar {
            return Err(SqlError::unsupported(format!("{name} in FROM")).at(at));
        }
        if function.kind != FunctionKind::Set && !ordinality {
            let call = self.call(name, bound, at)?;
            let column = self.column(name, call.ty());
            let plan = Logical::Project(Box::new(Logical::OneRow), vec![(column.clone(), call)]);
            return Ok((plan, vec![column], true));
        }
        let (mut args, ty) = self.coerce_arguments(&candidate, bound, at)?;
        if pg_types::user::is_composite(ty.oid) {
            return self.row_plan(function, (args, ty), (ordinality, alias), None, at);
        }
        let mut columns = Vec::new();
        for (name, ty) in function.columns {
            columns.push(self.column(name, SqlType::new(*ty)));
        }
        let scalar = function.result != oid::RECORD;
        if columns.is_empty() {
            columns.push(self.column(name, ty));
        }
        if ordinality {
            columns.push(self.column("ordinality", SqlType::new(oid::INT8)));
        }
        let alias = alias.into();
        let hidden = self.hidden_arguments(function, &args, ty, None)?;
        args.extend(hidden);
        self.accesses.builtin(function);
        let function = Callee::Builtin(function);
        let plan = Logical::FunctionScan { function, args, columns: columns.clone(), ordinality, alias };
        Ok((plan, columns, scalar && !ordinality))
    }
}

fn join(
    left: Logical,
    right: Logical,
    kind: JoinKind,
    on: Option<Expr>,
    lateral: Vec<(u32, Expr)>,
) -> Logical {
    Logical::Join { kind, left: Box::new(left), right: Box::new(right), on, lateral }
}

/// A function in FROM, for the record.
pub(super) fn call_of(plan: &Logical, ordinality: bool) -> Option<TableKind> {
    let call = match plan {
        Logical::FunctionScan { function, args, columns, .. } => {
            let ty = columns.first().map_or(SqlType::new(oid::RECORD), |c| c.ty);
            let args = args.clone();
            match function {
                Callee::Builtin(function) => Expr::Call(Box::new(Call { function, args, ty })),
                Callee::Routine(target) => {
                    Expr::Routine(Box::new(RoutineCall { target: target.clone(), args }))
                }
            }
        }
        Logical::Project(scan, _) if matches!(**scan, Logical::FunctionScan { .. }) => {
            return call_of(scan, ordinality);
        }
        Logical::Project(_, columns) => columns.first()?.1.clone(),
        _ => return None,
    };
    Some(TableKind::Function { call, ordinality })
}

/// An alias without the types that it says columns have.
fn plain_alias(alias: &sq::TableAlias) -> sq::TableAlias {
    let mut alias = alias.clone();
    alias.columns.iter_mut().for_each(|c| c.data_type = None);
    alias
}

/// A FROM item over a query's columns.
pub(super) fn entry_of(alias: String, columns: &[Column], origins: &[(Oid, i16)]) -> Entry {
    let columns = columns
        .iter()
        .enumerate()
        .map(|(i, c)| EntryColumn {
            name: c.name.clone(),
            expr: Expr::Column(c.id, c.ty),
            origin: origins.get(i).copied().unwrap_or((0, 0)),
        })
        .collect();
    Entry { alias, schema: None, columns, scan: None, scalar: false, nullable: false }
}
