//! The end of the machine.

use super::world::{Outcome, current};

/// Stops the simulation because the engine says that its state can no longer be trusted.
pub fn fatal(reason: &str) -> ! {
    match current() {
        Some((world, me)) => {
            world.stop(Outcome::Fatal(reason.into()));
            // This task was unwinding already and must not panic again.
            world.bury(me)
        }
        None => panic!("fatal: {reason}"),
    }
}

/// Cuts the power: nothing that was not durable is sure to survive.
pub fn cut() {
    if let Some((world, _)) = current() {
        world.stop(Outcome::PowerCut);
    }
}
