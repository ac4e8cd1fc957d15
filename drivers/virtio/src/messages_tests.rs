//! A ring of messages against a device in memory: answers in any order over every wrap of the indices, and a device that lies.

use alloc::{boxed::Box, vec, vec::Vec};
use core::cell::Cell;

use virtio_drivers::queue::VirtQueue;

use crate::{
    buffers_tests::{Device, HostHal},
    messages::{MessageRing, Nonsense},
};

const ROOM: (usize, usize) = (24, 40);

type Ring<const N: usize> = MessageRing<N, HostHal, Box<[Cell<u8>]>>;

/// A message that the device has.
#[derive(Clone, Debug)]
struct Message {
    head: u16,
    request: Vec<u8>,
    /// Where the response goes, and how much of it may be there.
    response: (usize, usize),
}

fn ring<const N: usize>() -> (Ring<N>, Device) {
    let mut device = Device::default();
    let queue = VirtQueue::new(&mut device, 0, false, false).unwrap();
    (MessageRing::new(queue, ROOM).unwrap(), device)
}

/// Takes what was made available: each a request to read and a response to write.
fn take(device: &mut Device) -> Vec<Message> {
    let end: u16 = Device::read(device.available + 2);
    let mut all = Vec::new();
    while device.seen != end {
        let slot = usize::from(device.seen) % device.size;
        let head: u16 = Device::read(device.available + 4 + slot * 2);
        let descriptor = |i: u16| {
            let at = device.descriptors + usize::from(i) * 16;
            let (address, len): (u64, u32) = (Device::read(at), Device::read(at + 8));
            let (flags, next): (u16, u16) = (Device::read(at + 12), Device::read(at + 14));
            (address as usize, len as usize, flags, next)
        };
        let (from, len, flags, next) = descriptor(head);
        assert_eq!(flags, 1, "a request, and more to come");
        let request = (0..len).map(|i| Device::read(from + i)).collect();
        let (into, room, flags, _) = descriptor(next);
        assert_eq!(flags, 2, "a response, and the end");
        all.push(Message { head, request, response: (into, room) });
        device.seen = device.seen.wrapping_add(1);
    }
    all
}

/// Publishes that a message is done and `claim` bytes written.
fn finish(device: &mut Device, head: u32, claim: u32) {
    let slot = device.used + 4 + usize::from(device.done) % device.size * 8;
    Device::write(slot, head);
    Device::write(slot + 4, claim);
    device.done = device.done.wrapping_add(1);
    Device::write(device.used + 2, device.done);
}

fn answer(device: &mut Device, message: &Message, bytes: &[u8]) {
    for (i, byte) in bytes.iter().enumerate().take(message.response.1) {
        Device::write(message.response.0 + i, *byte);
    }
    finish(device, message.head.into(), bytes.len() as u32);
}

#[test]
fn answers_in_any_order_reach_who_asked() {
    let (mut ring, mut device) = ring::<8>();
    let mut seed = 11u32;
    let mut random = |n: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % n
    };
    let mut with_device: Vec<Message> = Vec::new();
    // By slot, what was asked.
    let mut asked: Vec<Option<Vec<u8>>> = vec![None; 4];
    let (mut number, mut back) = (0u32, 0u32);
    let mut response = Vec::new();
    while back < 140_000 {
        for _ in 0..random(5) {
            let request: Vec<u8> =
                number.to_le_bytes().iter().copied().cycle().take(4 + random(ROOM.0 - 3)).collect();
            let Some(slot) = ring.submit(&request, ROOM.1) else { break };
            assert_eq!(asked[usize::from(slot)].replace(request), None, "a slot that the device has");
            number += 1;
        }
        assert_eq!(ring.free(), asked.iter().filter(|a| a.is_none()).count());
        with_device.extend(take(&mut device));
        for _ in 0..random(5).min(with_device.len()) {
            let message = with_device.swap_remove(random(with_device.len()));
            // The answer is the question and its first byte once more.
            let mut bytes = message.request.clone();
            bytes.push(message.request[0]);
            answer(&mut device, &message, &bytes);
        }
        for _ in 0..random(5) {
            let Some(slot) = ring.completed(&mut response).unwrap() else { break };
            let request = asked[usize::from(slot)].take().expect("nobody asked");
            assert_eq!(response[..request.len()], request[..]);
            assert_eq!(response.len(), request.len() + 1);
            back += 1;
        }
    }
    assert!(number > 2 * 65_536);
}

#[test]
fn what_does_not_fit_a_slot_is_not_sent() {
    let (mut ring, mut device) = ring::<4>();
    for (request, response) in [(0, 1), (1, 0), (ROOM.0 + 1, 1), (1, ROOM.1 + 1)] {
        assert_eq!(ring.submit(&vec![7; request], response), None, "{request} and {response} bytes");
    }
    assert!(ring.submit(&[1; ROOM.0], ROOM.1).is_some());
    assert!(ring.submit(&[1], 1).is_some());
    assert_eq!(ring.submit(&[1], 1), None, "the device has both slots");
    assert_eq!(take(&mut device).len(), 2);
}

#[test]
fn a_device_that_answers_twice_is_noticed() {
    let (mut ring, mut device) = ring::<8>();
    ring.submit(&[1], 8).unwrap();
    ring.submit(&[2], 8).unwrap();
    let messages = take(&mut device);
    answer(&mut device, &messages[0], &[1]);
    answer(&mut device, &messages[0], &[1]);
    let mut response = Vec::new();
    assert!(ring.completed(&mut response).unwrap().is_some());
    assert_eq!(ring.completed(&mut response), Err(Nonsense::Unknown));
}

#[test]
fn a_device_that_answers_what_nobody_asked_is_noticed() {
    for head in [0, 3, 5, 7, 8, 64, 0xffff, u32::MAX] {
        let (mut ring, mut device) = ring::<8>();
        let slot = ring.submit(&[1], 8).unwrap();
        let messages = take(&mut device);
        let mut response = Vec::new();
        if head == u32::from(messages[0].head) {
            continue;
        }
        finish(&mut device, head, 1);
        assert_eq!(ring.completed(&mut response), Err(Nonsense::Unknown), "head {head}, slot {slot}");
    }
    // The index alone moves, far ahead.
    let (mut ring, device) = ring::<8>();
    Device::write(device.used + 2, 40_000u16);
    assert_eq!(ring.completed(&mut Vec::new()), Err(Nonsense::Unknown));
}

#[test]
fn a_device_that_exaggerates_is_noticed() {
    for claim in [9, 4096, u32::MAX] {
        let (mut ring, mut device) = ring::<8>();
        ring.submit(&[1], 8).unwrap();
        let messages = take(&mut device);
        finish(&mut device, messages[0].head.into(), claim);
        assert_eq!(ring.completed(&mut Vec::new()), Err(Nonsense::Long));
    }
}

#[test]
fn an_answer_without_bytes_is_empty() {
    let (mut ring, mut device) = ring::<8>();
    let slot = ring.submit(&[1], 8).unwrap();
    let messages = take(&mut device);
    finish(&mut device, messages[0].head.into(), 0);
    let mut response = vec![1, 2, 3];
    assert_eq!(ring.completed(&mut response), Ok(Some(slot)));
    assert!(response.is_empty());
}
