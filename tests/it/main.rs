//! The journeys: the built program as its users meet it. One folder a door or a promise; numbers such as `a1` name the
//! entry of the acceptance list (design: reliability) that a test proves.

mod admin;
mod aegis;
mod chaos;
mod cli;
mod crash;
mod credentials;
mod delivery;
mod emails_api;
mod eo;
mod erasure;
mod harness;
mod hostile;
mod inbox;
mod mail_proxy;
mod moving;
mod news;
mod oauth;
mod object_store;
mod operations;
mod pages;
mod providers;
mod queue;
mod shared_cache;
mod smtp_ingress;
mod tenants;
mod traces;
mod two_nodes;
mod webhooks;
