//! Letting a message that was caught leave the machine after all, by a page or by a program: who may see the inbox may
//! release what is in it, a key only when it may send too. The rules of mail stand in intake.

use super::access::Who;
use super::visit::Visit;
use crate::auth::Caller;
use crate::config::{Settings, TransportKind};
use crate::intake::{Accepted, AnswerOf, IdempotencyRequest, Intake, Judged, ReleaseDraft, Submission};
use crate::limits::{LimitKey, Limits, Scope};
use crate::surfaces::http::body::Bodies;
use crate::surfaces::http::exchange;
use crate::surfaces::http::form::Fields;
use crate::surfaces::http::idempotency::{self, Kept};
use crate::surfaces::http::json::reader::{FieldErrors, ObjectReader};
use crate::surfaces::http::json::{self, fingerprint};
use crate::surfaces::http::problem::{self, Problem};
use crate::surfaces::http::{media, rate_headers};
use crate::surfaces::web::visitor::redirect;
use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use posthaste_model::draft::Field;
use posthaste_model::refusal::{Fault, Refusal};
use posthaste_model::{Address, Rate};
use serde_json::json;

/// A request to release has no more bytes.
const REQUEST_BYTES: usize = 64 * 1024;
/// Characters of the word that makes a form one of its kind.
const ONCE_CHARS: usize = 32;

/// What messages are released with.
pub(super) struct Releases {
    /// The way in.
    pub(super) intake: Intake,
    /// Reads bodies within their bounds.
    pub(super) bodies: Bodies,
    /// Sliding windows.
    pub(super) limits: Limits,
    /// Requests per key unless the key has its own.
    pub(super) per_key: Rate,
    /// The transports that lead out of the machine.
    pub(super) ways: Ways,
}

/// The transports that lead out of the machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Ways {
    /// Their names.
    pub(super) names: Vec<String>,
    /// The one that is taken when none is named.
    pub(super) default: Option<String>,
}

impl Ways {
    /// Of the configured transports those that are no inbox. Without a word it is the default transport, or the only
    /// one.
    pub(super) fn of(settings: &Settings) -> Self {
        let outward = settings.transports.iter().filter(|one| one.kind != TransportKind::Inbox);
        let names: Vec<String> = outward.map(|one| one.name.clone()).collect();
        let usual = &settings.mail.default_transport;
        let default = match names.as_slice() {
            [only] => Some(only.clone()),
            _ => names.iter().find(|name| *name == usual).cloned(),
        };
        Self { names, default }
    }

    /// The one of that name, or the default.
    fn pick(&self, wanted: Option<&str>) -> Result<String, Problem> {
        if self.names.is_empty() {
            let detail = "no transport leads out of this machine: configure one (SMTP_HOST, or another of \
                          docs/providers.md), then release the message again";
            return Err(Problem::new(problem::CONFLICT, detail).with_code("no_transport"));
        }
        let found = match wanted {
            Some(wanted) => self.names.iter().find(|name| *name == wanted),
            None => self.default.as_ref(),
        };
        found.cloned().ok_or_else(|| {
            let (code, message) = match wanted {
                Some(_) => ("invalid_value", "is not a transport that leads out of this machine"),
                None => ("required", "is required, as several transports lead out of this machine"),
            };
            let told = format!("{message}; there are {}", self.names.join(", "));
            let mut errors = FieldErrors::new();
            errors.push("/transport", code, told);
            Problem::validation(errors)
        })
    }
}

/// What a request wishes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    /// Whom the message is to go to; empty: the recipients it was kept for.
    to: Vec<Address>,
    /// By which transport.
    transport: Option<String>,
}

/// `POST /inbox/api/messages/{id}/release`.
pub(super) async fn by_program(visit: Visit, id: String, body: Body) -> Result<Response, Problem> {
    visit.asked(&[])?;
    let held = visit.inbox.releases.bodies.read_up_to(&visit.parts, body, REQUEST_BYTES).await?;
    let wish = if held.bytes().is_empty() {
        Wish::default()
    } else {
        media::require_json(&visit.parts.headers)?;
        wish_of_json(held.bytes())?
    };
    let key = idempotency::key_of(&visit.parts.headers).map_err(|error| {
        Problem::new(problem::VALIDATION_FAILED, error.to_string()).with_code("invalid_idempotency_key")
    })?;
    let draft = visit.drafted(&id, wish).await?;
    let answer = |judged: &[Judged]| judged.first().map_or_else(Vec::new, |one| kept(one, &draft).to_bytes());
    let request = key.map(|key| request_of("inbox/release", key, &draft));
    let answered = match visit.release(&draft, request, &answer).await? {
        Accepted::New(email, status) => kept(&Ok((email, status)), &draft).into_response(),
        Accepted::Replayed(bytes) => Kept::replay(&bytes),
    };
    answered.ok_or_else(|| Problem::new(problem::INTERNAL_ERROR, "the first answer cannot be read"))
}

/// `POST /inbox/{id}/release`: the form of the message's page, then back to it.
pub(super) async fn by_page(visit: Visit, id: String, body: Body) -> Result<Response, Problem> {
    let held = visit.form(body).await?;
    let fields =
        Fields::parse(held.bytes()).map_err(|error| Problem::new(problem::BAD_REQUEST, error.to_string()))?;
    let given = |name: &str| fields.get(name).map(str::trim).filter(|value| !value.is_empty());
    let wish = Wish {
        to: addresses(
            given("to").unwrap_or_default().split(',').map(str::trim).filter(|one| !one.is_empty()),
            "to",
        )?,
        transport: given("transport").map(str::to_owned),
    };
    let draft = visit.drafted(&id, wish).await?;
    let answer = |judged: &[Judged]| match judged.first() {
        Some(Ok((email, _))) => email.id.to_string().into_bytes(),
        Some(Err(_)) | None => Vec::new(),
    };
    // A form that is sent twice releases once.
    let once = given("once").filter(|once| once.len() <= ONCE_CHARS && once.is_ascii());
    let request = once.map(|key| request_of("inbox/release form", key.to_owned(), &draft));
    let email_id = match visit.release(&draft, request, &answer).await? {
        Accepted::New(email, _) => email.id.to_string(),
        Accepted::Replayed(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
    };
    Ok(redirect(&format!("/inbox/{}?released={email_id}", draft.kept.id)))
}

impl Visit {
    /// What is to be released: a message that may be seen, by a transport that leads out.
    async fn drafted(&self, id: &str, wish: Wish) -> Result<ReleaseDraft, Problem> {
        let kept = self.found(id).await?;
        let transport = self.inbox.releases.ways.pick(wish.transport.as_deref())?;
        let source = self.inbox.source_of(&kept).await?;
        Ok(ReleaseDraft { kept, source, recipients: wish.to, transport })
    }

    /// Releases it on behalf of its client, and writes down who did.
    async fn release(
        &self,
        draft: &ReleaseDraft,
        idempotency: Option<IdempotencyRequest>,
        answer: AnswerOf<'_>,
    ) -> Result<Accepted, Problem> {
        let releases = &self.inbox.releases;
        let caller = self.inbox.access.speaker(&self.guest.who, draft.kept.client_id).await?;
        let limits = match self.guest.who {
            Who::Key(_) => Some(releases.admit(&caller).await?),
            Who::AtMachine | Who::Admin(_) => None,
        };
        let submission = Submission {
            correlation: exchange::of(&self.parts).correlation_id().clone(),
            idempotency,
            limits,
            answer,
        };
        let accepted = releases.intake.release(&caller, draft, submission).await.map_err(problem_of)?;
        if let Accepted::New(email, _) = &accepted {
            self.note(&email.id.to_string()).await;
        }
        Ok(accepted)
    }

    /// It is done: a failure here is only logged.
    async fn note(&self, target: &str) {
        let actor = self.guest.actor(&self.parts);
        if let Err(error) = self.inbox.store.note_action(&actor, "inbox.release", target).await {
            tracing::warn!(%error, target, "a release was not written into the audit");
        }
    }
}

impl Releases {
    /// A word that no other form has.
    pub(super) fn once(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.intake.chance.bytes()))
    }

    /// Counts a key's release among its requests; how the key stands, as a sentence.
    async fn admit(&self, caller: &Caller) -> Result<String, Problem> {
        let rate = caller.credential.rate_limit.unwrap_or(self.per_key);
        let key = LimitKey::number(Scope::Credential, caller.credential.id.as_u128());
        let stand = self.limits.check(key, rate, self.intake.clock.now()).await;
        if stand.allowed {
            return Ok(format!("{} of {} requests left", stand.remaining, stand.limit));
        }
        let detail = format!("the limit of {} requests is used up", stand.limit);
        let mut refused = Problem::new(problem::RATE_LIMITED, detail);
        rate_headers::write(refused.headers_mut(), &stand);
        Err(refused)
    }
}

fn request_of(endpoint: &'static str, key: String, draft: &ReleaseDraft) -> IdempotencyRequest {
    let to: Vec<&str> = draft.recipients.iter().map(Address::as_str).collect();
    let request = json!([draft.kept.id.to_string(), draft.transport, to]).to_string();
    IdempotencyRequest { endpoint, key, fingerprint: fingerprint::of_bytes(request.as_bytes()) }
}

/// The answer to a program.
fn kept(judged: &Judged, draft: &ReleaseDraft) -> Kept {
    let Ok((email, status)) = judged else {
        return Kept::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({}));
    };
    let to: Vec<&str> = email.recipients.iter().map(|one| one.mailbox.address.as_str()).collect();
    let body = json!({"email_id": email.id, "status": status, "transport": draft.transport, "to": to});
    Kept::json(StatusCode::ACCEPTED, &body)
}

fn wish_of_json(body: &[u8]) -> Result<Wish, Problem> {
    let json = json::parse_body(body)?;
    let mut errors = FieldErrors::new();
    let (mut to, mut transport) = (None, None);
    if let Some(mut reader) = ObjectReader::new(&json, "", &mut errors) {
        to = reader.text_list("to");
        transport = reader.text("transport").map(str::to_owned);
        if to.as_ref().is_some_and(Vec::is_empty) {
            reader.fault("to", "required", "names at least one address, or is left out");
        }
        reader.finish();
    }
    if !errors.is_empty() {
        return Err(Problem::validation(errors));
    }
    Ok(Wish { to: addresses(to.unwrap_or_default().into_iter(), "/to")?, transport })
}

/// The addresses in `given`; or all that are none, at their `place`.
fn addresses<'a>(given: impl Iterator<Item = &'a str>, place: &str) -> Result<Vec<Address>, Problem> {
    let mut errors = FieldErrors::new();
    let mut found = Vec::new();
    for (index, text) in given.enumerate() {
        match Address::parse(text) {
            Ok(address) => found.push(address),
            Err(error) => {
                errors.push(format!("{place}/{index}"), "invalid_email", format!("the address {error}"));
            }
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(Problem::validation(errors)) }
}

/// A refusal in the inbox's words.
fn problem_of(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Invalid(faults) => {
            let mut errors = FieldErrors::new();
            for fault in faults {
                errors.push(place_of(&fault), fault.code.as_str(), fault.message);
            }
            Problem::validation(errors)
        }
        Refusal::TooLarge(fault) => Problem::new(problem::PAYLOAD_TOO_LARGE, fault.message),
        Refusal::PermissionDenied(permission) => {
            Problem::new(problem::FORBIDDEN, format!("to release, the key needs the permission {permission}"))
        }
        Refusal::NotFound => Problem::new(problem::NOT_FOUND, "the inbox has no such message"),
        Refusal::IdempotencyKeyReused => {
            Problem::new(problem::IDEMPOTENCY_KEY_REUSED, "this key was used with another request")
        }
        Refusal::IdempotencyKeyInUse => {
            Problem::new(problem::IDEMPOTENCY_KEY_IN_USE, "the first request with this key is still running")
        }
        Refusal::CannotCancel(status) => Problem::new(problem::CONFLICT, format!("the email is {status}")),
        Refusal::Conflict(detail) => Problem::new(problem::CONFLICT, detail),
        Refusal::CredentialGone => Problem::new(problem::UNAUTHORIZED, "give a valid API key in X-Api-Key"),
        Refusal::Unavailable { retry_after, may_be_stored } => {
            let detail = if may_be_stored {
                "the store was lost during the commit: look for the new email before you release it again"
            } else {
                "the store is unavailable; nothing was released"
            };
            let seconds = u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX).max(1);
            Problem::new(problem::STORE_UNAVAILABLE, detail).with_retry_after(seconds)
        }
    }
}

/// The field of the request that a fault is about; what the message itself carries is no field.
fn place_of(fault: &Fault) -> &'static str {
    match fault.field {
        Field::To(_) => "/to",
        _ => "",
    }
}
