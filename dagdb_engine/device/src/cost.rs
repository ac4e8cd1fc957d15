//! What ticks cost, in seconds.

use dagdb_graph::View as _;
use dagdb_tick::Network;
use platform::compute::Link;

use crate::measure::Speed;

/// Bytes of a node on its way: table, sources.
pub const NODE_BYTES: f64 = 32.0;
/// Commands of a run beside those that move bytes.
const COMMANDS: f64 = 3.0;

/// What is known of the processor.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnProcessor {
    /// Seconds that one of this network's last ticks took.
    pub per_tick: Option<f64>,
    /// Nodes a second when all are evaluated.
    pub all: Option<f64>,
}

impl OnProcessor {
    /// Of so many ticks; `None` if the processor should show first how fast it is.
    pub fn cost(&self, network: &Network, ticks: u64) -> Option<f64> {
        let all = self.all.map(|rate| network.node_count() as f64 / rate.max(1.0));
        if !network.has_registers() {
            // One pass, and then nothing changes any more.
            return if network.is_unsettled() { all } else { None };
        }
        match self.per_tick {
            Some(seconds) => Some(ticks as f64 * seconds),
            // At least this one pass.
            None if network.is_unsettled() => all,
            None => None,
        }
    }
}

/// What is known of a device.
#[derive(Clone, Copy, Debug)]
pub struct OnDevice {
    /// The way there.
    pub link: Link,
    /// How fast it is.
    pub speed: Speed,
    /// It has the graph.
    pub resident: bool,
}

impl OnDevice {
    /// Of so many ticks.
    pub fn cost(&self, network: &Network, ticks: u64) -> f64 {
        let nodes = network.node_count() as f64;
        let ticks = if network.has_registers() { ticks as f64 } else { 1.0 };
        let up = |bytes: f64| bytes / (self.link.upload as f64).max(1.0);
        let down = |bytes: f64| bytes / (self.link.download as f64).max(1.0);
        let graph = if self.resident { 0.0 } else { up(nodes * NODE_BYTES) };
        let steps = network.rank_count() as f64 * self.speed.step;
        let values = up(nodes / 8.0) + down(nodes / 8.0);
        COMMANDS * self.link.round_trip.as_secs_f64()
            + graph
            + values
            + ticks * (nodes / self.speed.rate.max(1.0) + steps)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use dagdb_graph::{Edit, Graph, NodeId};

    use super::*;

    /// So many registers that feed each other.
    fn ring(nodes: u32) -> Network {
        let mut network = Network::new(&Graph::with_nodes(nodes as usize).expect("not too many"));
        for id in 0..nodes {
            let edit = Edit::ConnectBack { source: NodeId(id), target: NodeId((id + 1) % nodes) };
            network.apply(&edit).expect("registers may feed each other");
        }
        network
    }

    fn device(resident: bool) -> OnDevice {
        let link = Link {
            round_trip: Duration::from_micros(30),
            upload: 1 << 30,
            download: 1 << 30,
            largest: 1 << 20,
        };
        OnDevice { link, speed: Speed { rate: 30e9, step: 1e-6 }, resident }
    }

    #[test]
    fn a_device_pays_for_many_ticks_of_what_it_has() {
        let network = ring(100_000);
        let processor = OnProcessor { per_tick: Some(1e-3), all: Some(1e9) };
        let costs =
            |resident, ticks| (device(resident).cost(&network, ticks), processor.cost(&network, ticks));
        let (there, here) = costs(true, 1000);
        assert!(there < here.expect("measured"));
        let (there, here) = costs(false, 1);
        assert!(there > here.expect("measured"));
        assert!(device(true).cost(&network, 10) < device(false).cost(&network, 10));
    }

    #[test]
    fn one_pass_is_the_least_that_the_processor_needs() {
        let network = ring(100_000);
        assert!(network.is_unsettled());
        let processor = OnProcessor { per_tick: None, all: Some(1e6) };
        assert!(processor.cost(&network, 1000).is_some_and(|c| (c - 0.1).abs() < 1e-9));
    }

    #[test]
    fn the_processor_shows_first_how_fast_it_is() {
        assert_eq!(OnProcessor::default().cost(&ring(10), 5), None);
    }
}
