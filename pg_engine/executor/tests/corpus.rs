//! Scripts whose answers PostgreSQL 15 gave (`corpus/regenerate.sh` records them).

#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use common::{Db, lines};

/// Runs a script, one statement a line; the transcript in the recorded form.
fn transcript(script: &str) -> String {
    let mut db = Db::new();
    let mut out = String::new();
    for sql in script.lines() {
        out.push_str(&format!("> {sql}\n"));
        match db.try_run(sql) {
            Ok(a) => lines(&a.rows).iter().for_each(|l| out.push_str(&format!("{l}\n"))),
            Err(e) => out.push_str(&format!("ERROR:  {}: {}\n", e.state().as_str(), e.message())),
        }
    }
    out
}

fn check(name: &str) {
    let base = format!("{}/tests/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    let script = std::fs::read_to_string(format!("{base}.sql")).unwrap();
    let expected = std::fs::read_to_string(format!("{base}.out")).unwrap();
    let got = transcript(&script);
    if std::env::var_os("CORPUS_DIFF").is_some() {
        std::fs::write(format!("/tmp/{name}.got"), &got).unwrap();
    }
    let split = |s: &str| s.split("\n> ").map(str::to_owned).collect::<Vec<_>>();
    let wrong: Vec<String> = split(&got)
        .into_iter()
        .zip(split(&expected))
        .filter(|(g, e)| g.trim_end() != e.trim_end())
        .map(|(g, e)| format!("got:\n{g}\nexpected:\n{e}\n"))
        .collect();
    assert!(wrong.is_empty(), "{} statements differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn basics() {
    check("basics");
}

#[test]
fn geometry() {
    check("geometry");
}

#[test]
fn breadth() {
    check("breadth");
}

#[test]
fn more() {
    check("more");
}

#[test]
fn alter_more() {
    check("alter_more");
}

#[test]
fn special_forms() {
    check("special_forms");
}

#[test]
fn exclusion() {
    check("exclusion");
}

#[test]
fn windows() {
    check("windows");
}

#[test]
fn recursion() {
    check("recursion");
}

/// Queries of WITH RECURSIVE in any order, and WITH inside a recursion.
#[test]
fn forward_references() {
    check("forward_references");
}

/// Row locks through views and subqueries, options of views.
#[test]
fn views_below() {
    check("views_below");
}

/// Names of columns in views' texts, when USING needs them and tables change.
#[test]
fn view_names() {
    check("view_names");
}

/// USAGE on types.
#[test]
fn type_usage() {
    check("type_usage");
}

#[test]
fn foreign_keys() {
    check("foreign_keys");
}

#[test]
fn include() {
    check("include");
}

#[test]
fn indexes() {
    check("indexes");
}

/// Conflict targets with expressions and predicates, storage parameters of indexes, what CONCURRENTLY refuses.
#[test]
fn inference() {
    check("inference");
}

#[test]
fn hash() {
    check("hash");
}

/// INSERT, UPDATE and DELETE in WITH.
#[test]
fn changes_in_with() {
    check("changes_in_with");
}

#[test]
fn grouping_sets() {
    check("grouping_sets");
}

/// Views that can be changed, and those that cannot; WITH CHECK OPTION.
#[test]
fn updatable_views() {
    check("updatable_views");
}

/// Privileges on tables, columns, schemas and sequences; views; default privileges; owners.
#[test]
fn privileges() {
    check("privileges");
}

/// Policies: which rows are seen and which may come, and in what order conditions are asked.
#[test]
fn row_security() {
    check("row_security");
}

/// Documents: input, output, operators, functions, order and indexes.
#[test]
fn json() {
    check("json");
}

/// Documents as rows of types that users made.
#[test]
fn json_records() {
    check("json_records");
}

/// Arguments of built-in functions by name.
#[test]
fn named_arguments() {
    check("named_arguments");
}

/// CREATE TABLE (LIKE ...).
#[test]
fn table_like() {
    check("table_like");
}

/// SEARCH and CYCLE of recursive queries.
#[test]
fn search_cycle() {
    check("search_cycle");
}

/// TABLESAMPLE: which rows, how it is printed, where it is refused.
#[test]
fn samples() {
    check("samples");
}

/// Functions side by side; CREATE RECURSIVE VIEW.
#[test]
fn rows_from() {
    check("rows_from");
}

/// `jsonpath`: what is read, how it is written, what it yields.
#[test]
fn jsonpath() {
    check("jsonpath");
}

/// Types of users.
#[test]
fn enums() {
    check("enums");
}

#[test]
fn collations() {
    check("collations");
}

#[test]
fn domains() {
    check("domains");
}

#[test]
fn composites() {
    check("composites");
}

#[test]
fn views() {
    check("views");
}

#[test]
fn operator_classes() {
    check("operator_classes");
}

#[test]
fn materialized_views() {
    check("materialized_views");
}

/// CREATE FUNCTION and PROCEDURE, which function a call means, what bodies see and return.
#[test]
fn functions() {
    check("functions");
}

/// FETCH ... WITH TIES, SET (...) = (subquery).
#[test]
fn rows_and_ties() {
    check("rows_and_ties");
}

/// Subqueries as joins, conditions with alternatives, lists, and scans that are shared among tasks.
#[test]
fn unnesting() {
    check("unnesting");
}

/// Subscripts of documents; assignment to elements, slices and fields.
#[test]
fn parts() {
    check("parts");
}

/// MERGE: which clause is for which row, and what is refused.
#[test]
fn merge() {
    check("merge");
}

/// Stars behind tables and as values, operators with ANY and ALL, COLLATE behind casts.
#[test]
fn small_syntax() {
    check("small_syntax");
}

/// Tables that inherit from others: what is read and changed, what is taken over, ALTER TABLE.
#[test]
fn inherit() {
    check("inherit");
}

/// What statements made up at random showed.
#[test]
fn fuzzed() {
    check("fuzzed");
}

#[test]
fn constants() {
    check("constants");
}

/// Aggregates, operators and casts that users make: what they are in the catalogs, which one is meant, what they yield.
#[test]
fn user_operators() {
    check("user_operators");
}

/// Regular expressions with back references and look-around.
#[test]
fn look_around() {
    check("look_around");
}

/// Large objects: descriptors, pages, privileges, comments.
#[test]
fn large_objects() {
    check("large_objects");
}

/// ALTER TABLE of columns' statistics and options, of triggers, and of whether a table is logged.
#[test]
fn alter_options() {
    check("alter_options");
}

/// Extended statistics; texts of values whose type their numbers do not tell.
#[test]
fn statistics() {
    check("statistics");
}

/// Rows of nested loops and of correlated subqueries that are looked up for many rows at a time.
#[test]
fn look_ups() {
    check("look_ups");
}

/// Stored expressions follow the names of what they mean.
#[test]
fn renames() {
    check("renames");
}

/// System columns, in RETURNING too.
#[test]
fn system_columns() {
    check("system_columns");
}

/// ALTER COLUMN TYPE of what constraints, views and policies use.
#[test]
fn alter_type() {
    check("alter_type");
}

/// ALTER TYPE of composite types that tables have columns of.
#[test]
fn composite_changes() {
    check("composite_changes");
}

#[test]
fn more_breadth() {
    check("more_breadth");
}

/// Indexes read by jumps: behind leading columns without a condition, and for rows that differ in them.
#[test]
fn skip_scans() {
    check("skip_scans");
}

#[test]
fn catalog_calls() {
    check("catalog_calls");
}

/// What ANALYZE finds out about expressions of indexes, and in whose name it computes them.
#[test]
fn expression_statistics() {
    check("expression_statistics");
}

/// CLUSTER.
#[test]
fn clusters() {
    check("clusters");
}

/// Tables with heirs, and forms that name what lies behind names.
#[test]
fn heirs() {
    check("heirs");
}

/// Several indexes read together.
#[test]
fn bitmaps() {
    check("bitmaps");
}

#[test]
fn ends() {
    check("ends");
}

/// Restarts of sequences that are rolled back; indexes that become constraints'.
#[test]
fn sequence_restarts() {
    check("sequence_restarts");
}

/// Functions that yield rows in lists of values, which LIMIT stops.
#[test]
fn set_results() {
    check("set_results");
}

#[test]
fn first_rows() {
    check("first_rows");
}

#[test]
fn set_chains() {
    check("set_chains");
}

#[test]
fn decorrelated() {
    check("decorrelated");
}

#[test]
fn tools() {
    check("tools");
}

/// GRANT and REVOKE on what is built in: functions, catalogs, languages, types.
#[test]
fn builtin_privileges() {
    check("builtin_privileges");
}

/// `pg_snapshot` and its functions; comments on what only catalogs name.
#[test]
fn snapshots() {
    check("snapshots");
}

/// Tables of composite types, which follow what becomes of the type.
#[test]
fn typed_tables() {
    check("typed_tables");
}

/// `pg_shdepend`, and what goes by it: DROP ROLE, DROP OWNED, REASSIGN OWNED.
#[test]
fn role_needs() {
    check("role_needs");
}

/// Views of all constructs, as they are shown.
#[test]
fn view_texts() {
    check("view_texts");
}

/// COLLATE in texts that are kept, also with collations of users, which may be renamed.
#[test]
fn collation_texts() {
    check("collation_texts");
}

/// Rows compared with rows, with values that are rows, and with subqueries.
#[test]
fn row_comparisons() {
    check("row_comparisons");
}

/// GRANT and REVOKE on parameters.
#[test]
fn parameter_privileges() {
    check("parameter_privileges");
}
