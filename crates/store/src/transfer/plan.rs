//! What is moved: for each table of the target the question to the source that yields its rows.

use super::{Cell, Kind};
use crate::StoreError;
use crate::record::finders;

/// A table of the target.
pub(crate) struct Part {
    /// Its name.
    pub table: &'static str,
    /// Its columns, in the order of `select`.
    pub columns: &'static [(&'static str, Kind)],
    /// What the source is asked.
    pub select: &'static str,
    /// What a row of the source becomes.
    pub makes: Makes,
}

/// Every table of the source that is known here. Those that yield nothing are made anew: the index behind the lists
/// from the heads, numbers and ranges of numbers not at all.
pub(crate) const TABLES: [&str; 35] = [
    "installation",
    "clients",
    "credentials",
    "domains",
    "dkim_keys",
    "templates",
    "template_versions",
    "audit",
    "emails",
    "bodies",
    "events",
    "finders",
    "domain_names",
    "counts",
    "tag_counts",
    "hours",
    "idempotency",
    "blob_references",
    "blobs",
    "workers",
    "inbox",
    "bodies_left",
    "signing_keys",
    "revoked_tokens",
    "sender_configs",
    "webhooks",
    "webhook_deliveries",
    "users",
    "sessions",
    "eo_events",
    "eo_deliveries",
    "suppressions",
    "news",
    "webhook_tokens",
    "migrations",
];

use Kind::{Big, Bool, Bytes, Id, Int, Small, Text};

/// What becomes of a row of the source.
pub(crate) enum Makes {
    /// A row of the target.
    Row,
    /// Client, id and head of an email: its entries in the index behind the lists.
    Entries,
}

impl Part {
    /// The rows of the target that a row of the source becomes.
    pub(crate) fn rows(&self, row: Vec<Cell>) -> Result<Vec<Vec<Cell>>, StoreError> {
        match (&self.makes, row.as_slice()) {
            (Makes::Entries, [client, id, head]) => {
                let numbers = finders::numbers_of(head.bytes())?;
                let entry = |key| vec![client.clone(), Cell::Number(key), id.clone()];
                Ok(numbers.into_iter().map(entry).collect())
            }
            _ => Ok(vec![row]),
        }
    }
}

/// All parts, in an order in which each may be written.
pub(crate) const PARTS: [Part; 31] = [
    Part {
        table: "clients",
        columns: &[
            ("n", Big), ("id", Id), ("name", Text), ("department", Text), ("is_active", Bool),
            ("created_at", Big), ("retain_bodies", Big), ("retain_records", Big),
        ],
        select: "SELECT n, id, name, department, is_active, created_at, retain_bodies, retain_records FROM clients",
        makes: Makes::Row,
    },
    Part {
        table: "credentials",
        columns: &[
            ("n", Big), ("id", Id), ("client_id", Id), ("name", Text), ("prefix", Text), ("key_hash", Bytes),
            ("mode", Text), ("permissions", Text), ("domain", Text), ("rate_limit", Text), ("is_active", Bool),
            ("expires_at", Big), ("created_at", Big), ("revoked_at", Big), ("retires_at", Big),
            ("kind", Text), ("public_id", Text), ("secret_hash", Text), ("scopes", Text),
        ],
        select: "SELECT k.n, k.id, c.id, k.name, k.prefix, k.key_hash, k.mode, k.permissions, k.domain, k.rate_limit,
                k.is_active, k.expires_at, k.created_at, k.revoked_at, k.retires_at, k.kind, k.public_id,
                k.secret_hash, k.scopes
            FROM credentials k JOIN clients c ON c.n = k.client",
        makes: Makes::Row,
    },
    Part {
        table: "domains",
        columns: &[
            ("n", Big), ("id", Id), ("client_id", Id), ("name", Text), ("default_from", Text),
            ("bounce_webhook_enabled", Bool), ("created_at", Big),
        ],
        select: "SELECT d.n, d.id, c.id, d.name, d.default_from, d.bounce_webhook_enabled, d.created_at
            FROM domains d LEFT JOIN clients c ON c.n = d.client",
        makes: Makes::Row,
    },
    Part {
        table: "dkim_keys",
        columns: &[
            ("domain", Text), ("selector", Text), ("sealed_key", Bytes), ("algorithm", Text), ("is_active", Bool),
            ("created_at", Big),
        ],
        select: "SELECT domain, selector, sealed_key, algorithm, is_active, created_at FROM dkim_keys",
        makes: Makes::Row,
    },
    Part {
        table: "signing_keys",
        columns: &[("kid", Text), ("sealed_key", Bytes), ("created_at", Big), ("retired_at", Big)],
        select: "SELECT kid, sealed_key, created_at, retired_at FROM signing_keys",
        makes: Makes::Row,
    },
    Part {
        table: "revoked_tokens",
        columns: &[("jti", Id), ("ends_at", Big)],
        select: "SELECT jti, ends_at FROM revoked_tokens",
        makes: Makes::Row,
    },
    Part {
        table: "sender_configs",
        columns: &[
            ("n", Big), ("id", Id), ("client_id", Id), ("sender_email", Text), ("sender_key", Text),
            ("ms_tenant_id", Text), ("ms_client_id", Text), ("sealed_secret", Bytes), ("is_active", Bool),
            ("created_at", Big),
        ],
        select: "SELECT s.n, s.id, c.id, s.sender_email, s.sender_key, s.ms_tenant_id, s.ms_client_id, s.sealed_secret,
                s.is_active, s.created_at
            FROM sender_configs s JOIN clients c ON c.n = s.client",
        makes: Makes::Row,
    },
    Part {
        table: "webhooks",
        columns: &[
            ("n", Big), ("id", Id), ("client_id", Id), ("is_configured", Bool), ("url", Text), ("events", Text),
            ("is_active", Bool), ("sealed_secret", Bytes), ("sealed_previous", Bytes), ("previous_until", Big),
            ("cursor", Big), ("failing_since", Big), ("disabled_reason", Text), ("created_at", Big),
        ],
        select: "SELECT w.n, w.id, c.id, w.is_configured, w.url, w.events, w.is_active, w.sealed_secret,
                w.sealed_previous, w.previous_until, w.cursor, w.failing_since, w.disabled_reason, w.created_at
            FROM webhooks w JOIN clients c ON c.n = w.client",
        makes: Makes::Row,
    },
    Part {
        table: "webhook_deliveries",
        columns: &[
            ("n", Big), ("id", Id), ("webhook_id", Id), ("event", Big), ("email_id", Id), ("seq", Int),
            ("kind", Text), ("body", Bytes), ("state", Small), ("due_at", Big), ("fence", Int), ("tries", Int),
            ("started_at", Big), ("attempts", Text), ("attempt_count", Int), ("created_at", Big), ("ended_at", Big),
        ],
        select: "SELECT d.n, d.id, w.id, d.event, d.email_id, d.seq, d.kind, d.body, d.state, d.due_at, d.fence,
                d.tries, d.started_at, d.attempts, d.attempt_count, d.created_at, d.ended_at
            FROM webhook_deliveries d JOIN webhooks w ON w.n = d.webhook",
        makes: Makes::Row,
    },
    Part {
        table: "users",
        columns: &[
            ("n", Big), ("id", Id), ("email", Text), ("name", Text), ("role", Text), ("password_hash", Text),
            ("language", Text), ("sealed_totp", Bytes), ("totp_step", Big), ("is_active", Bool), ("created_at", Big),
        ],
        select: "SELECT n, id, email, name, role, password_hash, language, sealed_totp, totp_step, is_active, created_at
            FROM users",
        makes: Makes::Row,
    },
    Part {
        table: "sessions",
        columns: &[
            ("hash", Bytes), ("user_id", Id), ("created_at", Big), ("last_seen", Big), ("address", Text),
            ("agent", Text),
        ],
        select: "SELECT hash, user_id, created_at, last_seen, address, agent FROM sessions",
        makes: Makes::Row,
    },
    Part {
        table: "eo_events",
        columns: &[("id", Big), ("client_id", Id), ("owner_id", Id), ("name", Text), ("created_at", Big)],
        select: "SELECT id, client_id, owner_id, name, created_at FROM eo_events",
        makes: Makes::Row,
    },
    Part {
        table: "eo_deliveries",
        columns: &[
            ("id", Big), ("event_id", Big), ("client_id", Id), ("user_id", Id), ("email_id", Id), ("to_email", Text),
            ("subject", Text), ("filter", Text), ("language", Text), ("resent_from", Big), ("created_at", Big),
            ("noticed_at", Big), ("seen_at", Big), ("idempotency_key", Text), ("fingerprint", Bytes),
        ],
        select: "SELECT id, event_id, client_id, user_id, email_id, to_email, subject, filter, language, resent_from,
                created_at, noticed_at, seen_at, idempotency_key, fingerprint
            FROM eo_deliveries",
        makes: Makes::Row,
    },
    Part {
        table: "suppressions",
        columns: &[
            ("n", Big), ("client_id", Id), ("address_key", Bytes), ("stream", Text), ("email", Text), ("reason", Text),
            ("evidence", Text), ("created_at", Big), ("expires_at", Big),
        ],
        select: "SELECT s.n, c.id, s.address_key, s.stream, s.email, s.reason, s.evidence, s.created_at, s.expires_at
            FROM suppressions s JOIN clients c ON c.n = s.client",
        makes: Makes::Row,
    },
    Part {
        table: "news",
        columns: &[
            ("n", Big), ("source", Text), ("key", Text), ("received_at", Big), ("at", Big), ("kind", Text),
            ("client_id", Id), ("email_id", Id), ("address_key", Bytes), ("raw", Text),
        ],
        select: "SELECT w.n, w.source, w.key, w.received_at, w.at, w.kind, c.id, w.email_id, w.address_key, w.raw
            FROM news w LEFT JOIN clients c ON c.n = w.client",
        makes: Makes::Row,
    },
    Part {
        table: "webhook_tokens",
        columns: &[("token", Text), ("body", Bytes), ("keep_until", Big)],
        select: "SELECT token, body, keep_until FROM webhook_tokens",
        makes: Makes::Row,
    },
    Part {
        table: "templates",
        columns: &[("client_id", Id), ("code", Text), ("version", Int)],
        select: "SELECT c.id, t.code, t.version FROM templates t JOIN clients c ON c.n = t.client",
        makes: Makes::Row,
    },
    Part {
        table: "template_versions",
        columns: &[
            ("client_id", Id), ("code", Text), ("version", Int), ("id", Id), ("name", Text), ("subject", Text),
            ("html", Text), ("text", Text), ("variables_schema", Text), ("created_at", Big), ("updated_at", Big),
        ],
        select: "SELECT c.id, v.code, v.version, v.id, v.name, v.subject, v.html, v.text, v.variables_schema,
                v.created_at, v.updated_at
            FROM template_versions v JOIN clients c ON c.n = v.client",
        makes: Makes::Row,
    },
    Part {
        table: "audit",
        columns: &[
            ("id", Big), ("at", Big), ("actor_kind", Text), ("actor_id", Text), ("actor_address", Text),
            ("action", Text), ("target", Text), ("detail", Text),
        ],
        select: "SELECT id, at, actor_kind, actor_id, actor_address, action, target, detail FROM audit",
        makes: Makes::Row,
    },
    Part {
        table: "workers",
        columns: &[
            ("n", Big), ("id", Id), ("node", Text), ("pid", Big), ("roles", Text), ("host", Text),
            ("started_at", Big), ("last_seen", Big), ("is_dead", Bool),
        ],
        select: "SELECT n, id, node, pid, roles, host, started_at, last_seen, is_dead FROM workers",
        makes: Makes::Row,
    },
    Part {
        table: "events",
        // The day an event was written is that of its time, as far as anybody can tell now.
        columns: &[
            ("client_id", Id), ("email_id", Id), ("id", Big), ("at", Big), ("seq", Int), ("day", Int),
            ("attempt", Int), ("recipient", Int), ("kind", Small), ("detail", Text),
        ],
        select: "SELECT c.id, e.id, v.id, v.at, v.seq, v.at / 86400000, v.attempt, v.recipient, v.kind, v.detail
            FROM events v JOIN emails e ON e.n = v.n JOIN clients c ON c.n = e.client",
        makes: Makes::Row,
    },
    Part {
        table: "emails",
        columns: &[
            ("client_id", Id), ("id", Id), ("requested_at", Big), ("updated_at", Big), ("due_at", Big),
            ("sent_at", Big), ("lease_owner", Id), ("recipient_count", Int), ("fence", Int), ("attempts", Int),
            ("uncertain_ends", Int), ("events", Int), ("status", Small), ("priority", Small),
            ("failure_code", Small), ("domain", Text), ("failure_message", Text), ("error", Text),
            ("provider", Text), ("provider_message_id", Text), ("recipients", Text),
        ],
        select: "SELECT c.id, e.id, e.requested_at, e.updated_at, e.due_at, e.sent_at, w.id, e.recipient_count,
                e.fence, e.attempts, e.uncertain_ends, e.events, e.status, e.priority, e.failure_code, d.name,
                e.failure_message, e.error, e.provider, e.provider_message_id, e.recipients
            FROM emails e JOIN clients c ON c.n = e.client JOIN domain_names d ON d.n = e.domain
                LEFT JOIN workers w ON w.n = e.lease_owner",
        makes: Makes::Row,
    },
    Part {
        table: "heads",
        columns: &[("client_id", Id), ("id", Id), ("head", Bytes)],
        select: "SELECT c.id, e.id, b.head FROM bodies b JOIN emails e ON e.n = b.n JOIN clients c ON c.n = e.client",
        makes: Makes::Row,
    },
    Part {
        table: "contents",
        columns: &[("client_id", Id), ("id", Id), ("content", Bytes)],
        select: "SELECT c.id, e.id, b.content FROM bodies b JOIN emails e ON e.n = b.n
                JOIN clients c ON c.n = e.client WHERE b.content IS NOT NULL",
        makes: Makes::Row,
    },
    Part {
        table: "finders",
        columns: &[("client_id", Id), ("key", Big), ("id", Id)],
        select: "SELECT c.id, e.id, b.head FROM bodies b JOIN emails e ON e.n = b.n JOIN clients c ON c.n = e.client",
        makes: Makes::Entries,
    },
    Part {
        table: "blob_references",
        columns: &[("sha256", Bytes), ("client_id", Id), ("id", Id)],
        select: "SELECT r.sha256, c.id, e.id FROM blob_references r JOIN emails e ON e.n = r.n
                JOIN clients c ON c.n = e.client",
        makes: Makes::Row,
    },
    Part {
        table: "counts",
        columns: &[
            ("client_id", Id), ("hour", Int), ("domain", Text), ("status", Small), ("slot", Small), ("amount", Big),
        ],
        select: "SELECT c.id, k.hour, d.name, k.status, 0, k.amount FROM counts k JOIN clients c ON c.n = k.client
                JOIN domain_names d ON d.n = k.domain",
        makes: Makes::Row,
    },
    Part {
        table: "tag_counts",
        columns: &[("client_id", Id), ("hour", Int), ("tag", Text), ("slot", Small), ("amount", Big)],
        select: "SELECT c.id, k.hour, k.tag, 0, k.amount FROM tag_counts k JOIN clients c ON c.n = k.client",
        makes: Makes::Row,
    },
    Part {
        table: "idempotency",
        columns: &[
            ("client_id", Id), ("endpoint", Text), ("key", Text), ("fingerprint", Bytes), ("answer", Bytes),
            ("keep_until", Big),
        ],
        select: "SELECT c.id, i.endpoint, i.key, i.fingerprint, i.answer, i.keep_until FROM idempotency i
                JOIN clients c ON c.n = i.client",
        makes: Makes::Row,
    },
    Part {
        table: "inbox",
        columns: &[
            ("n", Big), ("id", Id), ("client_id", Id), ("email_id", Id), ("mail_from", Text), ("recipients", Text),
            ("subject", Text), ("sender", Text), ("size", Big), ("sha256", Bytes), ("received_at", Big),
        ],
        select: "SELECT i.n, i.id, c.id, i.email_id, i.mail_from, i.recipients, i.subject, i.sender, i.size,
                i.sha256, i.received_at
            FROM inbox i JOIN clients c ON c.n = i.client",
        makes: Makes::Row,
    },
    Part {
        table: "blobs",
        columns: &[("sha256", Bytes), ("content", Bytes), ("put_at", Big)],
        select: "SELECT sha256, content, put_at FROM blobs",
        makes: Makes::Row,
    },
];
