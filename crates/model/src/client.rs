//! A client: an application or department that sends; the tenant boundary.

use crate::{ClientId, Timestamp};

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
    /// When it was made.
    pub created_at: Timestamp,
}
