//! `rowhouse completions`: what a shell needs to complete the command line.
use super::program;
use clap::Args;
use clap_complete::Shell;
use std::io::Write;

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
    /// The name of the program to complete
    #[arg(default_value = "rowhouse", value_parser = super::program_names())]
    program: String,
}

impl Completions {
    /// Writes the script.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program(&self.program), &self.program, &mut script);
        Ok(out.write_all(&script)?)
    }
}
