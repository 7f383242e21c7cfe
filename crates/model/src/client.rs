//! A client: an application or department that sends; the tenant boundary.

use crate::{ClientId, Timestamp};
use std::time::Duration;

/// One client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// Its name, unique in the installation.
    pub name: String,
    /// The department it belongs to.
    pub department: Option<String>,
    /// Whether it may send.
    pub is_active: bool,
    /// What it wants kept longer or shorter than the installation does.
    pub retention: Retention,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How long a client's email is kept; `None`: as long as the installation says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Bodies and attachments.
    pub bodies: Option<Duration>,
    /// Records and events; bodies go with them at the latest.
    pub records: Option<Duration>,
}
