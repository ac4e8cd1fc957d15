//! The ring of transaction outcomes: four ids of it here, of which two leave at a time.

use loom::{sync::Arc, thread};
use pg_page::Xid;
use pg_transaction::outcomes::{Outcome, Outcomes};

use crate::model;

/// How an id ended is told right at every moment while it leaves the ring and its place is given to another.
#[test]
fn ids_that_leave_the_ring_keep_their_outcome() {
    model(|| {
        let o = Arc::new(Outcomes::new(Xid(4), [Xid(3)], []));
        for (xid, committed) in [(4, true), (5, false), (7, true)] {
            o.prepare(Xid(xid));
            o.set(Xid(xid), committed);
        }
        let reader = {
            let o = o.clone();
            thread::spawn(move || {
                assert_eq!(o.get(Xid(5)), Outcome::Aborted);
                assert_eq!(o.get(Xid(4)), Outcome::Committed);
                // It has not ended, in the ring or out of it.
                assert_eq!(o.get(Xid(6)), Outcome::InProgress);
                assert_eq!(o.get(Xid(3)), Outcome::Aborted);
            })
        };
        // Ids are given out and ended under a lock: one task does both here.
        o.prepare(Xid(8));
        o.set(Xid(8), false);
        o.prepare(Xid(9));
        reader.join().unwrap();
        assert_eq!((o.get(Xid(4)), o.get(Xid(5))), (Outcome::Committed, Outcome::Aborted));
        assert_eq!((o.get(Xid(8)), o.get(Xid(9))), (Outcome::Aborted, Outcome::InProgress));
    });
}

/// An end is seen once and for all, also of an id that left the ring while it ran.
#[test]
fn an_outcome_does_not_change_any_more() {
    model(|| {
        let o = Arc::new(Outcomes::new(Xid(4), [], []));
        for xid in 4..8 {
            o.prepare(Xid(xid));
        }
        let reader = {
            let o = o.clone();
            thread::spawn(move || {
                let seen = [o.get(Xid(4)), o.get(Xid(4)), o.get(Xid(4))];
                let ends = seen.iter().skip_while(|s| **s == Outcome::InProgress);
                assert!(ends.into_iter().all(|s| *s == Outcome::Aborted), "{seen:?}");
            })
        };
        o.prepare(Xid(8));
        o.set(Xid(4), false);
        o.set(Xid(8), true);
        reader.join().unwrap();
        assert_eq!(o.get(Xid(4)), Outcome::Aborted);
    });
}
