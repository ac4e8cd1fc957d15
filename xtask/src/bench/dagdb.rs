//! The graph engine, natively: no machine is booted.

use super::BenchArguments;
use crate::{error::Result, tools};

/// Builds and runs `dagdb_bench`.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    let mut command = tools::cargo();
    command.args(["run", "--quiet", "--release", "--package", "dagdb_bench", "--"]);
    if arguments.only == "goals" {
        command.arg("--goals");
    }
    tools::run(&mut command)
}
