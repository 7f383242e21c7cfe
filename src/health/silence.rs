//! Providers that should report what became of mail, and do not: a webhook that was removed or never set up at the
//! provider, a topic without a subscription, a firewall in between. Nothing else tells, as mail goes out all the same.

use posthaste_model::Timestamp;
use posthaste_model::news::NewsSource;
use posthaste_store::{Span, Store, StoreError};
use std::time::Duration;

/// Mail that went out so long before the silence was noticed still makes it one: what was used for a day and then left
/// is not complained of for ever.
const LOOK_BACK: Duration = Duration::from_secs(7 * 86_400);

/// A provider whose webhook tells what became of mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporter {
    /// What its news is known as.
    pub source: NewsSource,
    /// The transports by which mail goes to it.
    pub transports: Vec<String>,
    /// Whether what proves its webhook is configured: then it should report, else once it has.
    pub is_expected: bool,
}

/// A provider that has been silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    /// What its news is known as.
    pub source: NewsSource,
    /// When it was heard of last, if ever.
    pub last_heard: Option<Timestamp>,
}

/// Which providers should report, and which of them did not for `silence` although mail went out by them before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reports {
    /// Those that should.
    pub expected: Vec<NewsSource>,
    /// Those of them that are silent.
    pub silent: Vec<Silent>,
}

impl Reports {
    /// Asks the store.
    pub async fn find(
        store: &Store,
        reporters: &[Reporter],
        silence: Duration,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut found = Self::default();
        if reporters.is_empty() {
            return Ok(found);
        }
        let heard = store.last_heard().await?;
        for Reporter { source, transports, is_expected } in reporters {
            let last_heard = heard.iter().find(|heard| heard.source == *source).map(|heard| heard.at);
            if !is_expected && last_heard.is_none() {
                continue;
            }
            found.expected.push(*source);
            let until = now.minus(silence);
            let from = until.minus(LOOK_BACK).max(last_heard.unwrap_or(until.minus(LOOK_BACK)));
            if from < until && store.took_mail(transports.clone(), Span { from, until }).await? {
                found.silent.push(Silent { source: *source, last_heard });
            }
        }
        Ok(found)
    }

    /// For people: nothing when nobody should report.
    pub(super) fn in_words(&self) -> Option<Result<String, String>> {
        let names = |sources: &mut dyn Iterator<Item = NewsSource>| {
            sources.map(NewsSource::as_str).collect::<Vec<_>>().join(", ")
        };
        if self.expected.is_empty() {
            return None;
        }
        if self.silent.is_empty() {
            return Some(Ok(format!("reports are heard of: {}", names(&mut self.expected.iter().copied()))));
        }
        let silent = names(&mut self.silent.iter().map(|silent| silent.source));
        Some(Err(format!(
            "mail went out by {silent}, and nothing was reported of it: look at the webhook there"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent(source: NewsSource) -> Silent {
        Silent { source, last_heard: None }
    }

    #[test]
    fn silence_is_told_with_its_names_and_nothing_where_nobody_should_report() {
        use NewsSource::{Mailgun, Ses};
        assert_eq!(Reports::default().in_words(), None);
        let fine = Reports { expected: vec![Mailgun, Ses], silent: vec![] };
        assert_eq!(fine.in_words(), Some(Ok("reports are heard of: mailgun, ses".into())));
        let quiet = Reports { silent: vec![silent(Ses)], ..fine };
        assert!(quiet.in_words().is_some_and(|said| said.is_err_and(|said| said.contains("by ses,"))));
    }
}
