//! Logs: one line for one thing that happened, on stderr and in a file a day. A line is formatted once, by the
//! thread that says it; one writer thread puts it into both places, many lines in one system call, so that two
//! lines an email cost little at ten thousand emails a second.

mod daily;
mod line;
mod sink;

use crate::base::clock::Clock;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

/// Daily files kept in the log directory.
const FILES_KEPT: usize = 14;
/// Lines that may wait for the writer; further ones are dropped and counted, never waited for.
const LINES_WAITING: usize = 32_768;

/// The broker's client tells its own story of every lost connection, which `queue` tells once and in words that say what
/// to do. Heard only when asked for by name.
const BROKER_CLIENT: &str = "lapin";

/// How the process logs.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSettings {
    /// The shape of a line.
    pub format: LogFormat,
    /// What is logged.
    pub level: LogLevel,
    /// Where the daily files are kept; none: stderr only.
    pub directory: Option<PathBuf>,
    /// Whether email addresses are replaced by a hash.
    pub hash_addresses: bool,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `2026-11-20T11:38:02.123Z INFO posthaste::dispatch: email sent email.id=...`
    Text,
    /// `{"timestamp":"...","level":"info","target":"posthaste::dispatch","message":"email sent","email.id":"..."}`
    Json,
}

/// A level for everything (`info`), with exceptions for modules (`info,posthaste::smtp=debug`).
#[derive(Clone, Debug, PartialEq)]
pub struct LogLevel {
    text: String,
    targets: Targets,
}

/// Text that names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not a log level; write error, warn, info, debug or trace, or a list such as info,posthaste::smtp=debug"
)]
pub struct LogLevelError;

impl LogLevel {
    /// The level as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for LogLevel {
    type Err = LogLevelError;

    fn from_str(text: &str) -> Result<Self, LogLevelError> {
        let mut targets = Targets::new();
        for part in text.split(',').map(str::trim) {
            // `Targets` itself would read a misspelt level as the name of a module.
            let (target, level) =
                part.split_once('=').map_or((None, part), |(t, l)| (Some(t.trim()), l.trim()));
            let level: tracing::level_filters::LevelFilter = match level.to_ascii_lowercase().as_str() {
                level @ ("off" | "error" | "warn" | "info" | "debug" | "trace") => {
                    level.parse().map_err(|_| LogLevelError)?
                }
                _ => return Err(LogLevelError),
            };
            targets = match target {
                Some("") => return Err(LogLevelError),
                Some(target) => targets.with_target(target, level),
                None => targets.with_default(level),
            };
        }
        if !text.contains(BROKER_CLIENT) {
            targets = targets.with_target(BROKER_CLIENT, tracing::level_filters::LevelFilter::OFF);
        }
        Ok(Self { text: text.to_owned(), targets })
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log directory cannot be written.
    #[error("cannot write logs to {directory}: {source}")]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The process logs already.
    #[error("logging is already set up in this process")]
    AlreadySet,
}

/// Keeps the writer thread alive; dropping it writes what still waits. Lives as long as `main`.
#[must_use = "dropping it ends the log"]
pub struct LogGuard {
    _writer: WorkerGuard,
    dropped: ErrorCounter,
}

impl LogGuard {
    /// Lines dropped since the start because they came faster than they could be written.
    pub fn dropped_lines(&self) -> usize {
        self.dropped.dropped_lines()
    }
}

/// Sets up the log of this process, its panics included. Only for `main`: this one thing is global by nature.
pub fn init(settings: &LogSettings) -> Result<LogGuard, LogError> {
    let file = settings.directory.as_deref().map(daily_file).transpose()?;
    let (writer, guard) = writer(sink::Tee::new(std::io::stderr(), file));
    let dropped = writer.error_counter();
    tracing::subscriber::set_global_default(subscriber(settings, writer))
        .map_err(|_| LogError::AlreadySet)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(LogGuard { _writer: guard, dropped })
}

fn writer(tee: impl std::io::Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LINES_WAITING)
        .thread_name("log-writer")
        .finish(tee)
}

fn subscriber(settings: &LogSettings, writer: NonBlocking) -> impl tracing::Subscriber + Send + Sync {
    // The filter is a layer of its own, so that a line below the level costs one cached comparison.
    tracing_subscriber::registry()
        .with(line::LineLayer::new(settings.format, settings.hash_addresses, writer))
        .with(settings.level.targets.clone())
}

fn daily_file(directory: &Path) -> Result<daily::DailyFile, LogError> {
    daily::DailyFile::open(directory, FILES_KEPT, Clock::system())
        .map_err(|source| LogError::Directory { directory: directory.to_owned(), source })
}

fn log_panic(info: &std::panic::PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("no message");
    let thread = std::thread::current();
    let backtrace = std::backtrace::Backtrace::capture();
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let trace = match backtrace.status() {
        std::backtrace::BacktraceStatus::Captured => backtrace.to_string(),
        _ => "set RUST_BACKTRACE=1 to see it".to_owned(),
    };
    tracing::error!(
        location,
        thread = thread.name().unwrap_or("unnamed"),
        backtrace = trace,
        "panic: {message}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: &str, hash_addresses: bool, say: impl FnOnce()) -> String {
        let settings = LogSettings { format, level: level.parse().unwrap(), directory: None, hash_addresses };
        let kept = Kept::default();
        let (writer, guard) = writer(sink::Tee::new(kept.clone(), None));
        tracing::subscriber::with_default(subscriber(&settings, writer), say);
        drop(guard);
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_lines_hold_every_kind_of_value_and_the_fields_of_spans() {
        let text = logged(LogFormat::Json, "debug", false, || {
            let span = tracing::info_span!("request", correlation_id = "c-1", late = tracing::field::Empty);
            span.record("late", 7);
            let _in = span.enter();
            tracing::info!(
                email.id = %"0199", count = 3, big = u64::MAX, ratio = 0.5, nan = f64::NAN, ok = true,
                quoted = "a\"b\\c\nd\u{1}é", debug = ?Some("x"), "email {}", "sent"
            );
            tracing::trace!("not logged");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let mut line: serde_json::Value = serde_json::from_str(&text).unwrap();
        let timestamp = line["timestamp"].take();
        assert_eq!(timestamp.as_str().unwrap().len(), "2026-11-20T11:38:02.123Z".len());
        assert_eq!(
            line,
            serde_json::json!({
                "timestamp": null, "level": "info", "target": "posthaste::base::log::tests", "message": "email sent",
                "email.id": "0199", "count": 3, "big": u64::MAX, "ratio": 0.5, "nan": null, "ok": true,
                "quoted": "a\"b\\c\nd\u{1}é", "debug": "Some(\"x\")", "correlation_id": "c-1", "late": 7,
            })
        );
    }

    #[test]
    fn text_lines_are_one_line_whatever_they_hold() {
        let text = logged(LogFormat::Text, "info", false, || {
            let span = tracing::info_span!("request", correlation_id = "c-1");
            let _in = span.enter();
            tracing::warn!(
                attempt = 2,
                error = "421 busy\r\nforged line",
                empty = "",
                "relay \"a\" is\naway"
            );
        });
        let (_, rest) = text.split_once(' ').unwrap();
        assert_eq!(
            rest,
            "WARN posthaste::base::log::tests: relay \"a\" is\\naway attempt=2 error=\"421 busy\\r\\nforged line\" \
             empty=\"\" correlation_id=c-1\n"
        );
    }

    #[test]
    fn addresses_are_hashed_on_request() {
        let say =
            || tracing::info!(to = "Ann@Example.org", reply = "550 <ann@example.org>: unknown", "refused");
        let plain = logged(LogFormat::Json, "info", false, say);
        assert!(plain.contains("Ann@Example.org"), "{plain}");
        let hashed = logged(LogFormat::Json, "info", true, say);
        assert!(!hashed.contains('@'), "{hashed}");
        // printf %s ann@example.org | sha256sum
        assert_eq!(hashed.matches("sha256:").count(), 2, "{hashed}");
        let line: serde_json::Value = serde_json::from_str(&hashed).unwrap();
        assert_eq!(line["reply"], format!("550 <{}>: unknown", line["to"].as_str().unwrap()));
    }

    #[test]
    fn levels_are_read_or_refused() {
        let text = logged(LogFormat::Text, "warn,posthaste::base::log=debug", false, || {
            tracing::debug!("kept");
            tracing::info!(target: "other", "gone");
            tracing::warn!(target: "other", "kept");
        });
        assert_eq!(text.lines().count(), 2, "{text}");
        for bad in ["", "loud", "info,", "=debug", "posthaste=", "5 apples", "info;debug"] {
            assert_eq!(bad.parse::<LogLevel>(), Err(LogLevelError), "{bad:?}");
        }
    }

    #[test]
    fn lines_also_go_to_a_file_of_the_day() {
        let directory = tempfile::tempdir().unwrap();
        let settings = LogSettings {
            format: LogFormat::Json,
            level: "info".parse().unwrap(),
            directory: Some(directory.path().to_owned()),
            hash_addresses: false,
        };
        let kept = Kept::default();
        let (writer, guard) =
            writer(sink::Tee::new(kept.clone(), Some(daily_file(directory.path()).unwrap())));
        tracing::subscriber::with_default(subscriber(&settings, writer), || {
            for number in 0..1_000 {
                tracing::info!(number, "line");
            }
        });
        drop(guard);
        let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|f| f.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        let name = files[0].file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("posthaste.20") && files[0].extension() == Some("log".as_ref()), "{name}");
        let file = std::fs::read_to_string(&files[0]).unwrap();
        assert_eq!(file.lines().count(), 1_000);
        assert_eq!(file.as_bytes(), *kept.0.lock().unwrap());
    }

    #[test]
    fn an_unwritable_directory_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = daily_file(&file.path().join("logs")).unwrap_err();
        assert!(error.to_string().contains("logs"), "{error}");
    }
}
