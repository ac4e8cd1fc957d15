//! Removing versions from a page that no one can see.

use alloc::vec::Vec;

use pg_page::{Page, Xid, slotted, slotted::Slot};
use pg_transaction::TransactionManager;

use crate::tuple::{self, HEAP_ONLY};

/// What pruning a page would do.
#[derive(Debug, Default)]
pub struct Plan {
    /// For [`pg_page::ops::Ops::prune`].
    pub actions: Vec<(u16, u16)>,
    /// Versions that go.
    pub removed: u32,
}

/// Finds the versions that can go. The first slot of each chain survives as a redirect or, when all of its chain is dead, as a dead
/// slot, because index entries may point to it.
pub fn plan(page: &Page, horizon: Xid, transactions: &TransactionManager) -> Plan {
    let mut plan = Plan::default();
    for slot in 1..=slotted::count(page) {
        match slotted::get(page, slot) {
            Slot::Normal { .. } => {
                let Some((_, header, _)) = tuple::at(page, slot) else { continue };
                if !header.has(HEAP_ONLY) {
                    plan_chain(page, slot, slot, horizon, transactions, &mut plan);
                } else if transactions.outcome(header.xmin) == pg_transaction::Outcome::Aborted {
                    // Its predecessor does not lead to it any more.
                    plan.actions.push((slot, slotted::TO_UNUSED));
                    plan.removed += 1;
                }
            }
            Slot::Redirect(first) => plan_chain(page, slot, first, horizon, transactions, &mut plan),
            Slot::Dead | Slot::Unused => {}
        }
    }
    plan
}

fn plan_chain(
    page: &Page,
    root: u16,
    first: u16,
    horizon: Xid,
    transactions: &TransactionManager,
    plan: &mut Plan,
) {
    let mut at = first;
    let Some((_, mut header, _)) = tuple::at(page, first) else {
        if root != first {
            plan.actions.push((root, slotted::TO_DEAD));
        }
        return;
    };
    // A chain is no longer than the page has slots.
    for _ in 0..slotted::MAX_SLOTS {
        if !header.dead(horizon, transactions) {
            if at != first {
                plan.actions.push((root, at));
            }
            return;
        }
        plan.removed += 1;
        if at != root && !(header.has(HEAP_ONLY) && aborted(&header, transactions)) {
            plan.actions.push((at, slotted::TO_UNUSED));
        }
        match tuple::next_in_chain(page, &header) {
            Some((slot, next)) => (at, header) = (slot, next),
            None => break,
        }
    }
    plan.actions.push((root, slotted::TO_DEAD));
}

/// Aborted heap-only versions are found by themselves.
fn aborted(header: &tuple::Header, transactions: &TransactionManager) -> bool {
    transactions.outcome(header.xmin) == pg_transaction::Outcome::Aborted
}
