//! What the processes of a system cost, from /proc: a root and all its descendants.

use std::collections::HashMap;
use std::fs;

/// Clock ticks a second in /proc/PID/stat; fixed on Linux for all architectures we know.
const TICKS_PER_SECOND: f64 = 100.0;

/// Readings at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time so far, children that ended included.
    pub cpu_seconds: f64,
    /// Memory in use now; what processes share is counted once (PSS).
    pub resident_mib: f64,
    /// The highest memory use so far of a process alone; of several, what they use now.
    pub peak_mib: f64,
    /// Bytes handed to the storage layer so far, of the processes that live now.
    pub written_kib: f64,
}

/// The process and its descendants that live now.
fn family(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let Ok(entries) = fs::read_dir("/proc") else { return vec![root] };
    for entry in entries.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if let Some(parent) = stat(id).and_then(|fields| fields.get(1)?.parse().ok()) {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut all = vec![root];
    let mut at = 0;
    while at < all.len() {
        all.extend(children.remove(&all[at]).unwrap_or_default());
        at += 1;
    }
    all
}

/// The fields of /proc/PID/stat from the third on: the second may hold anything, up to its last parenthesis.
fn stat(id: u32) -> Option<Vec<String>> {
    let line = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    Some(line.rsplit_once(')')?.1.split_ascii_whitespace().map(ToOwned::to_owned).collect())
}

/// The process of this name whose parent has another: the root of a server's family. Of several, the youngest.
pub fn named(name: &str) -> Option<u32> {
    let is_named =
        |id: u32| fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|found| found.trim() == name);
    let ids = fs::read_dir("/proc").ok()?.flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parent = |id: u32| -> Option<u32> { stat(id)?.get(1)?.parse().ok() };
    ids.filter(|id| is_named(*id) && parent(*id).is_some_and(|parent| !is_named(parent))).max()
}

fn number_behind(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_ascii_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0.0)
}

/// Reads a process and its descendants.
pub fn usage(root: u32) -> Usage {
    let mut usage = Usage::default();
    let family = family(root);
    for &id in &family {
        // utime, stime, cutime, cstime are fields 14 to 17, counted from 1.
        let ticks: f64 = stat(id).map_or(0.0, |fields| {
            fields.iter().skip(11).take(4).filter_map(|field| field.parse::<f64>().ok()).sum()
        });
        usage.cpu_seconds += ticks / TICKS_PER_SECOND;
        let memory = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
        usage.resident_mib += number_behind(&memory, "Pss:") / 1024.0;
        let io = fs::read_to_string(format!("/proc/{id}/io")).unwrap_or_default();
        usage.written_kib += number_behind(&io, "write_bytes:") / 1024.0;
    }
    // Peaks of several processes neither fall together nor exclude what they share.
    usage.peak_mib = if family.len() == 1 {
        let status = fs::read_to_string(format!("/proc/{root}/status")).unwrap_or_default();
        number_behind(&status, "VmHWM:") / 1024.0
    } else {
        usage.resident_mib
    };
    usage
}
