//! The engines, and the one place that branches between them.

pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::sync::Arc;

/// The engine of a store.
#[derive(Clone)]
pub(crate) enum Engine {
    /// Embedded.
    Sqlite(Arc<sqlite::Sqlite>),
    /// Shared by several nodes.
    Postgres(Arc<postgres::Postgres>),
}

/// Runs an expression on whichever engine a store has; all engines have the same methods.
macro_rules! on_engine {
    ($store:expr, $engine:ident => $call:expr) => {
        match &$store.engine {
            $crate::engine::Engine::Sqlite($engine) => $call,
            $crate::engine::Engine::Postgres($engine) => $call,
        }
    };
}
pub(crate) use on_engine;
