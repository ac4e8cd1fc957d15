//! The same statements to two servers, whose answers and tables must agree.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    time::{Duration, Instant},
};

use crate::{
    catalog::Catalog,
    client::{Answer, Client, Url},
    compare::{Class, Difference, compare},
    expression::Generator,
    listed::Listed,
    node::{Node, reduce},
    random::Random,
    script::{Prepared, Script},
};

/// What to do.
pub struct Plan {
    /// This project's server.
    pub ours: Url,
    /// The one that is right.
    pub theirs: Url,
    /// The first round's seed.
    pub seed: u64,
    /// How many rounds; none: as many as fit the time.
    pub rounds: Option<u64>,
    /// For how long.
    pub time: Duration,
    /// What is known.
    pub listed: Listed,
    /// Prints every statement.
    pub verbose: bool,
}

const STATEMENTS: usize = 60;
const TRIES: usize = 250;

/// Two connections and what was found.
struct Pair<'a> {
    plan: &'a Plan,
    ours: Client,
    theirs: Client,
    seed: u64,
    statements: u64,
    failed_alike: u64,
    counts: BTreeMap<&'static str, u64>,
    refused: BTreeMap<String, u64>,
    seen: HashMap<String, u64>,
    grave: u64,
}

/// A message without what varies.
fn signature(d: &Difference, sql: &str) -> String {
    let text = match d.class {
        Class::Rows | Class::Order | Class::Written | Class::Float | Class::Columns | Class::Tag => {
            sql.to_owned()
        }
        _ => format!(
            "{}\n{}",
            d.ours.lines().next().unwrap_or_default(),
            d.theirs.lines().next().unwrap_or_default()
        ),
    };
    let mut out = String::from(d.class.name());
    let mut quoted = None;
    for c in text.chars() {
        match quoted {
            Some(q) if c == q => quoted = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quoted = Some(c),
            None if c.is_ascii_digit() => {}
            None => out.push(c),
        }
    }
    out.truncate(out.char_indices().nth(160).map_or(out.len(), |c| c.0));
    out
}

fn state(answer: &io::Result<Answer>) -> String {
    match answer {
        Ok(Answer::Failed(e)) => e.state.clone(),
        Ok(_) => "ok".into(),
        Err(_) => "gone".into(),
    }
}

impl Pair<'_> {
    fn both(&mut self, sql: &str) -> (io::Result<Answer>, io::Result<Answer>) {
        if self.plan.verbose {
            println!("{sql};");
        }
        let answers = (self.ours.one(sql), self.theirs.one(sql));
        if answers.0.is_err() || answers.1.is_err() {
            // What follows must not meet the rest of this; whether it can go on shows then.
            drop(self.again());
        }
        answers
    }

    /// Statements in a transaction that is undone, and what they answer.
    fn undone(&mut self, sql: &str, tables: &[String]) -> Option<(Difference, String)> {
        drop(self.both("BEGIN"));
        let found = self.change(sql, tables);
        drop(self.both("ROLLBACK"));
        found
    }

    /// A change, and whether the tables are alike behind it.
    fn change(&mut self, sql: &str, tables: &[String]) -> Option<(Difference, String)> {
        let (ours, theirs) = self.both(sql);
        if let Some(d) = compare(&ours, &theirs, false) {
            return Some((d, format!("{} {}", state(&ours), state(&theirs))));
        }
        if !matches!(ours, Ok(Answer::Done { .. })) {
            return None;
        }
        for table in tables {
            let (ours, theirs) = self.both(&format!("SELECT * FROM {table}"));
            if let Some(mut d) = compare(&ours, &theirs, false) {
                d.ours = format!("behind it, {table} holds {}", d.ours);
                return Some((d, "content".into()));
            }
        }
        None
    }

    fn query(&mut self, sql: &str) -> Option<(Difference, String)> {
        let in_order = sql.starts_with("SELECT * FROM (") && sql.contains(" AS whole ORDER BY ");
        let (ours, theirs) = self.both(sql);
        self.statements += 1;
        if matches!((&ours, &theirs), (Ok(Answer::Failed(_)), Ok(Answer::Failed(_)))) {
            self.failed_alike += 1;
        }
        compare(&ours, &theirs, in_order).map(|d| (d, format!("{} {}", state(&ours), state(&theirs))))
    }

    /// Looks at one statement; a difference is made small, counted and shown once.
    fn look(&mut self, node: Node, tables: Option<&[String]>) -> io::Result<()> {
        let sql = node.sql();
        let test = |pair: &mut Self, sql: &str| match tables {
            Some(tables) => pair.undone(sql, tables),
            None => pair.query(sql),
        };
        let Some((first, states)) = test(self, &sql) else {
            if tables.is_some() {
                self.statements += 1;
            }
            return Ok(());
        };
        *self.counts.entry(first.class.name()).or_default() += 1;
        if first.class == Class::Refused {
            *self.refused.entry(first.ours.clone()).or_default() += 1;
            return Ok(());
        }
        if self.plan.listed.has(&sql, &first) {
            *self.counts.entry("listed").or_default() += 1;
            return Ok(());
        }
        let by_message = !matches!(
            first.class,
            Class::Rows | Class::Order | Class::Written | Class::Float | Class::Columns | Class::Tag
        );
        if by_message && self.seen.contains_key(&signature(&first, &sql)) {
            *self.seen.entry(signature(&first, &sql)).or_default() += 1;
            return Ok(());
        }
        if state_gone(&states) {
            self.show(&sql, &first);
            return self.again();
        }
        let small = reduce(node, TRIES, &mut |sql| {
            test(self, sql).is_some_and(|(d, s)| d.class == first.class && s == states)
        })
        .sql();
        let (last, _) = test(self, &small).unwrap_or((first, states));
        if self.plan.listed.has(&small, &last) {
            *self.counts.entry("listed").or_default() += 1;
            return Ok(());
        }
        self.show(&small, &last);
        Ok(())
    }

    /// Counts a difference of what is not made small, and shows it.
    fn found(&mut self, sql: &str, d: &Difference) {
        *self.counts.entry(d.class.name()).or_default() += 1;
        if d.class == Class::Refused {
            *self.refused.entry(d.ours.clone()).or_default() += 1;
        } else if self.plan.listed.has(sql, d) {
            *self.counts.entry("listed").or_default() += 1;
        } else {
            self.show(sql, d);
        }
    }

    /// Runs a script in a transaction that is undone, up to the first difference.
    fn script(&mut self, script: &Script, tables: &[String]) {
        drop(self.both("BEGIN"));
        let looks = tables.iter().map(|t| format!("SELECT * FROM {t}"));
        let all: Vec<String> = script.statements.iter().cloned().chain(looks).collect();
        for (n, sql) in all.iter().enumerate() {
            let (ours, theirs) = self.both(sql);
            self.statements += 1;
            if let Some(d) = compare(&ours, &theirs, sql.starts_with("FETCH")) {
                self.found(&all[..=n].join(";\n  "), &d);
                break;
            }
            // Behind an error there is only the way back; where one of them was too slow, nothing is to be compared.
            let failed = |a: &io::Result<Answer>| !matches!(a, Ok(Answer::Done { .. }));
            let goes_back = all[n + 1..].iter().any(|s| s.starts_with("ROLLBACK"));
            if failed(&ours) != failed(&theirs) || failed(&ours) && !goes_back {
                break;
            }
        }
        drop(self.both("ROLLBACK"));
    }

    /// Runs a statement with parameters.
    fn prepared(&mut self, p: &Prepared) -> io::Result<()> {
        let mut values = Vec::new();
        for (of, value) in &p.parameters {
            let text = value.as_ref().map(|v| v.as_bytes().to_vec());
            values.push(match text {
                // The right server's form of the value.
                Some(text) if p.binary => {
                    match self.theirs.prepared(&format!("SELECT $1::{of}"), &[Some(text)], false, true)? {
                        Answer::Done { rows, .. } => {
                            rows.into_iter().flatten().next().flatten().and_then(|v| bytes_of(&v))
                        }
                        Answer::Failed(_) => return Ok(()),
                    }
                }
                other => other,
            });
        }
        if let Some((at, how)) = p.spoiled
            && let Some(Some(value)) = values.get_mut(at)
        {
            spoil(value, how);
        }
        if self.plan.verbose {
            println!("{}; {values:x?}", p.sql);
        }
        let ours = self.ours.prepared(&p.sql, &values, p.binary, p.binary_result);
        let theirs = self.theirs.prepared(&p.sql, &values, p.binary, p.binary_result);
        self.statements += 1;
        if let Some(d) = compare(&ours, &theirs, false) {
            let form = |b| if b { "binary" } else { "text" };
            let told = format!(
                "{} with {} parameters {} giving {} [{values:x?}]",
                p.sql,
                form(p.binary),
                p.parameters.iter().map(|v| format!("{:?}", v.1)).collect::<Vec<_>>().join(", "),
                form(p.binary_result)
            );
            self.found(&told, &d);
        }
        if ours.is_err() || theirs.is_err() {
            self.again()?;
        }
        Ok(())
    }

    fn show(&mut self, sql: &str, d: &Difference) {
        let times = self.seen.entry(signature(d, sql)).or_default();
        *times += 1;
        if *times > 1 {
            return;
        }
        self.grave += u64::from(d.class.grave());
        println!(
            "\n[{}] seed {}\n  {sql};\n  ours:   {}\n  theirs: {}",
            d.class.name(),
            self.seed,
            d.ours,
            d.theirs
        );
    }

    fn again(&mut self) -> io::Result<()> {
        self.ours = Client::connect(&self.plan.ours)?;
        self.theirs = Client::connect(&self.plan.theirs)?;
        for setting in ["SET search_path = fuzz", "SET statement_timeout = '20s'"] {
            self.ours.one(setting)?;
            self.theirs.one(setting)?;
        }
        Ok(())
    }

    fn round(&mut self, catalog: &Catalog) -> io::Result<()> {
        let mut generator =
            Generator { random: Random::new(self.seed), catalog, tables: Vec::new(), names: 0 };
        drop(self.both("RESET ALL"));
        for sql in generator.schema() {
            let (ours, theirs) = self.both(&sql);
            self.statements += 1;
            if let Some(d) = compare(&ours, &theirs, false) {
                *self.counts.entry(d.class.name()).or_default() += 1;
                if d.class == Class::Refused {
                    *self.refused.entry(d.ours.clone()).or_default() += 1;
                } else if self.plan.listed.has(&sql, &d) {
                    *self.counts.entry("listed").or_default() += 1;
                } else {
                    self.show(&sql, &d);
                }
                if state(&ours) != state(&theirs) {
                    // What follows would differ by what is missing.
                    return if ours.is_err() || theirs.is_err() { self.again() } else { Ok(()) };
                }
            }
            if let (true, Some(name)) = (state(&ours) != "ok", sql.strip_prefix("CREATE VIEW ")) {
                let name = name.split(' ').next().unwrap_or_default().to_owned();
                generator.tables.retain(|t| t.name != name);
            }
        }
        let tables: Vec<String> =
            generator.tables.iter().filter(|t| !t.view).map(|t| t.name.clone()).collect();
        for _ in 0..STATEMENTS {
            match generator.random.below(100) {
                0..8 => {
                    let p = generator.prepared();
                    self.prepared(&p)?;
                }
                8..13 => {
                    let script = generator.script();
                    self.script(&script, &tables);
                }
                13..35 => {
                    let node = generator.odd_select();
                    self.look(node, None)?;
                }
                35..55 => {
                    let node = generator.change();
                    let sql = node.sql();
                    self.look(node, Some(&tables))?;
                    if generator.random.percent(60) {
                        let (ours, theirs) = self.both(&sql);
                        if state(&ours) != state(&theirs) {
                            return Ok(());
                        }
                    }
                }
                _ => {
                    let node = generator.select();
                    self.look(node, None)?;
                }
            }
        }
        Ok(())
    }
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(pair).collect()
}

/// Changes a byte, or leaves one out, or adds one.
fn spoil(value: &mut Vec<u8>, how: u64) {
    let at = (how >> 8) as usize % value.len().max(1);
    match how % 4 {
        0 => drop(value.pop()),
        1 => value.push((how >> 40) as u8),
        _ => {
            if let Some(b) = value.get_mut(at) {
                *b ^= 1 << (how >> 3 & 7);
            }
        }
    }
}

fn state_gone(states: &str) -> bool {
    states.split(' ').any(|s| s == "gone")
}

/// Runs rounds; gives how many grave differences there were that are not listed.
pub fn run(plan: &Plan) -> io::Result<u64> {
    let mut theirs = Client::connect(&plan.theirs)?;
    let catalog = Catalog::read(&mut theirs)?;
    let mut pair = Pair {
        plan,
        ours: Client::connect(&plan.ours)?,
        theirs,
        seed: plan.seed,
        statements: 0,
        failed_alike: 0,
        counts: BTreeMap::new(),
        refused: BTreeMap::new(),
        seen: HashMap::new(),
        grave: 0,
    };
    let start = Instant::now();
    let mut rounds = 0;
    while plan.rounds.map_or(start.elapsed() < plan.time, |n| rounds < n) {
        pair.round(&catalog)?;
        pair.seed += 1;
        rounds += 1;
    }
    println!(
        "\n{rounds} rounds from seed {}, {} statements ({} failed alike) in {:.0} s; {} grave differences that are not listed",
        plan.seed,
        pair.statements,
        pair.failed_alike,
        start.elapsed().as_secs_f64(),
        pair.grave
    );
    pair.counts.iter().for_each(|(class, n)| println!("  {class}: {n}"));
    let mut refused: Vec<_> = pair.refused.iter().collect();
    refused.sort_by_key(|r| std::cmp::Reverse(*r.1));
    refused.iter().take(40).for_each(|(what, n)| println!("  refused {n} times: {what}"));
    Ok(pair.grave)
}
