//! The log file of the day, for its owner alone: a line may hold an address.

use crate::base::clock::Clock;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

const PREFIX: &str = "posthaste.";
const SUFFIX: &str = ".log";

/// Appends to `posthaste.YYYY-MM-DD.log` (UTC), and keeps the newest few of these files.
#[derive(Debug)]
pub(super) struct DailyFile {
    directory: PathBuf,
    kept: usize,
    clock: Clock,
    day: String,
    file: File,
}

impl DailyFile {
    /// Opens the file of today; makes the directory where it is missing.
    pub(super) fn open(directory: &Path, kept: usize, clock: Clock) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let day = clock.now().date();
        let file = open_day(directory, &day)?;
        let opened = Self { directory: directory.to_owned(), kept, clock, day, file };
        opened.remove_old();
        Ok(opened)
    }

    /// Goes on to the next day's file. Where that cannot be opened, the old one is written on.
    fn turn(&mut self) {
        let day = self.clock.now().date();
        if day == self.day {
            return;
        }
        if let Ok(file) = open_day(&self.directory, &day) {
            (self.file, self.day) = (file, day);
            self.remove_old();
        }
    }

    fn remove_old(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
            .collect();
        // The name holds the date: the order of names is that of days.
        names.sort();
        for name in &names[..names.len().saturating_sub(self.kept)] {
            // Gone already, or not ours to remove: the next day tries again.
            let _ = fs::remove_file(self.directory.join(name));
        }
    }
}

fn open_day(directory: &Path, day: &str) -> io::Result<File> {
    let path = directory.join(format!("{PREFIX}{day}{SUFFIX}"));
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

impl Write for DailyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.turn();
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_model::Timestamp;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    #[test]
    fn each_day_has_its_file_and_old_ones_go() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("logs");
        let clock = Clock::manual(Timestamp::parse("2026-12-30T12:00:00Z").unwrap());
        let mut file = DailyFile::open(&place, 2, clock.clone()).unwrap();
        for line in ["one\n", "two\n", "three\n"] {
            file.write_all(line.as_bytes()).unwrap();
            clock.advance(Duration::from_secs(86_400));
        }
        let mut names: Vec<_> = fs::read_dir(&place).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["posthaste.2026-12-31.log", "posthaste.2027-01-01.log"]);
        assert_eq!(fs::read_to_string(place.join("posthaste.2027-01-01.log")).unwrap(), "three\n");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&place), mode(&place.join("posthaste.2026-12-31.log"))), (0o700, 0o600));
    }
}
