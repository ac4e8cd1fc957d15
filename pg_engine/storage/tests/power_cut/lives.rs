//! Several lives of one machine: start, recover, check, work, and die.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use pg_storage::*;
use pg_volume::Superblock;
use pg_wal::{HEADER, LogReader, Ring};
use platform::{
    block::{BlockDevice, IoClass},
    bug::Bug,
    simulated::{
        Outcome, Report,
        disk::{Faults, SimDisk},
        simulate_with,
    },
    task,
};

use crate::{
    known::{Known, know},
    workload::{Client, Random, WORKERS, create},
};

/// What may go wrong in the lives of one seed.
#[derive(Clone, Copy)]
pub struct Plan {
    /// The device writes so much whole.
    pub atomic: u32,
    /// All along.
    pub disk: Faults,
    /// While clients work; opening and checking meet none of it.
    pub work: Faults,
    /// `work` counts in the last life only, which no cut ends: what it does is noticed in the same life or not at all.
    pub only_last: bool,
    /// One log write or flush fails or is lost, at a number below this, in each life but the last. 0: none.
    pub log_error_below: u64,
    pub flush_error_below: u64,
    pub lost_log_write_below: u64,
    /// Groups are many and long: buckets of the hash index have several pages, and are split over several log records.
    pub long_groups: bool,
    /// Planted in the engine.
    pub bug: Option<Bug>,
}

impl Plan {
    fn damages(&self) -> bool {
        self.work.misreads + self.work.lost_writes + self.work.misdirected_writes != 0
    }
    fn stops(&self) -> bool {
        self.log_error_below + self.flush_error_below != 0
    }

    /// Is what ended a life what had to end it? Damage may, by being noticed; nothing else may.
    pub fn may_end_with(&self, wrong: &Wrong) -> bool {
        if self.lost_log_write_below != 0 {
            return wrong.follows_from_a_hole();
        }
        let named = wrong.text.contains("Corrupt") || wrong.text.contains("Media");
        self.damages() && named && !wrong.text.contains("gone")
    }
}

/// What ended the lives of a seed early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub text: String,
    /// The log ended at a lost write when some life began.
    ended_at_loss: bool,
    /// And there was so little behind it that recovery could not tell.
    ended_silently: bool,
    /// The position that the text names as the end of the log; does the disk's record explain it?
    names_loss: Option<bool>,
}

impl Wrong {
    /// Whatever comes of a log write that was lost, the log must end, or have ended, where one was.
    fn follows_from_a_hole(&self) -> bool {
        if let Some(explained) = self.names_loss {
            return explained;
        }
        // A page that was written tells of the log that explained it.
        if self.text.contains("newer version than the log") {
            return self.ended_at_loss;
        }
        // A loss with nothing behind it looks like the log's end: the next two log writes tell.
        self.ended_silently
    }
}

/// The log of the volume on a disk that no one uses.
struct Log {
    ring: Ring,
    disk: Arc<SimDisk>,
}

impl Log {
    /// None: there is no volume.
    fn of(disk: &Arc<SimDisk>) -> Option<(Self, Superblock)> {
        let superblock = pg_volume::read_superblock(&**disk).ok()?;
        Some((Self { ring: superblock.ring, disk: disk.clone() }, superblock))
    }

    /// Where recovery will find that it ends.
    fn end(&self, superblock: &Superblock) -> u64 {
        let mut reader = LogReader::new(self.disk.clone(), self.ring, superblock.redo, superblock.epoch);
        while reader.next_record().unwrap().is_some() {}
        reader.position().0
    }

    /// Is the record that should begin at this position one that a lost write should have brought, in whole or in part?
    fn lost(&self, position: u64) -> bool {
        let Ring { start, len, .. } = self.ring;
        let place = start + position % len;
        let names = |header: &[u8]| header.get(8..16) == Some(&position.to_le_bytes()[..]);
        let length = |header: &[u8]| u64::from(u32::from_le_bytes(header[..4].try_into().unwrap()));
        self.disk.lost_log_writes().iter().any(|w| {
            let lost = w.offset..w.offset + w.data.len() as u64;
            if lost.contains(&place) {
                let header = &w.data[(place - w.offset) as usize..];
                // A header may go on in the next write.
                return header.len() < HEADER || names(header);
            }
            // It begins before the lost write and reaches into it.
            let ahead = (lost.start + len - place) % len;
            let mut header = [0; 512];
            let block = place / 512 * 512;
            self.disk.read(block, &mut header, IoClass::Read).unwrap();
            let header = &header[(place - block) as usize..];
            ahead < HEADER as u64 || (header.len() >= 16 && names(header) && ahead < length(header))
        })
    }
}

/// The position at which a text says that the log ends.
fn named_end(text: &str) -> Option<u64> {
    ["LogMissing { end: Lsn(", "LogBroken(Lsn("].iter().find_map(|before| {
        let digits = text.split(before).nth(1)?.split(')').next()?;
        digits.parse().ok()
    })
}

fn machine(disk: &Arc<SimDisk>, known: Arc<Mutex<Known>>, seed: u64, work: Faults, last: bool, plan: &Plan) {
    let (long_groups, damages) = (plan.long_groups, plan.damages());
    let device: Arc<dyn BlockDevice> = disk.clone();
    if Storage::probe(&*device).unwrap() == Probe::Blank {
        assert!(know(&known).tables.is_none(), "a volume that was in use is blank");
        Storage::format(&*device, &FormatOptions { wal_bytes: Some(1 << 20), config: vec![7; 100] }).unwrap();
    }
    assert_eq!(Storage::read_config(&*device).unwrap(), [7; 100]);
    let config = StorageConfig {
        buffer_pool_bytes: 32 * 8192,
        checkpoint_wal_bytes: 200 << 10,
        checkpoint_interval: Duration::from_secs(5),
        background_tasks: true,
        ..StorageConfig::default()
    };
    let s = Storage::open(device, config).unwrap();
    let (tables, run) = {
        let mut k = know(&known);
        k.runs += 1;
        (k.tables, k.runs)
    };
    let client = match tables {
        Some(tables) => {
            let client = Client { s, known, tables, long_groups };
            client.check(true);
            client
        }
        None => {
            let tables = create(&s, &known).unwrap();
            know(&known).tables = Some(tables);
            Client { s, known, tables, long_groups }
        }
    };
    client.finish_all(&mut Random(seed ^ 0xbeef));
    client.rebuild();
    disk.change_faults(|f| *f = Faults { cut_after: f.cut_after, ..work });
    let workers: Vec<_> = (0..WORKERS)
        .map(|w| {
            let client = client.clone();
            task::spawn("worker", move || client.work((w, run, seed), damages))
        })
        .collect();
    let keeper = {
        let client = client.clone();
        task::spawn("keeper", move || keep(&client, Random(seed ^ 0xdead)))
    };
    for w in workers {
        w.join().unwrap();
    }
    keeper.join().unwrap();
    disk.change_faults(|f| {
        *f = Faults {
            cut_after: f.cut_after,
            sector: f.sector,
            lost_log_write: f.lost_log_write,
            ..Faults::NONE
        };
    });
    client.check(false);
    know(&client.known).did("lives to the end");
    if last {
        client.s.shutdown().unwrap();
        client.restore();
    }
}

/// Checkpoints and vacuums in between. What a bad disk keeps it from is tried again by others.
fn keep(client: &Client, mut r: Random) {
    let Client { s, tables, .. } = client;
    for _ in 0..4 {
        task::sleep(Duration::from_micros(500 + r.below(6000)));
        let heaps: Vec<RelId> =
            s.relations().into_iter().filter(|r| r.1 == RelationKind::Heap).map(|r| r.0).collect();
        let (what, done) = match r.below(6) {
            0 => ("checkpoints", s.checkpoint()),
            1 => ("vacuums", s.vacuum(tables.churn).and_then(|_| s.vacuum(tables.large)).map(|_| ())),
            2 => ("vacuums", s.vacuum(tables.accounts).map(|_| ())),
            3 => ("vacuums", s.vacuum(tables.groups).map(|_| ())),
            4 => ("vacuums", s.vacuum(heaps[r.below(heaps.len() as u64) as usize]).map(|_| ())),
            _ => ("backups", client.back_up()),
        };
        if done.is_ok() {
            know(&client.known).did(what);
        }
    }
}

/// What came of a seed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// Of each life.
    pub hashes: Vec<u64>,
    /// Commits that were acknowledged and are there.
    pub acknowledged: usize,
    /// Asynchronous commits that a cut took.
    pub lost: usize,
    /// Faults that were met while clients worked.
    pub met: u64,
    /// How often what was done, and what the disk did, by name.
    pub tally: BTreeMap<&'static str, u64>,
    /// What ended it early.
    pub wrong: Option<Wrong>,
}

/// Four lives of one machine, or fewer if something goes wrong.
pub fn lives(seed: u64, plan: Plan) -> Story {
    let disk = Arc::new(SimDisk::new(20 << 20, plan.atomic));
    let known = Arc::new(Mutex::new(Known::default()));
    let mut r = Random(seed.wrapping_mul(77) + 5);
    let mut story = Story::default();
    // Of the life before.
    let mut after_loss = 0;
    let (mut ended_at_loss, mut ended_silently) = (false, false);
    for life in 0..4 {
        let last = life == 3;
        let mut below = |n: u64| (n != 0 && !last).then(|| 1 + r.below(n));
        let cut_after = below(if life == 0 { 500 } else { 600 });
        let log =
            (below(plan.log_error_below), below(plan.flush_error_below), below(plan.lost_log_write_below));
        let log_now = Log::of(&disk);
        let ends_at_loss = log_now.is_some_and(|(log, superblock)| log.lost(log.end(&superblock)));
        ended_at_loss |= ends_at_loss;
        ended_silently |= ends_at_loss && after_loss < 2;
        disk.set_faults(Faults { cut_after, ..plan.disk });
        let work = if plan.only_last && !last { plan.disk } else { plan.work };
        let work = Faults { log_error: log.0, flush_error: log.1, lost_log_write: log.2, ..work };
        let (d, k) = (disk.clone(), known.clone());
        let s = seed + life * 1000;
        let report: Report<()> = simulate_with(s, plan.bug, move || machine(&d, k, s, work, last, &plan));
        story.hashes.push(report.hash);
        story.met += disk.met();
        let panics = report.panics.join("; ");
        let wrong = match report.outcome {
            _ if !panics.is_empty() => Some(format!("a task panicked: {panics}")),
            Outcome::Finished(()) => None,
            Outcome::PowerCut if !last => None,
            Outcome::Fatal(_) if plan.stops() && !last => None,
            other => Some(format!("{other:?}")),
        };
        if let Some(text) = wrong {
            let text = format!("life {life}, {after_loss} log writes after a loss: {text}");
            let names_loss = named_end(&text).zip(Log::of(&disk)).map(|(end, (log, _))| log.lost(end));
            story.wrong = Some(Wrong { text, ended_at_loss, ended_silently, names_loss });
            break;
        }
        after_loss = disk.log_writes_after_loss();
        disk.power_cycle(s);
    }
    let k = know(&known);
    (story.acknowledged, story.lost) = (k.count(), k.lost);
    story.tally = disk.tally();
    story.tally.extend(k.tally.iter().map(|(what, n)| (*what, *n)));
    story
}
