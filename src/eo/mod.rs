//! Reports to event organizers: what an event's mail came to, sent by email like any other email.
//!
//! A delivery is written down first, with the id that its email will have; then the report is made and handed to intake.
//! A process that dies in between leaves a delivery without an email; whoever comes first, a retry under the same
//! idempotency key or `watch`, finishes it under the same id: the report goes out once. What became of it is what became of its email; there is no status of its own.

mod attention;
mod chart;
mod csv;
mod days;
mod figures;
mod message;
mod words;

pub use attention::watch;
pub use days::Days;
pub use words::{EoStatus, failure};

use crate::auth::{Auth, AuthError, Caller};
use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::base::correlation::CorrelationId;
use crate::intake::{Accepted, IdempotencyRequest, Intake, Judged, Submission};
use posthaste_model::draft::{Draft, DraftAttachment, DraftMailbox, Field, SenderRule};
use posthaste_model::email::Source;
use posthaste_model::eo::{EoDelivery, EoEvent, ReportFilter, ReportKey};
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_model::user::{Language, Role, User};
use posthaste_model::{EmailId, Mailbox};
use posthaste_store::{EoBegun, EoDeliveryRecord, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// Subject of a report, in characters.
const SUBJECT_CHARS: usize = 200;

/// What reports are made with.
pub struct EoParts {
    /// Where everything is kept.
    pub store: Store,
    /// The way in.
    pub intake: Intake,
    /// Speaks for the event's client.
    pub auth: Auth,
    /// The time.
    pub clock: Clock,
    /// Ids.
    pub chance: Chance,
    /// The sender (`mail.from_address`).
    pub from_address: Option<String>,
    /// The sender's name.
    pub from_name: Option<String>,
    /// Days begin and end here (`eo.time_zone`).
    pub days: Days,
    /// The language of those who chose none (`eo.locale`).
    pub language: Language,
    /// When a delivery that is not out asks for attention.
    pub attention_after: Duration,
    /// Where people reach this installation, without a slash at its end.
    pub public_url: Option<String>,
    /// The surface's answer for a delivery of a number, for replays.
    pub answer: fn(i64) -> Vec<u8>,
}

/// Organizers' reports. Cheap to clone.
#[derive(Clone)]
pub struct Eo(Arc<EoParts>);

impl std::ops::Deref for Eo {
    type Target = EoParts;

    fn deref(&self) -> &EoParts {
        &self.0
    }
}

/// A report that somebody asks for.
#[derive(Clone, Debug, Default)]
pub struct NewReport {
    /// The event; its own, or the user is an admin.
    pub event_id: i64,
    /// Where it goes.
    pub to_email: String,
    /// Its subject; `None`: one with the event's name.
    pub subject: Option<String>,
    /// What it tells of.
    pub filter: ReportFilter,
}

/// What came of asking for a report.
pub enum Asked {
    /// A new delivery of this number.
    New(i64),
    /// The answer that the same request got the first time.
    Replayed(Vec<u8>),
}

/// How a request for a report came in.
pub struct Request<'a> {
    /// Who asks.
    pub user: &'a User,
    /// The language of the page.
    pub language: Language,
    /// Where the asker reaches this installation, for links where no `http.public_url` is set.
    pub base: Option<String>,
    /// The id that joins its log lines.
    pub correlation: CorrelationId,
    /// Its idempotency key, if it has one.
    pub key: Option<ReportKey>,
}

impl Eo {
    /// Reports over their parts.
    pub fn new(parts: EoParts) -> Self {
        Self(Arc::new(parts))
    }

    /// The events a user may act for.
    pub async fn events(&self, user: &User) -> Result<Vec<EoEvent>, StoreError> {
        self.store.eo_events((user.role != Role::Admin).then_some(user.id)).await
    }

    /// A delivery that a user may see.
    pub async fn delivery(&self, user: &User, id: i64) -> Result<Option<EoDeliveryRecord>, StoreError> {
        let found = self.store.eo_delivery(id).await?;
        Ok(found.filter(|record| user.role == Role::Admin || record.owner_id == user.id))
    }

    /// Sends a report.
    pub async fn send(&self, report: NewReport, request: Request<'_>) -> Result<Asked, Refusal> {
        let event = self.store.eo_event(report.event_id).await.map_err(unavailable)?;
        let event =
            event.filter(|event| request.user.role == Role::Admin || event.owner_id == request.user.id);
        let Some(event) = event else {
            return Err(Refusal::Invalid(vec![Fault::new(Field::EventId, FaultCode::UnknownEvent, "")]));
        };
        let subject =
            report.subject.map(|given| given.trim_matches(' ').to_owned()).filter(|given| !given.is_empty());
        let subject = subject.unwrap_or_else(|| format!("Laporan Event: {}", event.name));
        let delivery = self.delivery_of(&event, &report.to_email, subject, report.filter, &request, None)?;
        self.hand_in(delivery, &event, request).await
    }

    /// Sends the report of a delivery once more, to another address where one is given.
    pub async fn resend(
        &self,
        old: &EoDelivery,
        to_email: Option<&str>,
        request: Request<'_>,
    ) -> Result<Asked, Refusal> {
        let event = self.store.eo_event(old.event_id).await.map_err(unavailable)?;
        let event = event.ok_or(Refusal::NotFound)?;
        let to = to_email.unwrap_or(&old.to_email);
        let (subject, filter) = (old.subject.clone(), old.filter.clone());
        let delivery = self.delivery_of(&event, to, subject, filter, &request, Some(old.id))?;
        self.hand_in(delivery, &event, request).await
    }

    fn delivery_of(
        &self,
        event: &EoEvent,
        to_email: &str,
        subject: String,
        filter: ReportFilter,
        request: &Request<'_>,
        resent_from: Option<i64>,
    ) -> Result<EoDelivery, Refusal> {
        let mut faults = Vec::new();
        let address = posthaste_mail::address::Address::parse(to_email);
        if let Err(error) = &address {
            faults.push(Fault::new(Field::To(None), FaultCode::InvalidEmail, format!("the address {error}")));
        }
        if subject.chars().any(char::is_control) {
            let message = "a subject holds no control characters";
            faults.push(Fault::new(Field::Subject, FaultCode::ControlCharacter, message));
        } else if subject.chars().count() > SUBJECT_CHARS {
            let message = format!("a subject has {SUBJECT_CHARS} characters");
            faults.push(Fault::new(Field::Subject, FaultCode::TooLong, message));
        }
        let Some(address) = address.ok().filter(|_| faults.is_empty()) else {
            return Err(Refusal::Invalid(faults));
        };
        let now = self.clock.now();
        Ok(EoDelivery {
            id: 0,
            event_id: event.id,
            client_id: event.client_id,
            user_id: request.user.id,
            email_id: EmailId::new(now, self.chance.bytes()),
            to_email: address.as_str().to_owned(),
            subject,
            filter,
            language: request.language,
            resent_from,
            key: request.key.clone(),
            created_at: now,
            noticed_at: None,
            seen_at: None,
        })
    }

    /// Writes the delivery down, or finds the one that the same request wrote down before a process died, and hands its
    /// email in. Where nothing was stored, the delivery goes again: the asker is told so and asks anew. Where nobody
    /// knows what the store did, it stays, and is finished later under the same id.
    async fn hand_in(
        &self,
        delivery: EoDelivery,
        event: &EoEvent,
        request: Request<'_>,
    ) -> Result<Asked, Refusal> {
        let since = self.clock.now().minus(self.intake.idempotency_keep);
        let begun = self.store.begin_eo_delivery(delivery.clone(), since).await.map_err(unavailable)?;
        let delivery = match begun {
            EoBegun::New(id) => EoDelivery { id, ..delivery },
            EoBegun::Found(found) => *found,
            EoBegun::KeyReused => return Err(Refusal::IdempotencyKeyReused),
        };
        match self.submit(&delivery, event, request.base.as_deref(), request.correlation).await {
            Ok(Accepted::New(..)) => Ok(Asked::New(delivery.id)),
            Ok(Accepted::Replayed(answer)) => {
                self.drop_double(&delivery, &answer).await.map_err(unavailable)?;
                Ok(Asked::Replayed(answer))
            }
            Err(refusal) => {
                if !matches!(refusal, Refusal::Unavailable { may_be_stored: true, .. }) {
                    self.store.delete_eo_delivery(delivery.id).await.map_err(unavailable)?;
                }
                Err(refusal)
            }
        }
    }

    /// Drops a delivery whose request was answered with another one: two nodes had written it down at once.
    async fn drop_double(&self, delivery: &EoDelivery, answer: &[u8]) -> Result<(), StoreError> {
        if answer == (self.answer)(delivery.id) {
            Ok(())
        } else {
            self.store.delete_eo_delivery(delivery.id).await
        }
    }

    /// Makes the report of a delivery and hands it to intake, whose idempotency sees to it that the delivery gets one
    /// email whoever hands it in, and however often.
    async fn submit(
        &self,
        delivery: &EoDelivery,
        event: &EoEvent,
        base: Option<&str>,
        correlation: CorrelationId,
    ) -> Result<Accepted, Refusal> {
        let caller = self.caller(event).await?;
        let answer = |_: &[Judged]| (self.answer)(delivery.id);
        let idempotency = Some(idempotency_of(delivery));
        let submission = Submission { correlation, idempotency, limits: None, answer: &answer };
        let draft = self.draft_of(delivery, event, base, &caller).await?;
        self.intake.accept(&caller, draft, submission).await
    }

    /// The report as a draft.
    async fn draft_of(
        &self,
        delivery: &EoDelivery,
        event: &EoEvent,
        base: Option<&str>,
        caller: &Caller,
    ) -> Result<Draft, Refusal> {
        let figures = figures::collect(self, event, &delivery.filter).await.map_err(unavailable)?;
        let message = message::Message::of(event, delivery, &figures, self.page_of(event, base));
        let mut draft = Draft::new(Source::EoReport);
        draft.id = Some(delivery.email_id);
        draft.sender = SenderRule::Configuration;
        draft.from = Some(self.sender(caller).await?);
        draft.to = vec![DraftMailbox::Text(delivery.to_email.clone())];
        draft.subject = Some(delivery.subject.clone());
        draft.html = Some(message.html);
        draft.text = Some(message.text);
        draft.tags = vec!["eo-report".to_owned()];
        draft.attachments = vec![
            DraftAttachment {
                filename: "chart.png".into(),
                mime: Some("image/png".into()),
                content_base64: encoded(&message.chart),
                content_id: Some(message::CHART.into()),
                disposition: Some("inline".into()),
            },
            DraftAttachment {
                filename: format!("report-event-{}.csv", event.id),
                mime: Some("text/csv".into()),
                content_base64: encoded(message.csv.as_bytes()),
                content_id: None,
                disposition: Some("attachment".into()),
            },
        ];
        Ok(draft)
    }

    async fn caller(&self, event: &EoEvent) -> Result<Caller, Refusal> {
        self.auth.on_behalf_of(event.client_id).await.map_err(|error| match error {
            AuthError::Invalid => Refusal::Conflict("the event's client is switched off".into()),
            AuthError::Store(error) => unavailable(error),
        })
    }

    /// `mail.from_address`; else the first sending domain's default sender; else an address that stays here.
    async fn sender(&self, caller: &Caller) -> Result<DraftMailbox, Refusal> {
        if let Some(email) = &self.from_address {
            return Ok(DraftMailbox::Parts { email: email.clone(), name: self.from_name.clone() });
        }
        let domains = caller.view.domains_of(caller.client.id).await.map_err(unavailable)?;
        let default = domains.iter().find_map(|domain| domain.default_from.clone());
        let own = domains.first().map(|domain| format!("reports@{}", domain.name));
        let sender = default.or(own).unwrap_or_else(|| "reports@posthaste.localhost".to_owned());
        Ok(match Mailbox::parse(&sender) {
            Ok(_) => DraftMailbox::Text(sender),
            Err(_) => DraftMailbox::Unreadable,
        })
    }
}

/// The key of a delivery's email: that of the request, or one of its own.
fn idempotency_of(delivery: &EoDelivery) -> IdempotencyRequest {
    match delivery.key.clone() {
        Some(ReportKey { key, fingerprint }) => {
            IdempotencyRequest { endpoint: "eo-report", key, fingerprint }
        }
        None => {
            IdempotencyRequest { endpoint: "eo-delivery", key: delivery.id.to_string(), fingerprint: [0; 32] }
        }
    }
}

fn encoded(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn unavailable(error: StoreError) -> Refusal {
    match error {
        StoreError::NotFound => Refusal::NotFound,
        error => {
            tracing::warn!(%error, "the store refused a report");
            let may_be_stored = matches!(error, StoreError::Uncertain(_));
            Refusal::Unavailable { retry_after: Duration::from_secs(1), may_be_stored }
        }
    }
}
