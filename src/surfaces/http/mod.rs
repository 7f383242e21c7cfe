//! What all HTTP surfaces share: the server, the outermost service, strict JSON, bounded bodies, problems and the
//! headers of rate limits. Knows nothing of any dialect.
//!
//! The way of a request: [`server`] reads its head within its time, [`edge`] gives it a correlation id and the
//! client's address, the router finds the surface, the surface asks [`body`] for the bytes and [`json`] for their
//! meaning, and answers; [`edge`] adds what every answer carries.

pub mod admission;
pub mod answer;
pub mod body;
pub mod client_address;
pub mod edge;
pub mod event_stream;
pub mod exchange;
pub mod folding;
pub mod form;
pub mod idempotency;
pub mod json;
pub mod media;
pub mod multipart;
pub mod patience;
pub mod problem;
pub mod ranking;
pub mod rate_headers;
pub mod server;
