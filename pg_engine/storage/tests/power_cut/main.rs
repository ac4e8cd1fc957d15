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

use std::ops::Range;

use platform::{bug::Bug, simulated::disk::Faults};

use lives::{Plan, Story, lives};

const FINE: Faults = Faults {
    sector: 512,
    cut_after: None,
    read_errors: 0,
    misreads: 0,
    bad_places: 0,
    write_errors: 0,
    log_error: None,
    flush_error: None,
    lost_writes: 0,
    misdirected_writes: 0,
    lost_log_write: None,
    slow: false,
    lying_cache: false,
    lying_atomic: false,
};

/// A disk with a volatile cache that tears what it is writing when the power goes. Nothing else is wrong with it.
const GOOD: Plan = Plan {
    atomic: 512,
    disk: FINE,
    work: FINE,
    only_last: false,
    log_error_below: 0,
    flush_error_below: 0,
    lost_log_write_below: 0,
    bug: None,
};

const fn during_work(work: Faults) -> Plan {
    Plan { work, ..GOOD }
}

/// What a volume must bear without losing anything or being wrong once. Seeds take turns.
const PLANS: [Plan; 8] = [
    GOOD,
    Plan { atomic: 4096, disk: Faults { sector: 4096, ..FINE }, ..GOOD },
    Plan { atomic: 8192, ..GOOD },
    Plan { disk: Faults { slow: true, ..FINE }, work: Faults { slow: true, ..FINE }, ..GOOD },
    during_work(Faults { read_errors: 40, write_errors: 10, ..FINE }),
    during_work(Faults { bad_places: 10, slow: true, ..FINE }),
    Plan { log_error_below: 40, atomic: 4096, ..GOOD },
    Plan { flush_error_below: 6, work: Faults { write_errors: 40, ..FINE }, ..GOOD },
];

/// What can be noticed but not mended; from its last life on, which no cut ends.
const fn damage(work: Faults) -> Plan {
    Plan { work, only_last: true, ..GOOD }
}

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
    let mut sum = Story::default();
    let mut failures = Vec::new();
    for seed in seeds() {
        match lives(seed, PLANS[seed as usize % PLANS.len()]) {
            Ok(story) => {
                if told() {
                    println!("SEED {seed}: {story:?}");
                }
                sum.acknowledged += story.acknowledged;
                sum.lost += story.lost;
                sum.met += story.met;
            }
            Err(what) => failures.push(format!("SEED={seed}: {what}")),
        }
    }
    println!(
        "{} acknowledged, {} of asynchronous commits lost, {} faults met",
        sum.acknowledged, sum.lost, sum.met
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_seed_runs_the_same_twice() {
    for seed in [3, 4, 7] {
        let plan = PLANS[seed as usize];
        assert_eq!(lives(seed, plan), lives(seed, plan), "seed {seed}");
    }
}

#[test]
fn a_disk_that_lies_about_flushes_is_caught() {
    let liar = Faults { lying_cache: true, ..FINE };
    let plan = Plan { disk: liar, work: liar, ..GOOD };
    assert!((0..20).any(|seed| lives(seed, plan).is_err()));
}

#[test]
fn a_disk_that_lies_about_tearing_is_caught() {
    // Without full-page images a torn page cannot be mended.
    let liar = Faults { lying_atomic: true, ..FINE };
    let plan = Plan { disk: liar, work: liar, atomic: 8192, ..GOOD };
    assert!((0..100).any(|seed| lives(seed, plan).is_err()));
}

/// Damage may end operations, and even the life, but only by being noticed; and it is met.
fn noticed(seeds: Range<u64>, plan: Plan) {
    let (mut met, mut whole, mut noticed) = (0, 0, 0);
    for seed in seeds {
        match lives(seed, plan) {
            Ok(story) => {
                met += story.met;
                whole += 1;
            }
            Err(what) => {
                let named = what.contains("Corrupt") || what.contains("Media");
                assert!(named && !what.contains("gone"), "SEED={seed}: {what}");
                noticed += 1;
            }
        }
    }
    assert!(met > 0 || noticed > 0, "no fault was met");
    println!("{whole} lives got by, {noticed} ended by noticed damage");
}

#[test]
fn pages_read_wrong_are_noticed() {
    noticed(300..320, damage(Faults { misreads: 60, ..FINE }));
}

#[test]
fn lost_writes_are_noticed() {
    noticed(400..430, damage(Faults { lost_writes: 12, ..FINE }));
}

/// A log write that was acknowledged and never arrived, and then a power cut. What was appended after the acknowledgement tells: it
/// is on the disk once two more log writes have ended. A loss with nothing behind it looks like the log's end.
#[test]
fn lost_log_writes_are_noticed() {
    let plan = Plan { lost_log_write_below: 60, ..GOOD };
    let (mut noticed, mut harmless, mut unnoticed) = (0, 0, 0);
    for seed in 600..720 {
        match lives(seed, plan) {
            Ok(_) => harmless += 1,
            Err(what) if what.contains("LogMissing") => noticed += 1,
            Err(what) if what.contains("newer version than the log") => noticed += 1,
            Err(what) => {
                let nothing_behind =
                    ["0", "1"].iter().any(|n| what.contains(&format!(" {n} log writes after a loss")));
                assert!(nothing_behind, "SEED={seed}: {what}");
                unnoticed += 1;
            }
        }
    }
    println!("{noticed} noticed, {harmless} did no harm, {unnoticed} had nothing behind them");
    assert!(noticed > 20, "only {noticed} were noticed");
}

#[test]
fn misdirected_writes_are_noticed() {
    noticed(500..530, damage(Faults { misdirected_writes: 12, ..FINE }));
}

/// Somewhere among the first seeds the mistake must show.
fn caught(bug: Bug, plan: Plan) {
    let plan = Plan { bug: Some(bug), ..plan };
    assert!((0..100).any(|seed| lives(seed, plan).is_err()), "{bug:?} goes unnoticed");
}

#[test]
fn planted_skipped_log_flush_is_caught() {
    caught(Bug::LogWithoutFlush, GOOD);
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
fn planted_forgotten_undo_is_caught() {
    caught(Bug::ForgottenUndo, GOOD);
}

#[test]
fn planted_early_start_of_redo_is_caught() {
    caught(Bug::EarlyRedoStart, GOOD);
}
