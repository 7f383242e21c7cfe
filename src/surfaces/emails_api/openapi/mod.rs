//! The OpenAPI 3.1 document of this surface, generated from one table of operations, and its readable page.
//!
//! `router` builds the routes from the same table's paths; a test sends a request to each operation and compares what
//! the server answers with what stands here.

mod operation;
mod operations;
mod page;
mod provider_operations;
mod webhook_operations;

pub use operation::{Body, Operation};
pub use page::{STYLE, page};

use crate::surfaces::http::problem;
use serde_json::{Map, Value, json};

/// Shapes of requests and answers, by name (JSON Schema 2020-12).
const SCHEMAS: &str = include_str!("schemas.json");

/// Every operation of the surface.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    let all = operations::OPERATIONS.iter().chain(webhook_operations::OPERATIONS);
    all.chain(provider_operations::OPERATIONS)
}

/// The document. The same on every server of a version.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let path = paths.entry(operation.path.to_owned()).or_insert_with(|| json!({}));
        path[operation.method] = describe(operation);
    }
    let schemas: Value =
        serde_json::from_str(SCHEMAS).expect("schemas.json is part of the program; a test reads it");
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Posthaste Emails API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Hand in a message; it is answered once it is safe on disk, and delivered, retried and \
                            reported from there.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "this server"}],
        "security": [{"apiKey": []}, {"bearer": []}],
        "tags": tags(),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "headers": headers(),
            "schemas": schemas,
        },
    })
}

fn tags() -> Value {
    json!([
        {"name": "emails", "description": "Send, watch, take back."},
        {"name": "events", "description": "What became of the mail: called to you, streamed, or fetched."},
        {"name": "templates", "description": "Texts with variables, in versions."},
        {"name": "suppressions", "description": "Addresses that are not written to."},
        {"name": "news", "description": "Called by mail providers; the signature is the credential, and there is no limit."},
        {"name": "administration", "description": "Clients, keys, domains and the audit; permission `admin`."},
        {"name": "documentation", "description": "This document."},
    ])
}

fn describe(operation: &Operation) -> Value {
    let mut shown = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": parameters(operation),
        "responses": responses(operation),
    });
    if operation.permission.is_empty() {
        shown["security"] = json!([]);
    } else {
        let permission = operation.permission.replace(" or ", "` or `");
        shown["description"] = format!("Needs the permission `{permission}`.").into();
    }
    if let Body::Json(schema) | Body::Optional(schema) | Body::News(schema) = operation.body {
        shown["requestBody"] = json!({
            "required": operation.body != Body::Optional(schema),
            "content": {"application/json": {"schema": reference(schema)}},
        });
    }
    shown
}

/// What stands in the head of answers, by name.
fn headers() -> Value {
    json!({
        "X-RateLimit-Limit": {"schema": {"type": "integer"}, "required": true, "description": "requests in a window"},
        "X-RateLimit-Remaining": {"schema": {"type": "integer"}, "required": true, "description": "requests left"},
        "X-RateLimit-Reset": {
            "schema": {"type": "integer"}, "required": true,
            "description": "Unix seconds at which all requests are there again",
        },
        "X-Correlation-Id": {
            "schema": {"type": "string"}, "required": true,
            "description": "the id that was given in this header, or a new one; it stands on every log line",
        },
        "Retry-After": {"schema": {"type": "integer"}, "required": true, "description": "seconds to wait"},
        "Location": {"schema": {"type": "string"}, "required": true, "description": "the email's path"},
        "Idempotency-Replayed": {
            "schema": {"type": "string", "enum": ["true"]}, "required": false,
            "description": "this is the answer that the same request got the first time",
        },
    })
}

/// The head of one answer.
fn headers_of(operation: &Operation, status: u16, schema: &str) -> Value {
    let mut names =
        vec!["X-Correlation-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"];
    if status == 429 || status == 503 {
        names.push("Retry-After");
    }
    if schema == "Accepted" {
        names.push("Location");
    }
    if status == 202 && operation.idempotent {
        names.push("Idempotency-Replayed");
    }
    let shown = names
        .into_iter()
        .map(|name| (name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")})));
    Value::Object(shown.collect())
}

/// What an answer of this shape leads to: operations, and where their parameter stands in the answer.
fn links(schema: &str) -> Value {
    let (name, place, operations): (&str, &str, &[&str]) = match schema {
        "Accepted" => (
            "id",
            "email_id",
            &["getEmail", "explainEmail", "getContent", "getRaw", "cancelEmail", "resendEmail"],
        ),
        "Template" => ("code", "code", &["getTemplate", "previewTemplate", "deleteTemplate"]),
        "CreatedKey" => ("id", "id", &["rotateKey", "revokeKey"]),
        "Domain" => ("name", "name", &["changeDomain"]),
        "WebhookWithSecret" => (
            "id",
            "id",
            &[
                "getWebhook",
                "changeWebhook",
                "deleteWebhook",
                "rotateWebhook",
                "testWebhook",
                "listDeliveries",
            ],
        ),
        _ => return Value::Null,
    };
    let shown = operations.iter().map(|operation| {
        let link = json!({
            "operationId": operation, "parameters": {name: format!("$response.body#/{place}")},
        });
        ((*operation).to_owned(), link)
    });
    Value::Object(shown.collect())
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn parameters(operation: &Operation) -> Value {
    let mut all: Vec<Value> = Vec::new();
    for name in operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        let schema = if name == "id" {
            json!({"type": "string", "format": "uuid"})
        } else {
            json!({"type": "string", "minLength": 1})
        };
        all.push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
    }
    for (name, schema, meaning) in operation.query {
        let schema: Value = serde_json::from_str(schema).expect("a literal of the table; a test reads it");
        all.push(
            json!({"name": name, "in": "query", "required": false, "schema": schema, "description": meaning}),
        );
    }
    if operation.idempotent {
        all.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
            "description": "The same key and request is answered with the first answer for 24 h.",
        }));
    }
    for (name, meaning) in provider_operations::signature_headers(operation) {
        all.push(json!({
            "name": name, "in": "header", "required": true, "schema": {"type": "string"}, "description": meaning,
        }));
    }
    if operation.id == "streamEvents" {
        all.push(json!({
            "name": "Last-Event-ID", "in": "header", "required": false,
            "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
            "description": "Go on behind this event; without it the stream begins now.",
        }));
    }
    all.into()
}

fn responses(operation: &Operation) -> Value {
    let mut all: Map<String, Value> = Map::new();
    for (status, schema, meaning) in operation.answers {
        let mut answer = json!({"description": meaning, "headers": headers_of(operation, *status, schema)});
        let links = links(schema);
        if !links.is_null() {
            answer["links"] = links;
        }
        let (media, schema) = match *schema {
            "" => ("", Value::Null),
            "message/rfc822" | "text/html" | "text/event-stream" => (*schema, json!({"type": "string"})),
            name => ("application/json", reference(name)),
        };
        if !media.is_empty() {
            answer["content"] = json!({ media: {"schema": schema} });
        }
        all.insert(status.to_string(), answer);
    }
    for kind in operation.problems().into_iter().chain(operation.more_problems.iter().copied()) {
        let entry = all.entry(kind.status.to_string()).or_insert_with(|| {
            json!({
                "description": "",
                "headers": headers_of(operation, kind.status, ""),
                "content": {"application/problem+json": {"schema": reference("Problem")}},
            })
        });
        let told = entry["description"].as_str().unwrap_or_default();
        let joined = if told.is_empty() { kind.title.to_owned() } else { format!("{told}; {}", kind.title) };
        entry["description"] = joined.into();
    }
    all.into()
}

impl Operation {
    /// The problems that follow from the operation's shape.
    pub fn problems(&self) -> Vec<problem::Kind> {
        let mut kinds = Vec::new();
        if !self.permission.is_empty() {
            kinds.extend([
                problem::UNAUTHORIZED,
                problem::FORBIDDEN,
                problem::RATE_LIMITED,
                problem::STORE_UNAVAILABLE,
            ]);
        }
        if self.path.contains('{') {
            kinds.push(problem::NOT_FOUND);
        }
        if let Body::News(_) = self.body {
            kinds.extend([
                problem::UNAUTHORIZED,
                problem::BAD_REQUEST,
                problem::REQUEST_TIMEOUT,
                problem::PAYLOAD_TOO_LARGE,
                problem::UNSUPPORTED_MEDIA_TYPE,
                problem::OVERLOADED,
                problem::STORE_UNAVAILABLE,
            ]);
        } else if self.body != Body::None {
            kinds.extend([
                problem::MALFORMED_JSON,
                problem::REQUEST_TIMEOUT,
                problem::PAYLOAD_TOO_LARGE,
                problem::UNSUPPORTED_MEDIA_TYPE,
                problem::VALIDATION_FAILED,
                problem::OVERLOADED,
            ]);
        }
        if !self.query.is_empty() {
            kinds.push(problem::BAD_REQUEST);
        }
        if self.idempotent {
            kinds.extend([problem::IDEMPOTENCY_KEY_IN_USE, problem::IDEMPOTENCY_KEY_REUSED]);
        }
        kinds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` names a shape, every shape is used, every operation has its own id.
    #[test]
    fn references_hold() {
        let document = document();
        let text = document.to_string();
        let schemas = document["components"]["schemas"].as_object().expect("shapes");
        for part in text.split("\"#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap_or_default();
            assert!(schemas.contains_key(name), "no shape named {name}");
        }
        for name in schemas.keys() {
            assert!(text.contains(&format!("#/components/schemas/{name}\"")), "{name} is not used");
        }
        let mut ids: Vec<&str> = operations().map(|o| o.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), operations().count());
    }
}
