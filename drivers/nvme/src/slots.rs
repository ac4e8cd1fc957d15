//! Command slots of a queue and the callers waiting for them. Plain bookkeeping, no device.

use crate::{hardware::Dma, spec::Sqe};
use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;
use platform::{
    block::{BlockError, IoClass},
    sync::Condvar,
};

/// A command in flight, found by its identifier.
pub(crate) struct Slot {
    pub busy: bool,
    pub class: IoClass,
    pub ticket: u16,
    pub sqe: Sqe,
    pub deadline: Duration,
    /// An abort was sent for it.
    pub aborted: bool,
    pub retries: u8,
    /// Its list pages, kept for the next command.
    pub lists: Vec<Dma>,
}

/// One caller's group of commands.
pub(crate) struct Ticket {
    pub remaining: u32,
    pub outcome: Result<(), BlockError>,
    /// The caller sleeps on `wake`.
    pub parked: bool,
    pub wake: Arc<Condvar>,
}

pub(crate) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u16>,
    tickets: Vec<Ticket>,
    free_tickets: Vec<u16>,
    /// Parked callers that want a slot.
    pub starved: Vec<u16>,
    /// Commands in flight, by class.
    busy: [usize; CLASSES],
    /// Callers that wait for a slot, by class.
    waiting: [usize; CLASSES],
}

const CLASSES: usize = 4;

/// Slots that classes below log writes leave free for the more urgent ones.
fn reserve(class: IoClass, total: usize) -> usize {
    match class {
        IoClass::Wal => 0,
        IoClass::Read => total / 8,
        IoClass::ReadAhead => total / 4,
        IoClass::Background => total / 2,
    }
}

/// Most commands of a class in flight: what is urgent comes behind no more than that in the device, which knows no
/// classes.
fn limit(class: IoClass, total: usize) -> usize {
    match class {
        IoClass::Wal | IoClass::Read => total,
        IoClass::ReadAhead => (total / 4).clamp(1, 32),
        IoClass::Background => (total / 4).clamp(1, 16),
    }
}

impl Slots {
    pub fn new(count: u16) -> Self {
        let slot = |_| Slot {
            busy: false,
            class: IoClass::Wal,
            ticket: 0,
            sqe: Sqe::default(),
            deadline: Duration::ZERO,
            aborted: false,
            retries: 0,
            lists: Vec::new(),
        };
        Self {
            slots: (0..count).map(slot).collect(),
            free: (0..count).rev().collect(),
            tickets: Vec::new(),
            free_tickets: Vec::new(),
            starved: Vec::new(),
            busy: [0; CLASSES],
            waiting: [0; CLASSES],
        }
    }

    pub fn open_ticket(&mut self) -> u16 {
        let fresh = |wake| Ticket { remaining: 0, outcome: Ok(()), parked: false, wake };
        match self.free_tickets.pop() {
            Some(t) => {
                let wake = self.tickets[usize::from(t)].wake.clone();
                self.tickets[usize::from(t)] = fresh(wake);
                t
            }
            None => {
                self.tickets.push(fresh(Arc::default()));
                // One per waiting task: far below 65536.
                (self.tickets.len() - 1) as u16
            }
        }
    }

    pub fn ticket(&mut self, t: u16) -> &mut Ticket {
        &mut self.tickets[usize::from(t)]
    }

    pub fn close_ticket(&mut self, t: u16) -> Result<(), BlockError> {
        debug_assert_eq!(self.tickets[usize::from(t)].remaining, 0, "commands still in flight");
        self.free_tickets.push(t);
        self.tickets[usize::from(t)].outcome
    }

    /// A slot could be taken now. Not while someone more urgent waits for one.
    pub fn available(&self, class: IoClass) -> bool {
        let total = self.slots.len();
        self.free.len() > reserve(class, total)
            && self.busy[class as usize] < limit(class, total)
            && self.waiting[..class as usize].iter().all(|n| *n == 0)
    }
    /// A caller begins to wait for a slot.
    pub fn begin_wait(&mut self, class: IoClass) {
        self.waiting[class as usize] += 1;
    }
    /// And has what it waited for, or gives up.
    pub fn end_wait(&mut self, class: IoClass) {
        self.waiting[class as usize] -= 1;
    }

    /// Takes a slot for a ticket's next command.
    pub fn take(&mut self, class: IoClass, ticket: u16, deadline: Duration) -> Option<u16> {
        if !self.available(class) {
            return None;
        }
        let cid = self.free.pop()?;
        let slot = &mut self.slots[usize::from(cid)];
        (slot.busy, slot.class, slot.ticket, slot.deadline) = (true, class, ticket, deadline);
        self.busy[class as usize] += 1;
        (slot.aborted, slot.retries) = (false, 0);
        self.ticket(ticket).remaining += 1;
        Some(cid)
    }

    /// Gives back a slot whose command never reached the device.
    pub fn untake(&mut self, cid: u16) {
        let slot = &mut self.slots[usize::from(cid)];
        slot.busy = false;
        let t = slot.ticket;
        self.busy[slot.class as usize] -= 1;
        self.free.push(cid);
        self.ticket(t).remaining -= 1;
    }

    pub fn slot(&mut self, cid: u16) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(cid)).filter(|s| s.busy)
    }

    /// Ends a command. Its caller is woken when it was the last one of the group.
    pub fn complete(&mut self, cid: u16, outcome: Result<(), BlockError>) {
        let Some(slot) = self.slot(cid) else { return };
        slot.busy = false;
        let (t, class) = (slot.ticket, slot.class as usize);
        self.busy[class] -= 1;
        self.free.push(cid);
        let ticket = self.ticket(t);
        ticket.remaining -= 1;
        if ticket.outcome.is_ok() {
            ticket.outcome = outcome;
        }
        if ticket.remaining == 0 && ticket.parked {
            ticket.wake.notify_one();
        }
        for t in core::mem::take(&mut self.starved) {
            self.ticket(t).wake.notify_one();
        }
    }

    /// Commands in flight.
    pub fn busy(&self) -> Vec<u16> {
        (0..).zip(&self.slots).filter(|(_, s)| s.busy).map(|(i, _)| i).collect()
    }

    /// Wakes one parked caller (to take over waiting for the interrupt).
    pub fn wake_one(&self) {
        if let Some(t) = self.tickets.iter().find(|t| t.parked) {
            t.wake.notify_one();
        }
    }

    /// Wakes everybody.
    pub fn wake_all(&mut self) {
        self.starved.clear();
        for t in self.tickets.iter().filter(|t| t.parked) {
            t.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgent_classes_find_slots_that_others_leave() {
        let mut s = Slots::new(16);
        let t = s.open_ticket();
        let mut taken = Vec::new();
        for (class, count) in
            [(IoClass::Background, 4), (IoClass::ReadAhead, 4), (IoClass::Read, 6), (IoClass::Wal, 2)]
        {
            for _ in 0..count {
                taken.push(s.take(class, t, Duration::ZERO).unwrap());
            }
            assert_eq!(s.take(class, t, Duration::ZERO), None);
        }
        taken.sort_unstable();
        assert_eq!(taken, (0..16).collect::<Vec<_>>());
        for cid in taken.iter().rev() {
            s.complete(*cid, if *cid == 3 { Err(BlockError::Media) } else { Ok(()) });
        }
        s.complete(3, Err(BlockError::Gone));
        assert_eq!(s.close_ticket(t), Err(BlockError::Media), "the first error counts");
        assert_eq!(s.open_ticket(), t);
        assert_eq!(s.close_ticket(t), Ok(()));
    }

    #[test]
    fn the_less_urgent_give_way_to_those_who_wait() {
        let mut s = Slots::new(16);
        assert!(s.available(IoClass::Background));
        s.begin_wait(IoClass::Read);
        let can = |s: &Slots| {
            [IoClass::Wal, IoClass::Read, IoClass::ReadAhead, IoClass::Background].map(|c| s.available(c))
        };
        assert_eq!(can(&s), [true, true, false, false]);
        s.end_wait(IoClass::Read);
        assert_eq!(can(&s), [true; 4]);
    }
}
