//! The JSON of the operator's calls. No hash of a key and no sealed secret can get in here: each field is named.

use crate::admin::{AuditEntry, DnsRecord, DomainDns, Erased, KeyChange};
use crate::config::duration_text;
use posthaste_model::client::Client;
use posthaste_model::credential::Credential;
use posthaste_model::domain::SendingDomain;
use serde_json::{Value, json};

/// A client.
pub(super) fn client(client: &Client) -> Value {
    json!({
        "id": client.id,
        "name": client.name,
        "department": client.department,
        "is_active": client.is_active,
        "retain_bodies": client.retention.bodies.map(duration_text),
        "retain_records": client.retention.records.map(duration_text),
        "created_at": client.created_at,
    })
}

/// A key without its secret. The command line prints the same.
pub fn key(key: &Credential) -> Value {
    json!({
        "id": key.id,
        "client_id": key.client_id,
        "name": key.name,
        "prefix": key.prefix,
        "mode": key.mode,
        "permissions": key.permissions,
        "domain": key.domain,
        "rate_limit": key.rate_limit.map(|rate| rate.to_string()),
        "is_active": key.is_active,
        "expires_at": key.ends_at(),
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    })
}

/// A key that was just made, with its secret.
pub(super) fn created_key(made: &KeyChange) -> Value {
    let mut shape = key(&made.credential);
    shape["key"] = made.key.expose().into();
    shape
}

/// A sending domain. The command line prints the same.
pub fn domain(domain: &SendingDomain) -> Value {
    json!({
        "id": domain.id,
        "name": domain.name,
        "client_id": domain.client_id,
        "default_from": domain.default_from,
        "bounce_webhook_enabled": domain.bounce_webhook_enabled,
        "created_at": domain.created_at,
    })
}

/// A domain's records and how they stand. The command line prints the same.
pub fn domain_dns(found: &DomainDns) -> Value {
    let record = |record: &DnsRecord| {
        json!({
            "purpose": record.purpose,
            "type": record.kind,
            "name": record.name,
            "value": record.value,
            "selector": record.selector,
            "active": record.is_active,
            "state": record.state.as_str(),
            "found": record.found,
            "error": record.error,
        })
    };
    json!({
        "domain": found.domain,
        "checked_at": found.checked_at,
        "records": found.records.iter().map(record).collect::<Vec<_>>(),
    })
}

/// An entry of the audit.
pub(super) fn audit_entry(entry: &AuditEntry) -> Value {
    json!({
        "id": entry.id,
        "at": entry.at,
        "actor": {"kind": entry.actor.kind, "id": entry.actor.id, "address": entry.actor.address},
        "action": entry.action,
        "target": entry.target,
        "detail": entry.detail,
    })
}

/// What an erasure removed.
pub(super) fn erased(erased: &Erased) -> Value {
    json!({
        "emails": erased.emails,
        "bodies": erased.bodies,
        "cancelled": erased.cancelled,
        "events": erased.events,
        "inbox_messages": erased.inbox_messages,
        "files": erased.files,
    })
}
