//! The table of operations.

use super::operation::{ADMIN, Body, GET, LIMIT, NUMBER, Operation, POST};
use crate::surfaces::http::problem;

const READ_TEMPLATES: &str = "emails:read or templates:write";
const EVENT_ID: &str = r#"{"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807}"#;
const BOOLEAN: &str = r#"{"type":"boolean"}"#;
const TEXT: &str = r#"{"type":"string"}"#;
const MOMENT: &str =
    r#"{"type":"string","anyOf":[{"format":"date"},{"format":"date-time"}],"examples":["2026-12-01"]}"#;
const STATUS: &str = r##"{"type":"array","items":{"$ref":"#/components/schemas/Status"}}"##;
const GROUP: &str = r#"{"type":"string","enum":["status","domain","tag","hour","day"],"default":"status"}"#;
const WAIT: &str = r#"{"type":"string","pattern":"^0*(([0-9]|[1-5][0-9]|60)s?|([0-9]{1,4}|[1-5][0-9]{4}|60000)ms|[01]m)$","examples":["5s"]}"#;

/// Every operation of the surface.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        path: "/api/emails",
        id: "sendEmail",
        summary: "Accept one email; answered once it is durable",
        query: &[("dry_run", BOOLEAN, "do everything but the sending, and show it")],
        body: Body::Json("NewEmail"),
        idempotent: true,
        answers: &[(202, "Accepted", "Accepted and durable"), (200, "DryRun", "What sending would do")],
        ..POST
    },
    Operation {
        path: "/api/emails/batch",
        id: "sendBatch",
        summary: "Accept up to 500 emails, each judged on its own",
        query: &[("atomic", BOOLEAN, "all or none")],
        body: Body::Json("Batch"),
        idempotent: true,
        answers: &[(202, "BatchResults", "Judged; the accepted ones are durable")],
        ..POST
    },
    Operation {
        path: "/api/emails",
        id: "listEmails",
        summary: "The client's emails, newest first",
        query: &[
            ("status", STATUS, "any of these statuses"),
            ("date_from", MOMENT, "accepted at or after"),
            ("date_to", MOMENT, "accepted up to; a date is inclusive"),
            ("recipient", TEXT, "exact address"),
            ("domain", TEXT, "sending domain"),
            ("tag", TEXT, "tag"),
            ("template_code", TEXT, "template"),
            ("event_id", EVENT_ID, "EO event"),
            ("q", TEXT, "words in the subject"),
            ("limit", LIMIT, "rows of a page"),
            ("cursor", TEXT, "`next_cursor` of the page before"),
            ("count", BOOLEAN, "add `total`"),
        ],
        answers: &[(200, "EmailPage", "One page")],
        more_problems: &[problem::VALIDATION_FAILED],
        ..GET
    },
    Operation {
        path: "/api/emails/{id}",
        id: "getEmail",
        summary: "One email with recipients, files and timeline",
        query: &[(
            "wait",
            WAIT,
            "answer when it is sent, failed or cancelled, or after this time (up to 60s)",
        )],
        answers: &[(200, "Email", "The email")],
        more_problems: &[problem::VALIDATION_FAILED],
        ..GET
    },
    Operation {
        path: "/api/emails/{id}/explain",
        id: "explainEmail",
        summary: "Why it is where it is, and what would change it",
        answers: &[(200, "Explanation", "Decisions in order")],
        ..GET
    },
    Operation {
        path: "/api/emails/{id}/content",
        id: "getContent",
        summary: "The rendered message",
        answers: &[(200, "MessageContent", "Subject, html, text and headers")],
        ..GET
    },
    Operation {
        path: "/api/emails/{id}/raw",
        id: "getRaw",
        summary: "The message exactly as sent",
        answers: &[(200, "message/rfc822", "The source")],
        ..GET
    },
    Operation {
        path: "/api/emails/{id}/cancel",
        id: "cancelEmail",
        summary: "Take an email back while it is scheduled or queued",
        permission: "emails:cancel",
        answers: &[(200, "Cancelled", "Taken back")],
        more_problems: &[problem::CANNOT_CANCEL],
        ..POST
    },
    Operation {
        path: "/api/emails/{id}/resend",
        id: "resendEmail",
        summary: "Send the same content again as a new email",
        idempotent: true,
        answers: &[(202, "Accepted", "A new email, linked by resent_from")],
        more_problems: &[problem::VALIDATION_FAILED],
        ..POST
    },
    Operation {
        path: "/api/stats",
        id: "getStats",
        summary: "Counts of the client's emails",
        query: &[
            ("from", MOMENT, "accepted at or after; 30 days ago if left out"),
            ("to", MOMENT, "accepted before; now if left out"),
            ("group_by", GROUP, "what to count by"),
        ],
        answers: &[(200, "Stats", "Counts")],
        more_problems: &[problem::VALIDATION_FAILED],
        ..GET
    },
    Operation {
        path: "/api/events/stream",
        id: "streamEvents",
        summary: "The client's email events as they happen (server-sent events), resumable by Last-Event-ID",
        answers: &[(200, "text/event-stream", "Events, one by one")],
        more_problems: &[problem::BAD_REQUEST],
        ..GET
    },
    Operation {
        path: "/api/templates",
        id: "putTemplate",
        summary: "Create a template, or make a new version of it",
        tag: "templates",
        permission: "templates:write",
        body: Body::Json("NewTemplate"),
        answers: &[(201, "Template", "A new template"), (200, "Template", "A new version")],
        ..POST
    },
    Operation {
        path: "/api/templates",
        id: "listTemplates",
        summary: "The client's templates, newest versions",
        tag: "templates",
        permission: READ_TEMPLATES,
        answers: &[(200, "Templates", "All of them")],
        ..GET
    },
    Operation {
        path: "/api/templates/{code}",
        id: "getTemplate",
        summary: "One template, newest version",
        tag: "templates",
        permission: READ_TEMPLATES,
        answers: &[(200, "Template", "The template")],
        ..GET
    },
    Operation {
        method: "delete",
        path: "/api/templates/{code}",
        id: "deleteTemplate",
        summary: "Delete a template; accepted emails keep their version",
        tag: "templates",
        permission: "templates:write",
        answers: &[(204, "", "Deleted")],
        ..GET
    },
    Operation {
        path: "/api/templates/{code}/preview",
        id: "previewTemplate",
        summary: "Render a template; nothing is sent",
        tag: "templates",
        permission: READ_TEMPLATES,
        body: Body::Json("Preview"),
        answers: &[(200, "Rendered", "Subject, html and text")],
        ..POST
    },
    Operation {
        path: "/api/clients",
        id: "listClients",
        summary: "All clients",
        answers: &[(200, "Clients", "All of them")],
        ..ADMIN
    },
    Operation {
        method: "post",
        path: "/api/clients",
        id: "createClient",
        summary: "Create a client",
        body: Body::Json("NewClient"),
        answers: &[(201, "Client", "The client")],
        more_problems: &[problem::CONFLICT],
        ..ADMIN
    },
    Operation {
        method: "patch",
        path: "/api/clients/{client}",
        id: "changeClient",
        summary: "Change how long a client's email is kept, or switch the client off or on",
        body: Body::Json("ClientChange"),
        answers: &[(200, "Client", "The client")],
        more_problems: &[problem::CONFLICT],
        ..ADMIN
    },
    Operation {
        path: "/api/eo-events",
        id: "listEoEvents",
        summary: "All organizers' events",
        answers: &[(200, "EoEvents", "All of them")],
        ..ADMIN
    },
    Operation {
        method: "post",
        path: "/api/eo-events",
        id: "createEoEvent",
        summary: "Create an organizer's event",
        body: Body::Json("NewEoEvent"),
        answers: &[(201, "EoEvent", "The event")],
        ..ADMIN
    },
    Operation {
        path: "/api/keys",
        id: "listKeys",
        summary: "All API keys, without their secrets",
        answers: &[(200, "Keys", "All of them")],
        ..ADMIN
    },
    Operation {
        method: "post",
        path: "/api/keys",
        id: "createKey",
        summary: "Create an API key; it is shown this once",
        body: Body::Json("NewKey"),
        answers: &[(201, "CreatedKey", "The key")],
        ..ADMIN
    },
    Operation {
        method: "post",
        path: "/api/keys/{id}/rotate",
        id: "rotateKey",
        summary: "Make a successor; the old key works for the overlap",
        body: Body::Optional("Rotation"),
        answers: &[(201, "CreatedKey", "The new key")],
        more_problems: &[problem::CONFLICT],
        ..ADMIN
    },
    Operation {
        method: "delete",
        path: "/api/keys/{id}",
        id: "revokeKey",
        summary: "Revoke a key; it is refused from the next request on",
        answers: &[(204, "", "Revoked")],
        ..ADMIN
    },
    Operation {
        path: "/api/domains",
        id: "listDomains",
        summary: "All sending domains",
        answers: &[(200, "Domains", "All of them")],
        ..ADMIN
    },
    Operation {
        method: "post",
        path: "/api/domains",
        id: "createDomain",
        summary: "Register a sending domain",
        body: Body::Json("NewDomain"),
        answers: &[(201, "Domain", "The domain")],
        more_problems: &[problem::CONFLICT],
        ..ADMIN
    },
    Operation {
        method: "patch",
        path: "/api/domains/{name}",
        id: "changeDomain",
        summary: "Change a domain's default sender or bounce handling",
        body: Body::Json("DomainChange"),
        answers: &[(200, "Domain", "The domain")],
        ..ADMIN
    },
    Operation {
        path: "/api/domains/{name}/dns",
        id: "getDomainDns",
        summary: "The records to publish for a domain, and what DNS answers now",
        answers: &[(200, "DomainDns", "The records")],
        ..ADMIN
    },
    Operation {
        path: "/api/suppressions",
        id: "listSuppressions",
        summary: "The addresses that are not written to, newest first",
        tag: "suppressions",
        query: &[
            ("email", TEXT, "only this address"),
            ("reason", TEXT, "only entries with this reason"),
            ("limit", LIMIT, "entries of a page"),
            ("cursor", TEXT, "`next_cursor` of the page before"),
        ],
        answers: &[(200, "SuppressionList", "A page")],
        more_problems: &[problem::VALIDATION_FAILED],
        ..GET
    },
    Operation {
        path: "/api/suppressions",
        id: "addSuppression",
        summary: "Enter an address: mail to it is accepted and ends `failed`, `suppressed`",
        tag: "suppressions",
        body: Body::Json("NewSuppression"),
        answers: &[
            (201, "Suppression", "Entered"),
            (200, "Suppression", "It stood already and says this now"),
        ],
        ..POST
    },
    Operation {
        method: "delete",
        path: "/api/suppressions/{email}",
        id: "removeSuppression",
        summary: "Take an address off",
        tag: "suppressions",
        query: &[("stream", TEXT, "of this stream only")],
        answers: &[(204, "", "Taken off")],
        ..POST
    },
    Operation {
        path: "/api/audit",
        id: "listAudit",
        summary: "Who did what, when, from where",
        query: &[("before", NUMBER, "entries older than this id"), ("limit", LIMIT, "entries of a page")],
        answers: &[(200, "Audit", "Newest first")],
        more_problems: &[problem::VALIDATION_FAILED],
        ..ADMIN
    },
    Operation {
        method: "delete",
        path: "/api/recipients/{address}",
        id: "eraseRecipient",
        summary: "Erase a person's data (GDPR) and say what was removed",
        answers: &[(200, "Erased", "What was removed")],
        more_problems: &[problem::VALIDATION_FAILED],
        ..ADMIN
    },
    Operation {
        path: "/api/openapi.json",
        id: "getOpenApi",
        summary: "This document",
        tag: "documentation",
        permission: "",
        answers: &[(200, "OpenApi", "OpenAPI 3.1")],
        ..GET
    },
    Operation {
        path: "/api/docs",
        id: "getDocs",
        summary: "This document, to read",
        tag: "documentation",
        permission: "",
        answers: &[(200, "text/html", "A page")],
        ..GET
    },
];
