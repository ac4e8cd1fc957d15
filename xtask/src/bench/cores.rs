//! Throughput with one, two and four processors.

use std::time::Duration;

use super::{
    BenchArguments, Shape, boot, fresh_image,
    subject::{Subject, median, rate},
};
use crate::error::Result;

const CASES: [(&str, &[&str]); 2] = [
    ("select-only prepared, 8 clients", &["-S", "-M", "prepared", "-c", "8"]),
    ("TPC-B simple, 8 clients", &["-c", "8"]),
];

/// Measures the appliance; says how many processors the host has, since more virtual ones show nothing.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    let kernel = arguments.kernel()?;
    let host = std::thread::available_parallelism().map_or(0, usize::from);
    println!("the host has {host} processors, which run the clients too");
    for processors in [1, 2, 4] {
        let image = fresh_image("cores.img")?;
        let (mut appliance, password, _) = boot(&Shape { processors, ..Shape::usual(&kernel, &image) })?;
        let port = appliance.port();
        let own = Subject { guest: appliance.guest(), port, password };
        own.pgbench(&["-i", "-q", "-s", &arguments.pgbench_scale().to_string()])?;
        let seconds = arguments.seconds.to_string();
        for (name, case) in CASES {
            let mut rates = Vec::new();
            for _ in 0..arguments.rounds.max(1) {
                rates.push(rate(&own.pgbench(&[&["-n", "-T", &seconds], case].concat())?)?);
            }
            println!("{processors} processors: {name:<34} {:>10.0} tps", median(&mut rates));
        }
        appliance.shut_down(Duration::from_secs(60))?;
    }
    super::native::scaling(arguments)
}
