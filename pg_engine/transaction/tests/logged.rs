//! Commits that are in the log and not yet durable: who goes on, and who sees them.

use std::sync::Arc;

use pg_transaction::{Isolation, Outcome, RecoveredState, TransactionManager, Work};

fn manager() -> Arc<TransactionManager> {
    Arc::new(TransactionManager::new(&RecoveredState::default()))
}

fn work(m: &Arc<TransactionManager>) -> Work {
    Work::new(m.clone(), Isolation::ReadCommitted)
}

#[test]
fn only_who_counts_takes_a_logged_commit_for_done() {
    let m = manager();
    let (mut first, mut counting, mut reader) = (work(&m), work(&m), work(&m));
    let x = first.writing_xid();
    counting.set_counts_only();
    assert_eq!(counting.outcome(x), Outcome::InProgress);
    assert!(!counting.rests_on_logged());
    first.logged(100);
    assert_eq!(m.outcome(x), Outcome::InProgress);
    assert_eq!(reader.outcome(x), Outcome::InProgress);
    assert!(!reader.snapshot().data().ended(x));
    assert!(!counting.snapshot().data().ended(x), "what it has not met it does not see");
    assert_eq!(counting.outcome(x), Outcome::Committed);
    assert!(counting.rests_on_logged());
    // Its next commands see it too, and nobody else's.
    counting.next_command();
    assert!(counting.snapshot().data().ended(x));
    assert!(!reader.snapshot().data().ended(x));
    assert!(m.fresh_horizon() <= x, "what it replaced may still be seen");
    assert!(m.state().running.contains(&x) && m.state().aborted.is_empty());
    first.show_logged(100);
    assert!(reader.snapshot().data().ended(x));
    assert_eq!(reader.outcome(x), Outcome::Committed);
    first.end(true);
    assert!(m.state().running.is_empty() && m.state().aborted.is_empty());
}

#[test]
fn logged_commits_show_in_the_order_of_the_log() {
    let m = manager();
    let (mut first, mut second, mut reader) = (work(&m), work(&m), work(&m));
    // The younger id commits first.
    let (y, x) = (second.writing_xid(), first.writing_xid());
    first.logged(100);
    second.set_counts_only();
    assert_eq!(second.outcome(x), Outcome::Committed);
    second.logged(200);
    assert_eq!(second.rests_on(), 200);
    second.show_logged(150);
    let seen = reader.snapshot();
    assert!(seen.data().ended(x) && !seen.data().ended(y));
    drop(seen);
    // The later one's end shows what it rests on, whoever ends first.
    second.show_logged(200);
    second.end(true);
    assert!(reader.snapshot().data().ended(y));
    first.end(true);
    assert_eq!((m.outcome(x), m.outcome(y)), (Outcome::Committed, Outcome::Committed));
    assert_eq!(m.fresh_horizon(), m.next());
}

#[test]
fn one_snapshot_for_the_whole_transaction_waits_for_the_device() {
    let m = manager();
    let mut first = work(&m);
    let mut repeatable = Work::new(m, Isolation::RepeatableRead);
    let x = first.writing_xid();
    first.logged(100);
    repeatable.set_counts_only();
    assert_eq!(repeatable.outcome(x), Outcome::InProgress);
    first.show_logged(100);
    first.end(true);
    assert_eq!(repeatable.outcome(x), Outcome::Committed);
}
