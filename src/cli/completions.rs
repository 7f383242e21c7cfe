//! `posthaste completions`.

use super::failure::Failure;
use super::output;
use clap::Args;
use clap_complete::Shell;

#[derive(Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub fn run(self, mut command: clap::Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "posthaste", &mut script);
        output::line(&String::from_utf8_lossy(&script))
    }
}
