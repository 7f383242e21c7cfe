//! One session's decisions: who it is, whom it may send as, and what became of its messages.

use super::envelope::{hop, wishes};
use super::returned::{self, Purpose};
use super::{SmtpIngress, refusals};
use crate::auth::{AuthError, Caller};
use crate::base::correlation::CorrelationId;
use crate::intake::{Accepted, IdempotencyRequest, Judged, RawDraft, Submission};
use crate::limits::{LimitKey, Scope};
use crate::surfaces::http::body::BodyHold;
use bytes::Bytes;
use posthaste_mail::raw::RawMessage;
use posthaste_model::credential::Permission;
use posthaste_model::email::BlobHash;
use posthaste_model::fault::FaultPoint;
use posthaste_smtp::command::{MailFrom, RcptTo};
use posthaste_smtp::reply::Reply;
use posthaste_smtp::server::{AUTHENTICATION_FAILED, Facts, Handler, Login, Message, Transaction, reply};
use std::time::Duration;

pub(super) const SURFACE: &str = "smtp";
/// How long content waits for room in memory.
const WAIT_FOR_ROOM: Duration = Duration::from_secs(8);
/// The longest idempotency key.
const MAX_KEY: usize = 255;

/// The decisions of one session.
pub(super) struct Door {
    ingress: SmtpIngress,
    /// Who logged in.
    caller: Option<Caller>,
    /// Who sends the message under way, as it was when its sender was taken.
    sending: Option<Caller>,
    /// How that sender stands against its limit.
    stand: Option<String>,
    /// What the transaction under way is for.
    purpose: Purpose,
    hold: Option<BodyHold>,
}

impl Door {
    pub(super) fn new(ingress: SmtpIngress) -> Self {
        Self { ingress, caller: None, sending: None, stand: None, purpose: Purpose::Open(None), hold: None }
    }

    /// Who is sending: the login if it still holds, else the network.
    async fn who(&mut self, facts: &Facts) -> Result<Caller, Reply> {
        let found = match &self.caller {
            Some(caller) => self.ingress.auth.refresh(caller).await,
            None if self.ingress.trusts(facts.peer) => {
                self.ingress.auth.by_network(self.ingress.client).await
            }
            None => return Err(refusals::login_required()),
        };
        found.map_err(|error| match error {
            AuthError::Invalid if self.caller.is_some() => reply(535, (5, 7, 8), AUTHENTICATION_FAILED),
            AuthError::Invalid => refusals::login_required(),
            AuthError::Store(error) => refusals::store(&error),
        })
    }

    /// Counts a message against the limits of its sender and its address.
    async fn count(&mut self, facts: &Facts, caller: &Caller) -> Result<(), Reply> {
        let ingress = &self.ingress;
        let now = ingress.clock.now();
        let address = (LimitKey::address(Scope::Address, facts.peer.ip()), ingress.per_address);
        let own = caller.credential_id().map(|id| {
            let rate = caller.credential.rate_limit.unwrap_or(ingress.per_key);
            (LimitKey::number(Scope::Credential, id.as_u128()), rate)
        });
        let limits: Vec<_> = own.into_iter().chain([address]).collect();
        match ingress.limits.check_all(&limits, now).await {
            Some(refused) if !refused.allowed => {
                ingress.metrics.rate_limited(SURFACE);
                Err(refusals::too_many(&refused))
            }
            stand => {
                self.stand =
                    stand.map(|stand| format!("{} of {} messages left", stand.remaining, stand.limit));
                Ok(())
            }
        }
    }

    /// Whether this sender may send; the refusal and the word it is counted under.
    async fn judge_sender(&mut self, facts: &Facts, mail: &MailFrom) -> Result<(), (Reply, &'static str)> {
        let caller = self.who(facts).await.map_err(|reply| (reply, "unauthorized"))?;
        let Some(sender) = &mail.sender else { return Err((refusals::null_sender(), "null_sender")) };
        self.count(facts, &caller).await.map_err(|reply| (reply, "rate_limited"))?;
        let judged = self.ingress.intake.may_send_as(&caller, sender).await;
        judged.map_err(|refusal| (refusals::reply_to(&refusal), refusals::code(&refusal)))?;
        self.sending = Some(caller);
        Ok(())
    }

    /// Counts a message of somebody who is nobody to us against the limit of the address.
    async fn count_stranger(&self, facts: &Facts) -> Result<(), Reply> {
        let ingress = &self.ingress;
        let address = (LimitKey::address(Scope::Address, facts.peer.ip()), ingress.per_address);
        match ingress.limits.check_all(&[address], ingress.clock.now()).await {
            Some(refused) if !refused.allowed => {
                ingress.metrics.rate_limited(SURFACE);
                Err(refusals::too_many(&refused))
            }
            _ => Ok(()),
        }
    }

    /// A refusal, counted.
    fn refused(&self, reply: Reply, code: &'static str) -> Reply {
        self.ingress.metrics.refused(SURFACE, code);
        reply
    }

    async fn accept(&self, facts: &Facts, message: Message) -> Result<String, Reply> {
        let Some(caller) = &self.sending else { return Err(refusals::login_required()) };
        self.ingress.intake.faults.crash_at(FaultPoint::Read);
        let envelope = message.envelope;
        let Some(sender) = envelope.mail.sender.clone() else { return Err(refusals::null_sender()) };
        let raw = RawMessage::read(Bytes::from(message.content)).map_err(refusals::header)?;
        let idempotency = idempotency(&envelope, &raw)?;
        let submission = Submission {
            correlation: self.correlation(&raw),
            idempotency,
            limits: self.stand.clone(),
            answer: &kept,
        };
        let draft = RawDraft {
            sender,
            recipients: envelope.recipients.iter().map(|rcpt| rcpt.address.clone()).collect(),
            message: raw,
            hop: hop(facts, &self.ingress.settings.hostname, envelope.mail.parameters.smtputf8),
            wishes: wishes(&envelope),
        };
        match self.ingress.intake.accept_raw(caller, draft, submission).await {
            Ok(Accepted::New(email, _)) => {
                self.ingress.metrics.accepted(SURFACE);
                Ok(email.id.to_string())
            }
            Ok(Accepted::Replayed(id)) => Ok(String::from_utf8_lossy(&id).into_owned()),
            Err(refusal) => Err(self.refused(refusals::reply_to(&refusal), refusals::code(&refusal))),
        }
    }

    /// The message's own correlation id, or a new one.
    fn correlation(&self, raw: &RawMessage) -> CorrelationId {
        let named = ["x-correlation-id", "x-request-id"];
        let mut given = named.iter().filter_map(|name| {
            let text = std::str::from_utf8(raw.all(name).next()?).ok()?;
            CorrelationId::parse(text)
        });
        given.next().unwrap_or_else(|| CorrelationId::generate(&self.ingress.chance))
    }
}

impl Handler for Door {
    async fn authenticate(&mut self, _: &Facts, login: Login) -> Result<(), Reply> {
        match self.ingress.auth.login(&login.username, &login.password).await {
            Ok(caller) if caller.credential.permits(Permission::EmailsSend) => {
                self.caller = Some(caller);
                Ok(())
            }
            Ok(_) | Err(AuthError::Invalid) => {
                Err(self.refused(reply(535, (5, 7, 8), AUTHENTICATION_FAILED), "unauthorized"))
            }
            Err(AuthError::Store(error)) => Err(refusals::store(&error)),
        }
    }

    async fn sender(&mut self, facts: &Facts, mail: &MailFrom) -> Result<(), Reply> {
        let judged = self.judge_sender(facts, mail).await;
        if let Err((refusal, code)) = judged {
            // A return path takes mail from anybody; whoever names another recipient hears this refusal then.
            if self.ingress.return_paths.is_none() || refusal.code / 100 == 4 {
                return Err(self.refused(refusal, code));
            }
            self.count_stranger(facts).await?;
            self.purpose = Purpose::Open(Some(refusal));
        }
        Ok(())
    }

    async fn recipient(&mut self, _: &MailFrom, to: &RcptTo) -> Result<(), Reply> {
        let added = self.purpose.add(&self.ingress, &to.address);
        added.map_err(|reply| self.refused(reply, "recipient"))
    }

    async fn room(&mut self, bytes: usize) -> Result<(), Reply> {
        let hold = self.hold.get_or_insert_with(|| self.ingress.budget.hold());
        hold.grow_to(bytes, WAIT_FOR_ROOM).await.map_err(|_| refusals::no_room())
    }

    async fn message(&mut self, facts: &Facts, message: Message) -> Reply {
        // The message is copied once, with its Received line before it.
        if let Err(reply) = self.room(message.content.len() * 2).await {
            return reply;
        }
        if let Purpose::News(returned) = &self.purpose {
            return returned::take(&self.ingress, returned, &message).await;
        }
        match self.accept(facts, message).await {
            Ok(id) => {
                self.ingress.intake.faults.crash_at(FaultPoint::Answered);
                reply(250, (2, 0, 0), format!("Ok: queued as {id}"))
            }
            Err(reply) => reply,
        }
    }

    fn reset(&mut self) {
        self.sending = None;
        self.stand = None;
        self.purpose = Purpose::Open(None);
        self.hold = None;
    }

    fn secured(&mut self) {
        self.reset();
        self.caller = None;
    }
}

/// The answer that is kept with an idempotency key: the id.
fn kept(judged: &[Judged]) -> Vec<u8> {
    match judged.first() {
        Some(Ok((email, _))) => email.id.to_string().into_bytes(),
        // Refusals are not kept; intake asks for an answer only when there is an email.
        Some(Err(_)) | None => Vec::new(),
    }
}

/// The key in `X-Idempotency-Key`, standing for this envelope and this content.
fn idempotency(envelope: &Transaction, raw: &RawMessage) -> Result<Option<IdempotencyRequest>, Reply> {
    let mut keys = raw.all("x-idempotency-key");
    let Some(key) = keys.next() else { return Ok(None) };
    let key = std::str::from_utf8(key).unwrap_or_default();
    let fits = (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits || keys.next().is_some() {
        return Err(refusals::idempotency_key());
    }
    let mut request = Vec::with_capacity(raw.bytes().len() + 512);
    for address in envelope.mail.sender.iter().chain(envelope.recipients.iter().map(|rcpt| &rcpt.address)) {
        request.extend_from_slice(address.as_str().as_bytes());
        request.push(b'\n');
    }
    request.push(b'\n');
    request.extend_from_slice(raw.bytes());
    let fingerprint = BlobHash::of(&request).0;
    Ok(Some(IdempotencyRequest { endpoint: "smtp", key: key.to_owned(), fingerprint }))
}
