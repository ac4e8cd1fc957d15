//! What names mean at each query level.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec, vec::Vec};

use pg_catalog::Relation;
use pg_plan::{
    expr::{ColumnId, Expr},
    logical::{AggregateCall, Column, Logical, WindowCall, WindowSpec},
    statement::{SYSTEM_COLUMN_NAMES, SYSTEM_COLUMNS},
};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, oid};
use sqlparser::ast as sq;

use super::Binder;
use crate::grammar::position;

/// The function of PostgreSQL that reports a column that is not there.
const MISSING_COLUMN: &str = "errorMissingColumn";

/// Where an expression stands: decides what may be in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    From,
    JoinOn,
    Where,
    GroupBy,
    Having,
    Select,
    OrderBy,
    DistinctOn,
    Limit,
    Values,
    Update,
    MergeWhen,
    Returning,
    Default,
    Check,
    IndexExpression,
    IndexPredicate,
    Statistics,
    Filter,
    Generated,
}

impl Place {
    /// PostgreSQL's name for it in "aggregate functions are not allowed in ...".
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::From => "functions in FROM",
            Self::JoinOn => "JOIN conditions",
            Self::Where => "WHERE",
            Self::GroupBy => "GROUP BY",
            Self::Having => "HAVING",
            Self::Select => "SELECT",
            Self::OrderBy => "ORDER BY",
            Self::DistinctOn => "DISTINCT ON",
            Self::Limit => "LIMIT",
            Self::Values => "VALUES",
            Self::Update => "UPDATE",
            Self::MergeWhen => "MERGE WHEN conditions",
            Self::Returning => "RETURNING",
            Self::Default => "DEFAULT expressions",
            Self::Check => "check constraints",
            Self::IndexExpression => "index expressions",
            Self::IndexPredicate => "index predicates",
            Self::Statistics => "statistics expressions",
            Self::Filter => "FILTER",
            Self::Generated => "column generation expressions",
        }
    }
    pub(crate) fn aggregates(self) -> bool {
        matches!(self, Self::Having | Self::Select | Self::OrderBy | Self::DistinctOn)
    }
    pub(crate) fn sets(self) -> bool {
        matches!(self, Self::Select | Self::OrderBy | Self::DistinctOn | Self::GroupBy)
    }
    pub(crate) fn subqueries(self) -> bool {
        !matches!(
            self,
            Self::Default
                | Self::Check
                | Self::IndexExpression
                | Self::IndexPredicate
                | Self::Statistics
                | Self::Generated
        )
    }
}

/// A column of a FROM item.
#[derive(Clone, Debug)]
pub(crate) struct EntryColumn {
    pub(crate) name: String,
    pub(crate) expr: Expr,
    pub(crate) origin: (Oid, i16),
}

/// A FROM item as names see it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Alias or table name; empty: cannot be named.
    pub(crate) alias: String,
    /// Schema when the table's own name is in use.
    pub(crate) schema: Option<String>,
    pub(crate) columns: Vec<EntryColumn>,
    /// A stored table: its scan, for system columns.
    pub(crate) scan: Option<usize>,
    /// A function returning one scalar column: its name alone means the column.
    pub(crate) scalar: bool,
    /// An outer join may leave its row out: the row as a whole is NULL then.
    pub(crate) nullable: bool,
}

impl Entry {
    /// What an expression sees that may name no columns.
    pub(crate) fn without_columns() -> Self {
        Self {
            alias: String::new(),
            schema: None,
            columns: Vec::new(),
            scan: None,
            scalar: false,
            nullable: false,
        }
    }
}

/// A column that can be named without qualification.
#[derive(Clone, Debug)]
pub(crate) struct Visible {
    pub(crate) name: String,
    pub(crate) expr: Expr,
    pub(crate) origin: (Oid, i16),
}

/// A stored table in FROM. Ids `base..` are its live columns in order, then the system columns.
pub(crate) struct Scan {
    pub(crate) relation: Arc<Relation>,
    pub(crate) base: ColumnId,
    /// It can tell how its columns are stored: two more ids for each of them follow.
    pub(crate) tells: bool,
}

/// System columns: name, attribute number, type.
pub(crate) const SYSTEM: [(&str, i16, Oid); SYSTEM_COLUMNS] = {
    const TYPES: [Oid; SYSTEM_COLUMNS] = [oid::TID, oid::XID, oid::CID, oid::XID, oid::CID, oid::OID];
    let mut all = [("", 0, 0); SYSTEM_COLUMNS];
    let mut at = 0;
    while at < SYSTEM_COLUMNS {
        all[at] = (SYSTEM_COLUMN_NAMES[at], -1 - at as i16, TYPES[at]);
        at += 1;
    }
    all
};

/// A name of a WITH clause.
pub(crate) struct CteName {
    pub(crate) name: String,
    pub(crate) state: CteState,
}

/// See [`CteName`].
#[derive(Clone)]
pub(crate) enum CteState {
    /// Bound; `index` once it is in the statement's list.
    Ready { plan: Logical, columns: Vec<Column>, index: Option<u32> },
    /// Uses outer columns: bound anew at each reference.
    Inline { cte: Arc<sq::Cte>, recursive: bool },
    /// Changes data and returns nothing.
    Silent,
    /// Being bound: a reference would be recursive, which this says of it, at its place or (not 0) at this one.
    Open(&'static str, u32),
    /// Its recursive term is being bound: a reference reads work table `number`.
    Working { columns: Vec<Column>, number: u32, references: u32, at: u32 },
}

/// One query level.
#[derive(Default)]
pub(crate) struct Frame {
    pub(crate) entries: Vec<Entry>,
    pub(crate) visible: Vec<Visible>,
    /// Aliases of FROM items that can no longer, or not here, be named.
    pub(crate) gone: Vec<String>,
    /// The table that an UPDATE or DELETE changes, while its other FROM items are bound: it is in sight, and may not be named.
    pub(crate) barred: Option<String>,
    /// Names behind USING (...) AS.
    pub(crate) merged: Vec<String>,
    /// From where on the names of entries must differ: those before stand outside a join with an alias.
    pub(crate) names_from: usize,
    /// Slots that stand for outer expressions, and these in terms of the frame outside.
    pub(crate) args: Vec<(u32, Expr)>,
    pub(crate) ctes: Vec<CteName>,
    pub(crate) aggregates: Vec<(Column, AggregateCall)>,
    pub(crate) sets: Vec<(Column, Expr)>,
    /// VALUES of an INSERT with one row, which may become several by set-returning calls.
    pub(crate) one_row: bool,
    /// How often such calls were met, and where the last one stands.
    pub(crate) set_calls: (u32, u32),
    /// Windows with their calls, in order of first use.
    pub(crate) windows: Vec<(WindowSpec, Vec<(Column, WindowCall)>)>,
    /// The WINDOW clause: names with what they stand for.
    pub(crate) named_windows: Vec<(String, Arc<sq::WindowSpec>)>,
    pub(crate) in_window: bool,
    pub(crate) in_window_definition: bool,
    /// Calls of GROUPING: the columns that stand for them, and their arguments with positions.
    pub(crate) groupings: Vec<(ColumnId, Vec<(Expr, u32)>)>,
    pub(crate) place: Option<Place>,
    pub(crate) in_aggregate: bool,
    /// First mention of each column outside aggregates, for error positions.
    pub(crate) mentions: Vec<(ColumnId, u32, String)>,
    /// While a FROM item that is not LATERAL is bound: what stands beside it must not be seen.
    pub(crate) shut: bool,
    /// Subqueries in expressions as written, with their numbers.
    pub(crate) subqueries: Vec<(sq::Expr, u32)>,
    /// It is a subquery in an expression.
    pub(super) sublink: bool,
    /// Is its WITH recursive, and which of its queries are not bound yet, the next one last?
    pub(super) later: (bool, Vec<(String, u32)>),
    /// What is to be locked of the tables below its views and subqueries.
    pub(super) hoisted: Vec<pg_plan::logical::Locked>,
}

/// What a search for a name found.
enum Found {
    Expr(Expr, (Oid, i16)),
    None,
}

impl Binder<'_> {
    pub(super) fn frame(&mut self) -> Result<&mut Frame> {
        self.frames.last_mut().ok_or_else(|| SqlError::internal("no query level"))
    }

    pub(super) fn place(&self) -> Place {
        self.frames.last().and_then(|f| f.place).unwrap_or(Place::Select)
    }

    /// Binds with another place set.
    pub(super) fn at_place<T>(&mut self, place: Place, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let before = self.frame()?.place.replace(place);
        let result = f(self);
        self.frame()?.place = before;
        result
    }

    /// A column is read by the statement.
    pub(super) fn use_column(&mut self, id: ColumnId) {
        self.accesses.read(id);
        self.keep_column(id);
    }

    /// A column is needed, whoever reads it.
    pub(super) fn keep_column(&mut self, id: ColumnId) {
        let at = id as usize;
        if self.used.len() <= at {
            self.used.resize(at + 1, false);
        }
        if let Some(used) = self.used.get_mut(at) {
            *used = true;
        }
    }

    /// Carries an expression of frame `level` into the innermost one.
    pub(super) fn carry(&mut self, mut expr: Expr, level: usize) -> Result<Expr> {
        for at in level + 1..self.frames.len() {
            let ty = expr.ty();
            let frame = self.frames.get_mut(at).ok_or_else(|| SqlError::internal("no query level"))?;
            let known = frame.args.iter().find(|(_, e)| e.same(&expr)).map(|(slot, _)| *slot);
            let slot = match known {
                Some(slot) => slot,
                None => {
                    let slot = self.next_slot;
                    self.next_slot += 1;
                    frame.args.push((slot, expr.clone()));
                    self.record_slot(slot, &expr);
                    self.slot_collation(slot, &expr);
                    slot
                }
            };
            expr = Expr::Slot(slot, ty);
        }
        Ok(expr)
    }

    fn mention(&mut self, expr: &Expr, at: u32, name: &dyn Fn() -> String, level: usize) {
        let mut ids = Vec::new();
        expr.for_each_column(&mut |id| ids.push(id));
        for id in ids {
            self.use_column(id);
            if let Some(frame) = self.frames.get_mut(level)
                && !frame.in_aggregate
                && !frame.mentions.iter().any(|(m, ..)| *m == id)
            {
                frame.mentions.push((id, at, name()));
            }
        }
    }

    /// An unqualified column; `None` when no such column exists at any level.
    pub(super) fn find_column(&mut self, name: &str, at: u32) -> Result<Option<(Expr, (Oid, i16))>> {
        for level in (0..self.frames.len()).rev() {
            let found = self.frames.get(level).map_or(Ok(Found::None), |f| search_visible(f, name, at))?;
            let (expr, origin) = match found {
                Found::Expr(expr, origin) => (expr, origin),
                Found::None => match self.system_column(level, None, name) {
                    Some(found) => found,
                    None => continue,
                },
            };
            let shown = || match self_table(&self.frames, level, &expr) {
                Some(table) => format!("{table}.{name}"),
                None => name.into(),
            };
            let shown = shown();
            self.not_computed(name, at)?;
            self.mention(&expr, at, &|| shown.clone(), level);
            return Ok(Some((self.carry(expr, level)?, origin)));
        }
        Ok(None)
    }

    /// The level at which an unqualified column is found.
    pub(super) fn level_of_column(&self, ident: &sq::Ident) -> Result<Option<usize>> {
        for (level, frame) in self.frames.iter().enumerate().rev() {
            if let Found::Expr(..) = search_visible(frame, &ident.value, at(ident))? {
                return Ok(Some(level));
            }
        }
        Ok(None)
    }

    /// The level and index of a FROM item by name.
    pub(super) fn find_entry(
        &self,
        schema: Option<&str>,
        table: &str,
        at: u32,
    ) -> Result<Option<(usize, usize)>> {
        for (level, frame) in self.frames.iter().enumerate().rev() {
            if frame.shut {
                continue;
            }
            let mut matching =
                frame.entries.iter().enumerate().filter(|(_, e)| {
                    e.alias == table && schema.is_none_or(|s| e.schema.as_deref() == Some(s))
                });
            if let Some((i, _)) = matching.next() {
                if matching.next().is_some() {
                    return Err(SqlError::new(
                        SqlState::DUPLICATE_ALIAS,
                        format!("table reference \"{table}\" is ambiguous"),
                    )
                    .at(at));
                }
                return Ok(Some((level, i)));
            }
        }
        Ok(None)
    }

    /// `table.column`.
    pub(super) fn qualified_column(
        &mut self,
        schema: Option<&str>,
        table: &str,
        name: &str,
        at: u32,
    ) -> Result<(Expr, (Oid, i16))> {
        let Some((level, index)) = self.find_entry(schema, table, at)? else {
            return Err(self.missing_entry(table, at));
        };
        let entry = self.frames.get(level).and_then(|f| f.entries.get(index));
        let entry = entry.ok_or_else(|| SqlError::internal("FROM item lost"))?;
        let mut matching = entry.columns.iter().filter(|c| c.name == name);
        let found = matching.next().map(|c| (c.expr.clone(), c.origin));
        if matching.next().is_some() {
            return Err(SqlError::new(
                SqlState::AMBIGUOUS_COLUMN,
                format!("column reference \"{name}\" is ambiguous"),
            )
            .at(at));
        }
        let found = found.or_else(|| self.system_column(level, Some(index), name));
        let Some((expr, origin)) = found else {
            return Err(self.missing_qualified(table, name, at));
        };
        self.not_computed(name, at)?;
        self.mention(&expr, at, &|| format!("{table}.{name}"), level);
        Ok((self.carry(expr, level)?, origin))
    }

    /// A column of a FROM item of that level.
    pub(super) fn column_of(
        &mut self,
        level: usize,
        table: &str,
        column: &EntryColumn,
        at: u32,
    ) -> Result<Expr> {
        self.not_computed(&column.name, at)?;
        self.mention(&column.expr, at, &|| format!("{table}.{}", column.name), level);
        self.carry(column.expr.clone(), level)
    }

    /// 42P17 for a generated column in a generation expression.
    fn not_computed(&self, name: &str, at: u32) -> Result<()> {
        if !self.computed.iter().any(|c| c == name) {
            return Ok(());
        }
        let text = format!("cannot use generated column \"{name}\" in column generation expression");
        Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, text)
            .detail("A generated column cannot reference another generated column.")
            .at(at))
    }

    /// A row of a FROM item as a record.
    pub(super) fn whole_row(&mut self, level: usize, index: usize, at: u32) -> Result<Expr> {
        let entry = self.frames.get(level).and_then(|f| f.entries.get(index)).cloned();
        let entry = entry.ok_or_else(|| SqlError::internal("FROM item lost"))?;
        if !self.computed.is_empty() {
            let text = "cannot use whole-row variable in column generation expression";
            return Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, text)
                .detail("This would cause the generated column to depend on its own value.")
                .at(at));
        }
        if entry.scalar
            && let [column] = entry.columns.as_slice()
        {
            let name = entry.alias.clone();
            self.mention(&column.expr, at, &|| name.clone(), level);
            return self.carry(column.expr.clone(), level);
        }
        let mut fields = Vec::with_capacity(entry.columns.len());
        for column in &entry.columns {
            self.mention(&column.expr, at, &|| format!("{}.*", entry.alias), level);
            fields.push(self.carry(column.expr.clone(), level)?);
        }
        // Renamed or hidden columns are still those of the table.
        let ty = entry
            .scan
            .and_then(|s| self.scans.get(s))
            .map(|s| (s.relation.row_type, s.relation.live().count()));
        let ty = match ty {
            Some((ty, count)) if pg_types::user::is_composite(ty) && count == fields.len() => ty,
            _ => oid::RECORD,
        };
        let names = entry.columns.iter().map(|c| c.name.as_str().into()).collect();
        let row = Expr::Row(fields, Some(names), SqlType::new(ty));
        self.note(&row, || crate::ruleutils::Note::WholeRow);
        if !entry.nullable || self.recording() {
            return Ok(row);
        }
        // A row that the join left out has no table either; of other items all columns tell.
        let missing = match self.system_column(level, Some(index), "tableoid") {
            Some((tableoid, _)) => {
                self.mention(&tableoid, at, &|| format!("{}.*", entry.alias), level);
                self.carry(tableoid, level)?
            }
            None => row.clone(),
        };
        let ty = row.ty();
        let whens = vec![(Expr::IsNull(Box::new(missing), true), Expr::Const(pg_types::Value::Null, ty))];
        Ok(Expr::Case(Box::new(pg_plan::expr::Case { whens, otherwise: row, ty })))
    }

    fn system_column(&self, level: usize, index: Option<usize>, name: &str) -> Option<(Expr, (Oid, i16))> {
        let at = SYSTEM.iter().position(|s| s.0 == name)?;
        let frame = self.frames.get(level).filter(|f| !f.shut)?;
        let mut scans = frame
            .entries
            .iter()
            .enumerate()
            .filter(|(i, _)| index.is_none_or(|x| x == *i))
            .filter_map(|(_, e)| e.scan);
        let scan = self.scans.get(scans.next()?)?;
        // With several tables the name alone would be ambiguous.
        if scans.next().is_some() {
            return None;
        }
        let (_, attnum, ty) = *SYSTEM.get(at)?;
        let id = scan.base + scan.relation.live().count() as u32 + at as u32;
        Some((Expr::Column(id, SqlType::new(ty)), (scan.relation.oid, attnum)))
    }

    /// The schema that was written is not said.
    pub(super) fn missing_entry(&self, table: &str, at: u32) -> SqlError {
        let hidden = self.frames.iter().any(|f| {
            f.gone.iter().any(|g| g == table) || f.shut && f.entries.iter().any(|e| e.alias == table)
        });
        let aliased = self.frames.iter().rev().flat_map(|f| &f.entries).find(|e| {
            e.scan
                .and_then(|s| self.scans.get(s))
                .is_some_and(|s| s.relation.name == table && e.alias != table)
        });
        if hidden {
            let barred = self.frames.iter().any(|f| f.barred.as_deref() == Some(table));
            let state = if barred { SqlState::INVALID_COLUMN_REFERENCE } else { SqlState::UNDEFINED_TABLE };
            return SqlError::new(
                state,
                format!("invalid reference to FROM-clause entry for table \"{table}\""),
            )
            .hint(format!(
                "There is an entry for table \"{table}\", but it cannot be referenced from this part of the query."
            ))
            .at(at);
        }
        if let Some(entry) = aliased {
            return SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("invalid reference to FROM-clause entry for table \"{table}\""),
            )
            .hint(format!("Perhaps you meant to reference the table alias \"{}\".", entry.alias))
            .at(at);
        }
        SqlError::new(SqlState::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{table}\""))
            .at(at)
    }

    fn missing_qualified(&self, table: &str, name: &str, at: u32) -> SqlError {
        let error =
            SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column {table}.{name} does not exist"))
                .routine(MISSING_COLUMN)
                .at(at);
        // How far the name is off counts together with how far the table's is.
        let mut best: Option<(usize, Vec<String>)> = None;
        for entry in self.frames.iter().rev().flat_map(|f| &f.entries) {
            let Some(off) = super::names::edits(table, &entry.alias) else { continue };
            for column in &entry.columns {
                let Some(distance) = super::names::distance(name, &column.name).map(|d| d + off) else {
                    continue;
                };
                let shown = format!("{}.{}", entry.alias, column.name);
                match &mut best {
                    _ if distance > super::names::FARTHEST => {}
                    Some((d, names)) if *d == distance => names.push(shown),
                    Some((d, _)) if *d < distance => {}
                    _ => best = Some((distance, Vec::from([shown]))),
                }
            }
        }
        hinted(error, best.as_ref().map_or(&[], |(_, names)| names.as_slice()))
    }

    /// 42703 for an unqualified name, with PostgreSQL's hint about similar ones.
    pub(super) fn missing_column(&self, name: &str, at: u32) -> SqlError {
        let error = SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"))
            .routine(MISSING_COLUMN)
            .at(at);
        // What is not within reach from here.
        let levels = self.frames.len().saturating_sub(1);
        let beyond = self.frames.iter().take(levels).rev().flat_map(|f| &f.entries);
        if let Some(entry) = beyond.into_iter().find(|e| e.columns.iter().any(|c| c.name == name)) {
            return error.hint(format!(
                "There is a column named \"{name}\" in table \"{}\", but it cannot be referenced from this part of the query.",
                entry.alias
            ));
        }
        let Some(frame) = self.frames.last() else { return error };
        let mut best: Option<(usize, Vec<String>)> = None;
        for entry in &frame.entries {
            if entry.columns.iter().any(|c| c.name == name) {
                let hint = format!(
                    "There is a column named \"{name}\" in table \"{}\", but it cannot be referenced from this part of the query.",
                    entry.alias
                );
                return error.hint(hint);
            }
            for column in &entry.columns {
                let Some(distance) = super::names::distance(name, &column.name) else { continue };
                let shown = format!("{}.{}", entry.alias, column.name);
                match &mut best {
                    Some((d, names)) if *d == distance => names.push(shown),
                    Some((d, _)) if *d < distance => {}
                    _ => best = Some((distance, Vec::from([shown]))),
                }
            }
        }
        hinted(error, best.as_ref().map_or(&[], |(_, names)| names.as_slice()))
    }

    /// A table's name must be unique in one FROM.
    pub(super) fn check_alias(&mut self, alias: &str) -> Result<()> {
        let frame = self.frame()?;
        if !alias.is_empty() && frame.entries.iter().skip(frame.names_from).any(|e| e.alias == alias) {
            return Err(named_twice(alias));
        }
        Ok(())
    }
}

/// 42712: two FROM items of one name.
pub(super) fn named_twice(alias: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_ALIAS, format!("table name \"{alias}\" specified more than once"))
}

/// Adds the columns that may have been meant.
fn hinted(error: SqlError, names: &[String]) -> SqlError {
    match names {
        [one] => error.hint(format!("Perhaps you meant to reference the column \"{one}\".")),
        [one, two] => error
            .hint(format!("Perhaps you meant to reference the column \"{one}\" or the column \"{two}\".")),
        _ => error,
    }
}

fn search_visible(frame: &Frame, name: &str, at: u32) -> Result<Found> {
    if frame.shut {
        return Ok(Found::None);
    }
    let mut matching = frame.visible.iter().filter(|v| v.name == name);
    let Some(first) = matching.next() else { return Ok(Found::None) };
    if matching.next().is_some() {
        return Err(SqlError::new(
            SqlState::AMBIGUOUS_COLUMN,
            format!("column reference \"{name}\" is ambiguous"),
        )
        .at(at));
    }
    Ok(Found::Expr(first.expr.clone(), first.origin))
}

/// The alias of the FROM item that a column belongs to.
fn self_table(frames: &[Frame], level: usize, expr: &Expr) -> Option<String> {
    let frame = frames.get(level)?;
    let entry = frame.entries.iter().find(|e| e.columns.iter().any(|c| c.expr.same(expr)))?;
    Some(entry.alias.clone()).filter(|a| !a.is_empty())
}

/// Position of an identifier.
pub(super) fn at(ident: &sq::Ident) -> u32 {
    position(ident.span.start)
}
