//! Templates: every update is a new version; an email keeps the version it was accepted with.

use crate::{ClientId, TemplateId, Timestamp};

/// One version of a template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Its id, the same over all versions.
    pub id: TemplateId,
    /// The client it belongs to.
    pub client_id: ClientId,
    /// Its code, unique in the client.
    pub code: String,
    /// The version, from 1.
    pub version: u32,
    /// A name for people.
    pub name: String,
    /// Subject with `{{ }}`.
    pub subject: Option<String>,
    /// HTML body with `{{ }}`.
    pub html: Option<String>,
    /// Text body with `{{ }}`.
    pub text: Option<String>,
    /// JSON Schema of the variables.
    pub variables_schema: Option<serde_json::Value>,
    /// When the template was made.
    pub created_at: Timestamp,
    /// When this version was made.
    pub updated_at: Timestamp,
}
