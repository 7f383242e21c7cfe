//! What the journeys stand on: the real program as a process, a plain HTTP client, a scripted relay, a private Postfix,
//! PostgreSQL, Redis and S3, a line that can be cut, a receiver of webhooks, and Python's reading of a message.
//! Everything ends when its value is dropped.

pub mod broker;
pub mod browser;
pub mod chromium;
pub mod http;
pub mod installation;
pub mod message;
pub mod name_server;
pub mod npm;
pub mod object_store;
pub mod options;
pub mod postfix;
pub mod postgres;
pub mod provider;
pub mod proxy;
pub mod python;
pub mod receiver;
pub mod redis;
pub mod relay;
pub mod scriptless;
pub mod server;
pub mod smtp;
pub mod wait;

pub use broker::Broker;
pub use http::{Connection, Response};
pub use installation::Installation;
pub(crate) use installation::{embedded_only, scaled_only};
pub use object_store::ObjectStore;
pub use options::ServerOptions;
pub use postgres::Postgres;
pub use receiver::Receiver;
pub use redis::Redis;
pub use relay::Relay;
pub use server::Server;
pub use wait::{eventually, eventually_within, soon};
