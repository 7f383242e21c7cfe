//! Mail providers as ways out: HTTP calls in place of SMTP. Each provider has a folder with what it is asked and how
//! its answers are read; what is common stands here.

mod call;
mod content;
mod graph;
mod mailgun;
mod pauses;
mod sendgrid;
mod ses;
mod verdict;

pub use graph::{
    Finding, GraphApp, GraphPlace, GraphTransport, SenderConfigSource, examine as examine_graph,
};
pub use mailgun::Mailgun;
pub use sendgrid::Sendgrid;
pub use ses::{Ses, SesAccount};

use super::health::LastHealth;
use super::{Health, LeaseGuard, Outgoing};
use crate::base::chance::Chance;
use pauses::Pauses;
use posthaste_model::FailureCode;
use posthaste_model::fault::{FaultPoint, Faults};
use posthaste_model::outcome::{Failure, Outcome, RecipientOutcome};
use reqwest::Url;
use std::sync::Arc;
use std::time::{Duration, Instant};
use verdict::Verdict;

/// A provider that cannot be reached after this long counts as down for a monitor; mail itself waits longer.
const PING_LIMIT: Duration = Duration::from_millis(1500);
/// How often a message is offered again in one attempt, each time without the recipients that were refused by name.
const ROUNDS_MAX: usize = 8;

/// A provider's account with what was learned of it.
#[derive(Debug)]
pub struct ProviderTransport {
    name: Arc<str>,
    api: Api,
    pauses: Pauses,
    chance: Chance,
    faults: Faults,
    health: LastHealth,
}

/// What is spoken.
#[derive(Debug)]
pub enum Api {
    /// SendGrid v3.
    Sendgrid(Sendgrid),
    /// Mailgun v3.
    Mailgun(Mailgun),
    /// Amazon SES v2.
    Ses(Ses),
    /// Microsoft Graph v1.0.
    Graph(GraphTransport),
}

impl ProviderTransport {
    /// A provider called `name`. Connects to nothing yet.
    pub fn new(name: &str, api: Api, chance: Chance, faults: Faults) -> Self {
        let pauses = Pauses::default();
        Self { name: name.into(), api, pauses, chance, faults, health: LastHealth::default() }
    }

    /// Its configured name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(in crate::transports) async fn send(&self, outgoing: &Outgoing<'_>, lease: &LeaseGuard) -> Outcome {
        let mut due = outgoing.due.to_vec();
        let mut outcomes = Vec::with_capacity(due.len());
        let mut provider_message_id = None;
        let key = self.api.pause_key(outgoing);
        for round in 0..ROUNDS_MAX {
            if let Some(wait) = self.pauses.left(&key, Instant::now()) {
                if round == 0 {
                    let reason = format!("{} asked for a pause", self.name);
                    return Outcome::NotTried { reason, after: self.jittered(wait) };
                }
                break;
            }
            let offered = Outgoing { due: &due, ..*outgoing };
            let verdict = self.attempt(&offered, lease).await;
            if let Some(pause) = verdict.asked_pause() {
                self.pauses.begin(&key, Instant::now() + pause);
            }
            match verdict {
                Verdict::Accepted { id, reply } => {
                    self.faults.crash_at(FaultPoint::AcceptanceRead);
                    provider_message_id = id;
                    outcomes.extend(
                        due.drain(..).map(|index| (index, RecipientOutcome::Accepted(reply.clone()))),
                    );
                }
                Verdict::Not(outcome) => outcomes.extend(due.drain(..).map(|index| (index, outcome.clone()))),
                Verdict::Without(refused, failure) => {
                    due.retain(|index| !refused.contains(index));
                    let refused = refused.into_iter().filter(|index| outgoing.due.contains(index));
                    outcomes.extend(refused.map(|index| (index, RecipientOutcome::Refused(failure.clone()))));
                }
                Verdict::Wait(reason, after) => {
                    self.pauses.begin(&key, Instant::now() + after);
                    if outcomes.is_empty() {
                        return Outcome::NotTried { reason, after: self.jittered(after) };
                    }
                    break;
                }
                Verdict::LeaseLost if outcomes.is_empty() => return Outcome::LeaseLost,
                Verdict::LeaseLost => break,
            }
            if due.is_empty() {
                break;
            }
        }
        let left =
            Failure::new(FailureCode::ServerError, "other recipients of the message were refused first");
        outcomes.extend(due.into_iter().map(|index| (index, RecipientOutcome::Later(left.clone()))));
        outcomes.sort_by_key(|(index, _)| *index);
        Outcome::Tried { provider_message_id, recipients: outcomes }
    }

    async fn attempt(&self, outgoing: &Outgoing<'_>, lease: &LeaseGuard) -> Verdict {
        match &self.api {
            Api::Sendgrid(sendgrid) => sendgrid.send(outgoing, lease).await,
            Api::Mailgun(mailgun) => mailgun.send(outgoing, lease).await,
            Api::Ses(ses) => ses.send(outgoing, lease).await,
            Api::Graph(graph) => graph.send(outgoing, lease).await,
        }
    }

    /// Later by up to a fifth, so that what waited does not come back in one instant.
    fn jittered(&self, pause: Duration) -> Duration {
        pause.mul_f64(1.0 + 0.2 * self.chance.f64())
    }

    pub(in crate::transports) async fn ping(&self) -> Health {
        self.health.get(PING_LIMIT, reach(self.api.base_url())).await
    }
}

impl Api {
    /// What a pause that the provider asks for holds for: the account, or at Microsoft the mailbox.
    fn pause_key(&self, outgoing: &Outgoing<'_>) -> String {
        match self {
            Self::Graph(graph) => graph.pause_key(&outgoing.claim.email),
            Self::Sendgrid(_) | Self::Mailgun(_) | Self::Ses(_) => String::new(),
        }
    }

    fn base_url(&self) -> &str {
        match self {
            Self::Sendgrid(sendgrid) => sendgrid.base_url(),
            Self::Mailgun(mailgun) => mailgun.base_url(),
            Self::Ses(ses) => ses.base_url(),
            Self::Graph(graph) => graph.base_url(),
        }
    }
}

/// Whether anybody listens where `url` points to. Asks nothing: an account has no call that is free of effects.
async fn reach(url: &str) -> Result<(), String> {
    let url = Url::parse(url).map_err(|error| format!("base_url {error}"))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let connected = tokio::net::TcpStream::connect((host.as_str(), port)).await;
    connected.map(drop).map_err(|error| format!("{host}:{port}: {error}"))
}
