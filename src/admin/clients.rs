//! Clients: make, list, find, change.

use super::{Admin, fault, refused, words};
use posthaste_model::ClientId;
use posthaste_model::client::{Client, Retention};
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_store::{Actor, StoreError};
use std::time::Duration;

/// The client that is meant where none is named; the plain variables of replaced services belong to it.
pub const DEFAULT_CLIENT: &str = "default";

/// A client to be made.
#[derive(Clone, Debug, Default)]
pub struct NewClient {
    /// Its name, unique in the installation.
    pub name: String,
    /// The department it belongs to.
    pub department: Option<String>,
    /// How long its email is kept.
    pub retention: Retention,
}

impl NewClient {
    /// A client of this name; its email is kept as long as the installation says.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// What to change of a client; `None` leaves a value as it is, `Some(None)` makes it the installation's.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::option_option, reason = "left as it is, taken back, or set: three answers to one field")]
pub struct ClientChange {
    /// How long its bodies and attachments are kept.
    pub retain_bodies: Option<Option<Duration>>,
    /// How long its records and events are kept.
    pub retain_records: Option<Option<Duration>>,
    /// Whether its credentials are taken.
    pub is_active: Option<bool>,
}

impl Admin {
    /// Makes a client.
    pub async fn create_client(&self, new: NewClient, actor: &Actor) -> Result<Client, Refusal> {
        let mut faults = Vec::new();
        let name = words::name("name", &new.name).map_err(|fault| faults.push(fault)).ok();
        let department = new.department.as_deref().map(|given| words::name("department", given)).transpose();
        let department = department.map_err(|fault| faults.push(fault)).ok();
        judge(new.retention, &mut faults);
        let (Some(name), Some(department), true) = (name, department, faults.is_empty()) else {
            return Err(Refusal::Invalid(faults));
        };
        let now = self.clock.now();
        let id = ClientId::new(now, self.chance.bytes());
        let retention = new.retention;
        let client = Client { id, name, department, is_active: true, retention, created_at: now };
        match self.store.create_client(client.clone(), actor).await {
            Ok(()) => Ok(client),
            Err(StoreError::Conflict(_)) => {
                Err(Refusal::Conflict(format!("a client named {} stands already", client.name)))
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// The client that is meant where none is named: made by the first start, or here where that has not been yet.
    pub async fn default_client(&self, actor: &Actor) -> Result<Client, Refusal> {
        let named = || async { self.store.client_by_name(DEFAULT_CLIENT).await.map_err(refused) };
        if let Some(client) = named().await? {
            return Ok(client);
        }
        match self.create_client(NewClient::named(DEFAULT_CLIENT), actor).await {
            // Another node that starts in this moment was quicker.
            Err(Refusal::Conflict(_)) => named().await?.ok_or(Refusal::NotFound),
            made => made,
        }
    }

    /// Changes a client, named or by id.
    pub async fn change_client(
        &self,
        name_or_id: &str,
        change: ClientChange,
        actor: &Actor,
    ) -> Result<Client, Refusal> {
        let mut client = self.client(name_or_id).await?;
        let retention = Retention {
            bodies: change.retain_bodies.unwrap_or(client.retention.bodies),
            records: change.retain_records.unwrap_or(client.retention.records),
        };
        let mut faults = Vec::new();
        judge(retention, &mut faults);
        if !faults.is_empty() {
            return Err(Refusal::Invalid(faults));
        }
        if retention != client.retention {
            self.store.set_client_retention(client.id, retention, actor).await.map_err(refused)?;
            client.retention = retention;
        }
        if let Some(is_active) = change.is_active.filter(|is_active| *is_active != client.is_active) {
            self.store.set_client_active(client.id, is_active, actor).await.map_err(refused)?;
            client.is_active = is_active;
        }
        Ok(client)
    }

    /// All clients, oldest first.
    pub async fn clients(&self) -> Result<Vec<Client>, Refusal> {
        self.store.clients().await.map_err(refused)
    }

    /// The client of this name, or of this id.
    pub async fn client(&self, name_or_id: &str) -> Result<Client, Refusal> {
        // PostgreSQL cannot be asked for it, and no name has it.
        if name_or_id.contains('\0') {
            return Err(Refusal::NotFound);
        }
        // A name that reads like an id would be found by it all the same: names come first.
        let by_name = self.store.client_by_name(name_or_id.trim()).await.map_err(refused)?;
        if let Some(client) = by_name {
            return Ok(client);
        }
        let id: ClientId = name_or_id.trim().parse().map_err(|_| Refusal::NotFound)?;
        self.store.client(id).await.map_err(refused)?.ok_or(Refusal::NotFound)
    }
}

/// Nothing may be kept for no time at all, and no body longer than its record.
fn judge(retention: Retention, faults: &mut Vec<Fault>) {
    let named = [("retain_bodies", retention.bodies), ("retain_records", retention.records)];
    for (name, kept) in named {
        if kept.is_some_and(|kept| kept < Duration::from_secs(1)) {
            faults.push(fault(name, FaultCode::OutOfRange, format!("{name} must be at least 1s")));
        }
    }
    if let Retention { bodies: Some(bodies), records: Some(records) } = retention
        && bodies > records
    {
        let message = "retain_bodies is longer than retain_records; a body cannot outlive its record";
        faults.push(fault("retain_bodies", FaultCode::OutOfRange, message));
    }
}
