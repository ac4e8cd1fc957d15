//! Which collation a value has, and what says so.
//!
//! Every expression that was bound leaves an entry on a stack, of which the expression around it makes its own. What columns have
//! is kept by their ids. All collations that exist order by bytes: this decides what is declared and what is refused, not the order.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use pg_catalog::CatalogReader;
use pg_plan::expr::{ColumnId, Expr};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value, oid, typeinfo, user};
use sqlparser::ast as sq;

use super::{Binder, expr::start, part};
use crate::ruleutils::Note;

/// `pg_collation.oid` of the database's own.
const DEFAULT: Oid = 100;

/// What is known of a value's collation, and where in the statement that comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Derived {
    /// Nothing that has one is part of the value.
    None,
    /// A column for which none could be told.
    Lost,
    /// That of a column, a type or a constant.
    Implicit(Oid, u32),
    /// Two differ, and nothing was said explicitly.
    Conflict(Oid, Oid, u32),
    /// COLLATE was written.
    Explicit(Oid, u32),
}

impl Derived {
    const fn strength(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Lost => 1,
            Self::Implicit(..) => 2,
            Self::Conflict(..) => 3,
            Self::Explicit(..) => 4,
        }
    }

    /// The collation; 0: none.
    pub(super) const fn oid(self) -> Oid {
        match self {
            Self::Implicit(oid, _) | Self::Explicit(oid, _) => oid,
            _ => 0,
        }
    }
}

/// What is kept while a statement is bound.
#[derive(Default)]
pub(super) struct Collations {
    stack: Vec<Derived>,
    /// Of columns whose collation is not their type's.
    columns: BTreeMap<ColumnId, Derived>,
    slots: BTreeMap<u32, Derived>,
    /// The first conflict in what a query is grouped by.
    grouped: Option<Derived>,
}

/// 42P22 for something that compares strings.
fn undetermined(what: &str) -> SqlError {
    lacking(format!("could not determine which collation to use for {what}"))
}

fn lacking(text: String) -> SqlError {
    SqlError::new(SqlState::INDETERMINATE_COLLATION, text)
        .hint("Use the COLLATE clause to set the collation explicitly.")
}

/// What of a function depends on a collation, in PostgreSQL's words.
fn use_of(name: &str) -> Option<String> {
    Some(match name {
        "lower" | "upper" | "initcap" => format!("{name}() function"),
        "texteq" | "textne" | "text_lt" | "text_le" | "text_gt" | "text_ge" | "text_larger"
        | "text_smaller" | "bpchareq" | "bpcharne" | "bpcharlt" | "bpcharle" | "bpchargt" | "bpcharge"
        | "starts_with" => "string comparison".into(),
        "texticlike" | "texticnlike" | "bpchariclike" | "bpcharicnlike" => "ILIKE".into(),
        "textregexeq"
        | "textregexne"
        | "texticregexeq"
        | "texticregexne"
        | "regexp_match"
        | "regexp_matches"
        | "regexp_replace"
        | "regexp_split_to_array"
        | "regexp_split_to_table" => "regular expression".into(),
        _ => return None,
    })
}

/// What of an expression compares or reads strings itself, if anything does.
fn sensitive(bound: &Expr) -> Option<String> {
    match bound {
        Expr::Call(call) => use_of(call.function.name),
        Expr::ScalarArray(function, ..) | Expr::Distinct(function, ..) | Expr::NullIf(function, _) => {
            use_of(function.name)
        }
        Expr::Extreme(..) => Some("string comparison".into()),
        Expr::And(parts) | Expr::Or(parts) => parts.first().and_then(sensitive),
        Expr::Not(inner) => sensitive(inner),
        _ => None,
    }
}

impl Binder<'_> {
    pub(super) fn collation_mark(&self) -> usize {
        self.collations.stack.len()
    }

    /// What was bound since has no say in the collation of what is around it.
    pub(super) fn forget_collations(&mut self, mark: usize) {
        self.collations.stack.truncate(mark);
    }

    /// The collation of the expression bound last, since the mark.
    pub(super) fn taken_collation(&mut self, mark: usize) -> Derived {
        let found = self.collations.stack.get(mark..).and_then(|s| s.last()).copied();
        self.forget_collations(mark);
        found.unwrap_or(Derived::None)
    }

    pub(super) fn type_collation(&self, ty: SqlType) -> Oid {
        if !user::is_domain(ty.oid) {
            return typeinfo::collation_of(ty.oid);
        }
        self.catalog.plain_type(ty).map_or(0, |t| typeinfo::collation_of(t.oid))
    }

    /// A column has a collation: kept if it is not what its type tells.
    pub(super) fn keep_collation(&mut self, column: ColumnId, ty: SqlType, derived: Derived) {
        let own = self.type_collation(ty);
        if own != 0 && derived != Derived::None && derived.oid() != own {
            self.collations.columns.insert(column, derived);
        } else {
            self.collations.columns.remove(&column);
        }
    }

    /// A column that stands for another has its collation.
    pub(super) fn copy_collation(&mut self, from: ColumnId, to: ColumnId) {
        if let Some(known) = self.collations.columns.get(&from).copied() {
            self.collations.columns.insert(to, known);
        }
    }

    pub(super) fn slot_collation(&mut self, slot: u32, value: &Expr) {
        let known = match value {
            Expr::Column(id, _) => self.collations.columns.get(id),
            Expr::Slot(outer, _) => self.collations.slots.get(outer),
            _ => None,
        };
        if let Some(known) = known.copied() {
            self.collations.slots.insert(slot, known);
        }
    }

    /// What a query's column was derived as.
    pub(super) fn column_derived(&self, column: ColumnId, ty: SqlType) -> Derived {
        let own = self.type_collation(ty);
        let declared = if own == 0 { Derived::None } else { Derived::Implicit(own, 0) };
        self.collations.columns.get(&column).copied().unwrap_or(declared)
    }

    /// The collation that a mention of a column has.
    pub(super) fn mentioned(&self, expr: &Expr, at: u32) -> Derived {
        let own = self.type_collation(expr.ty());
        let known = match expr {
            Expr::Column(id, _) => self.collations.columns.get(id).copied(),
            Expr::Slot(slot, _) => self.collations.slots.get(slot).copied(),
            // A column of JOIN ... USING.
            Expr::Coalesce(items, _) => {
                let mut merged = Derived::None;
                for item in items {
                    merged = merge(self.catalog, merged, self.mentioned(item, at)).unwrap_or(merged);
                }
                Some(merged)
            }
            Expr::Relabel(inner, _) => Some(self.mentioned(inner, at)),
            _ => None,
        };
        match known {
            _ if own == 0 => Derived::None,
            None | Some(Derived::None) => Derived::Implicit(own, at),
            Some(Derived::Implicit(oid, _) | Derived::Explicit(oid, _)) => Derived::Implicit(oid, at),
            Some(Derived::Conflict(..) | Derived::Lost) => Derived::Lost,
        }
    }

    /// The collation of an expression of what was bound since the mark, for the expression around it.
    pub(super) fn derive(&mut self, mark: usize, mut written: &sq::Expr, bound: &Expr) -> Result<()> {
        while let sq::Expr::Nested(inner) = written {
            written = inner;
        }
        let state = match written {
            sq::Expr::Identifier(_) | sq::Expr::CompoundIdentifier(_) => {
                self.mentioned(bound, start(written))
            }
            // These have put it there.
            sq::Expr::Collate { .. } | sq::Expr::Subquery(_) => self.taken_collation(mark),
            other => return self.derive_node(mark, bound, start(other)),
        };
        self.forget_collations(mark);
        self.collations.stack.push(state);
        Ok(())
    }

    /// The same for a node with operands.
    pub(super) fn derive_node(&mut self, mark: usize, bound: &Expr, at: u32) -> Result<()> {
        let mut merged = Derived::None;
        for i in mark..self.collations.stack.len() {
            let next = self.collations.stack.get(i).copied().unwrap_or(Derived::None);
            merged = merge(self.catalog, merged, next)?;
        }
        self.forget_collations(mark);
        if matches!(merged, Derived::Conflict(..) | Derived::Lost)
            && let Some(what) = sensitive(bound)
            && self.refused.is_none()
        {
            self.refused = Some(undetermined(&what));
        }
        let own = self.type_collation(bound.ty());
        let state = match merged {
            _ if own == 0 => Derived::None,
            Derived::None | Derived::Lost => Derived::Implicit(own, at),
            known => known,
        };
        self.collations.stack.push(state);
        Ok(())
    }

    /// What a subquery's column gives to the expression that it stands in.
    pub(super) fn push_column_collation(&mut self, column: ColumnId, ty: SqlType, at: u32) {
        let derived = self.mentioned(&Expr::Column(column, ty), at);
        self.collations.stack.push(derived);
    }

    /// 42P21 for a value to be sorted or grouped of which two collations could be meant.
    pub(super) fn settled_collation(&self, derived: Derived) -> Result<()> {
        match derived {
            Derived::Conflict(first, second, at) => {
                Err(mismatch(self.catalog, "implicit", first, second, at).hint(
                    "You can choose the collation by applying the COLLATE clause to one or both expressions.",
                ))
            }
            _ => Ok(()),
        }
    }

    /// A query is grouped by such a value. Whether that may be is said by [`Self::check_groups`].
    pub(super) fn groups_by(&mut self, derived: Derived) {
        if matches!(derived, Derived::Conflict(..)) {
            self.collations.grouped.get_or_insert(derived);
        }
    }

    pub(super) fn taken_group_collation(&mut self) -> Option<Derived> {
        self.collations.grouped.take()
    }

    /// 42P21 for keys of which two collations could be meant; at the result column that is the key, if there is one.
    pub(super) fn check_groups<'t>(
        &self,
        grouped: Option<Derived>,
        keys: &[(pg_plan::logical::Column, Expr)],
        mut targets: impl Iterator<Item = (&'t Expr, Derived)>,
    ) -> Result<()> {
        let Some(first) = grouped else { return Ok(()) };
        let conflict = |d: Derived| matches!(d, Derived::Conflict(..));
        let shown = targets.find(|(e, d)| conflict(*d) && keys.iter().any(|k| k.1.same(e)));
        self.settled_collation(shown.map_or(first, |t| t.1))
    }

    /// The columns of a set operation have what both sides agree on; only UNION ALL may leave that open.
    pub(super) fn set_collations(
        &self,
        sides: [&[pg_plan::logical::Column]; 2],
        places: [&sq::SetExpr; 2],
        open: bool,
    ) -> Result<Vec<Derived>> {
        let [left, right] = sides;
        let place = |derived: Derived, n: usize, side: &sq::SetExpr| {
            let at = super::recursive::column_start(side, n);
            match derived {
                Derived::Implicit(oid, _) => Derived::Implicit(oid, at),
                other => other,
            }
        };
        let mut all = Vec::with_capacity(left.len());
        for (n, (l, r)) in left.iter().zip(right).enumerate() {
            let l = place(self.column_derived(l.id, l.ty), n, places[0]);
            let r = place(self.column_derived(r.id, r.ty), n, places[1]);
            let merged = merge(self.catalog, l, r)?;
            if !open {
                self.settled_collation(merged)?;
            }
            all.push(match merged {
                Derived::Conflict(..) => Derived::Lost,
                Derived::Explicit(oid, at) => Derived::Implicit(oid, at),
                other => other,
            });
        }
        Ok(all)
    }

    /// What a column of VALUES has.
    pub(super) fn values_collation(&self, mut derived: impl Iterator<Item = Derived>) -> Result<Derived> {
        let merged = derived.try_fold(Derived::None, |a, b| merge(self.catalog, a, b))?;
        Ok(if matches!(merged, Derived::Conflict(..)) { Derived::Lost } else { merged })
    }

    /// A result column is sorted by.
    pub(super) fn sorts_by(&mut self, column: ColumnId) {
        if matches!(self.collations.columns.get(&column), Some(Derived::Lost)) && self.refused.is_none() {
            self.refused = Some(undetermined("string comparison"));
        }
    }

    /// The collation that a relation's column gets of a query's; of a view's or of a table's.
    pub(super) fn declared_collation(
        &self,
        column: &pg_plan::logical::Column,
        name: &str,
        view: bool,
    ) -> Result<Oid> {
        let own = self.type_collation(column.ty);
        match self.collations.columns.get(&column.id) {
            _ if own == 0 => Ok(0),
            None | Some(Derived::None) => Ok(own),
            Some(Derived::Implicit(oid, _) | Derived::Explicit(oid, _)) => Ok(*oid),
            Some(Derived::Conflict(..) | Derived::Lost) if view => {
                Err(undetermined(&format!("view column \"{name}\"")))
            }
            Some(_) => Err(lacking(format!(
                "no collation was derived for column \"{name}\" with collatable type {}",
                super::types::show(column.ty)
            ))),
        }
    }

    /// Where the word COLLATE before a name stands.
    pub(super) fn collate_at(&self, name: &sq::ObjectName) -> u32 {
        let Some(ident) = name.0.first().and_then(|p| part(p).ok()) else { return 0 };
        let at = super::scope::at(ident);
        let end = (ident.span.start.line as usize).saturating_sub(1);
        let before = self.source.get(..end).unwrap_or("");
        let blanks = before.len() - before.trim_end().len();
        let blanks = before.chars().rev().take(blanks).filter(|c| c.is_whitespace()).count();
        at.saturating_sub((blanks + "collate".len()) as u32).max(1)
    }

    /// A collation by name.
    pub(super) fn collation(&self, name: &sq::ObjectName) -> Result<Oid> {
        let idents = name.0.iter().map(|p| part(p).cloned()).collect::<Result<Vec<_>>>()?;
        let at = self.collate_at(name);
        let (schema, last) = match idents.as_slice() {
            [last] => (None, last),
            [schema, last] => (Some(schema.value.as_str()), last),
            _ => {
                let text =
                    format!("improper qualified name (too many dotted names): {}", super::dotted(&idents));
                return Err(SqlError::syntax(text).at(at));
            }
        };
        if let Some(oid) = pg_types::user::referred_collation(&last.value) {
            return Ok(oid);
        }
        let found = self.catalog.collation(schema, &last.value).map_err(|e| e.at(at))?;
        found.ok_or_else(|| {
            let text =
                format!("collation \"{}\" for encoding \"UTF8\" does not exist", super::dotted(&idents));
            SqlError::new(SqlState::UNDEFINED_OBJECT, text).at(at)
        })
    }

    pub(super) fn collation_shown(&self, oid: Oid) -> String {
        self.catalog.collation_name(oid).unwrap_or_default()
    }

    /// `value COLLATE name`.
    pub(super) fn collate(&mut self, inner: &sq::Expr, collation: &sq::ObjectName) -> Result<Expr> {
        let mark = self.collation_mark();
        let e = self.settled(inner)?;
        let at = self.collate_at(collation);
        self.forget_collations(mark);
        if self.type_collation(e.ty()) == 0 {
            let text = format!("collations are not supported by type {}", super::types::show(e.ty()));
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text).at(at));
        }
        let oid = self.collation(collation)?;
        self.collations.stack.push(Derived::Explicit(oid, at));
        if !self.recording() {
            return Ok(e);
        }
        Ok(self.noted_collate(e, oid))
    }

    /// To be printed, it is an expression of its own, and another one for each collation.
    fn noted_collate(&mut self, e: Expr, oid: Oid) -> Expr {
        let ty = e.ty();
        let mut made = Expr::Relabel(e.clone().into(), ty);
        while self.noted(&made).is_some_and(|n| !matches!(n, Note::Collate(other, _) if *other == oid)) {
            made = Expr::Relabel(made.into(), ty);
        }
        self.note(&made, || Note::Collate(oid, e));
        made
    }

    /// COLLATION FOR: the name of a value's collation.
    pub(super) fn collation_for(&mut self, e: &sq::Expr) -> Result<Expr> {
        let mark = self.collation_mark();
        let bound = self.expr(e)?;
        let derived = self.taken_collation(mark);
        let ty = SqlType::new(oid::TEXT);
        if bound.ty().oid == oid::UNKNOWN {
            return Ok(Expr::Const(Value::Null, ty));
        }
        if self.type_collation(bound.ty()) == 0 {
            let text = format!("collations are not supported by type {}", super::types::show(bound.ty()));
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text));
        }
        let name = self.catalog.collation_name(derived.oid());
        let name = name.map_or(Value::Null, |n| Value::text(&crate::deparse::quote(&n)));
        Ok(Expr::Const(name, ty))
    }
}

/// What two operands have together.
fn merge(catalog: &dyn CatalogReader, a: Derived, b: Derived) -> Result<Derived> {
    use Derived::{Conflict, Explicit, Implicit};
    Ok(match (a, b) {
        (Explicit(x, _), Explicit(y, at)) if x != y => return Err(mismatch(catalog, "explicit", x, y, at)),
        (Implicit(x, _), Implicit(y, _)) if x == y => a,
        (Implicit(DEFAULT, _), Implicit(..)) => b,
        (Implicit(..), Implicit(DEFAULT, _)) => a,
        (Implicit(x, _), Implicit(y, at)) => Conflict(x, y, at),
        _ if b.strength() > a.strength() => b,
        _ => a,
    })
}

fn mismatch(catalog: &dyn CatalogReader, kind: &str, first: Oid, second: Oid, at: u32) -> SqlError {
    let name = |oid| catalog.collation_name(oid).unwrap_or_default();
    let text =
        format!("collation mismatch between {kind} collations \"{}\" and \"{}\"", name(first), name(second));
    SqlError::new(SqlState::COLLATION_MISMATCH, text).at(at)
}
