//! `rowhouse man`: the manual pages.
use super::{program, program_names};
use anyhow::Context as _;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write a page for every command into this directory instead of printing the first
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
}

impl Man {
    /// Writes the pages.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let Some(directory) = &self.out else {
            let page = program("rowhouse").disable_help_subcommand(true);
            return Ok(clap_mangen::Man::new(page).render(out)?);
        };
        let failed = || format!("cannot write manual pages into {}", directory.display());
        std::fs::create_dir_all(directory).with_context(failed)?;
        for name in program_names() {
            clap_mangen::generate_to(program(name), directory).with_context(failed)?;
        }
        Ok(())
    }
}
