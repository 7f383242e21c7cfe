//! Mail providers as ways out: HTTP calls in place of SMTP. Each provider has a folder with what it is asked and how
//! its answers are read; what is common stands here.

mod call;
mod content;
mod graph;
mod mailgun;
mod pauses;
mod repeated;
mod sendgrid;
pub mod ses;
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

    /// Offers the message, to no more recipients at once than the provider takes. Where one portion is not taken now, the
    /// portions behind it are not offered: they wait without using up an attempt, so that nobody fails unoffered.
    pub(in crate::transports) async fn send(&self, outgoing: &Outgoing<'_>, lease: &LeaseGuard) -> Outcome {
        let key = self.api.pause_key(outgoing);
        let portion = self.api.recipients_max();
        let mut told = Told { is_split: outgoing.due.len() > portion, ..Told::default() };
        let mut stopped = None;
        for due in outgoing.due.chunks(portion) {
            let offered = Outgoing { due, ..*outgoing };
            if let Err(stop) = self.offer(&offered, lease, &key, &mut told).await {
                stopped = Some(stop);
                break;
            }
        }
        let (reason, after) = match stopped {
            None => return told.outcome(),
            Some(Stop::LeaseLost) if told.recipients.is_empty() => return Outcome::LeaseLost,
            Some(Stop::LeaseLost) => ("the lease ended between two requests".to_owned(), Duration::ZERO),
            Some(Stop::Wait(reason, after)) => (reason, self.jittered(after)),
        };
        if told.recipients.is_empty() {
            return Outcome::NotTried { reason, after };
        }
        let is_told = |index: &usize| told.recipients.iter().any(|(told, _)| told == index);
        let left: Vec<usize> = outgoing.due.iter().copied().filter(|index| !is_told(index)).collect();
        let waits = RecipientOutcome::Waits { reason, after };
        told.recipients.extend(left.into_iter().map(|index| (index, waits.clone())));
        told.outcome()
    }

    /// Offers the message to one portion of its recipients, again without those that are refused by name.
    async fn offer(
        &self,
        outgoing: &Outgoing<'_>,
        lease: &LeaseGuard,
        key: &str,
        told: &mut Told,
    ) -> Result<(), Stop> {
        let mut due = outgoing.due.to_vec();
        for _ in 0..ROUNDS_MAX {
            if let Some(wait) = self.pauses.left(key, Instant::now()) {
                return Err(Stop::Wait(format!("{} asked for a pause", self.name), wait));
            }
            let verdict = self.attempt(&Outgoing { due: &due, ..*outgoing }, lease).await;
            if let Some(pause) = verdict.asked_pause() {
                self.pauses.begin(key, Instant::now() + pause);
            }
            match verdict {
                Verdict::Accepted { id, reply } => {
                    self.faults.crash_at(FaultPoint::AcceptanceRead);
                    told.accepted(due.drain(..), id, &reply);
                }
                Verdict::Not(outcome) => {
                    told.recipients.extend(due.drain(..).map(|index| (index, outcome.clone())));
                    if let RecipientOutcome::Later(failure) | RecipientOutcome::Uncertain(failure) = outcome {
                        let after = failure.retry_after.unwrap_or_default();
                        return if told.is_split { Err(Stop::Wait(failure.message, after)) } else { Ok(()) };
                    }
                }
                Verdict::Without(refused, failure) => {
                    due.retain(|index| !refused.contains(index));
                    let refused = refused.into_iter().filter(|index| outgoing.due.contains(index));
                    told.recipients
                        .extend(refused.map(|index| (index, RecipientOutcome::Refused(failure.clone()))));
                }
                Verdict::Wait(reason, after) => {
                    self.pauses.begin(key, Instant::now() + after);
                    return Err(Stop::Wait(reason, after));
                }
                Verdict::LeaseLost => return Err(Stop::LeaseLost),
            }
            if due.is_empty() {
                return Ok(());
            }
        }
        let left =
            Failure::new(FailureCode::ServerError, "other recipients of the message were refused first");
        told.recipients.extend(due.into_iter().map(|index| (index, RecipientOutcome::Later(left.clone()))));
        Ok(())
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

    pub(in crate::transports) async fn ping(&self, limit: Duration) -> Health {
        self.health.get(limit, reach(self.api.base_url())).await
    }
}

/// What was heard of a message so far, over its portions.
#[derive(Debug, Default)]
struct Told {
    /// It goes in several requests.
    is_split: bool,
    /// The first one's id.
    provider_message_id: Option<String>,
    recipients: Vec<(usize, RecipientOutcome)>,
}

/// Why the rest of a message is not offered now.
#[derive(Debug)]
enum Stop {
    /// For this reason; how long to wait at least.
    Wait(String, Duration),
    LeaseLost,
}

impl Told {
    /// Notes an acceptance. Of a message in several requests each has an id: every recipient's reply says its own.
    fn accepted(&mut self, whom: impl Iterator<Item = usize>, id: Option<String>, reply: &str) {
        let reply = match &id {
            Some(id) if self.is_split => format!("{reply} as {id}"),
            _ => reply.to_owned(),
        };
        self.recipients.extend(whom.map(|index| (index, RecipientOutcome::Accepted(reply.clone()))));
        self.provider_message_id = self.provider_message_id.take().or(id);
    }

    fn outcome(mut self) -> Outcome {
        self.recipients.sort_by_key(|(index, _)| *index);
        Outcome::Tried { provider_message_id: self.provider_message_id, recipients: self.recipients }
    }
}

impl Api {
    /// How many recipients one request may have. Only those that take the finished message may be asked several times
    /// for one: elsewhere the request's recipients are those that everybody reads.
    fn recipients_max(&self) -> usize {
        match self {
            Self::Ses(_) => ses::RECIPIENTS_MAX,
            Self::Mailgun(_) => mailgun::RECIPIENTS_MAX,
            Self::Sendgrid(_) | Self::Graph(_) => usize::MAX,
        }
    }

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
