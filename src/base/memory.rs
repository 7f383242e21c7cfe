//! How much memory this process takes and may take, as the kernel tells.

use std::fs;
use std::path::Path;

/// Memory of this process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// In use now.
    pub used: u64,
    /// The most that ever was.
    pub peak: u64,
    /// The least that a control group allows; none: no group limits it.
    pub limit: Option<u64>,
}

impl Memory {
    /// Asks the kernel. What it does not tell (outside Linux) is 0.
    pub fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self {
            used: kilobytes(&status, "VmRSS:"),
            peak: kilobytes(&status, "VmHWM:"),
            limit: group_limit(Path::new("/sys/fs/cgroup"), &group),
        }
    }
}

/// A figure of `/proc/PID/status` (proc(5)), which is told in units of 1,024 bytes.
fn kilobytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0).saturating_mul(1024)
}

/// The tightest limit of the process' control group and those around it: `memory.max` (version 2) or
/// `memory.limit_in_bytes` (version 1).
fn group_limit(root: &Path, groups: &str) -> Option<u64> {
    let mut tightest: Option<u64> = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (base, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            named if named.split(',').any(|one| one == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let inside = Path::new(path.trim_start_matches('/'));
        for around in inside.ancestors() {
            let told = fs::read_to_string(base.join(around).join(file)).ok();
            let limit = told.and_then(|text| text.trim().parse::<u64>().ok());
            // Version 1 writes "no limit" as a number near the largest one.
            let limit = limit.filter(|bytes| *bytes < u64::MAX / 4);
            tightest = tightest.into_iter().chain(limit).min();
        }
    }
    tightest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_of_this_process() {
        let memory = Memory::read();
        assert!(memory.used > 0 && memory.peak >= memory.used, "{memory:?}");
        assert_eq!(kilobytes("Name:\tx\nVmRSS:\t    2048 kB\n", "VmRSS:"), 2048 * 1024);
        assert_eq!(kilobytes("Name:\tx\n", "VmRSS:"), 0);
    }

    #[test]
    fn the_tightest_group_counts() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("a/b/memory.max"), "max\n").unwrap();
        fs::write(root.path().join("a/memory.max"), "134217728\n").unwrap();
        assert_eq!(group_limit(root.path(), "0::/a/b\n"), Some(128 << 20));
        fs::write(root.path().join("a/b/memory.max"), "1048576\n").unwrap();
        assert_eq!(group_limit(root.path(), "0::/a/b\n"), Some(1 << 20));
        assert_eq!(group_limit(root.path(), "0::/none\n"), None);
        assert_eq!(group_limit(root.path(), ""), None);
        fs::create_dir_all(root.path().join("memory/x")).unwrap();
        fs::write(root.path().join("memory/x/memory.limit_in_bytes"), "9223372036854771712").unwrap();
        assert_eq!(group_limit(root.path(), "5:cpu:/x\n4:memory:/x\n"), None);
    }
}
