//! What was found, and what it means as a whole.

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It works.
    Ok,
    /// It works, but somebody should look.
    Warning,
    /// It does not work.
    Failed,
}

/// What was found of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How it is.
    pub state: State,
    /// In words that anybody may read: no path, no address, no text of another system.
    pub message: String,
    /// What the part itself said, for the log.
    pub cause: Option<String>,
}

impl Finding {
    /// It works.
    pub fn ok(message: impl Into<String>) -> Self {
        Self { state: State::Ok, message: message.into(), cause: None }
    }

    /// It works, but.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { state: State::Warning, message: message.into(), cause: None }
    }

    /// It does not work.
    pub fn failed(message: impl Into<String>, cause: Option<String>) -> Self {
        Self { state: State::Failed, message: message.into(), cause }
    }
}

/// How the installation is as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overall {
    /// All parts work.
    Healthy,
    /// A part does not work, but mail is accepted and nothing is lost.
    Degraded,
    /// Mail cannot be accepted.
    Unhealthy,
}

/// How all parts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The store's name, as monitors show it.
    pub store_name: &'static str,
    /// Whether the store takes reads and writes.
    pub store: Finding,
    /// Whether attachments can be kept.
    pub blobs: Finding,
    /// Whether what is due is worked off.
    pub queue: Finding,
    /// Whether the broker can be used, where there is one.
    pub broker: Option<Finding>,
    /// Whether nodes share limits and news; nothing when no cache is configured.
    pub cache: Option<Finding>,
    /// Whether the installation is complete.
    pub config: Finding,
    /// Whether mail can leave the machine.
    pub transports: Finding,
    /// Whether the providers that should report what became of mail do; nothing when none should.
    pub reports: Option<Finding>,
    /// Whether logs are kept.
    pub logs: Finding,
}

impl Report {
    /// All parts taken together. Accepting needs the store; everything else may fail without losing mail. Without the
    /// storage of attachments, mail that has none is accepted.
    pub fn overall(&self) -> Overall {
        if self.store.state == State::Failed {
            Overall::Unhealthy
        } else if self.parts().iter().flatten().any(|(_, part)| part.state == State::Failed) {
            Overall::Degraded
        } else {
            Overall::Healthy
        }
    }

    /// Always the same places; a part that is not used leaves its own empty.
    fn parts(&self) -> [Option<(&'static str, &Finding)>; 9] {
        [
            Some(("store", &self.store)),
            Some(("blobs", &self.blobs)),
            Some(("queue", &self.queue)),
            self.broker.as_ref().map(|found| ("broker", found)),
            self.cache.as_ref().map(|found| ("cache", found)),
            Some(("config", &self.config)),
            Some(("transports", &self.transports)),
            self.reports.as_ref().map(|found| ("reports", found)),
            Some(("logs", &self.logs)),
        ]
    }

    /// One line for each part that failed or came back since `earlier`.
    pub(super) fn log_changes(&self, earlier: Option<&Self>) {
        for (index, part) in self.parts().into_iter().enumerate() {
            let Some((name, found)) = part else { continue };
            let before = earlier.and_then(|earlier| earlier.parts()[index]);
            let before = before.map_or(State::Ok, |(_, found)| found.state);
            match (before == State::Failed, found.state == State::Failed) {
                (false, true) => {
                    let cause = found.cause.as_deref().unwrap_or_default();
                    tracing::error!(part = name, cause, "{}", found.message);
                }
                (true, false) => tracing::info!(part = name, "the part works again"),
                _ => {}
            }
        }
        let is_silent = |report: &Self| report.reports.as_ref().is_some_and(|found| found.state != State::Ok);
        if let Some(found) = &self.reports
            && is_silent(self)
            && !earlier.is_some_and(is_silent)
        {
            tracing::warn!(part = "reports", "{}", found.message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine() -> Report {
        Report {
            store_name: "embedded",
            store: Finding::ok(""),
            blobs: Finding::ok(""),
            queue: Finding::ok(""),
            broker: None,
            cache: None,
            config: Finding::ok(""),
            transports: Finding::warning("only the inbox"),
            reports: Some(Finding::warning("nothing is heard")),
            logs: Finding::ok(""),
        }
    }

    #[test]
    fn only_what_accepting_needs_makes_it_unhealthy() {
        let bad = || Finding::failed("broken", None);
        assert_eq!(fine().overall(), Overall::Healthy, "a warning is no fault");
        assert_eq!(Report { queue: bad(), ..fine() }.overall(), Overall::Degraded);
        assert_eq!(Report { broker: Some(bad()), ..fine() }.overall(), Overall::Degraded);
        assert_eq!(Report { logs: bad(), ..fine() }.overall(), Overall::Degraded);
        assert_eq!(Report { cache: Some(bad()), ..fine() }.overall(), Overall::Degraded);
        assert_eq!(Report { queue: bad(), store: bad(), ..fine() }.overall(), Overall::Unhealthy);
        assert_eq!(Report { blobs: bad(), ..fine() }.overall(), Overall::Degraded);
    }
}
