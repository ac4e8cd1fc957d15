//! `cargo xtask lint`: formatting, clippy, and where `unsafe` is.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    error::{Context, Error, Result},
    kernel_build, tools,
};

/// Folders whose crates may contain `unsafe`.
const UNSAFE_STOREYS: [&str; 4] = ["boot/", "kernel/", "drivers/", "qemu/gpu_shim/"];

/// Crates inside those folders that must forbid it all the same.
const SAFE_INSIDE: [&str; 5] =
    ["kernel/platform", "kernel/config", "kernel/compute_protocol", "kernel/hosted", "boot/layout"];

/// Crates that build files of the kernel's as they are: they contain no `unsafe` of their own, but cannot forbid it.
const BORROWERS: [&str; 1] = ["tests/loom"];

/// Crates outside the workspace, which cargo's `--workspace` does not reach.
const OUTSIDE: [&str; 2] = ["kernel/appliance", "boot/uefi"];

/// Everything; the first thing found wrong ends it.
pub fn run() -> Result<()> {
    tools::run(tools::cargo().args(["fmt", "--all", "--check"]))?;
    for outside in OUTSIDE {
        let manifest = tools::root().join(outside).join("Cargo.toml");
        if manifest.exists() {
            tools::run(tools::cargo().args(["fmt", "--check", "--manifest-path"]).arg(manifest))?;
        }
    }
    tools::run(tools::cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    // What the simulated platform alone builds.
    let mut simulated = tools::cargo();
    simulated.args(["clippy", "--package", "platform", "--package", "pg_storage", "--package", "pg_backup"]);
    simulated.args(["--package", "dagdb_store"]);
    simulated.arg("--target-dir").arg(tools::target().join("simulated")).args(["--lib", "--tests"]);
    simulated.args(["--", "-D", "warnings"]);
    tools::run(simulated.env("RUSTFLAGS", "--cfg intralith_platform=\"simulated\""))?;
    kernel_build::clippy()?;
    unsafe_report()
}

/// Source lines of one crate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    /// Lines of code.
    code: usize,
    /// Of these, lines with the keyword.
    with_unsafe: usize,
    /// Of these, lines without an argument for it: `SAFETY:` or `# Safety` in what is written above, up to the end of the statement
    /// before. The compiler asks for it above blocks, implementations and public functions; this asks for the rest too.
    unargued: usize,
}

/// Prints unsafe lines per crate and fails when a crate that must not has any, or does not forbid it.
pub fn unsafe_report() -> Result<()> {
    let root = tools::root();
    let mut crates = BTreeMap::new();
    find_crates(&root, &root, &mut crates)?;
    let mut wrong = Vec::new();
    let (mut code, mut with_unsafe) = (0, 0);
    println!("{:<28} {:>8} {:>8}", "crate", "lines", "unsafe");
    for (name, folder) in &crates {
        let count = count_folder(&folder.join("src"))?;
        code += count.code;
        with_unsafe += count.with_unsafe;
        println!("{name:<28} {:>8} {:>8}", count.code, count.with_unsafe);
        if count.unargued > 0 {
            wrong
                .push(format!("{name} has {} lines of \"unsafe\" without an argument above", count.unargued));
        }
        let allowed =
            UNSAFE_STOREYS.iter().any(|s| name.starts_with(s)) && !SAFE_INSIDE.contains(&name.as_str());
        if !allowed {
            if count.with_unsafe > 0 {
                wrong.push(format!("{name} contains unsafe"));
            }
            if !BORROWERS.contains(&name.as_str()) && !forbids(folder) {
                wrong.push(format!("{name} does not say #![forbid(unsafe_code)]"));
            }
        }
    }
    println!("{:<28} {code:>8} {with_unsafe:>8}", "all");
    if wrong.is_empty() { Ok(()) } else { Err(Error::Failed(wrong.join("\n"))) }
}

fn find_crates(root: &Path, folder: &Path, crates: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).context(|| format!("read {}", folder.display()))? {
        let path = entry.context(|| format!("read {}", folder.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_dir() || name.starts_with('.') || name.starts_with("target") || name == "node_modules" {
            continue;
        }
        if path.join("Cargo.toml").exists() {
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            crates.insert(relative, path.clone());
        }
        find_crates(root, &path, crates)?;
    }
    Ok(())
}

fn forbids(folder: &Path) -> bool {
    ["src/lib.rs", "src/main.rs"]
        .iter()
        .filter_map(|f| std::fs::read_to_string(folder.join(f)).ok())
        .all(|text| text.contains("#![forbid(unsafe_code)]"))
}

fn count_folder(folder: &Path) -> Result<Count> {
    let mut count = Count::default();
    if !folder.is_dir() {
        return Ok(count);
    }
    for entry in std::fs::read_dir(folder).context(|| format!("read {}", folder.display()))? {
        let path = entry.context(|| format!("read {}", folder.display()))?.path();
        let more = if path.is_dir() {
            count_folder(&path)?
        } else if path.extension().is_some_and(|e| e == "rs") {
            count_text(&std::fs::read_to_string(&path).context(|| format!("read {}", path.display()))?)
        } else {
            Count::default()
        };
        count.code += more.code;
        count.with_unsafe += more.with_unsafe;
        count.unargued += more.unargued;
    }
    Ok(count)
}

/// Does what stands above a line, or the line itself, say why it is sound?
fn is_argued(above: &[&str], line: &str) -> bool {
    let argues = |l: &str| l.contains("SAFETY:") || l.contains("# Safety");
    let ends = |l: &str| l.is_empty() || l.ends_with(';') || l.ends_with('}');
    let belongs = |l: &&&str| l.starts_with("//") || l.starts_with("#[") || !ends(l);
    argues(line) || above.iter().rev().take_while(belongs).any(|l| argues(l))
}

fn count_text(text: &str) -> Count {
    let mut count = Count::default();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for (i, line) in lines.iter().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        if code.is_empty() {
            continue;
        }
        count.code += 1;
        let word = |w: &str| {
            code.match_indices(w).any(|(at, _)| {
                let bounded =
                    |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '"');
                bounded(code[..at].chars().next_back()) && bounded(code[at + w.len()..].chars().next())
            })
        };
        if word("unsafe") {
            count.with_unsafe += 1;
            count.unargued += usize::from(!is_argued(lines.get(..i).unwrap_or_default(), line));
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keyword_is_told_from_its_mentions() {
        let text = "unsafe { x() }\n// unsafe in a comment\n#![forbid(unsafe_code)]\nlet a = \"unsafe\";\n\nunsafe fn f() {}";
        assert_eq!(count_text(text), Count { code: 4, with_unsafe: 2, unargued: 2 });
    }

    #[test]
    fn an_argument_stands_above_its_line() {
        let unargued = |text: &str| count_text(text).unargued;
        assert_eq!(unargued("// SAFETY: it is so.\nunsafe { x() }"), 0);
        assert_eq!(unargued("/// # Safety\n/// None.\n#[inline]\nunsafe fn f() {"), 0);
        assert_eq!(unargued("// SAFETY: it is so.\nlet a =\nunsafe { x() };"), 0);
        assert_eq!(unargued("// SAFETY: it is so.\nx();\nunsafe { x() }"), 1);
        assert_eq!(unargued(&format!("#[{}(no_mangle)]\nfn f() {{}}", "unsafe")), 1);
    }
}
