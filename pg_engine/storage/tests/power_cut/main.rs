//! After a power cut at any point every acknowledged commit is there and nothing unacknowledged is half there; and whatever else a
//! disk may do is noticed, or does no harm.
//!
//! Runs on the simulated platform only: `RUSTFLAGS='--cfg intralith_platform="simulated"' cargo test -p pg_storage`, or
//! `cargo xtask sim`. A failing seed is printed; `SEED=n` runs that one alone.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking
#![cfg(intralith_platform = "simulated")]

mod check;
mod ddl;
mod known;
mod lives;
mod workload;

use std::{collections::BTreeMap, ops::Range};

use platform::{bug::Bug, simulated::disk::Faults};

use lives::{Plan, lives};

const FINE: Faults = Faults::NONE;

/// A disk with a volatile cache that tears what it is writing when the power goes. Nothing else is wrong with it.
const GOOD: Plan = Plan {
    atomic: 512,
    disk: FINE,
    work: FINE,
    only_last: false,
    log_error_below: 0,
    flush_error_below: 0,
    lost_log_write_below: 0,
    long_groups: false,
    bug: None,
};

const fn during_work(work: Faults) -> Plan {
    Plan { work, ..GOOD }
}

/// What can be noticed but not mended; from its last life on, which no cut ends.
const fn damage(work: Faults) -> Plan {
    Plan { work, only_last: true, ..GOOD }
}

/// Seeds take turns. All but the last four a volume must bear without losing anything or being wrong once; what the last four
/// damage must be noticed before anyone is told anything wrong.
const PLANS: [Plan; 13] = [
    GOOD,
    Plan { atomic: 4096, disk: Faults { sector: 4096, ..FINE }, ..GOOD },
    Plan { atomic: 8192, ..GOOD },
    Plan { disk: Faults { slow: true, ..FINE }, work: Faults { slow: true, ..FINE }, ..GOOD },
    during_work(Faults { read_errors: 40, write_errors: 10, ..FINE }),
    during_work(Faults { bad_places: 10, slow: true, ..FINE }),
    Plan { log_error_below: 40, atomic: 4096, ..GOOD },
    Plan { flush_error_below: 6, work: Faults { write_errors: 40, ..FINE }, ..GOOD },
    LONG_GROUPS,
    MISREADS,
    LOST_WRITES,
    MISDIRECTED_WRITES,
    LOST_LOG_WRITE,
];

const LONG_GROUPS: Plan = Plan { long_groups: true, ..GOOD };
const MISREADS: Plan = damage(Faults { misreads: 60, ..FINE });
const LOST_WRITES: Plan = damage(Faults { lost_writes: 40, ..FINE });
const MISDIRECTED_WRITES: Plan = damage(Faults { misdirected_writes: 40, ..FINE });
/// A log write that was acknowledged and never arrived, and then a power cut. What was appended after the acknowledgement tells: it
/// is on the disk once two more log writes have ended.
const LOST_LOG_WRITE: Plan = Plan { lost_log_write_below: 60, ..GOOD };

fn told() -> bool {
    std::env::var("VERBOSE").is_ok()
}

struct Printer;

impl log::Log for Printer {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        println!("{}: {}", record.level(), record.args());
    }
    fn flush(&self) {}
}

/// SEED=n: that one. SEEDS=n: so many. SEEDS=a..b: those.
fn seeds() -> Range<u64> {
    let number = |s: &str| s.parse::<u64>().expect("a number");
    match (std::env::var("SEED"), std::env::var("SEEDS")) {
        (Ok(one), _) => number(&one)..number(&one) + 1,
        (_, Ok(range)) => match range.split_once("..") {
            Some((from, to)) => number(from)..number(to),
            None => 0..number(&range),
        },
        _ => 0..200,
    }
}

#[test]
fn acknowledged_commits_survive() {
    if told() && log::set_logger(&Printer).is_ok() {
        log::set_max_level(log::LevelFilter::Info);
    }
    let mut sum = Sum::default();
    for seed in seeds() {
        sum.add(seed, PLANS[seed as usize % PLANS.len()]);
    }
    sum.tell();
    assert!(sum.failures.is_empty(), "{}", sum.failures.join("\n"));
}

/// What came of many seeds.
#[derive(Default)]
struct Sum {
    acknowledged: usize,
    lost: usize,
    met: u64,
    /// Machines that damage ended.
    noticed: u64,
    tally: BTreeMap<&'static str, u64>,
    failures: Vec<String>,
}

impl Sum {
    fn add(&mut self, seed: u64, plan: Plan) {
        let story = lives(seed, plan);
        if told() {
            println!("SEED {seed}: {story:?}");
        }
        self.acknowledged += story.acknowledged;
        self.lost += story.lost;
        self.met += story.met;
        for (what, n) in story.tally {
            *self.tally.entry(what).or_default() += n;
        }
        match story.wrong {
            None => {}
            Some(wrong) if plan.may_end_with(&wrong) => self.noticed += 1,
            Some(wrong) => self.failures.push(format!("SEED={seed}: {wrong:?}")),
        }
    }

    /// `cargo xtask sim` adds these lines up.
    fn tell(&self) {
        println!(
            "{} acknowledged, {} of asynchronous commits lost, {} faults met, {} machines ended by noticed damage",
            self.acknowledged, self.lost, self.met, self.noticed
        );
        let all: Vec<_> = self.tally.iter().map(|(what, n)| format!("{n} {what}")).collect();
        println!("tally: {}", all.join(", "));
    }
}

#[test]
fn a_seed_runs_the_same_twice() {
    for seed in [3, 4, 7, 8, 10] {
        let plan = PLANS[seed as usize];
        assert_eq!(lives(seed, plan), lives(seed, plan), "seed {seed}");
    }
}

#[test]
fn a_disk_that_lies_about_flushes_is_caught() {
    let liar = Faults { lying_cache: true, ..FINE };
    let plan = Plan { disk: liar, work: liar, ..GOOD };
    assert!((0..20).any(|seed| lives(seed, plan).wrong.is_some()));
}

#[test]
fn a_disk_that_lies_about_tearing_is_caught() {
    // Without full-page images a torn page cannot be mended.
    let liar = Faults { lying_atomic: true, ..FINE };
    let plan = Plan { disk: liar, work: liar, atomic: 8192, ..GOOD };
    assert!((0..100).any(|seed| lives(seed, plan).wrong.is_some()));
}

/// Damage may end operations, and even the machine, but only by being noticed; and it is met.
fn noticed(seeds: Range<u64>, plan: Plan) -> u64 {
    let mut sum = Sum::default();
    for seed in seeds {
        sum.add(seed, plan);
    }
    sum.tell();
    assert!(sum.failures.is_empty(), "{}", sum.failures.join("\n"));
    assert!(sum.met > 0, "no fault was met");
    sum.noticed
}

#[test]
fn pages_read_wrong_are_noticed() {
    noticed(300..320, MISREADS);
}

#[test]
fn lost_writes_are_noticed() {
    noticed(400..430, LOST_WRITES);
}

#[test]
fn lost_log_writes_are_noticed() {
    let ended = noticed(600..720, LOST_LOG_WRITE);
    assert!(ended > 20, "only {ended} were noticed");
}

#[test]
fn misdirected_writes_are_noticed() {
    noticed(500..530, MISDIRECTED_WRITES);
}

/// Somewhere among the first seeds the mistake must show.
fn caught(bug: Bug, plan: Plan) {
    let plan = Plan { bug: Some(bug), ..plan };
    let shows = |seed| lives(seed, plan).wrong.is_some_and(|wrong| !plan.may_end_with(&wrong));
    assert!((0..100).any(shows), "{bug:?} goes unnoticed");
}

#[test]
fn planted_skipped_log_flush_is_caught() {
    caught(Bug::LogWithoutFlush, GOOD);
}

#[test]
fn planted_hole_in_the_log_is_caught() {
    // Also where holes are expected: the disk knows of none there.
    caught(Bug::LogWriteLeftOut, LOST_LOG_WRITE);
}

#[test]
fn planted_page_before_its_log_is_caught() {
    // With images a page is mended before anyone sees it.
    caught(Bug::PageBeforeLog, PLANS[2]);
}

#[test]
fn planted_skipped_checkpoint_flush_is_caught() {
    caught(Bug::CheckpointWithoutFlush, GOOD);
}

#[test]
fn planted_missing_page_images_are_caught() {
    caught(Bug::NoPageImage, GOOD);
}

#[test]
fn planted_early_release_of_a_latch_is_caught() {
    caught(Bug::LatchReleasedEarly, GOOD);
}

#[test]
fn planted_lost_redo_is_caught() {
    caught(Bug::LostRedo, GOOD);
}

#[test]
fn planted_acknowledgement_before_the_flush_is_caught() {
    caught(Bug::AckBeforeFlush, GOOD);
}

#[test]
fn planted_rows_shown_before_they_last_are_caught() {
    caught(Bug::ShownBeforeDurable, GOOD);
}

#[test]
fn planted_forgotten_undo_is_caught() {
    caught(Bug::ForgottenUndo, GOOD);
}

#[test]
fn planted_early_start_of_redo_is_caught() {
    caught(Bug::EarlyRedoStart, GOOD);
}

#[test]
fn planted_trust_in_writes_is_caught() {
    caught(Bug::LostWriteUnnoticed, LOST_WRITES);
}

#[test]
fn planted_trust_in_reads_is_caught() {
    caught(Bug::PageUnchecked, MISREADS);
}

#[test]
fn planted_backup_without_its_log_is_caught() {
    caught(Bug::BackupWithoutItsLog, GOOD);
}

#[test]
fn planted_split_without_a_mark_is_caught() {
    caught(Bug::SplitWithoutMark, LONG_GROUPS);
}
