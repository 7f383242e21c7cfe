//! Who an email may come from.
//!
//! A credential bound to a domain sends from that domain only. A client that has sending domains sends from these (or
//! from those shared by all clients); one that has none may use any domain that is not another client's. Where the
//! sender is the operator's own setting, nothing is to be judged.

use super::addresses::mailbox;
use crate::auth::Caller;
use posthaste_mail::raw::{RawMessage, address_list, domains_shown};
use posthaste_model::decision::Decision;
use posthaste_model::domain::SendingDomain;
use posthaste_model::draft::{Draft, DraftMailbox, Field, SenderRule};
use posthaste_model::email::{Email, Source};
use posthaste_model::refusal::{Fault, FaultCode};
use posthaste_model::{Address, Domain, Mailbox};
use posthaste_store::StoreError;
use std::sync::Arc;

/// The sender and its domain.
pub(super) struct Sender {
    pub from: Mailbox,
    pub domain: Domain,
    pub decision: Decision,
    /// The selectors of the keys that sign what its domain sends now.
    pub signed_by: Vec<String>,
}

/// Finds the sender, or says what is wrong with it.
pub(super) async fn decide(caller: &Caller, draft: &Draft) -> Result<Result<Sender, Vec<Fault>>, StoreError> {
    match draft.sender {
        SenderRule::Request => requested(caller, draft).await,
        SenderRule::Configuration => configured(caller, draft).await,
    }
}

/// The operator's own sender, or the default sender of the domain that the key is bound to.
async fn configured(caller: &Caller, draft: &Draft) -> Result<Result<Sender, Vec<Fault>>, StoreError> {
    let fault = |code, message| Ok(Err(vec![Fault::new(Field::From, code, message)]));
    let (from, reason) = match &caller.credential.domain {
        Some(bound) => {
            let known = match Domain::parse(bound) {
                Ok(domain) => caller.view.domain(&domain).await?,
                Err(_) => None,
            };
            // Like any other sender: the domain may have become another client's since.
            let known = if is_permitted(caller, known.as_ref()).await? { known } else { None };
            let Some(from) = default_from(known.as_ref()) else {
                return fault(
                    FaultCode::InvalidValue,
                    format!("the key's domain {bound} has no default sender"),
                );
            };
            (from, "the default sender of the key's domain")
        }
        None => match draft.from.as_ref().map(|given| mailbox(given, || Field::From)) {
            Some(Ok(from)) => (from, "the configured sender"),
            Some(Err(found)) => return Ok(Err(found.into_iter().collect())),
            None => {
                let message = "no sender is configured; the operator sets MAIL_FROM_ADDRESS";
                return fault(FaultCode::InvalidValue, message.to_owned());
            }
        },
    };
    let domain = match Domain::parse(from.address.domain()) {
        Ok(domain) => domain,
        Err(error) => return fault(FaultCode::InvalidDomain, format!("the sender's domain {error}")),
    };
    let decision = Decision::new("sender", domain.as_str().to_owned(), reason);
    let signed_by = caller.view.selectors(domain.as_str()).await?.to_vec();
    Ok(Ok(Sender { from, domain, decision, signed_by }))
}

async fn requested(caller: &Caller, draft: &Draft) -> Result<Result<Sender, Vec<Fault>>, StoreError> {
    let from = match draft.from.as_ref().map(|given| mailbox(given, || Field::From)).transpose() {
        Ok(from) => from,
        Err(fault) => {
            // The domain that the request names is judged beside a sender that cannot be read.
            let named = draft.domain.as_ref().and_then(|_| named_domain(caller, draft, None).err());
            return Ok(Err(fault.into_iter().chain(named).collect()));
        }
    };
    let domain = match named_domain(caller, draft, from.as_ref()) {
        Ok(domain) => domain,
        Err(fault) => return Ok(Err(vec![fault])),
    };
    let known = caller.view.domain(&domain).await?;
    if let Some(fault) = forbidden(caller, draft, &domain, known.as_ref()).await? {
        return Ok(Err(vec![fault]));
    }
    let Some(from) = from.or_else(|| default_from(known.as_ref())) else {
        let message = format!("from is required: {domain} has no default sender");
        return Ok(Err(vec![Fault::new(Field::From, FaultCode::Required, message)]));
    };
    if from.address.domain() != domain.as_str() {
        let message = format!("from must be an address in {domain}");
        return Ok(Err(vec![Fault::new(Field::From, FaultCode::FromDomainMismatch, message)]));
    }
    let reason = match (&caller.credential.domain, &draft.domain, &draft.from) {
        (Some(_), ..) => "the key is bound to this domain",
        (None, Some(_), _) => "the request names this domain",
        (None, None, _) => "the sender's address names this domain",
    };
    let decision = Decision::new("sender", domain.as_str().to_owned(), reason);
    let signed_by = caller.view.selectors(domain.as_str()).await?.to_vec();
    Ok(Ok(Sender { from, domain, decision, signed_by }))
}

/// The sender of a finished message's envelope.
pub(super) async fn of_envelope(
    caller: &Caller,
    sender: &Address,
) -> Result<Result<Sender, Fault>, StoreError> {
    let domain = match Domain::parse(sender.domain()) {
        Ok(domain) => domain,
        Err(error) => {
            let message = format!("the sender's domain {error}");
            return Ok(Err(Fault::new(Field::From, FaultCode::InvalidDomain, message)));
        }
    };
    if let Some(fault) = outside(caller, &domain).await? {
        return Ok(Err(fault));
    }
    let reason = match &caller.credential.domain {
        Some(_) => "the key is bound to this domain",
        None => "the sender on the envelope names this domain",
    };
    let decision = Decision::new("sender", domain.as_str().to_owned(), reason);
    Ok(Ok(Sender {
        from: Mailbox::from(sender.clone()),
        domain,
        decision,
        // It goes out byte for byte.
        signed_by: Vec::new(),
    }))
}

/// The fields by which a message says whom it is from.
const SENDER_FIELDS: [&str; 4] = ["from", "sender", "resent-from", "resent-sender"];

/// The sender of a finished message: on the envelope, and everyone its header claims to be, in names too.
pub(super) async fn of_message(
    caller: &Caller,
    sender: &Address,
    message: &RawMessage,
) -> Result<Result<Sender, Fault>, StoreError> {
    let mut judged = match of_envelope(caller, sender).await? {
        Ok(judged) => judged,
        Err(fault) => return Ok(Err(fault)),
    };
    for name in SENDER_FIELDS {
        for value in message.all(name) {
            if let Some(fault) = false_claim(caller, &judged.domain, name, value).await? {
                return Ok(Err(fault));
            }
        }
    }
    let shown = message.text("from").and_then(|from| Mailbox::parse(&from).ok());
    if let Some(shown) = shown.filter(|shown| shown.address == *sender) {
        judged.from = shown;
    }
    Ok(Ok(judged))
}

/// Why a field claims a sender that the caller may not be. One that names no domain at all claims none.
async fn false_claim(
    caller: &Caller,
    envelope: &Domain,
    name: &str,
    value: &[u8],
) -> Result<Option<Fault>, StoreError> {
    let fault = |message| Some(Fault::new(Field::From, FaultCode::FromDomainMismatch, message));
    let Ok(addresses) = address_list(value) else {
        let is_bare = !value.contains(&b'@') && domains_shown(value).is_empty();
        let is_free =
            caller.credential.domain.is_none() && caller.view.domains_of(caller.client.id).await?.is_empty();
        return Ok(if is_bare && is_free { None } else { fault(format!("{name} is no list of addresses")) });
    };
    let claimed = addresses.iter().map(|address| address.domain().to_owned());
    for text in claimed.chain(domains_shown(value)) {
        let Ok(domain) = Domain::parse(&text) else {
            return Ok(fault(format!("{name} names {text}, which is no domain")));
        };
        if domain == *envelope {
            continue;
        }
        // A client without domains of its own could claim any: then header and envelope must agree.
        let known = caller.view.domain(&domain).await?;
        if caller.credential.domain.is_some()
            || known.is_none()
            || !is_permitted(caller, known.as_ref()).await?
        {
            return Ok(fault(format!("{name} names {domain}, which is not a sending domain of this client")));
        }
    }
    Ok(None)
}

/// Why the caller may not send from `domain`.
async fn outside(caller: &Caller, domain: &Domain) -> Result<Option<Fault>, StoreError> {
    let fault = |message| Ok(Some(Fault::new(Field::From, FaultCode::FromDomainMismatch, message)));
    if let Some(bound) = caller.credential.domain.as_ref().filter(|bound| *bound != domain.as_str()) {
        return fault(format!("the key is bound to {bound}, the sender is of {domain}"));
    }
    let known = caller.view.domain(domain).await?;
    if is_permitted(caller, known.as_ref()).await? {
        return Ok(None);
    }
    fault(format!("{domain} is not a sending domain of this client"))
}

/// Whether the caller may send an email of its client once more: its key may be bound to another domain, and the domain
/// may have become another client's since.
pub(super) async fn again(caller: &Caller, email: &Email) -> Result<Result<Decision, Fault>, StoreError> {
    let domain = &email.domain;
    let fault = |message| Ok(Err(Fault::new(Field::From, FaultCode::FromDomainMismatch, message)));
    if let Some(bound) = caller.credential.domain.as_ref().filter(|bound| *bound != domain) {
        return fault(format!("the key is bound to {bound}, the email is from {domain}"));
    }
    let Ok(domain) = Domain::parse(domain) else {
        return fault(format!("{domain} is no domain"));
    };
    let known = caller.view.domain(&domain).await?;
    // The operator's own sender needs no registering, and what went out as it may go out so again.
    let is_operators = known.is_none()
        && caller.credential.domain.is_none()
        && matches!(email.source, Source::Aegis | Source::EoReport);
    if !is_operators && !is_permitted(caller, known.as_ref()).await? {
        return fault(format!("{domain} is not a sending domain of this client"));
    }
    Ok(Ok(Decision::new("sender", domain.as_str().to_owned(), "the sender of the email that is sent again")))
}

/// The domain by key, by request or by sender, in this order; they must not contradict each other.
fn named_domain(caller: &Caller, draft: &Draft, from: Option<&Mailbox>) -> Result<Domain, Fault> {
    let named = draft
        .domain
        .as_deref()
        .map(|text| {
            Domain::parse(text).map_err(|error| {
                Fault::new(Field::Domain, FaultCode::InvalidDomain, format!("the domain {error}"))
            })
        })
        .transpose()?;
    if let Some(bound) = &caller.credential.domain {
        if let Some(named) = named.filter(|named| named.as_str() != bound) {
            let message = format!("the key is bound to {bound}, the request names {named}");
            return Err(Fault::new(Field::Domain, FaultCode::FromDomainMismatch, message));
        }
        return Domain::parse(bound).map_err(|error| {
            Fault::new(Field::Domain, FaultCode::InvalidDomain, format!("the key's domain {error}"))
        });
    }
    if let Some(named) = named {
        return Ok(named);
    }
    let Some(from) = from else {
        // A sender of the wrong type has its own fault already; naming it twice would be noise.
        return Err(Fault::new(Field::From, FaultCode::Required, "from or domain is required"));
    };
    Domain::parse(from.address.domain()).map_err(|error| {
        Fault::new(Field::From, FaultCode::InvalidDomain, format!("the sender's domain {error}"))
    })
}

/// Why the caller's client may not send from `domain`.
async fn forbidden(
    caller: &Caller,
    draft: &Draft,
    domain: &Domain,
    known: Option<&Arc<SendingDomain>>,
) -> Result<Option<Fault>, StoreError> {
    let field = if draft.domain.is_some() { Field::Domain } else { Field::From };
    let may = is_permitted(caller, known).await?;
    // Another client's domain is told apart from an unknown one by nothing.
    let message = || format!("{domain} is not a sending domain of this client");
    Ok((!may).then(|| Fault::new(field, FaultCode::FromDomainMismatch, message())))
}

/// A known domain is for its client, or for all; an unknown one for clients without domains of their own.
async fn is_permitted(caller: &Caller, known: Option<&Arc<SendingDomain>>) -> Result<bool, StoreError> {
    match known {
        Some(known) => Ok(known.client_id.is_none_or(|owner| owner == caller.client.id)),
        None => Ok(caller.view.domains_of(caller.client.id).await?.is_empty()),
    }
}

fn default_from(known: Option<&Arc<SendingDomain>>) -> Option<Mailbox> {
    let text = known?.default_from.clone()?;
    mailbox(&DraftMailbox::Text(text), || Field::From).ok()
}
