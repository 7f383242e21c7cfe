//! The addresses a client does not write to, as the client or an operator keeps them.

use super::{Admin, fault, invalid, refused};
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_model::suppression::{REASON_CHARS, STREAM_CHARS, Suppression, address_key, reason};
use posthaste_model::{Address, ClientId, Timestamp};
use posthaste_store::{Actor, SuppressionFilter};

/// Entries written in one commit.
const STEP: usize = 1000;

/// An address to be entered.
#[derive(Clone, Debug, Default)]
pub struct NewSuppression {
    /// The address.
    pub email: String,
    /// Why; `None`: `manual`.
    pub reason: Option<String>,
    /// Only mail with this tag; `None`: all mail.
    pub stream: Option<String>,
    /// Until when; `None`: for good.
    pub expires_at: Option<Timestamp>,
}

impl Admin {
    /// Enters an address; the entry, and whether it is new.
    pub async fn suppress(
        &self,
        client_id: ClientId,
        new: &NewSuppression,
        actor: &Actor,
    ) -> Result<(Suppression, bool), Refusal> {
        let entry = self.suppression(client_id, new).map_err(Refusal::Invalid)?;
        let added = self.store.suppress(client_id, vec![entry.clone()], actor).await.map_err(refused)?;
        Ok((entry, added > 0))
    }

    /// Enters many; how many were new.
    pub async fn suppress_many(
        &self,
        client_id: ClientId,
        entries: &[Suppression],
        actor: &Actor,
    ) -> Result<u64, Refusal> {
        let mut added = 0;
        for step in entries.chunks(STEP) {
            added += self.store.suppress(client_id, step.to_vec(), actor).await.map_err(refused)?;
        }
        Ok(added)
    }

    /// The entry that comes of what was given, or everything that is wrong with it.
    pub fn suppression(&self, client_id: ClientId, new: &NewSuppression) -> Result<Suppression, Vec<Fault>> {
        let now = self.clock.now();
        let mut faults = Vec::new();
        let address = Address::parse(&new.email).map_err(|error| {
            faults.push(fault("email", FaultCode::InvalidEmail, format!("the address {error}")));
        });
        let reason = word(new.reason.as_deref(), "reason", REASON_CHARS, &mut faults);
        let stream = word(new.stream.as_deref(), "stream", STREAM_CHARS, &mut faults);
        if new.expires_at.is_some_and(|at| at <= now) {
            faults.push(fault("expires_at", FaultCode::OutOfRange, "expires_at lies in the past"));
        }
        let (Ok(address), true) = (address, faults.is_empty()) else { return Err(faults) };
        let word = reason.as_deref().unwrap_or(reason::MANUAL);
        let entry = Suppression::new(client_id, address.canonical(), word, now);
        Ok(Suppression { stream, expires_at: new.expires_at, ..entry })
    }

    /// Takes an address off; `NotFound` when it is on none.
    pub async fn unsuppress(
        &self,
        client_id: ClientId,
        email: &str,
        stream: Option<&str>,
        actor: &Actor,
    ) -> Result<(), Refusal> {
        let address = Address::parse(email).map_err(|_| Refusal::NotFound)?;
        let key = address_key(address.canonical());
        match self.store.unsuppress(client_id, key, stream, actor).await.map_err(refused)? {
            0 => Err(Refusal::NotFound),
            _ => Ok(()),
        }
    }

    /// A client's entries, newest first, each with its number; those of one address when `email` is given.
    pub async fn suppressions(
        &self,
        client_id: ClientId,
        email: Option<&str>,
        mut filter: SuppressionFilter,
        limit: usize,
    ) -> Result<Vec<(i64, Suppression)>, Refusal> {
        if let Some(email) = email {
            let address = Address::parse(email)
                .map_err(|error| invalid("email", FaultCode::InvalidEmail, format!("the address {error}")))?;
            filter.address_key = Some(address_key(address.canonical()));
        }
        let now = self.clock.now();
        self.store.suppressions(client_id, &filter, limit, now).await.map_err(refused)
    }
}

/// A short text without control characters; `None` when it is empty or absent.
fn word(given: Option<&str>, name: &str, most: usize, faults: &mut Vec<Fault>) -> Option<String> {
    let text = given.map(str::trim).filter(|text| !text.is_empty())?;
    if text.chars().any(char::is_control) {
        let message = format!("{name} contains a line break or control character");
        faults.push(fault(name, FaultCode::ControlCharacter, message));
    } else if text.chars().count() > most {
        faults.push(fault(name, FaultCode::TooLong, format!("{name} may have {most} characters")));
    }
    Some(text.to_owned())
}
