//! Organizers' events: make, list, find.

use super::{Admin, invalid, refused, words};
use posthaste_model::eo::EoEvent;
use posthaste_model::refusal::{FaultCode, Refusal};
use posthaste_model::user::Role;
use posthaste_store::{Actor, StoreError};

/// An event to be made.
#[derive(Clone, Debug)]
pub struct NewEoEvent {
    /// Its name.
    pub name: String,
    /// The address or id of its organizer's account.
    pub owner: String,
    /// The client whose mail may name it, by name or id; `None`: the default client.
    pub client: Option<String>,
}

impl Admin {
    /// Makes an event.
    pub async fn create_eo_event(&self, new: NewEoEvent, actor: &Actor) -> Result<EoEvent, Refusal> {
        let name = words::name("name", &new.name).map_err(|fault| Refusal::Invalid(vec![fault]))?;
        let owner = match self.user(&new.owner).await {
            Ok(user) if user.role != Role::Viewer => user,
            Ok(_) => {
                return Err(invalid("owner", FaultCode::InvalidValue, "a viewer cannot own an event"));
            }
            Err(Refusal::NotFound) => {
                let message = "no user has this address; make one with `posthaste user create --role eo`";
                return Err(invalid("owner", FaultCode::InvalidValue, message));
            }
            Err(refusal) => return Err(refusal),
        };
        let named = new.client.as_deref().map(str::trim).filter(|named| !named.is_empty());
        let client = match named {
            Some(named) => self.client(named).await,
            None => self.default_client(actor).await,
        };
        let client = client.map_err(|refusal| match refusal {
            Refusal::NotFound => invalid("client", FaultCode::InvalidValue, "no client has this name or id"),
            other => other,
        })?;
        let event =
            EoEvent { id: 0, name, client_id: client.id, owner_id: owner.id, created_at: self.clock.now() };
        let id = self.store.create_eo_event(event.clone(), actor).await.map_err(refused)?;
        Ok(EoEvent { id, ..event })
    }

    /// Takes an event away of which no report was made.
    pub async fn remove_eo_event(&self, id: i64, actor: &Actor) -> Result<(), Refusal> {
        match self.store.remove_eo_event(id, actor).await {
            Err(StoreError::Conflict(_)) => {
                Err(Refusal::Conflict("a report of the event was made, so it stays".to_owned()))
            }
            removed => removed.map_err(refused),
        }
    }

    /// All events, oldest first.
    pub async fn eo_events(&self) -> Result<Vec<EoEvent>, Refusal> {
        self.store.eo_events(None).await.map_err(refused)
    }
}
