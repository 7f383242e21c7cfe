//! The parameters in the address of a request. One that is unknown or makes no sense is refused with its name.

use crate::surfaces::http::patience;
use crate::surfaces::http::problem::{self, Problem};
use axum::extract::Query;
use http::request::Parts;
use posthaste_model::{EmailId, InboxId, Timestamp};
use posthaste_store::InboxFilter;
use std::time::Duration;

/// Messages of a list unless told otherwise.
pub(super) const DEFAULT_LIMIT: usize = 50;
const LARGEST_LIMIT: usize = 200;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a word to look for; more costs the store and finds nothing.
const LONGEST_TEXT: usize = 1_000;

/// Where a wait begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// With messages received at this moment or later.
    Moment(Timestamp),
    /// With messages behind this one.
    Message(InboxId),
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) q: Option<String>,
    /// A client, by id or name.
    pub(super) client: Option<String>,
    pub(super) to: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) limit: usize,
    pub(super) before: Option<InboxId>,
    pub(super) after: Option<After>,
    pub(super) timeout: Duration,
    pub(super) view: Option<String>,
    /// The email as which the message was released a moment ago.
    pub(super) released: Option<EmailId>,
}

impl Asked {
    /// Reads the parameters; only those in `known` are taken.
    pub(super) fn read(parts: &Parts, known: &[&str]) -> Result<Self, Problem> {
        let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) else {
            return Err(bad("the query cannot be decoded"));
        };
        let mut asked = Self {
            q: None,
            client: None,
            to: None,
            subject: None,
            limit: DEFAULT_LIMIT,
            before: None,
            after: None,
            timeout: DEFAULT_TIMEOUT,
            view: None,
            released: None,
        };
        for (name, value) in pairs {
            if !known.contains(&&*name) {
                return Err(bad(format!("{name} is no parameter here; there are {}", known.join(", "))));
            }
            if value.len() > LONGEST_TEXT {
                return Err(bad(format!("{name} is longer than {LONGEST_TEXT} bytes")));
            }
            // A form sends its empty fields too.
            if !value.trim().is_empty() {
                asked.take(&name, value.trim())?;
            }
        }
        Ok(asked)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        match name {
            "q" => self.q = Some(value.to_owned()),
            "to" => self.to = Some(value.to_owned()),
            "subject" => self.subject = Some(value.to_owned()),
            "view" => self.view = Some(value.to_owned()),
            "client" => self.client = Some(value.to_owned()),
            "released" => {
                self.released = Some(value.parse().map_err(|_| bad("released is the id of an email"))?);
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=LARGEST_LIMIT).contains(limit));
                self.limit =
                    limit.ok_or_else(|| bad(format!("limit is a number from 1 to {LARGEST_LIMIT}")))?;
            }
            "before" => {
                self.before = Some(value.parse().map_err(|_| bad("before is the id of a message"))?);
            }
            "after" => self.after = Some(after(value)?),
            "timeout" => self.timeout = timeout(value)?,
            _ => {}
        }
        Ok(())
    }

    /// The store's part of it.
    pub(super) fn filter(&self, scope: super::access::Scope) -> InboxFilter {
        InboxFilter {
            client: scope.client,
            // A subject is looked for by `q` first, which the store is quick at, and then compared itself.
            q: self.q.clone().or_else(|| self.subject.clone()),
            to: self.to.clone(),
            after: match self.after {
                Some(After::Moment(moment)) => Some(moment),
                Some(After::Message(_)) | None => None,
            },
            behind: match self.after {
                Some(After::Message(id)) => Some(id),
                Some(After::Moment(_)) | None => None,
            },
        }
    }
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(problem::BAD_REQUEST, detail)
}

fn after(value: &str) -> Result<After, Problem> {
    if let Ok(id) = value.parse() {
        return Ok(After::Message(id));
    }
    let detail = "after is an RFC 3339 timestamp such as 2026-12-01T08:00:00Z, or the id of a message";
    Timestamp::parse(value).map(After::Moment).map_err(|_| bad(detail))
}

fn timeout(value: &str) -> Result<Duration, Problem> {
    patience::read(value).ok_or_else(|| bad("timeout is a time of up to 60s, such as 5s, 500ms or 1m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Asked, String> {
        let (parts, ()) = http::Request::get(format!("/x?{query}")).body(()).expect("a request").into_parts();
        let known = ["q", "to", "subject", "limit", "before", "after", "timeout"];
        Asked::read(&parts, &known).map_err(|problem| problem.code().to_owned())
    }

    #[test]
    fn parameters_are_read() {
        let id = InboxId::new(Timestamp::from_millis(5_000), [1; 10]);
        let asked = read(&format!("q=a+b&to=x%40y.z&subject=&limit=7&before={id}&after={id}&timeout=1500ms"));
        let asked = asked.expect("good parameters");
        assert_eq!(
            (asked.q.as_deref(), asked.to.as_deref(), asked.subject),
            (Some("a b"), Some("x@y.z"), None)
        );
        assert_eq!((asked.limit, asked.before, asked.timeout), (7, Some(id), Duration::from_millis(1_500)));
        assert_eq!(asked.after, Some(After::Message(id)));
        let asked = read("after=2026-12-01T08:00:00Z&timeout=60").expect("good parameters");
        assert!(matches!(asked.after, Some(After::Moment(_))));
        assert_eq!(asked.timeout, Duration::from_secs(60));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for query in [
            "limit=0",
            "limit=201",
            "limit=-1",
            "limit=x",
            "before=1",
            "after=yesterday",
            "timeout=61s",
            "timeout=99999999999999999999",
            "timeout=-1s",
            "nonsense=1",
            "q=%ff%fe&limit=x",
        ] {
            assert_eq!(read(query).err().as_deref(), Some("bad_request"), "{query}");
        }
        assert!(read(&format!("q={}", "x".repeat(1_001))).is_err());
    }
}
