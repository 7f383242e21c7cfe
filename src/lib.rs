//! Posthaste: a self-hosted gateway for transactional email.

mod admin;
pub mod app;
pub mod auth;
pub mod base;
pub mod blobs;
mod cache;
mod cli;
pub mod config;
mod directory;
pub mod dispatch;
pub mod dns;
mod eo;
mod health;
mod intake;
pub mod limits;
pub mod live;
pub mod news;
pub mod outbound;
pub mod queue;
pub mod render;
pub mod routing;
pub mod surfaces;
#[cfg(test)]
mod testing;
pub mod transports;
mod upkeep;
mod webhooks;

/// Runs the command that the arguments of this process ask for.
pub fn run() -> std::process::ExitCode {
    cli::run()
}
