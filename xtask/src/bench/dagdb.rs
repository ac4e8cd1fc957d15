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
    // Large pages, as the appliance has them: glibc asks Linux for them if told so.
    command.env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");
    tools::run(&mut command)
}
