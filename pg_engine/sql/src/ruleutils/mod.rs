//! Bound queries as trees that can be printed: what `pg_get_viewdef` shows and what a view is stored as.
//!
//! The binder fills a [`Recorder`] when it is asked to (`bind/record.rs`); column ids, relations and attribute numbers
//! stand for names, so that the text can be made anew after names have changed. [`query`] prints.
//!
//! A column id belongs to one FROM item of one statement. What names it by is decided when its query is printed.

mod calls;
mod condition;
mod naming;
mod query;

use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};

use pg_catalog::CatalogReader;
use pg_plan::{
    expr::{ColumnId, Expr},
    logical::{AggregateCall, Column, JoinKind, SetOp, SortKey, WindowCall, WindowSpec},
};
use pg_types::{Oid, Result, SqlType};

pub use condition::Condition;
pub(crate) use naming::given_alias;

use crate::{
    deparse::{Source, Style, Writer},
    grammar::search::{Cycle, Search},
};

/// How an expression was written, where the bound one does not tell.
pub(crate) enum Note {
    /// With the standard's syntax for a function.
    Syntax,
    /// A FROM item's whole row.
    WholeRow,
    /// As a call of the function behind an operator.
    Function,
    /// With COLLATE behind it.
    Collate(pg_types::Oid, Expr),
    /// `CASE operand WHEN`.
    Operand(Expr),
    /// A hypothetical-set aggregate: its name, what is given, the keys, FILTER.
    Hypothetical(String, Vec<Expr>, Vec<SortKey>, Option<Expr>),
    /// A comparison of rows: operator and both sides.
    Rows(String, Vec<Expr>, Vec<Expr>),
}

/// A query.
#[derive(Default)]
pub(crate) struct QueryTree {
    pub(crate) recursive: bool,
    pub(crate) ctes: Vec<CteTree>,
    pub(crate) body: Body,
    pub(crate) order: Vec<(Key, bool, bool)>,
    pub(crate) limit: Option<Expr>,
    /// FETCH FIRST ... WITH TIES instead of LIMIT.
    pub(crate) ties: bool,
    pub(crate) offset: Option<Expr>,
    /// Row locks: strength, FROM item, what becomes of locked rows.
    pub(crate) locks: Vec<(&'static str, String, &'static str)>,
}

/// A query of WITH.
pub(crate) struct CteTree {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    pub(crate) materialized: Option<bool>,
    pub(crate) query: QueryTree,
    pub(crate) search: Option<Search>,
    /// With the two values of the mark.
    pub(crate) cycle: Option<(Cycle, Expr, Expr)>,
}

/// What a query's rows come from.
#[derive(Default)]
pub(crate) enum Body {
    #[default]
    Nothing,
    Select(Box<SelectTree>),
    Values(Vec<Vec<Expr>>),
    Set(SetNode),
}

/// Set operations.
pub(crate) enum SetNode {
    Leaf(Box<QueryTree>),
    Op { op: SetOp, all: bool, left: Box<SetNode>, right: Box<SetNode> },
}

/// A sort key: an expression, or an output column by number.
pub(crate) enum Key {
    Expr(Expr),
    Number(usize),
}

/// An item of GROUP BY where there are grouping sets; keys are positions in `SelectTree::groups`.
#[derive(Clone)]
pub(crate) enum GroupText {
    Keys(Vec<usize>),
    Rollup(Vec<Vec<usize>>),
    Cube(Vec<Vec<usize>>),
    Sets(Vec<GroupText>),
}

/// SELECT.
#[derive(Default)]
pub(crate) struct SelectTree {
    pub(crate) distinct: bool,
    pub(crate) on: Vec<Expr>,
    pub(crate) targets: Vec<(String, Expr)>,
    pub(crate) from: Vec<FromItem>,
    pub(crate) filter: Option<Expr>,
    pub(crate) groups: Vec<Expr>,
    pub(crate) group_sets: Option<Vec<GroupText>>,
    pub(crate) group_distinct: bool,
    /// GROUPING() calls: their columns and arguments.
    pub(crate) groupings: Vec<(ColumnId, Vec<Expr>)>,
    pub(crate) having: Option<Expr>,
    pub(crate) named_windows: Vec<(String, WindowSpec, Option<WindowBase>)>,
    pub(crate) aggregates: Vec<(Column, AggregateCall)>,
    pub(crate) sets: Vec<(Column, Expr)>,
    pub(crate) windows: Vec<(WindowSpec, Vec<(Column, WindowCall)>)>,
}

/// A named window that a window is, or is built on.
#[derive(Clone)]
pub(crate) struct WindowBase {
    pub(crate) name: String,
    /// `OVER name`.
    pub(crate) whole: bool,
    /// Its ORDER BY is the named one's.
    pub(crate) ordered: bool,
}

/// A FROM item.
pub(crate) enum FromItem {
    Table(Box<TableItem>),
    Join(Box<JoinItem>),
}

/// A FROM item that is no join.
pub(crate) struct TableItem {
    pub(crate) alias: Option<String>,
    /// The alias came with a list of columns.
    pub(crate) listed: bool,
    pub(crate) lateral: bool,
    /// Names as the query knows them, what they stand for, attribute numbers of relations.
    pub(crate) columns: Vec<(String, Expr, i16)>,
    pub(crate) kind: TableKind,
    pub(crate) sample: Option<SampleText>,
}

/// TABLESAMPLE.
pub(crate) struct SampleText {
    /// SYSTEM, or else BERNOULLI.
    pub(crate) pages: bool,
    pub(crate) percent: Expr,
    /// REPEATABLE.
    pub(crate) seed: Option<Expr>,
}

/// See [`TableItem`].
pub(crate) enum TableKind {
    Relation {
        oid: Oid,
        /// Ids of the system columns begin here.
        system: Option<ColumnId>,
        /// Without the tables that inherit from it.
        only: bool,
    },
    Cte(String),
    Query(Box<QueryTree>),
    Function {
        call: Expr,
        ordinality: bool,
    },
    /// Several side by side.
    Functions {
        calls: Vec<DefinedCall>,
        ordinality: bool,
    },
}

/// A call, and the columns that its column definition list gives it.
pub(crate) type DefinedCall = (Expr, Vec<(String, SqlType)>);

/// A join.
pub(crate) struct JoinItem {
    pub(crate) kind: JoinKind,
    pub(crate) left: FromItem,
    pub(crate) right: FromItem,
    pub(crate) on: Option<Expr>,
    /// USING or NATURAL.
    pub(crate) using: Vec<Using>,
    /// USING (...) AS name.
    pub(crate) merged_as: Option<String>,
    pub(crate) alias: Option<JoinAlias>,
}

/// A column that USING merges: its name, what it stands for, and what it is made of.
pub(crate) struct Using {
    pub(crate) name: String,
    pub(crate) merged: Expr,
    pub(crate) left: Expr,
    pub(crate) right: Expr,
}

/// A join with a name.
pub(crate) struct JoinAlias {
    pub(crate) name: String,
    pub(crate) listed: bool,
    pub(crate) columns: Vec<(String, Expr)>,
}

/// What the binder collects.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) queries: Vec<QueryTree>,
    pub(crate) items: Vec<FromItem>,
    pub(crate) nodes: Vec<SetNode>,
    pub(crate) with: Vec<(bool, Vec<CteTree>)>,
    /// Queries of subplans, by the number in the plan less one.
    pub(crate) plans: Vec<QueryTree>,
    pub(crate) slots: BTreeMap<u32, Expr>,
    pub(crate) notes: Vec<(Expr, Note)>,
    /// Windows called by name, or built on named ones, by the call's column.
    pub(crate) window_names: Vec<(ColumnId, WindowBase)>,
    /// `(a, b) op (subquery)`: the number of the subquery, the operator, the row.
    pub(crate) row_tests: Vec<(u32, String, Vec<Expr>)>,
    /// What the FROM item about to be entered is, and whether it is LATERAL.
    pub(crate) kind: Option<(TableKind, bool)>,
    pub(crate) using: Vec<Using>,
}

/// What names mean while a query is printed.
pub(crate) struct Scope<'a> {
    pub(crate) slots: BTreeMap<u32, &'a Expr>,
    pub(crate) notes: &'a [(Expr, Note)],
    plans: &'a [QueryTree],
    window_names: &'a [(ColumnId, WindowBase)],
    row_tests: &'a [(u32, String, Vec<Expr>)],
    /// Columns by id: qualifier, name; and relation and attribute number.
    columns: BTreeMap<ColumnId, ColumnText>,
    calls: BTreeMap<ColumnId, CallText<'a>>,
    /// Columns of named joins and merged columns: how they are written.
    merged: Vec<(String, &'a Expr)>,
    /// Qualifiers in use, of this level and those around it.
    taken: Vec<String>,
    /// Names of WITH queries in scope.
    ctes: Vec<String>,
    /// Columns that USING merges: the names that both sides have for them.
    assigned: BTreeMap<ColumnId, String>,
    /// Joins' names behind USING, and items' names of columns with whether the list is written; by where the items are.
    joins: BTreeMap<usize, Vec<String>>,
    tables: BTreeMap<usize, (Vec<String>, bool)>,
    /// What joins with a name are called, by where they are.
    joined: BTreeMap<usize, String>,
    used: Vec<(Oid, i16)>,
    relations: Vec<Oid>,
    /// Columns need no qualifier here: there is but one relation.
    bare: bool,
}

impl Scope<'_> {
    /// Is a column the result of a call?
    pub(crate) fn computes(&self, id: ColumnId) -> bool {
        self.calls.contains_key(&id)
    }
}

struct ColumnText {
    qualifier: String,
    name: String,
    origin: (Oid, i16),
}

#[derive(Clone, Copy)]
enum CallText<'a> {
    Aggregate(&'a AggregateCall),
    Window(&'a WindowSpec, &'a WindowCall),
    Set(&'a Expr),
    Grouping(&'a [Expr]),
}

/// A query's canonical text, and what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewText {
    /// The text.
    pub text: String,
    /// Relations that it names.
    pub relations: Vec<Oid>,
    /// Columns of these that it names: relation and attribute number.
    pub columns: Vec<(Oid, i16)>,
}

/// A bound query that can be printed, also after names have changed.
pub struct ViewQuery {
    record: Box<Recorder>,
    names: Vec<String>,
}

impl ViewQuery {
    /// Binds a query's text.
    pub fn bind(text: &str, catalog: &dyn CatalogReader) -> Result<Self> {
        crate::bind::record::recorded_text(text, catalog).map(|(record, names)| Self { record, names })
    }
    pub(crate) fn of(record: Box<Recorder>, names: Vec<String>) -> Self {
        Self { record, names }
    }
    /// The form to be stored: it means the same whatever the search path is. `names`: what the result's columns are
    /// called, if not as the query says.
    pub fn stored(&self, names: Option<&[String]>, catalog: &dyn CatalogReader) -> Result<ViewText> {
        let style = Style { sparse: false, indent: false, wrap: -1, qualify: true };
        self.record.print(names.unwrap_or(&self.names), catalog, style)
    }
    /// The form to be shown, as `pg_get_viewdef` has it, without the semicolon. `wrap`: length of a select list's lines.
    pub fn shown(
        &self,
        names: Option<&[String]>,
        catalog: &dyn CatalogReader,
        pretty: bool,
        wrap: i32,
    ) -> Result<String> {
        let style = Style { sparse: pretty, indent: true, wrap, qualify: false };
        self.record.print(names.unwrap_or(&self.names), catalog, style).map(|t| t.text)
    }
}

impl Recorder {
    /// The text of the one query recorded; `names` are those of its result columns.
    pub(crate) fn print(
        &self,
        names: &[String],
        catalog: &dyn CatalogReader,
        style: Style,
    ) -> Result<ViewText> {
        let mut writer = Writer::new(catalog, Source::Query(Box::new(self.scope())), style);
        if let Some(query) = self.queries.last() {
            writer.query(query, Some(names), true)?;
        }
        Ok(writer.finish())
    }

    /// What names mean at the outset.
    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope {
            slots: self.slots.iter().map(|(n, e)| (*n, e)).collect(),
            notes: &self.notes,
            plans: &self.plans,
            window_names: &self.window_names,
            row_tests: &self.row_tests,
            columns: BTreeMap::new(),
            calls: BTreeMap::new(),
            merged: Vec::new(),
            // A rule's own rows have these names.
            taken: Vec::from(["old".into(), "new".into()]),
            ctes: Vec::new(),
            assigned: BTreeMap::new(),
            joins: BTreeMap::new(),
            tables: BTreeMap::new(),
            joined: BTreeMap::new(),
            used: Vec::new(),
            relations: Vec::new(),
            bare: false,
        }
    }
}

impl Writer<'_> {
    /// The text, and what it names.
    fn finish(self) -> ViewText {
        let (mut columns, mut relations) = match self.source {
            Source::Query(scope) => (scope.used, scope.relations),
            Source::Columns(..) => (Vec::new(), Vec::new()),
        };
        columns.sort_unstable();
        columns.dedup();
        relations.sort_unstable();
        relations.dedup();
        ViewText { text: self.out, relations, columns }
    }
}
