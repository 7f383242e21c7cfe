//! Which way out an email takes: an ordered list of rules, and a default. Pure, and below both intake (which explains
//! it in a dry run) and dispatch (which acts by it), so that the two can never disagree.

use posthaste_model::Domain;
use posthaste_model::email::{Email, Source};
use std::fmt;
use std::sync::Arc;

/// The transport that keeps mail on the machine; it always exists.
pub const INBOX: &str = "inbox";

/// The way out for the organization's own addresses: Microsoft Graph with a client's sender config. Where no transport
/// bears the name, mail that is led here waits.
pub const SENDER_CONFIG: &str = "microsoft-graph";

/// The door an email came in by, as rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Any surface but SMTP.
    Api,
    /// The SMTP ingress.
    Smtp,
}

impl Door {
    /// The door of a source.
    pub const fn of(source: Source) -> Self {
        match source {
            Source::Smtp => Self::Smtp,
            Source::Emails
            | Source::Aegis
            | Source::MailProxy
            | Source::OAuth
            | Source::EoReport
            | Source::Operator => Self::Api,
        }
    }
}

/// One rule: the email must meet every condition that is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteRule {
    /// Domain of the sender (A-label form); `*.example.com` means every domain below it.
    pub from_domain: Option<String>,
    /// Domain of every recipient, likewise.
    pub to_domain: Option<String>,
    /// The door it came in by.
    pub source: Option<Door>,
    /// Id or name of the client.
    pub client: Option<String>,
    /// A tag it carries.
    pub tag: Option<String>,
    /// The transports, tried in this order.
    pub transports: Vec<String>,
    /// One weight per transport; empty: strictly in order. With weights the first one is drawn by them, for each
    /// email anew but the same on each of its attempts.
    pub weights: Vec<u32>,
}

/// Why the rules cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// A rule without any transport.
    #[error("route {0} names no transport")]
    NoTransport(usize),
    /// A name that no transport has.
    #[error("route {rule} names the transport `{name}`, which is not configured")]
    UnknownTransport {
        /// The rule, from 1.
        rule: usize,
        /// The name.
        name: String,
    },
    /// The default is no configured transport.
    #[error("the default transport `{0}` is not configured")]
    UnknownDefault(String),
    /// Weights that do not fit the transports, or are all zero.
    #[error("route {0} needs one weight for each transport, not all of them 0")]
    Weights(usize),
}

/// Why these transports were chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteReason {
    /// Handed in with a test key: it never leaves the machine.
    TestMode,
    /// This rule matched, from 1.
    Rule(usize),
    /// No rule matched, and the sender is one of the organization, which the Mail Proxy API sends by sender configs.
    SenderConfig,
    /// No rule matched.
    Default,
}

impl fmt::Display for RouteReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TestMode => f.write_str("mail of a test key always goes to the inbox"),
            Self::Rule(number) => write!(f, "route {number} matched"),
            Self::SenderConfig => {
                f.write_str("the organization's own addresses go through Microsoft Graph by a sender config")
            }
            Self::Default => f.write_str("no route matched, so it takes the default transport"),
        }
    }
}

/// The transports for an email, the first choice first, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteDecision {
    /// Names of transports, at least one; the later ones are for when the circuit of the earlier ones is open.
    pub transports: Arc<[Arc<str>]>,
    /// Why.
    pub reason: RouteReason,
}

/// The rules in force.
#[derive(Clone, Debug)]
pub struct Routes {
    table: Arc<Table>,
    /// Domains whose mail the Mail Proxy API sends by sender configs.
    organization: Arc<[Domain]>,
}

#[derive(Debug)]
struct Table {
    rules: Vec<(Arc<[Arc<str>]>, RouteRule)>,
    default: Arc<[Arc<str>]>,
    inbox: Arc<[Arc<str>]>,
    sender_config: Arc<[Arc<str>]>,
    asks_client_name: bool,
}

impl Routes {
    /// Checks the rules against the names of the transports there are; [`INBOX`] is always one of them.
    pub fn new(rules: Vec<RouteRule>, default: &str, transports: &[&str]) -> Result<Self, RouteError> {
        let exists = |name: &str| name == INBOX || transports.contains(&name);
        if !exists(default) {
            return Err(RouteError::UnknownDefault(default.to_owned()));
        }
        for (index, rule) in rules.iter().enumerate() {
            check(rule, index + 1, exists)?;
        }
        let names = |rule: &RouteRule| rule.transports.iter().map(|name| Arc::from(name.as_str())).collect();
        Ok(Self::of(Table {
            asks_client_name: rules.iter().any(|rule| rule.client.is_some()),
            rules: rules.into_iter().map(lower_case).map(|rule| (names(&rule), rule)).collect(),
            default: [Arc::from(default)].into(),
            inbox: [Arc::from(INBOX)].into(),
            sender_config: [Arc::from(SENDER_CONFIG)].into(),
        }))
    }

    /// Everything by one transport.
    pub fn only(transport: &str) -> Self {
        Self::of(Table {
            rules: Vec::new(),
            default: [Arc::from(transport)].into(),
            inbox: [Arc::from(INBOX)].into(),
            sender_config: [Arc::from(SENDER_CONFIG)].into(),
            asks_client_name: false,
        })
    }

    fn of(table: Table) -> Self {
        Self { table: Arc::new(table), organization: Arc::default() }
    }

    /// The same, with the domains whose mail the Mail Proxy API sends by sender configs, unless a rule says otherwise.
    pub fn with_organization(self, domains: &[Domain]) -> Self {
        Self { organization: domains.into(), ..self }
    }

    /// Whether a rule asks for a client, so that [`Routes::choose`] should be given the client's name.
    pub fn ask_client_name(&self) -> bool {
        self.table.asks_client_name
    }

    /// The way out for `email`, whose client bears `client_name`.
    pub fn choose(&self, email: &Email, client_name: Option<&str>) -> RouteDecision {
        if email.test_mode {
            return RouteDecision {
                transports: Arc::clone(&self.table.inbox),
                reason: RouteReason::TestMode,
            };
        }
        for (index, (names, rule)) in self.table.rules.iter().enumerate() {
            if matches(rule, email, client_name) {
                let reason = RouteReason::Rule(index + 1);
                return RouteDecision { transports: order(names, &rule.weights, email), reason };
            }
        }
        if self.needs_sender_config(email.source, email.from.address.domain()) {
            let transports = Arc::clone(&self.table.sender_config);
            return RouteDecision { transports, reason: RouteReason::SenderConfig };
        }
        RouteDecision { transports: Arc::clone(&self.table.default), reason: RouteReason::Default }
    }

    /// Whether mail that came in by `source` from an address in `domain` needs a sender config of its client.
    pub fn needs_sender_config(&self, source: Source, domain: &str) -> bool {
        source == Source::MailProxy && self.organization.iter().any(|one| one.as_str() == domain)
    }
}

fn check(rule: &RouteRule, number: usize, exists: impl Fn(&str) -> bool) -> Result<(), RouteError> {
    if rule.transports.is_empty() {
        return Err(RouteError::NoTransport(number));
    }
    if let Some(name) = rule.transports.iter().find(|name| !exists(name)) {
        return Err(RouteError::UnknownTransport { rule: number, name: name.clone() });
    }
    let weights = &rule.weights;
    let fits = weights.len() == rule.transports.len() && weights.iter().any(|weight| *weight > 0);
    if weights.is_empty() || fits { Ok(()) } else { Err(RouteError::Weights(number)) }
}

fn lower_case(mut rule: RouteRule) -> RouteRule {
    for domain in [&mut rule.from_domain, &mut rule.to_domain].into_iter().flatten() {
        domain.make_ascii_lowercase();
    }
    rule
}

fn matches(rule: &RouteRule, email: &Email, client_name: Option<&str>) -> bool {
    let holds = |asked: &Option<String>, test: &dyn Fn(&str) -> bool| asked.as_deref().is_none_or(test);
    holds(&rule.from_domain, &|pattern| is_domain(pattern, email.from.address.domain()))
        && holds(&rule.to_domain, &|pattern| {
            email.recipients.iter().all(|to| is_domain(pattern, to.mailbox.address.domain()))
        })
        && rule.source.is_none_or(|door| door == Door::of(email.source))
        && holds(&rule.client, &|client| client_name == Some(client) || email.client_id.to_string() == client)
        && holds(&rule.tag, &|tag| email.tags.iter().any(|t| t == tag))
}

/// Whether `domain` is `pattern`, or below it when it begins with `*.`.
fn is_domain(pattern: &str, domain: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => domain.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => domain == pattern,
    }
}

/// The names with the one drawn by weight moved to the front. The email's id is the lot: random enough, and the same
/// on each attempt, so that a retry is recognised by the provider that saw the first try.
fn order(names: &Arc<[Arc<str>]>, weights: &[u32], email: &Email) -> Arc<[Arc<str>]> {
    let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if total == 0 {
        return Arc::clone(names);
    }
    let mut lot = (email.id.as_u128() & u128::from(u32::MAX)) % total;
    for (index, weight) in weights.iter().enumerate() {
        let weight = u128::from(*weight);
        if lot < weight {
            let mut ordered = names.to_vec();
            if index < ordered.len() {
                ordered[..=index].rotate_right(1);
            }
            return ordered.into();
        }
        lot -= weight;
    }
    Arc::clone(names)
}

#[cfg(test)]
mod tests;
