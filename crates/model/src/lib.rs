//! The vocabulary of Posthaste as types and pure rules.
//!
//! No I/O, no clock, no chance: time and random numbers are arguments, so that every rule can be tested to the
//! letter. The words are those of the product's overview: client, credential, email, attempt, event, transport.

pub mod aegis;
pub mod attempt;
pub mod client;
pub mod credential;
pub mod decision;
pub mod domain;
pub mod draft;
pub mod email;
pub mod eo;
pub mod event;
pub mod fault;
pub mod ids;
pub mod inbox;
pub mod news;
pub mod octets;
pub mod outcome;
pub mod rate;
pub mod refusal;
pub mod retry;
pub mod secret;
pub mod status;
pub mod suppression;
pub mod template;
pub mod time;
pub mod user;

pub use ids::{
    ClientId, CredentialId, DomainId, EmailId, InboxId, SenderConfigId, TemplateId, UserId,
    WebhookDeliveryId, WebhookId, WorkerId,
};
pub use posthaste_mail::address::{Address, AddressError, Domain, Mailbox};
pub use rate::Rate;
pub use secret::Secret;
pub use status::{FailureCode, RecipientStatus, Status};
pub use time::Timestamp;
