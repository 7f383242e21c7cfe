//! Which way out an email takes: an ordered list of rules, and a default. Pure, and below both intake (which explains
//! it in a dry run) and dispatch (which acts by it), so that the two can never disagree.

mod rule;

pub use rule::RouteRule;

use posthaste_model::email::{Content, Email, Priority, Source};
use posthaste_model::{ClientId, Domain, Rate};
use rule::{check, lower_case, matches, order};
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
    /// A person released it from the inbox to this transport.
    Released,
    /// This rule matched, from 1.
    Rule(usize),
    /// No rule matched, and the sender is one of the organization, which the Mail Proxy API sends by sender configs.
    SenderConfig,
    /// No rule matched, and the Mail Proxy API sends by SendGrid.
    MailProxy,
    /// No rule matched, and the sender is one of the organization, whose mail over SMTP goes by Microsoft Graph.
    Organization,
    /// No rule matched.
    Default,
}

impl fmt::Display for RouteReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TestMode => f.write_str("mail of a test key always goes to the inbox"),
            Self::Released => f.write_str("it was released from the inbox to this transport"),
            Self::Rule(number) => write!(f, "route {number} matched"),
            Self::SenderConfig => {
                f.write_str("the organization's own addresses go through Microsoft Graph by a sender config")
            }
            Self::MailProxy => f.write_str("no route matched; the Mail Proxy API sends by SendGrid"),
            Self::Organization => f.write_str(
                "no route matched; mail over SMTP from the organization's domains goes through Microsoft Graph",
            ),
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
    defaults: Arc<MailProxyDefaults>,
}

/// What holds for the Mail Proxy API and for legacy senders where no rule says otherwise.
#[derive(Clone, Debug, Default)]
pub struct MailProxyDefaults {
    /// The organization's domains: the Mail Proxy API sends their mail by sender configs.
    pub organization: Vec<Domain>,
    /// The transport of the Mail Proxy API's other mail; `None`: the default one.
    pub sendgrid: Option<String>,
    /// The transport of mail over SMTP from the organization's domains; `None`: the default one.
    pub graph: Option<String>,
}

/// What routes ask of an email.
#[derive(Clone, Copy, Debug)]
pub struct RouteQuery<'a> {
    /// Where it came in.
    pub source: Source,
    /// Handed in with a test key.
    pub test_mode: bool,
    /// The sender's domain.
    pub from_domain: &'a str,
    /// The recipients' domains.
    pub to_domains: &'a [&'a str],
    /// Whose it is.
    pub client_id: ClientId,
    /// The client's name, when it is known.
    pub client_name: Option<&'a str>,
    /// Its tags.
    pub tags: &'a [String],
    /// Its priority.
    pub priority: Priority,
    /// Draws among weights: the same for each attempt of an email.
    pub lot: u128,
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
        Self { table: Arc::new(table), defaults: Arc::default() }
    }

    /// The same, with what holds for the Mail Proxy API where no rule says otherwise.
    pub fn with_defaults(self, defaults: MailProxyDefaults) -> Self {
        Self { defaults: Arc::new(defaults), ..self }
    }

    /// Of each rule in order: what it may be given in a time.
    pub fn limits(&self) -> Vec<Vec<Rate>> {
        let of = |rule: &RouteRule| {
            let quota = rule.daily_quota.map(|count| Rate::per_seconds(count, 86_400));
            rule.rate.into_iter().chain(quota).collect()
        };
        self.table.rules.iter().map(|(_, rule)| of(rule)).collect()
    }

    /// Whether a rule asks for a client, so that [`Routes::choose`] should be given the client's name.
    pub fn ask_client_name(&self) -> bool {
        self.table.asks_client_name
    }

    /// The way out for `email`, whose client bears `client_name`.
    pub fn choose(&self, email: &Email, client_name: Option<&str>) -> RouteDecision {
        if let (false, Content::Raw { released_to: Some(name), .. }) = (email.test_mode, &email.content) {
            let transports = [Arc::from(name.as_str())].into();
            return RouteDecision { transports, reason: RouteReason::Released };
        }
        let to_domains: Vec<&str> = email.recipients.iter().map(|to| to.mailbox.address.domain()).collect();
        self.find(&RouteQuery {
            source: email.source,
            test_mode: email.test_mode,
            from_domain: email.from.address.domain(),
            to_domains: &to_domains,
            client_id: email.client_id,
            client_name,
            tags: &email.tags,
            priority: email.priority,
            lot: email.id.as_u128(),
        })
    }

    /// The way out of an email of which this is known.
    pub fn find(&self, query: &RouteQuery<'_>) -> RouteDecision {
        let decided = |transports: &Arc<[Arc<str>]>, reason| RouteDecision {
            transports: Arc::clone(transports),
            reason,
        };
        if query.test_mode {
            return decided(&self.table.inbox, RouteReason::TestMode);
        }
        for (index, (names, rule)) in self.table.rules.iter().enumerate() {
            if matches(rule, query) {
                let transports = order(names, &rule.weights, query.lot);
                return RouteDecision { transports, reason: RouteReason::Rule(index + 1) };
            }
        }
        self.by_default(query)
    }

    fn by_default(&self, query: &RouteQuery<'_>) -> RouteDecision {
        if self.needs_sender_config(query.source, query.from_domain) {
            let transports = Arc::clone(&self.table.sender_config);
            return RouteDecision { transports, reason: RouteReason::SenderConfig };
        }
        let (named, reason) = match query.source {
            Source::MailProxy => (&self.defaults.sendgrid, RouteReason::MailProxy),
            Source::Smtp if self.is_organization(query.from_domain) => {
                (&self.defaults.graph, RouteReason::Organization)
            }
            _ => (&None, RouteReason::Default),
        };
        match named {
            Some(name) => RouteDecision { transports: [Arc::from(name.as_str())].into(), reason },
            None => {
                RouteDecision { transports: Arc::clone(&self.table.default), reason: RouteReason::Default }
            }
        }
    }

    /// Whether mail that came in by `source` from an address in `domain` needs a sender config of its client.
    pub fn needs_sender_config(&self, source: Source, domain: &str) -> bool {
        source == Source::MailProxy && self.is_organization(domain)
    }

    fn is_organization(&self, domain: &str) -> bool {
        self.defaults.organization.iter().any(|one| one.as_str() == domain)
    }
}

#[cfg(test)]
mod tests;
