//! `cargo xtask fuzz`: libFuzzer over everything that decodes bytes, on the stable toolchain.
//!
//! Coverage comes from LLVM's pass, which needs no runtime of a sanitizer; the targets are in `fuzz/`. `cargo xtask miri` is here
//! too: the same decoders' unit tests under the interpreter, where it is installed.

use std::{fs, process::Command};

use crate::{
    error::{Context, Error, Result},
    tools,
};

/// Arguments of `fuzz`.
#[derive(clap::Args, Debug)]
pub struct FuzzArguments {
    /// What to fuzz; `all` for each in turn; nothing lists what there is
    target: Option<String>,
    /// For how long, each
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Build scripts and macros must not be instrumented: with a target named, the flags are for the target alone.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// Targets that need the engine above the storage.
const ENGINE: [&str; 2] = ["sql", "copy"];

fn targets() -> Result<Vec<String>> {
    let folder = tools::root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).context(|| format!("list {}", folder.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|e| e.path().file_stem().map(|n| n.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// Builds and runs fuzzers; fails when one finds something.
pub fn run(arguments: &FuzzArguments) -> Result<()> {
    let all = targets()?;
    let Some(wanted) = &arguments.target else {
        println!("{}", all.join("\n"));
        return Ok(());
    };
    let chosen: Vec<&String> = all.iter().filter(|t| wanted == "all" || *t == wanted).collect();
    if chosen.is_empty() {
        return Err(Error::Failed(format!("there is no fuzzer {wanted}; there are: {}", all.join(", "))));
    }
    let out = tools::target().join("fuzz");
    for name in chosen {
        let mut build = tools::cargo();
        build.current_dir(tools::root().join("fuzz"));
        build.args(["build", "--release", "--target", TRIPLE, "--bin", name]);
        if ENGINE.contains(&name.as_str()) {
            build.args(["--features", "sql"]);
        }
        build.arg("--target-dir").arg(&out).env("RUSTFLAGS", COVERAGE).env_remove("CARGO_ENCODED_RUSTFLAGS");
        tools::run(&mut build)?;
        let (corpus, kept) = (out.join("corpus").join(name), tools::root().join("fuzz/corpus").join(name));
        let artifacts = out.join("artifacts").join(name);
        for folder in [&corpus, &artifacts] {
            fs::create_dir_all(folder).context(|| format!("create {}", folder.display()))?;
        }
        let mut fuzzer = Command::new(out.join(TRIPLE).join("release").join(name));
        fuzzer.arg(&corpus);
        if kept.is_dir() {
            fuzzer.arg(&kept);
        }
        fuzzer.arg(format!("-max_total_time={}", arguments.seconds));
        fuzzer.arg(format!("-artifact_prefix={}/", artifacts.display()));
        fuzzer.args(["-timeout=20", "-rss_limit_mb=4096", "-max_len=20000", "-print_final_stats=1"]);
        println!("fuzzing {name} for {} s", arguments.seconds);
        tools::run(&mut fuzzer)?;
    }
    Ok(())
}

/// Crates without devices or threads, whose unit tests the interpreter can run.
const PURE: [&str; 6] = ["pg_page", "pg_wal", "pg_volume", "pg_types", "pg_wire", "kernel_simd"];

/// Runs the pure cells' unit tests under Miri.
pub fn miri() -> Result<()> {
    let there = tools::cargo().args(["miri", "--version"]).output().is_ok_and(|o| o.status.success());
    if !there {
        return Err(Error::Failed(
            "Miri is not installed. It comes with nightly toolchains only: rustup toolchain install nightly --component miri \
             rust-src, and then RUSTUP_TOOLCHAIN=nightly cargo xtask miri"
                .into(),
        ));
    }
    let mut command = tools::cargo();
    command.args(["miri", "test", "--lib"]);
    for name in PURE {
        command.args(["--package", name]);
    }
    tools::run(command.env("PROPTEST_CASES", "4").env("MIRIFLAGS", "-Zmiri-disable-isolation"))
}
