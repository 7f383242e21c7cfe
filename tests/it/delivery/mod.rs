//! From the store to the relay: what goes over the wire, and what comes of each answer.

mod circuit;
mod clock;
mod dns;
mod message;
mod postfix;
mod recipients;
mod relay_zoo;
