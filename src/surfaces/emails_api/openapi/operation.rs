//! How one operation is described, and what most of a kind have in common.

use crate::surfaces::http::problem::Kind;

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    None,
    /// JSON of the named shape.
    Json(&'static str),
    /// The same, or nothing at all.
    Optional(&'static str),
    /// A provider's news of the named shape: it is not judged field by field, its signature is.
    News(&'static str),
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The method, lower case.
    pub method: &'static str,
    /// The path, with `{name}` for parameters.
    pub path: &'static str,
    /// Its name for generated clients.
    pub id: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The group it stands in.
    pub tag: &'static str,
    /// The permission it needs, or two of which one is enough; empty: none, and no key.
    pub permission: &'static str,
    /// Query parameters: name, JSON Schema, meaning.
    pub query: &'static [(&'static str, &'static str, &'static str)],
    /// What it takes.
    pub body: Body,
    /// Whether it takes an `Idempotency-Key`.
    pub idempotent: bool,
    /// What it answers when all is well: status, shape or media type, meaning.
    pub answers: &'static [(u16, &'static str, &'static str)],
    /// Problems that do not follow from the shape.
    pub more_problems: &'static [Kind],
}

/// A call that reads.
pub(super) const GET: Operation = Operation {
    method: "get",
    path: "",
    id: "",
    summary: "",
    tag: "emails",
    permission: "emails:read",
    query: &[],
    body: Body::None,
    idempotent: false,
    answers: &[],
    more_problems: &[],
};
/// A call that sends.
pub(super) const POST: Operation = Operation { method: "post", permission: "emails:send", ..GET };
/// A call of an operator.
pub(super) const ADMIN: Operation = Operation { tag: "administration", permission: "admin", ..GET };

/// A number of ours, from 1: what a page continues before.
pub(super) const NUMBER: &str = r#"{"type":"integer","minimum":1,"maximum":9223372036854775807}"#;
/// The parameter `limit` of lists.
pub(super) const LIMIT: &str = r#"{"type":"integer","minimum":1,"maximum":100,"default":20}"#;
