//! What every other part stands on: time, chance, tasks, metrics, logs and correlation ids. Knows nothing of
//! mail; everything here is made by a constructor and handed down, so that two servers can run in one process.

pub mod chance;
pub mod clock;
pub mod correlation;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod network;
pub mod return_path;
pub mod tasks;
pub mod trace;
pub mod vault;
