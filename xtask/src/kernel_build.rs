//! Builds the bare-metal binaries: the kernel image with its symbols, and the UEFI loader.
//!
//! Both are linked freestanding for `x86_64-unknown-linux-gnu` (see docs on the toolchain): the flags below are given
//! to that target only, so build scripts and procedural macros get none of them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    elf,
    error::{Context, Error, Result},
    pe,
};

/// How to compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// As shipped: thin link-time optimisation.
    Release,
    /// Quicker to build, slower to run.
    Quick,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Quick => "quick",
        }
    }
}

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Largest image that is accepted (the promise in the specification).
const MAX_IMAGE: u64 = 24 << 20;

fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

fn cargo(crate_folder: &Path, target_folder: &Path, verb: &[&str], flags: &[String]) -> Result<()> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let (subcommand, arguments) = verb.split_first().unwrap_or((&"build", &[]));
    command
        .current_dir(crate_folder)
        .args([subcommand, "--quiet", "--target", TARGET])
        .args(arguments)
        .env("CARGO_TARGET_DIR", target_folder)
        // Language items for the unwinder: this one crate may use unstable features.
        .env("RUSTC_BOOTSTRAP", "unwinding")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env_remove("RUSTFLAGS");
    let status = command.status().context(|| "run cargo".into())?;
    if status.success() {
        return Ok(());
    }
    let what = format!("cargo {subcommand} in {}", crate_folder.display());
    Err(Error::Command { command: what, status: status.to_string() })
}

fn link_arguments(arguments: &[&str]) -> Vec<String> {
    arguments.iter().flat_map(|a| ["-C".to_string(), format!("link-arg={a}")]).collect()
}

/// Folder of the appliance's crate, its build folder, and the flags that it is compiled with.
fn kernel_crate() -> (PathBuf, PathBuf, Vec<String>) {
    let folder = root().join("kernel/appliance");
    let script = format!("-Wl,-T,{}", folder.join("kernel.ld").display());
    let mut flags: Vec<String> = [
        "--cfg",
        "intralith_platform=\"metal\"",
        "-Crelocation-model=static",
        "-Ccode-model=kernel",
        "-Ctarget-cpu=x86-64-v2",
        "-Cforce-unwind-tables=yes",
    ]
    .map(String::from)
    .to_vec();
    flags.extend(link_arguments(&[
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--eh-frame-hdr",
        "-Wl,-z,max-page-size=4096",
        "-Wl,--build-id=none",
        "-Wl,--gc-sections",
        &script,
    ]));
    (folder, root().join("target/metal"), flags)
}

/// The same for the UEFI loader.
fn loader_crate() -> (PathBuf, PathBuf, Vec<String>) {
    let folder = root().join("boot/uefi");
    let script = format!("-Wl,-T,{}", folder.join("loader.ld").display());
    let mut flags: Vec<String> = ["-Crelocation-model=pie", "-Cpanic=abort"].map(String::from).to_vec();
    flags.extend(link_arguments(&[
        "-nostartfiles",
        "-nostdlib",
        "-static-pie",
        "-Wl,-z,max-page-size=4096",
        "-Wl,-z,norelro",
        "-Wl,--build-id=none",
        &script,
    ]));
    (folder, root().join("target/uefi"), flags)
}

/// Runs clippy over the crates outside the workspace, with the flags of their real builds; a warning is an error.
pub fn clippy() -> Result<()> {
    for (folder, target, flags) in [kernel_crate(), loader_crate()] {
        cargo(&folder, &target, &["clippy", "--", "-D", "warnings"], &flags)?;
    }
    Ok(())
}

/// Builds the kernel; the image that QEMU and the loader take. `INTRALITH_KERNEL` names one that was built elsewhere, for machines that cannot build it.
pub fn build_kernel(profile: Profile) -> Result<PathBuf> {
    if let Some(image) = std::env::var_os("INTRALITH_KERNEL") {
        return Ok(image.into());
    }
    let (folder, target, flags) = kernel_crate();
    cargo(&folder, &target, &["build", "--profile", profile.name()], &flags)?;
    let linked = target.join(TARGET).join(profile.name()).join("intralith");
    let bytes = fs::read(&linked).context(|| format!("read {}", linked.display()))?;
    let image = elf::kernel_image(&bytes)?;
    if image.len() as u64 > MAX_IMAGE {
        return Err(Error::Failed(format!(
            "the kernel image has {} bytes, more than {MAX_IMAGE}",
            image.len()
        )));
    }
    let out = linked.with_extension("elf");
    write_if_changed(&out, &image)?;
    Ok(out)
}

/// Builds the UEFI loader; a PE32+ application.
pub fn build_loader() -> Result<PathBuf> {
    let (folder, target, flags) = loader_crate();
    cargo(&folder, &target, &["build", "--profile", Profile::Release.name()], &flags)?;
    let linked = target.join(TARGET).join("release/intralith_loader");
    let bytes = fs::read(&linked).context(|| format!("read {}", linked.display()))?;
    let application = pe::application(&elf::flatten(&bytes)?);
    let out = linked.with_extension("efi");
    write_if_changed(&out, &application)?;
    Ok(out)
}

/// Keeps the file's time when nothing changed, for whoever compares times.
fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).context(|| format!("write {}", path.display()))
}
