//! Relays to send mail to in tests and measurements; no part of the product.
//!
//! - [`sink`]: answers at once, counts, extracts a token from each message; costs as little CPU as it can.
//! - [`relay`]: does what a script says, however rude, and records every byte it was sent.
//!
//! Neither shares code with the client that it tests.

pub mod relay;
pub mod sink;
