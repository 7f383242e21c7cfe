//! The operations about events: webhooks, their log, and the feed.

use super::operation::{ADMIN, Body, GET, LIMIT, NUMBER, Operation};
use crate::surfaces::http::problem;

const WEBHOOK: Operation = Operation { tag: "events", permission: "webhooks:write", ..ADMIN };
const POST: Operation = Operation { method: "post", ..WEBHOOK };

/// Every one of them.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        path: "/api/events",
        id: "listEvents",
        summary: "The client's email events behind a cursor, oldest first",
        tag: "events",
        query: &[
            (
                "after",
                r#"{"type":"integer","minimum":0,"maximum":9223372036854775807,"default":0}"#,
                "`next_after` of the page before",
            ),
            ("limit", r#"{"type":"integer","minimum":1,"maximum":500,"default":100}"#, "events of a page"),
        ],
        answers: &[(200, "EventPage", "One page; empty when nothing is new")],
        more_problems: &[problem::VALIDATION_FAILED],
        ..GET
    },
    Operation {
        path: "/api/webhooks",
        id: "listWebhooks",
        summary: "The client's webhooks",
        answers: &[(200, "Webhooks", "All of them")],
        ..WEBHOOK
    },
    Operation {
        path: "/api/webhooks",
        id: "createWebhook",
        summary: "Have a URL called for events; the secret is shown once",
        body: Body::Json("NewWebhook"),
        answers: &[(201, "WebhookWithSecret", "The webhook and its secret")],
        more_problems: &[problem::CONFLICT],
        ..POST
    },
    Operation {
        path: "/api/webhooks/{id}",
        id: "getWebhook",
        summary: "One webhook",
        answers: &[(200, "Webhook", "The webhook")],
        ..WEBHOOK
    },
    Operation {
        method: "patch",
        path: "/api/webhooks/{id}",
        id: "changeWebhook",
        summary: "Change URL or events, or switch it on or off",
        body: Body::Json("WebhookChange"),
        answers: &[(200, "Webhook", "The webhook")],
        more_problems: &[problem::CONFLICT],
        ..WEBHOOK
    },
    Operation {
        method: "delete",
        path: "/api/webhooks/{id}",
        id: "deleteWebhook",
        summary: "Remove a webhook with the log of its calls",
        answers: &[(204, "", "Removed")],
        more_problems: &[problem::CONFLICT],
        ..WEBHOOK
    },
    Operation {
        path: "/api/webhooks/{id}/rotate",
        id: "rotateWebhook",
        summary: "Make a new secret; the one before signs too for the overlap",
        body: Body::Optional("Rotation"),
        answers: &[(200, "WebhookWithSecret", "The webhook and its new secret")],
        more_problems: &[problem::CONFLICT],
        ..POST
    },
    Operation {
        path: "/api/webhooks/{id}/test",
        id: "testWebhook",
        summary: "Have one test call made",
        answers: &[(202, "WebhookDelivery", "The delivery that shows what came of it")],
        more_problems: &[problem::CONFLICT],
        ..POST
    },
    Operation {
        path: "/api/webhooks/{id}/deliveries",
        id: "listDeliveries",
        summary: "What the webhook was told, with each call and its answer's status, newest first",
        query: &[
            ("before", NUMBER, "`next_before` of the page before"),
            ("limit", LIMIT, "deliveries of a page"),
        ],
        answers: &[(200, "WebhookDeliveries", "One page")],
        more_problems: &[problem::VALIDATION_FAILED],
        ..WEBHOOK
    },
    Operation {
        path: "/api/webhooks/{id}/deliveries/{delivery}/replay",
        id: "replayDelivery",
        summary: "Have a delivery that has ended made again",
        answers: &[(202, "WebhookDelivery", "The delivery, due now")],
        more_problems: &[problem::CONFLICT],
        ..POST
    },
];
