//! Statements that must answer alike, by one server.
//!
//! * NoREC: how many rows a condition lets through is how often it is true of all rows, where no index or push-down can help.
//! * TLP: a query's rows are those of which a condition is true, false and unknown together; so are aggregates of them.
//!
//! Each is asked with the planner's ways switched off in turn and with so little memory that operators go on disk.

use std::{
    io,
    time::{Duration, Instant},
};

use crate::{
    catalog::Catalog,
    client::{Answer, Client, Url},
    compare::{Class, brief, compare},
    expression::Generator,
    node::{Node, list, maybe, reduce, seq, text},
    query::Scope,
    random::Random,
    values::{Type, ordered},
};

/// What to do.
pub struct Plan {
    /// The server.
    pub url: Url,
    /// The first round's seed.
    pub seed: u64,
    /// How many rounds; none: as many as fit the time.
    pub rounds: Option<u64>,
    /// For how long.
    pub time: Duration,
    /// Prints every statement.
    pub verbose: bool,
}

const CHECKS: usize = 40;
const TRIES: usize = 200;
const SETTINGS: [&str; 8] = [
    "enable_hashjoin",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_indexscan",
    "enable_hashagg",
    "enable_seqscan",
    "enable_bitmapscan",
    "enable_material",
];

/// A source of rows, a condition on them, and values of them: what both statements of a pair are made of.
struct Subject {
    from: Node,
    condition: Node,
    value: Node,
    of: Type,
}

/// Which pair.
#[derive(Clone, Copy, Debug)]
enum Check {
    NoRec,
    Rows,
    Distinct,
    Count,
    Extremes,
    Groups,
}

const ALL: [Check; 6] =
    [Check::NoRec, Check::Rows, Check::Distinct, Check::Count, Check::Extremes, Check::Groups];

const SEPARATOR: &str = "\u{1}";

impl Subject {
    fn new(generator: &mut Generator<'_>) -> Self {
        let (from, columns) = generator.relation(&Scope::default(), 2);
        let scope = Scope::default().inside(columns);
        let of = generator.ordered_type();
        let value = generator.expression(&scope, of, 1, true);
        Self { from, condition: generator.condition(&scope, 3, true), value, of }
    }

    /// As one tree, so that it can be made small.
    fn tree(&self) -> Node {
        let parts = vec![
            self.from.clone(),
            text(SEPARATOR),
            self.condition.clone(),
            text(SEPARATOR),
            self.value.clone(),
        ];
        seq(vec![list("", 5, parts), maybe(text(""))])
    }
}

/// The two statements of a check, made of the parts in a tree's text.
fn pair(check: Check, tree: &str) -> Option<(String, String)> {
    let mut parts = tree.split(SEPARATOR);
    let (from, p, v) = (parts.next()?, parts.next()?, parts.next()?);
    let thirds = |select: &str, end: &str, word: &str| {
        [p.to_owned(), format!("NOT ({p})"), format!("({p}) IS NULL")]
            .map(|c| format!("SELECT {select} FROM {from} WHERE {c}{end}"))
            .join(&format!(" {word} "))
    };
    Some(match check {
        Check::NoRec => (
            format!("SELECT count(*) FROM {from} WHERE {p}"),
            format!("SELECT coalesce(sum(CASE WHEN {p} THEN 1 ELSE 0 END), 0) FROM {from}"),
        ),
        Check::Rows => {
            (format!("SELECT {v} AS v FROM {from}"), thirds(&format!("{v} AS v"), "", "UNION ALL"))
        }
        Check::Distinct => {
            (format!("SELECT DISTINCT {v} AS v FROM {from}"), thirds(&format!("{v} AS v"), "", "UNION"))
        }
        Check::Count => (
            format!("SELECT count({v}), count(*) FROM {from}"),
            format!(
                "SELECT sum(a), sum(b) FROM ({}) AS t (a, b)",
                thirds(&format!("count({v}), count(*)"), "", "UNION ALL")
            ),
        ),
        Check::Extremes => (
            format!(
                "SELECT v FROM (SELECT {v} AS v FROM {from}) AS t WHERE v IS NOT NULL ORDER BY v LIMIT 1"
            ),
            format!(
                "SELECT v FROM ({}) AS t WHERE v IS NOT NULL ORDER BY v LIMIT 1",
                thirds(&format!("{v} AS v"), "", "UNION ALL")
            ),
        ),
        Check::Groups => (
            format!("SELECT {v} AS v, count(*) AS n FROM {from} GROUP BY {v} HAVING count(*) > 1"),
            format!(
                "SELECT v, sum(n)::bigint AS n FROM ({}) AS t (v, n) GROUP BY v HAVING sum(n) > 1",
                thirds(&format!("{v}, count(*)"), &format!(" GROUP BY {v}"), "UNION ALL")
            ),
        ),
    })
}

/// Answers without names of columns and tags, which may differ.
fn rows_only(answer: io::Result<Answer>) -> io::Result<Answer> {
    answer.map(|a| match a {
        Answer::Done { rows, .. } => Answer::Done { columns: Vec::new(), rows, tag: String::new() },
        failed @ Answer::Failed(_) => failed,
    })
}

struct Run<'a> {
    client: Client,
    plan: &'a Plan,
    checks: u64,
    found: u64,
}

impl Run<'_> {
    fn ask(&mut self, sql: &str) -> io::Result<Answer> {
        if self.plan.verbose {
            println!("{sql};");
        }
        self.client.one(sql)
    }

    /// How the two differ; an error that both give alike, and one that says a limit was met, is no difference.
    fn differ(&mut self, check: Check, tree: &str) -> Option<(String, String, String, String)> {
        let (a, b) = pair(check, tree)?;
        let (x, y) = (rows_only(self.ask(&a)), rows_only(self.ask(&b)));
        // A limit that was met, and a statement that means nothing, say nothing about the other one.
        let limit = |r: &io::Result<Answer>| matches!(r, Ok(Answer::Failed(e)) if e.state.starts_with('5') || e.state.starts_with("42") || e.state == "0A000");
        if limit(&x) || limit(&y) {
            return None;
        }
        let broken = |r: &io::Result<Answer>| match r {
            Ok(Answer::Failed(e)) => e.state == "XX000",
            other => other.is_err(),
        };
        let difference = compare(&x, &y, false)?;
        let matters =
            matches!(difference.class, Class::Rows | Class::Crash | Class::State) || broken(&x) || broken(&y);
        matters.then(|| (a, b, brief(&x), brief(&y)))
    }

    fn check(&mut self, seed: u64, generator: &mut Generator<'_>) {
        let subject = Subject::new(generator);
        let check = ALL[generator.random.below(ALL.len())];
        if !ordered(subject.of) {
            return;
        }
        let setting = generator.random.pick(&SETTINGS);
        drop(self.ask(&format!("SET {setting} = off")));
        let tree = subject.tree();
        self.checks += 1;
        if self.differ(check, &tree.sql()).is_some() {
            let small = reduce(tree, TRIES, &mut |t| self.differ(check, t).is_some());
            if let Some((a, b, x, y)) = self.differ(check, &small.sql()) {
                self.found += 1;
                println!(
                    "\n[{check:?}] seed {seed}, {setting} off\n  {a};\n  gives {x}\n  {b};\n  gives {y}"
                );
            }
        }
        drop(self.ask(&format!("RESET {setting}")));
    }
}

/// Runs rounds; gives how many pairs differed.
pub fn run(plan: &Plan) -> io::Result<u64> {
    let mut client = Client::connect(&plan.url)?;
    let catalog = Catalog::read(&mut client)?;
    let mut run = Run { client, plan, checks: 0, found: 0 };
    let start = Instant::now();
    let mut rounds = 0;
    while plan.rounds.map_or(start.elapsed() < plan.time, |n| rounds < n) {
        let seed = plan.seed + rounds;
        let mut generator =
            Generator { random: Random::new(seed), catalog: &catalog, tables: Vec::new(), names: 0 };
        drop(run.ask("RESET ALL"));
        for sql in generator.schema() {
            // Rows that constraints refuse, and views that are refused, are part of it.
            let failed = !matches!(run.ask(&sql)?, Answer::Done { .. });
            if let (true, Some(name)) = (failed, sql.strip_prefix("CREATE VIEW ")) {
                let name = name.split(' ').next().unwrap_or_default().to_owned();
                generator.tables.retain(|t| t.name != name);
            }
        }
        drop(run.ask("SET work_mem = '64kB'"));
        for _ in 0..CHECKS {
            run.check(seed, &mut generator);
        }
        rounds += 1;
    }
    println!(
        "{rounds} rounds from seed {}, {} pairs of statements in {:.0} s, {} differ",
        plan.seed,
        run.checks,
        start.elapsed().as_secs_f64(),
        run.found
    );
    Ok(run.found)
}
