//! Messages that a device has. Plain bookkeeping, no device.
//!
//! A *flight* begins when a message is submitted and ends when its response comes, or with the device. What its piece is, only this table knows
//! until then. Whoever waits for it has a ticket, which is also the message's fence; a flight whose waiter gave up is *abandoned* and ends without
//! anybody noticing.

use crate::pool::Piece;
use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;
use driver_virtio::messages::Nonsense;
use platform::sync::Condvar;

struct Flight {
    ticket: u64,
    deadline: Duration,
    piece: Option<Piece>,
    /// `None`: abandoned.
    wake: Option<Arc<Condvar>>,
}

/// How a flight ended.
pub struct Landed {
    ticket: u64,
    /// What the device answered.
    pub response: Vec<u8>,
    /// The piece that was along.
    pub piece: Option<Piece>,
}

/// All of one start of a device.
#[derive(Default)]
pub struct Flights {
    /// By slot of the queue.
    slots: Vec<Option<Flight>>,
    /// Ended, and not yet fetched: one a waiting task at most.
    landed: Vec<Landed>,
}

impl Flights {
    /// A message was submitted.
    pub fn begin(
        &mut self,
        slot: u16,
        ticket: u64,
        deadline: Duration,
        piece: Option<Piece>,
        wake: Arc<Condvar>,
    ) {
        let slot = usize::from(slot);
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        if let Some(place) = self.slots.get_mut(slot) {
            debug_assert!(place.is_none(), "the queue gives a slot twice");
            *place = Some(Flight { ticket, deadline, piece, wake: Some(wake) });
        }
    }

    /// The device is done with a slot. The piece of an abandoned flight comes back.
    pub fn complete(&mut self, slot: u16, response: &[u8]) -> Result<Option<Piece>, Nonsense> {
        let flight = self.slots.get_mut(usize::from(slot)).and_then(Option::take).ok_or(Nonsense::Unknown)?;
        let Some(wake) = flight.wake else { return Ok(flight.piece) };
        self.landed.push(Landed { ticket: flight.ticket, response: response.to_vec(), piece: flight.piece });
        wake.notify_one();
        Ok(None)
    }

    /// The end of a flight, if it has ended.
    pub fn take(&mut self, ticket: u64) -> Option<Landed> {
        let at = self.landed.iter().position(|l| l.ticket == ticket)?;
        Some(self.landed.swap_remove(at))
    }

    /// Its waiter gives up. A piece comes back if the flight has ended meanwhile.
    pub fn abandon(&mut self, ticket: u64) -> Option<Piece> {
        if let Some(landed) = self.take(ticket) {
            return landed.piece;
        }
        if let Some(flight) = self.slots.iter_mut().flatten().find(|f| f.ticket == ticket) {
            flight.wake = None;
        }
        None
    }

    /// Whether a flight takes longer than it may.
    pub fn late(&self, now: Duration) -> bool {
        self.slots.iter().flatten().any(|f| f.deadline <= now)
    }

    /// Flights that have not ended.
    pub fn under_way(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Wakes one waiter, to take the lead.
    pub fn wake_one(&self) {
        if let Some(wake) = self.slots.iter().flatten().find_map(|f| f.wake.as_ref()) {
            wake.notify_one();
        }
    }

    /// Wakes all waiters.
    pub fn wake_all(&self) {
        for wake in self.slots.iter().flatten().filter_map(|f| f.wake.as_ref()) {
            wake.notify_all();
        }
    }

    /// The device was reset: everything has ended, and these are the pieces that were along.
    pub fn into_pieces(self) -> Vec<Piece> {
        let flying = self.slots.into_iter().flatten().filter_map(|f| f.piece);
        flying.chain(self.landed.into_iter().filter_map(|l| l.piece)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::Memory;
    use alloc::boxed::Box;

    struct Nothing;

    impl Memory for Nothing {
        fn runs(&self) -> Vec<(u64, u32)> {
            Vec::new()
        }
        fn write(&mut self, _: usize, _: &[u8]) {}
        fn read(&self, _: usize, _: &mut [u8]) {}
    }

    fn piece(resource: u32) -> Option<Piece> {
        Some(Piece { resource, memory: Box::new(Nothing), attached: None, used: Duration::ZERO })
    }

    fn numbers(pieces: Vec<Piece>) -> Vec<u32> {
        let mut all: Vec<u32> = pieces.iter().map(|p| p.resource).collect();
        all.sort_unstable();
        all
    }

    const SOON: Duration = Duration::from_secs(1);

    #[test]
    fn a_piece_is_with_the_device_until_the_response_comes() {
        let mut f = Flights::default();
        f.begin(3, 10, SOON, piece(1), Arc::default());
        f.begin(0, 11, SOON, piece(2), Arc::default());
        assert!(f.take(10).is_none() && f.take(11).is_none());
        assert!(f.complete(3, b"three").unwrap().is_none(), "the waiter gets it");
        let landed = f.take(10).unwrap();
        assert_eq!((landed.response, landed.piece.map(|p| p.resource)), (b"three".to_vec(), Some(1)));
        assert!(f.take(10).is_none(), "once");
        assert_eq!(f.under_way(), 1);
    }

    #[test]
    fn answers_that_nobody_asked_for_are_noticed() {
        let mut f = Flights::default();
        assert_eq!(f.complete(0, b"").err(), Some(Nonsense::Unknown));
        f.begin(0, 1, SOON, None, Arc::default());
        assert_eq!(f.complete(9, b"").err(), Some(Nonsense::Unknown));
        assert!(f.complete(0, b"").is_ok());
        assert_eq!(f.complete(0, b"").err(), Some(Nonsense::Unknown), "twice");
    }

    #[test]
    fn an_abandoned_piece_comes_back_with_the_response_and_not_before() {
        let mut f = Flights::default();
        f.begin(0, 1, SOON, piece(7), Arc::default());
        f.begin(1, 2, SOON, piece(8), Arc::default());
        assert!(f.abandon(1).is_none());
        assert_eq!(f.under_way(), 2);
        assert_eq!(f.complete(0, b"").unwrap().map(|p| p.resource), Some(7));
        assert!(f.take(1).is_none());
        // It landed before its waiter gave up.
        assert!(f.complete(1, b"").unwrap().is_none());
        assert_eq!(f.abandon(2).map(|p| p.resource), Some(8));
    }

    #[test]
    fn lateness_counts_for_the_abandoned_too() {
        let mut f = Flights::default();
        f.begin(0, 1, SOON, None, Arc::default());
        f.abandon(1);
        assert!(!f.late(Duration::from_millis(999)));
        assert!(f.late(SOON));
    }

    #[test]
    fn after_a_reset_no_piece_is_missing() {
        let mut f = Flights::default();
        for n in 0..4u16 {
            f.begin(n, n.into(), SOON, piece(n.into()), Arc::default());
        }
        f.abandon(2);
        f.complete(1, b"").unwrap();
        assert_eq!(numbers(f.into_pieces()), [0, 1, 2, 3]);
    }
}
