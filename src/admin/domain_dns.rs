//! What a sending domain has to publish in DNS, and what DNS answers now.

use super::{Admin, TxtRecord, refused};
use crate::dns::{DnsError, Questions};
use posthaste_model::Timestamp;
use posthaste_model::refusal::Refusal;
use std::time::Duration;

/// What the domain's records must say besides its own keys.
#[derive(Clone, Debug, Default)]
pub struct DnsWishes {
    /// SPF mechanisms of the ways out, such as `include:amazonses.com`.
    pub spf: Vec<String>,
    /// The domain of our return paths, and the host that takes mail for it.
    pub return_path: Option<(String, String)>,
}

/// How a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsState {
    /// As it should be.
    Ok,
    /// There is none.
    Missing,
    /// There is one that says something else.
    Mismatch,
    /// DNS did not answer.
    Unknown,
}

impl DnsState {
    /// As a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Mismatch => "mismatch",
            Self::Unknown => "unknown",
        }
    }
}

/// A record to publish, and what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRecord {
    /// `spf`, `dkim`, `dmarc`, `return_path`, `return_path_spf`.
    pub purpose: &'static str,
    /// `TXT` or `MX`.
    pub kind: &'static str,
    /// Where.
    pub name: String,
    /// What.
    pub value: String,
    /// Of a DKIM record: its selector.
    pub selector: Option<String>,
    /// Of a DKIM record: whether the key signs.
    pub is_active: Option<bool>,
    /// How it stands.
    pub state: DnsState,
    /// What DNS answers now; of a TXT name with several uses the records of this one.
    pub found: Vec<String>,
    /// Why DNS did not answer.
    pub error: Option<String>,
}

/// The state of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainDns {
    /// The domain.
    pub domain: String,
    /// When DNS was asked.
    pub checked_at: Timestamp,
    /// The records.
    pub records: Vec<DnsRecord>,
}

/// The longest that all questions together may take.
const PATIENCE: Duration = Duration::from_secs(15);

impl Admin {
    /// Asks DNS for the records of a domain.
    pub async fn domain_dns(&self, name: &str) -> Result<DomainDns, Refusal> {
        let domain = self.domain(name).await?.name;
        let keys = self.dkim_records(&domain).await?;
        let mut records = wanted(&domain, &keys, &self.wishes);
        match self.dns.ask() {
            Ok(questions) => {
                let asked = records.iter_mut().map(|record| look(&questions, record));
                // What has no answer by then stays unknown.
                let _ = tokio::time::timeout(PATIENCE, futures_util::future::join_all(asked)).await;
            }
            Err(error) => records.iter_mut().for_each(|record| record.error = Some(error.to_string())),
        }
        Ok(DomainDns { domain, checked_at: self.clock.now(), records })
    }

    /// Switches to the keys whose records DNS shows: a new key of a domain waits until then.
    pub async fn switch_to_published_keys(&self) -> Result<(), Refusal> {
        for domain in self.domains().await? {
            let keys = self.store.dkim_keys(&domain.name).await.map_err(refused)?;
            if keys.iter().all(|key| key.is_active) {
                continue;
            }
            for record in self.domain_dns(&domain.name).await?.records {
                let (Some(selector), Some(false)) = (&record.selector, record.is_active) else { continue };
                if record.state == DnsState::Ok {
                    let actor = super::Actor { kind: "system".to_owned(), id: None, address: None };
                    self.store.activate_dkim_key(&domain.name, selector, &actor).await.map_err(refused)?;
                    tracing::info!(
                        domain = domain.name,
                        selector,
                        "DNS shows the new signing key, it signs from now on"
                    );
                }
            }
        }
        Ok(())
    }
}

fn wanted(domain: &str, keys: &[TxtRecord], wishes: &DnsWishes) -> Vec<DnsRecord> {
    let record = |purpose, kind, name: String, value: String| DnsRecord {
        purpose,
        kind,
        name,
        value,
        selector: None,
        is_active: None,
        state: DnsState::Unknown,
        found: Vec::new(),
        error: None,
    };
    let mechanisms = if wishes.spf.is_empty() { "a mx".to_owned() } else { wishes.spf.join(" ") };
    let spf = format!("v=spf1 {mechanisms} ~all");
    let mut records = vec![record("spf", "TXT", domain.to_owned(), spf)];
    for key in keys {
        let mut dkim = record("dkim", "TXT", key.name.clone(), key.value.clone());
        dkim.selector = Some(key.selector.clone());
        dkim.is_active = Some(key.is_active);
        records.push(dkim);
    }
    records.push(record("dmarc", "TXT", format!("_dmarc.{domain}"), "v=DMARC1; p=none".to_owned()));
    if let Some((below, host)) = &wishes.return_path {
        records.push(record("return_path", "MX", below.clone(), format!("10 {host}")));
        records.push(record("return_path_spf", "TXT", below.clone(), format!("v=spf1 {mechanisms} ~all")));
    }
    records
}

async fn look(questions: &Questions, record: &mut DnsRecord) {
    let answer = match record.kind {
        "MX" => questions.mx(&record.name).await,
        _ => questions.txt(&record.name).await,
    };
    judge(record, answer);
}

/// Compares what was found with what should be.
fn judge(record: &mut DnsRecord, answer: Result<Vec<String>, DnsError>) {
    let found = match answer {
        Ok(found) => found,
        Err(error) => {
            record.state = DnsState::Unknown;
            record.error = Some(error.to_string());
            return;
        }
    };
    let (found, fits): (Vec<String>, bool) = match record.purpose {
        "spf" | "return_path_spf" => {
            let found = begin_with(found, "v=spf1");
            // RFC 7208, 4.5: more than one is an error.
            let fits = found.len() == 1 && found.iter().all(|text| has_mechanisms(text, &record.value));
            (found, fits)
        }
        "dmarc" => {
            let found = begin_with(found, "v=DMARC1");
            let has_policy =
                |text: &String| matches!(tag(text, "p").as_deref(), Some("none" | "quarantine" | "reject"));
            let fits = found.len() == 1 && found.iter().all(has_policy);
            (found, fits)
        }
        "dkim" => {
            let found: Vec<String> = found.into_iter().filter(|text| tag(text, "p").is_some()).collect();
            let fits = found.len() == 1 && found.iter().all(|text| tag(text, "p") == tag(&record.value, "p"));
            (found, fits)
        }
        _ => {
            let host = |text: &str| text.split_ascii_whitespace().nth(1).map(str::to_ascii_lowercase);
            let fits = found.iter().any(|text| host(text) == host(&record.value));
            (found, fits)
        }
    };
    record.state = match (found.is_empty(), fits) {
        (true, _) => DnsState::Missing,
        (false, true) => DnsState::Ok,
        (false, false) => DnsState::Mismatch,
    };
    record.found = found;
}

fn begin_with(found: Vec<String>, version: &str) -> Vec<String> {
    let is_of = |text: &String| {
        let head = text.split([' ', ';']).next().unwrap_or_default();
        head.trim().eq_ignore_ascii_case(version)
    };
    found.into_iter().filter(is_of).collect()
}

/// Whether every mechanism of `wanted` stands in `text`; how it ends (`~all`, `-all`) is the domain's own choice.
fn has_mechanisms(text: &str, wanted: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.split_ascii_whitespace().map(|word| word.trim_start_matches('+').to_ascii_lowercase()).collect()
    };
    let there = words(text);
    words(wanted).iter().filter(|word| !word.ends_with("all")).all(|word| there.contains(word))
}

/// The value of a tag (`p=...`), without white space.
fn tag(text: &str, name: &str) -> Option<String> {
    text.split(';').find_map(|part| {
        let (found, value) = part.split_once('=')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.split_ascii_whitespace().collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(purpose: &'static str, value: &str, found: &[&str]) -> DnsState {
        let mut record = DnsRecord {
            purpose,
            kind: "TXT",
            name: "example.com".into(),
            value: value.into(),
            selector: None,
            is_active: None,
            state: DnsState::Unknown,
            found: Vec::new(),
            error: None,
        };
        judge(&mut record, Ok(found.iter().map(|&text| text.to_owned()).collect()));
        record.state
    }

    #[test]
    fn records_are_judged_by_what_they_mean() {
        let spf = "v=spf1 include:amazonses.com ~all";
        for (found, state) in [
            (&[][..], DnsState::Missing),
            (&["google-site-verification=x"][..], DnsState::Missing),
            (&["v=spf1 mx include:AmazonSES.com -all", "other"][..], DnsState::Ok),
            (&["v=spf1 mx -all"][..], DnsState::Mismatch),
            (&["v=spf1 include:amazonses.com ~all", "v=spf1 mx -all"][..], DnsState::Mismatch),
        ] {
            assert_eq!(judged("spf", spf, found), state, "{found:?}");
        }
        assert_eq!(judged("dkim", "v=DKIM1; k=rsa; p=AAAA", &["k=rsa; p=AA AA"]), DnsState::Ok);
        assert_eq!(judged("dkim", "v=DKIM1; k=rsa; p=AAAA", &["v=DKIM1; p="]), DnsState::Mismatch);
        assert_eq!(
            judged("dmarc", "v=DMARC1; p=none", &["v=DMARC1; p=reject; rua=mailto:x@y"]),
            DnsState::Ok
        );
        assert_eq!(judged("dmarc", "v=DMARC1; p=none", &["v=DMARC1"]), DnsState::Mismatch);
        assert_eq!(judged("return_path", "10 mx.example", &["5 MX.example"]), DnsState::Ok);
        assert_eq!(judged("return_path", "10 mx.example", &["5 other.example"]), DnsState::Mismatch);
    }
}
