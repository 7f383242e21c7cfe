//! The engines, and the one place that branches between them.

#[expect(dead_code, reason = "its operations are on their way")]
pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::sync::Arc;

/// The engine of a store.
#[derive(Clone)]
pub(crate) enum Engine {
    /// Embedded.
    Sqlite(Arc<sqlite::Sqlite>),
}

/// Runs an expression on whichever engine a store has; all engines have the same methods.
macro_rules! on_engine {
    ($store:expr, $engine:ident => $call:expr) => {
        match &$store.engine {
            $crate::engine::Engine::Sqlite($engine) => $call,
        }
    };
}
pub(crate) use on_engine;
