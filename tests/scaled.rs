//! The journeys of tests/it once more, on the scaled-out installation (tests/it/harness/installation.rs).

#[path = "it/main.rs"]
mod it;

use it::{emails_api, harness};
