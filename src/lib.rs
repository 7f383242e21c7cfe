//! Posthaste: a self-hosted gateway for transactional email.

pub mod admin;
pub mod app;
pub mod auth;
pub mod base;
pub mod blobs;
pub mod cli;
pub mod config;
pub mod directory;
pub mod dispatch;
pub mod health;
pub mod intake;
pub mod limits;
pub mod queue;
pub mod render;
pub mod routing;
pub mod surfaces;
#[cfg(test)]
mod testing;
pub mod transports;
pub mod upkeep;

/// Runs the command that the arguments of this process ask for.
pub fn run() -> std::process::ExitCode {
    cli::run()
}
