//! `posthaste doctor`: tries every configured part, says what is wrong and how to mend it.

mod checks;
mod disk;
mod endpoint;
mod graph;
mod listener;

use super::Place;
use super::failure::{FAILED, Failure};
use super::installation::block_on;
use super::output::{self, Format, harmless, harmless_lines};
use crate::app::{App, BuildOptions};
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::ExitCode;

#[derive(Args)]
pub struct Doctor {
    /// One part alone, looked at more closely
    #[arg(value_enum)]
    part: Option<Part>,
    /// With graph: a mailbox that mail shall be sent from
    #[arg(long, value_name = "ADDRESS", requires = "part")]
    user: Option<String>,
    #[command(flatten)]
    format: Format,
}

/// What can be looked at alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The set-up at Microsoft: login, permissions, mailbox
    Graph,
}

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    Ok,
    Warning,
    Failed,
}

impl Grade {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// What was found of one part.
#[derive(Debug)]
struct Diagnosis {
    part: String,
    grade: Grade,
    message: String,
    /// How to mend it; empty when nothing is wrong.
    remedy: String,
}

impl Diagnosis {
    fn ok(part: impl Into<String>, message: impl Into<String>) -> Self {
        Self { part: part.into(), grade: Grade::Ok, message: message.into(), remedy: String::new() }
    }

    fn warning(part: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { part: part.into(), grade: Grade::Warning, message: message.into(), remedy: remedy.into() }
    }

    fn failed(part: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { part: part.into(), grade: Grade::Failed, message: message.into(), remedy: remedy.into() }
    }
}

impl Doctor {
    /// Exit code 0 when everything is fine or only warned of, 1 when a configured part fails.
    pub fn run(self, place: &Place) -> Result<ExitCode, Failure> {
        let found = self.examine(place)?;
        let worst = found.iter().map(|one| one.grade).max().unwrap_or(Grade::Ok);
        if self.format.json {
            output::json(
                &json!({"status": worst.as_str(), "checks": found.iter().map(shape).collect::<Vec<_>>()}),
            )?;
        } else {
            output::line(&text(&found, worst))?;
        }
        Ok(if worst == Grade::Failed { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
    }

    /// Every check that can be made; a part that cannot be opened hides those that stand on it.
    fn examine(&self, place: &Place) -> Result<Vec<Diagnosis>, Failure> {
        let settings = match place.load() {
            Ok(loaded) => loaded.settings,
            Err(Failure::Config(errors)) => {
                let remedy = "mend what is named; `posthaste config docs` prints the manual";
                return Ok(vec![Diagnosis::failed("config", errors.to_string(), remedy)]);
            }
            Err(other) => return Err(other),
        };
        let mut found = vec![Diagnosis::ok("config", "no faults")];
        block_on(async {
            let listen = settings.http.listen;
            let directory = settings.data.dir.clone();
            match App::build(settings, BuildOptions::default()).await {
                Ok(app) => {
                    match self.part {
                        Some(Part::Graph) => {
                            let graph = graph::all(&app, self.user.as_deref()).await;
                            found.extend(if graph.is_empty() { vec![graph::none()] } else { graph });
                        }
                        None => {
                            found.extend(checks::all(&app).await);
                            found.extend(graph::all(&app, None).await);
                        }
                    }
                    app.store.close().await;
                }
                Err(error) => {
                    found.push(Diagnosis::failed("installation", error.to_string(), "mend what is named"));
                }
            }
            if self.part.is_none() {
                found.push(listener::http(&directory, listen).await);
            }
            Ok(found)
        })
    }
}

fn shape(one: &Diagnosis) -> Value {
    let remedy = (!one.remedy.is_empty()).then_some(&one.remedy);
    json!({"name": one.part, "status": one.grade.as_str(), "message": one.message, "remedy": remedy})
}

fn text(found: &[Diagnosis], worst: Grade) -> String {
    let mut text = String::new();
    let width = found.iter().map(|one| one.part.chars().count()).max().unwrap_or(0);
    for one in found {
        let message = harmless_lines(&one.message);
        let _ = writeln!(text, "{:<8} {:<width$}  {message}", one.grade.as_str(), harmless(&one.part));
        if !one.remedy.is_empty() {
            let _ = writeln!(text, "{:<8} {:<width$}  -> {}", "", "", harmless(&one.remedy));
        }
    }
    text.push_str(match worst {
        Grade::Ok => "Everything works.",
        Grade::Warning => "Everything works; see the warnings.",
        Grade::Failed => "Something does not work.",
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_part_decides_and_remedies_are_shown() {
        let found = [
            Diagnosis::ok("store", "answers"),
            Diagnosis::warning("keys", "there is none", "make one"),
            Diagnosis::failed("transport smtp", "refused\u{1b}[2J", "start it"),
        ];
        assert_eq!(found.iter().map(|one| one.grade).max(), Some(Grade::Failed));
        let text = text(&found, Grade::Failed);
        assert!(text.contains("-> make one") && text.contains("refused\u{fffd}[2J"), "{text}");
        assert_eq!(shape(&found[0])["remedy"], Value::Null);
    }
}
