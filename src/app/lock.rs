//! Who works in a data directory: one server with role `all`, and any number of further workers. The lock is the
//! kernel's, so that a killed process leaves none behind.

use super::StartError;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Further workers on one data directory.
const WORKERS: usize = 64;

/// A held lock; free again when dropped or when the process ends, however it ends.
#[derive(Debug)]
pub struct Seat {
    /// The seat's name, the same for the next process that takes it: `all`, `worker-1`...
    pub name: String,
    _file: File,
}

/// Takes the seat of the one server with role `all`.
pub fn take_all(run: &Path) -> Result<Seat, StartError> {
    take(run, "all")?.ok_or_else(|| StartError::Occupied(run.display().to_string()))
}

/// Takes the first free seat of a further process.
pub fn take_further(run: &Path, role: &str) -> Result<Seat, StartError> {
    for number in 1..=WORKERS {
        if let Some(seat) = take(run, &format!("{role}-{number}"))? {
            return Ok(seat);
        }
    }
    Err(StartError::Setting(format!("{WORKERS} processes work on {} already", run.display())))
}

/// Takes the seat of the worker that `queue start` runs; `None`: it is taken.
pub fn take_queue_worker(run: &Path) -> Result<Option<Seat>, StartError> {
    take(run, "queue")
}

/// Takes every seat that anybody ever took, so that nobody works here: for work on the files themselves. An error names
/// the process that is in the way.
pub fn hold_data_directory(run: &Path) -> Result<Vec<Seat>, StartError> {
    let Ok(entries) = std::fs::read_dir(run) else { return Ok(Vec::new()) };
    let mut seats = vec![take_all(run)?];
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(name) = name.strip_suffix(".lock").filter(|name| *name != "all") else { continue };
        let seat = take(run, name)?;
        seats.push(seat.ok_or_else(|| {
            StartError::Setting(format!("a process ({name}) works on {}; stop it first", run.display()))
        })?);
    }
    Ok(seats)
}

fn take(run: &Path, name: &str) -> Result<Option<Seat>, StartError> {
    let system = |error| StartError::System { what: "the data directory's lock", error };
    let path = run.join(format!("{name}.lock"));
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map_err(system)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Seat { name: name.to_owned(), _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(system(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_works_there_is_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let server = take_all(dir.path()).unwrap();
        assert!(matches!(hold_data_directory(dir.path()), Err(StartError::Occupied(_))));
        drop(server);
        let worker = take_further(dir.path(), "worker").unwrap();
        let refused = hold_data_directory(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("worker-1"), "{refused}");
        drop(worker);
        assert_eq!(hold_data_directory(dir.path()).unwrap().len(), 2);
        assert!(hold_data_directory(&dir.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn one_all_and_many_workers() {
        let dir = tempfile::tempdir().unwrap();
        let first = take_all(dir.path()).unwrap();
        assert!(matches!(take_all(dir.path()), Err(StartError::Occupied(_))));
        let workers: Vec<Seat> = (0..3).map(|_| take_further(dir.path(), "worker").unwrap()).collect();
        assert_eq!(
            workers.iter().map(|w| w.name.as_str()).collect::<Vec<_>>(),
            ["worker-1", "worker-2", "worker-3"]
        );
        drop(first);
        assert!(take_all(dir.path()).is_ok(), "free again");
    }
}
