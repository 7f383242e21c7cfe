//! The SMTP protocol, both ends, without any product.
//!
//! Read in this order: [`reply`] (bytes in, replies out, no I/O), [`content`] (line ends and dot-stuffing),
//! [`failure`] and [`classify`] (what a refusal means), [`client`] (one session, and a pool of them), [`command`] and
//! [`server`] (the other end).
//!
//! RFC 5321 (SMTP), 2034/3463 (enhanced codes), 2920 (PIPELINING), 3030 (CHUNKING), 6152 (8BITMIME),
//! 6531 (SMTPUTF8), 1870 (SIZE), 3207 (STARTTLS), 4954 (AUTH).

pub mod classify;
pub mod client;
pub mod command;
pub mod content;
pub mod failure;
pub mod reply;
pub mod server;
