//! `cargo xtask`: build, run, image, test, bench. The only command people type.
//!
//! # Dependencies
//! `clap` for the command line; `fatfs` and `gpt` to write disk images; `postgres` to ask the first query, `postgres-protocol` for
//! authentication where replication is spoken; `serde_json` for
//! QEMU's control messages; `signal-hook` to end cleanly; `thiserror` for errors.
#![forbid(unsafe_code)]

mod appliance;
mod backup;
mod bench;
mod disk;
mod drivers;
mod elf;
mod error;
mod fuzz;
mod fuzz_sql;
mod gpu;
mod image;
mod kernel_build;
mod lint;
mod nbd;
mod newer_qemu;
mod pe;
mod peer;
mod powercut;
mod replication;
mod run;
mod shim;
mod sim;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, run, test and measure Intralith")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the kernel and prints where it is
    Build(BuildArguments),
    /// Builds the appliance and boots it in QEMU
    Run(run::RunArguments),
    /// Runs the same engine as an ordinary process
    Host(run::HostArguments),
    /// Writes a disk image that boots by UEFI
    Image(run::ImageArguments),
    /// Runs the tests: all, or the suites whose name contains FILTER
    Test(test::TestArguments),
    /// Storage under power cuts and disk faults, for many seeds of the simulated platform
    Sim(sim::SimArguments),
    /// Takes a backup of a running server, over the network
    Backup(backup::BackupArguments),
    /// Keeps a running server's log, for restoring to any moment
    Archive(backup::ArchiveArguments),
    /// Makes a disk image of a backup, as of its end or, with archived log, of any later moment
    Restore(backup::RestoreArguments),
    /// Checks a disk image: pages, indexes against tables, free space, catalogs. Writes nothing
    Verify(run::VerifyArguments),
    /// Power cuts under load, with a disk that loses, reorders and tears what was not flushed
    Powercut(powercut::PowercutArguments),
    /// Fuzzes a decoder of bytes from disks or clients; without a target, lists them
    Fuzz(fuzz::FuzzArguments),
    /// Made-up SQL whose answers must be those of a PostgreSQL
    FuzzSql(fuzz_sql::FuzzSqlArguments),
    /// Runs the unit tests of the pure cells under Miri, where it is installed
    Miri,
    /// The test suites of drivers against the hosted server
    Drivers(drivers::DriversArguments),
    /// Formatting, clippy and the report on unsafe code
    Lint,
    /// Measures size, boot time, memory and speed
    Bench(bench::BenchArguments),
}

/// Arguments of `build`.
#[derive(clap::Args, Debug)]
struct BuildArguments {
    /// Without link-time optimisation, incrementally: for trying things out
    #[arg(long)]
    quick: bool,
}

fn build(arguments: &BuildArguments) -> error::Result<()> {
    use kernel_build::Profile;
    let kernel = kernel_build::build_kernel(if arguments.quick { Profile::Quick } else { Profile::Release })?;
    println!("{}", kernel.display());
    Ok(())
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Build(arguments) => build(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Host(arguments) => run::host(&arguments),
        Command::Image(arguments) => run::image(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Sim(arguments) => sim::run(&arguments),
        Command::Backup(arguments) => backup::backup(&arguments),
        Command::Archive(arguments) => backup::archive(&arguments),
        Command::Restore(arguments) => backup::restore_command(&arguments),
        Command::Verify(arguments) => return run::verify(&arguments),
        Command::Powercut(arguments) => powercut::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::FuzzSql(arguments) => fuzz_sql::run(&arguments),
        Command::Drivers(arguments) => drivers::run(&arguments),
        Command::Miri => fuzz::miri(),
        Command::Lint => lint::run(),
        Command::Bench(arguments) => bench::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}
