//! `cargo xtask fuzz`: the fuzz targets, built with coverage and run for a while each.
//!
//! libFuzzer is linked as a library and the coverage it is guided by is LLVM's own pass, which stable
//! Rust reaches through code generation flags: neither a nightly toolchain, nor clang, nor cargo-fuzz
//! is needed (`cargo +nightly fuzz run TARGET` works as well, and adds AddressSanitizer).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::run;

/// Coverage in the form libFuzzer reads: counters per edge, and the operands of comparisons.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cforce-frame-pointers";

/// Seconds each target is run when nobody says otherwise: as in CI.
const SECONDS: u32 = 5;

/// The longest input, in bytes: more finds nothing here that less does not.
const MAX_LEN: u32 = 4096;

/// Seconds one input may take, and MiB of memory the process: beyond them it is a finding.
const INPUT_SECONDS: u32 = 10;
const MEMORY_MIB: u32 = 1024;

/// Arguments of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this target, of those in `fuzz/targets`.
    pub(crate) target: Option<String>,
    /// How long each target is run.
    #[arg(long, default_value_t = SECONDS)]
    pub(crate) seconds: u32,
}

/// Builds the targets and runs them one after the other, first on their seeds, then on what they find.
///
/// # Errors
///
/// When a target does not build, or finds something: the input is kept and its path printed.
pub(crate) fn run(args: &Args) -> Result<()> {
    let root = run::root();
    let targets = chosen(targets(&root)?, args.target.as_deref())?;
    let built = build(&root)?;
    let work = root.join("target/fuzz");
    for target in &targets {
        let corpus = work.join("corpus").join(target);
        let findings = work.join("findings").join(target);
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&findings)?;
        let mut command = run::program(built.join(target), &[]);
        command.arg(format!("-max_total_time={}", args.seconds));
        command.arg(format!("-max_len={MAX_LEN}"));
        command.arg(format!("-timeout={INPUT_SECONDS}"));
        command.arg(format!("-rss_limit_mb={MEMORY_MIB}"));
        command.arg(format!("-artifact_prefix={}/", findings.display()));
        command.args(["-verbosity=0", "-print_final_stats=1"]);
        let words = root.join("fuzz/dictionaries").join(format!("{target}.dict"));
        if words.is_file() {
            command.arg(format!("-dict={}", words.display()));
        }
        // What it finds is kept in the first folder; the seeds are only read.
        command.arg(&corpus).arg(root.join("fuzz/seeds").join(target));
        run::run(&mut command).with_context(|| {
            format!(
                "`{target}` found something: the input is in {}; once put right, it becomes a seed in \
                 fuzz/seeds/{target}",
                findings.display()
            )
        })?;
    }
    println!("fuzz: {} target(s), {} s each, nothing found", targets.len(), args.seconds);
    Ok(())
}

/// The targets there are, by their files.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if let (Some(stem), Some("rs")) = (stem, path.extension().and_then(|extension| extension.to_str())) {
            names.push(stem.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn chosen(all: Vec<String>, only: Option<&str>) -> Result<Vec<String>> {
    match only {
        None => Ok(all),
        Some(name) if all.iter().any(|each| each == name) => Ok(vec![name.to_owned()]),
        Some(name) => bail!("there is no fuzz target `{name}`, only {}", all.join(", ")),
    }
}

/// Builds all targets; the folder they are in.
fn build(root: &Path) -> Result<PathBuf> {
    seed_lock(root)?;
    let host = host()?;
    let target = root.join("target/fuzz/build");
    let mut command = run::cargo(&["build", "--release", "--manifest-path", "fuzz/Cargo.toml"]);
    // With the host named, build scripts and macros are not given the flags.
    command.args(["--target", &host]).arg("--target-dir").arg(&target).env("RUSTFLAGS", COVERAGE);
    run::run(&mut command)?;
    Ok(target.join(host).join("release"))
}

/// Gives the fuzz workspace the product's lock, so that what is fuzzed is what is shipped; cargo adds
/// the few crates that only fuzzing needs, whose versions the manifest pins.
fn seed_lock(root: &Path) -> Result<()> {
    let (ours, theirs) = (root.join("Cargo.lock"), root.join("fuzz/Cargo.lock"));
    let mark = root.join("target/fuzz/Cargo.lock.seed");
    let lock = fs::read(&ours).context("cannot read Cargo.lock")?;
    if theirs.is_file() && fs::read(&mark).is_ok_and(|seeded| seeded == lock) {
        return Ok(());
    }
    fs::create_dir_all(root.join("target/fuzz"))?;
    fs::write(&theirs, &lock).context("cannot write fuzz/Cargo.lock")?;
    fs::write(&mark, &lock).context("cannot write below target")
}

/// The triple of this machine, as rustc names it.
fn host() -> Result<String> {
    let version = run::output(&mut run::program("rustc", &["-vV"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned);
    ensure!(host.is_some(), "`rustc -vV` names no host");
    Ok(host.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_declared_and_has_seeds() {
        let root = run::root();
        let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
        let targets = targets(&root).unwrap();
        assert!(!targets.is_empty());
        for target in targets {
            assert!(manifest.contains(&format!("path = \"targets/{target}.rs\"")), "{target}");
            let seeds = fs::read_dir(root.join("fuzz/seeds").join(&target));
            assert!(seeds.is_ok_and(|mut seeds| seeds.next().is_some()), "{target} has no seeds");
        }
    }

    #[test]
    fn an_unknown_target_is_told_which_there_are() {
        let all = || vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(chosen(all(), None).unwrap(), all());
        assert_eq!(chosen(all(), Some("b")).unwrap(), ["b"]);
        let error = chosen(all(), Some("c")).unwrap_err().to_string();
        assert_eq!(error, "there is no fuzz target `c`, only a, b");
    }
}
