//! Python with packages from PyPI, in an environment of its own that all runs share.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A Python that has these packages; `None`, with a message, where PyPI cannot be reached. The environment is made once
/// for a set of packages and kept in the target folder.
pub fn with(packages: &[&str]) -> Option<PathBuf> {
    let name: String =
        packages.join("-").chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("python-{name}"));
    let python = folder.join("bin/python");
    // Tests run at once, also as processes: the first makes it, the others wait.
    let lock = File::create(folder.with_extension("lock")).expect("a lock");
    lock.lock().expect("a lock");
    let done = folder.join("done");
    if !done.exists() {
        let _ = std::fs::remove_dir_all(&folder);
        let run = |command: &mut Command| {
            command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
        };
        let made = run(Command::new("python3").args(["-m", "venv"]).arg(&folder))
            && run(Command::new(&python)
                .args(["-m", "pip", "install", "-q", "--disable-pip-version-check"])
                .args(packages));
        if !made {
            eprintln!("skipped: {} cannot be installed (is PyPI reachable?)", packages.join(", "));
            return None;
        }
        File::create(done).expect("a mark");
    }
    Some(python)
}
