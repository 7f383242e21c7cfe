//! Packages from npm, in a folder of their own that all runs share.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The folder of a package (`name@version`) in `node_modules`; `None`, with a message, where npm or its registry cannot
/// be reached. It is fetched once and kept in the target folder; nothing of it runs while it is installed.
pub fn with(package: &str) -> Option<PathBuf> {
    let name = package.rsplit_once('@').map_or(package, |(name, _)| name);
    let plain: String = package.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("npm-{plain}"));
    // Tests run at once, also as processes: the first makes it, the others wait.
    let lock = File::create(folder.with_extension("lock")).expect("a lock");
    lock.lock().expect("a lock");
    let done = folder.join("done");
    if !done.exists() {
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        let installed = Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", package])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .output();
        if !installed.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: {package} cannot be installed (is npm there, and its registry?)");
            return None;
        }
        File::create(done).expect("a mark");
    }
    Some(folder.join("node_modules").join(name))
}
