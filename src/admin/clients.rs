//! Clients: make, list, find.

use super::{Admin, refused, words};
use posthaste_model::ClientId;
use posthaste_model::client::Client;
use posthaste_model::refusal::Refusal;
use posthaste_store::{Actor, StoreError};

impl Admin {
    /// Makes a client; its name is unique in the installation.
    pub async fn create_client(
        &self,
        name: &str,
        department: Option<&str>,
        actor: &Actor,
    ) -> Result<Client, Refusal> {
        let mut faults = Vec::new();
        let name = words::name("name", name).map_err(|fault| faults.push(fault)).ok();
        let department = department.map(|given| words::name("department", given)).transpose();
        let department = department.map_err(|fault| faults.push(fault)).ok();
        let (Some(name), Some(department)) = (name, department) else { return Err(Refusal::Invalid(faults)) };
        let now = self.clock.now();
        let id = ClientId::new(now, self.chance.bytes());
        let client = Client { id, name, department, is_active: true, created_at: now };
        match self.store.create_client(client.clone(), actor).await {
            Ok(()) => Ok(client),
            Err(StoreError::Conflict(_)) => {
                Err(Refusal::Conflict(format!("a client named {} stands already", client.name)))
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// All clients, oldest first.
    pub async fn clients(&self) -> Result<Vec<Client>, Refusal> {
        self.store.clients().await.map_err(refused)
    }

    /// The client of this name, or of this id.
    pub async fn client(&self, name_or_id: &str) -> Result<Client, Refusal> {
        // A name that reads like an id would be found by it all the same: names come first.
        let by_name = self.store.client_by_name(name_or_id.trim()).await.map_err(refused)?;
        if let Some(client) = by_name {
            return Ok(client);
        }
        let id: ClientId = name_or_id.trim().parse().map_err(|_| Refusal::NotFound)?;
        self.store.client(id).await.map_err(refused)?.ok_or(Refusal::NotFound)
    }
}
