//! The driver against a device made of code.

mod fake;

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use core::{sync::atomic::Ordering, time::Duration};
use std::{thread, time::Instant};

use compute_protocol::{Command, Span, Status};
use fake::{FakeHardware, Mood, World};
use platform::compute::{Buffer, ComputeDevice, ComputeError};

use crate::{Options, VirtioGpu, hardware::Carrier, pool::LARGEST};

/// As long as a loaded machine may take; nothing sound takes so long.
const LONG: Duration = Duration::from_secs(60);

fn patient() -> Options {
    Options {
        command_limit: LONG,
        heartbeat: Duration::from_millis(20),
        heartbeat_limit: LONG,
        probe_limit: Duration::from_secs(2),
        pause: Duration::from_millis(5),
        idle: Duration::from_secs(3600),
    }
}

/// For devices that do not answer.
fn hasty() -> Options {
    Options { command_limit: Duration::from_secs(1), heartbeat_limit: Duration::from_secs(3), ..patient() }
}

fn open(world: &Arc<World>, options: Options) -> VirtioGpu {
    VirtioGpu::open(Box::new(FakeHardware(world.clone())), options)
}

/// A device that is up.
fn up(pieces: u64, options: Options) -> (VirtioGpu, Arc<World>) {
    let world = World::new(Carrier::VirtioGpu, pieces);
    let gpu = open(&world, options);
    assert!(gpu.wait_present(LONG), "{:?}", gpu.health());
    (gpu, world)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn never() -> bool {
    false
}

fn span(length: usize) -> Span {
    Span { resource: 0, offset: 0, length: length as u64 }
}

/// Writes to a new table, reads it back and drops it.
fn echo(gpu: &VirtioGpu, table: u32, data: &[u8]) -> Result<Vec<u8>, ComputeError> {
    let mut back = vec![0xee; data.len()];
    let bytes = data.len().next_multiple_of(8) as u64;
    gpu.execute(&Command::Create { table, bytes }, &mut [], &never)?;
    let from = span(data.len());
    gpu.execute(&Command::Write { table, offset: 0, from }, &mut [Buffer::From(data)], &never)?;
    let into = span(data.len());
    gpu.execute(&Command::Read { table, offset: 0, into }, &mut [Buffer::Into(&mut back)], &never)?;
    gpu.execute(&Command::Drop { id: table }, &mut [], &never)?;
    Ok(back)
}

fn pattern(seed: usize, length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 + seed * 97 + (i >> 8)) as u8).collect()
}

#[test]
fn a_device_that_comes_up_says_what_it_is_and_how_fast() {
    let (gpu, world) = up(4, patient());
    let device = gpu.device().unwrap();
    assert!(device.is_processor && !device.name.is_empty());
    let link = gpu.link();
    assert!(link.upload > 0 && link.download > 0 && link.round_trip > Duration::ZERO);
    assert_eq!(link.largest, LARGEST as u64);
    assert_eq!((gpu.carrier(), gpu.generation()), ("virtio-gpu", 0));
    let health = gpu.health();
    assert_eq!((health.present, health.losses, health.last_loss.as_str()), (true, 0, ""));
    drop(gpu);
    assert_eq!(world.running.load(Ordering::Relaxed), 0, "it was reset when nobody wanted it any more");
    assert_eq!(world.faults.load(Ordering::Relaxed), 0);
}

#[test]
fn bytes_come_back_as_they_went() {
    let (gpu, world) = up(4, patient());
    for length in [4, 8, 100, 4096, 5000, LARGEST] {
        let data = pattern(length, length);
        assert!(echo(&gpu, 1, &data) == Ok(data), "{length} bytes");
    }
    assert_eq!(gpu.health().commands, 24);
    assert_eq!(world.faults.load(Ordering::Relaxed), 0);
}

#[test]
fn what_the_device_leaves_alone_stays_as_it_was() {
    let (gpu, _) = up(1, patient());
    echo(&gpu, 1, &[0xaa; 64]).unwrap();
    let into = Span { resource: 0, offset: 8, length: 8 };
    gpu.execute(&Command::Create { table: 1, bytes: 8 }, &mut [], &never).unwrap();
    let mut back = [0x11; 24];
    gpu.execute(&Command::Read { table: 1, offset: 0, into }, &mut [Buffer::Into(&mut back)], &never)
        .unwrap();
    assert_eq!(back[..8], [0x11; 8]);
    assert_eq!(back[8..16], [0; 8]);
    assert_eq!(back[16..], [0x11; 8]);
}

/// Many tasks, each with tables of its own.
fn crowd(gpu: &VirtioGpu, tasks: usize, rounds: usize) {
    thread::scope(|scope| {
        for task in 0..tasks {
            scope.spawn(move || {
                for round in 0..rounds {
                    let data = pattern(task * 1000 + round, 4 * (1 + (task * 37 + round * 101) % 5000));
                    assert_eq!(
                        echo(gpu, 100 + task as u32, &data).as_ref(),
                        Ok(&data),
                        "task {task}, round {round}"
                    );
                }
            });
        }
    });
}

#[test]
fn many_tasks_get_their_own_answers_in_whatever_order() {
    let (gpu, world) = up(8, patient());
    crowd(&gpu, 12, 20);
    world.set(Mood::Reversed);
    crowd(&gpu, 12, 20);
    assert_eq!(gpu.generation(), 0);
    assert_eq!(world.faults.load(Ordering::Relaxed), 0);
}

#[test]
fn more_tasks_than_slots_and_pieces_wait_for_each_other() {
    let (gpu, world) = up(2, patient());
    world.set(Mood::Slow(1));
    crowd(&gpu, 60, 2);
    assert!(gpu.pieces() <= 2);
    assert_eq!((gpu.generation(), gpu.health().commands), (0, 480));
}

#[test]
fn what_cannot_be_done_is_refused_and_harms_nobody() {
    let (gpu, _) = up(2, patient());
    let much = vec![0; LARGEST + 4];
    let write = |length| Command::Write { table: 1, offset: 0, from: span(length) };
    let execute = |command: &Command, bytes| gpu.execute(command, &mut [Buffer::From(bytes)], &never);
    assert_eq!(execute(&write(4), &much), Err(ComputeError::TooLarge));
    assert_eq!(execute(&write(8), &much[..4]), Err(ComputeError::Refused(Status::Bounds)));
    assert_eq!(execute(&write(4), &much[..4]), Err(ComputeError::Refused(Status::Identity)));
    assert_eq!(gpu.execute(&write(4), &mut [], &never), Err(ComputeError::Refused(Status::Bounds)));
    let huge = Command::Create { table: 1, bytes: 1 << 40 };
    assert_eq!(gpu.execute(&huge, &mut [], &never), Err(ComputeError::Refused(Status::Memory)));
    let health = gpu.health();
    assert_eq!((health.refused, health.losses, health.present), (5, 0, true));
    assert_eq!(echo(&gpu, 1, &[1; 8]), Ok(vec![1; 8]));
}

#[test]
fn without_memory_to_share_commands_without_buffers_go_on() {
    let (gpu, world) = up(1, Options { idle: Duration::ZERO, ..patient() });
    until("the piece of the measurement is given back", || gpu.pieces() == 0);
    world.refuse_memory.store(true, Ordering::Relaxed);
    let table = Command::Create { table: 1, bytes: 8 };
    assert!(gpu.execute(&table, &mut [], &never).is_ok());
    let write = Command::Write { table: 1, offset: 0, from: span(8) };
    let outcome = gpu.execute(&write, &mut [Buffer::From(&[0; 8])], &never);
    assert_eq!(outcome, Err(ComputeError::Refused(Status::Memory)));
    world.refuse_memory.store(false, Ordering::Relaxed);
    assert!(gpu.execute(&write, &mut [Buffer::From(&[0; 8])], &never).is_ok());
}

#[test]
fn a_device_that_misbehaves_is_lost_and_found_again() {
    for mood in [
        Mood::Fence,
        Mood::Short,
        Mood::Twice,
        Mood::Unasked,
        Mood::Long,
        Mood::Noise,
        Mood::Number,
        Mood::Amnesia,
        Mood::Failed,
        Mood::Busy,
        Mood::Silent,
    ] {
        let (gpu, world) = up(2, hasty());
        assert_eq!(echo(&gpu, 1, &[3; 16]), Ok(vec![3; 16]), "{mood:?}");
        world.set(mood);
        // One that answers twice gives a right answer first.
        until("the loss", || {
            matches!(echo(&gpu, 2, &[4; 16]), Err(ComputeError::Lost | ComputeError::Absent))
        });
        until("its being told", || gpu.generation() > 0);
        let health = gpu.health();
        assert!(!health.last_loss.is_empty() && health.losses > 0, "{mood:?}: {health:?}");
        world.set(Mood::Sound);
        assert!(gpu.wait_present(LONG), "{mood:?}");
        let generation = gpu.generation();
        until("work again", || echo(&gpu, 3, &[5; 16]) == Ok(vec![5; 16]));
        assert!(gpu.generation() >= generation);
        assert_eq!(world.faults.load(Ordering::Relaxed), 0, "{mood:?}");
        assert_eq!(world.running.load(Ordering::Relaxed), 1, "{mood:?}: the one before was reset");
    }
}

#[test]
fn everything_under_way_is_lost_together() {
    let (gpu, world) = up(8, hasty());
    world.set(Mood::Silent);
    let outcomes: Vec<_> = thread::scope(|scope| {
        let tasks: Vec<_> =
            (0..40).map(|t| (t, &gpu)).map(|(t, gpu)| scope.spawn(move || echo(gpu, t, &[1; 64]))).collect();
        tasks.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(
        outcomes.iter().all(|o| matches!(o, Err(ComputeError::Lost | ComputeError::Absent))),
        "{outcomes:?}"
    );
    assert!(outcomes.contains(&Err(ComputeError::Lost)));
    assert_eq!((gpu.generation(), gpu.health().losses), (1, 1), "one loss, however many noticed");
    world.set(Mood::Sound);
    assert!(gpu.wait_present(LONG));
    crowd(&gpu, 8, 3);
}

#[test]
fn a_silent_device_is_noticed_without_anybody_asking() {
    let world = World::new(Carrier::VirtioGpu, 2);
    let gpu = open(&world, Options { heartbeat_limit: Duration::from_millis(500), ..patient() });
    assert!(gpu.wait_present(LONG));
    world.set(Mood::Silent);
    until("the loss", || !gpu.health().present);
    assert_eq!(echo(&gpu, 1, &[0; 8]), Err(ComputeError::Absent));
}

#[test]
fn a_long_command_of_a_device_that_gives_signs_of_life_is_waited_for() {
    let (gpu, world) = up(2, Options { heartbeat: Duration::from_millis(1), ..patient() });
    world.set(Mood::Slow(200));
    assert_eq!(echo(&gpu, 1, &[9; 8]), Ok(vec![9; 8]));
    assert_eq!(gpu.generation(), 0);
}

#[test]
fn a_device_that_was_replaced_is_another_generation() {
    let (gpu, world) = up(2, patient());
    world.set(Mood::Replaced);
    until("the loss", || gpu.generation() == 1);
    assert!(gpu.wait_present(LONG));
    assert_eq!(echo(&gpu, 1, &[9; 8]), Ok(vec![9; 8]));
    assert_eq!(gpu.health().losses, 1);
}

#[test]
fn who_does_not_want_to_wait_leaves_the_piece_behind() {
    let (gpu, world) = up(2, patient());
    gpu.execute(&Command::Create { table: 1, bytes: 1 << 20 }, &mut [], &never).unwrap();
    assert_eq!(gpu.pieces(), 1);
    world.set(Mood::Slow(100));
    let data = pattern(1, 1 << 20);
    let command = Command::Write { table: 1, offset: 0, from: span(data.len()) };
    let outcome = gpu.execute(&command, &mut [Buffer::From(&data)], &|| true);
    assert_eq!(outcome, Err(ComputeError::Interrupted));
    world.set(Mood::Sound);
    // The abandoned command is done all the same, from its own piece: this one takes another.
    let mut back = vec![0; data.len()];
    let read = Command::Read { table: 1, offset: 0, into: span(data.len()) };
    gpu.execute(&read, &mut [Buffer::Into(&mut back)], &never).unwrap();
    assert!(back == data, "the device read what was given to it, not what came later");
    assert_eq!(gpu.pieces(), 2);
    crowd(&gpu, 4, 4);
    assert_eq!((gpu.pieces(), gpu.generation()), (2, 0), "and the first one came back");
}

#[test]
fn abandoned_commands_are_late_too() {
    let (gpu, world) = up(2, hasty());
    world.set(Mood::Busy);
    assert_eq!(gpu.execute(&Command::Describe, &mut [], &|| true), Err(ComputeError::Interrupted));
    until("the loss", || gpu.generation() == 1);
    world.set(Mood::Sound);
    assert!(gpu.wait_present(LONG));
}

#[test]
fn somebody_elses_device_is_left_alone() {
    for (carrier, mood) in [
        (Carrier::VirtioGpu, Mood::Foreign),
        (Carrier::Socket, Mood::Foreign),
        (Carrier::Socket, Mood::Silent),
    ] {
        let world = World::new(carrier, 2);
        world.set(mood);
        let gpu = open(&world, Options { probe_limit: Duration::from_millis(200), ..patient() });
        until("it was tried", || world.starts.load(Ordering::Relaxed) == 1);
        until("it was reset", || world.running.load(Ordering::Relaxed) == 0);
        world.set(Mood::Sound);
        thread::sleep(Duration::from_millis(100));
        assert_eq!(world.starts.load(Ordering::Relaxed), 1, "{carrier:?} {mood:?}: once and never again");
        assert_eq!(echo(&gpu, 1, &[0; 8]), Err(ComputeError::Absent));
        assert!(gpu.device().is_none() && gpu.health().last_loss.is_empty());
        assert_eq!(gpu.pieces(), 0, "nothing is shared with it");
    }
}

#[test]
fn memory_that_nobody_uses_is_given_back_and_taken_again() {
    let (gpu, world) = up(4, Options { idle: Duration::from_millis(1), ..patient() });
    for _ in 0..5 {
        until("no piece", || gpu.pieces() == 0);
        assert_eq!(echo(&gpu, 1, &[7; 4096]), Ok(vec![7; 4096]));
    }
    assert_eq!((gpu.generation(), world.faults.load(Ordering::Relaxed)), (0, 0));
}

#[test]
fn losses_under_load_never_give_a_wrong_answer() {
    let (gpu, world) = up(4, Options { command_limit: Duration::from_millis(500), ..patient() });
    let (gpu, done) = (&gpu, &core::sync::atomic::AtomicBool::new(false));
    thread::scope(|scope| {
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                scope.spawn(move || {
                    let (mut right, mut failed) = (0, 0);
                    while !done.load(Ordering::Relaxed) {
                        let data = pattern(right + task, 4096);
                        match echo(gpu, task as u32, &data) {
                            Ok(back) => {
                                assert!(back == data, "task {task} got other bytes");
                                right += 1;
                            }
                            // A table of before may be there still, or gone.
                            Err(_) => {
                                failed += 1;
                                let _ = gpu.execute(&Command::Drop { id: task as u32 }, &mut [], &never);
                                thread::sleep(Duration::from_millis(1));
                            }
                        }
                    }
                    (right, failed)
                })
            })
            .collect();
        for mood in [Mood::Fence, Mood::Silent, Mood::Unasked, Mood::Noise, Mood::Replaced, Mood::Twice] {
            let before = gpu.generation();
            world.set(mood);
            until("a loss", || gpu.generation() > before);
            world.set(Mood::Sound);
            assert!(gpu.wait_present(LONG));
            let commands = gpu.health().commands;
            until("work", || gpu.health().commands > commands + 40);
        }
        done.store(true, Ordering::Relaxed);
        for task in tasks {
            let (right, failed) = task.join().unwrap();
            assert!(right > 0 && failed > 0);
        }
    });
    assert_eq!(world.faults.load(Ordering::Relaxed), 0);
}
