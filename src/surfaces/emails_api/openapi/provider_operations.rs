//! The operations that mail providers call. They answer without a key and without a limit: the signature proves who calls,
//! and refused news would be lost.

use super::operation::{Body, GET, Operation};

const NEWS: Operation = Operation {
    method: "post",
    tag: "news",
    permission: "",
    answers: &[(200, "NewsTaken", "Taken in, also when it is about no email of ours")],
    ..GET
};

/// Every one of them.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        path: "/api/webhooks/sendgrid",
        id: "takeSendgridNews",
        summary: "SendGrid's signed event webhook",
        body: Body::News("SendgridEvents"),
        ..NEWS
    },
    Operation {
        path: "/api/webhooks/mailgun",
        id: "takeMailgunNews",
        summary: "Mailgun's webhook; its signature stands in the body",
        body: Body::News("MailgunEvent"),
        ..NEWS
    },
    Operation {
        path: "/api/webhooks/ses",
        id: "takeSesNews",
        summary: "Amazon SES by SNS, in whatever media type; its signature stands in the body",
        body: Body::News("SnsMessage"),
        ..NEWS
    },
];

/// The headers in which an operation's signature comes, each with its meaning.
pub(super) fn signature_headers(operation: &Operation) -> &'static [(&'static str, &'static str)] {
    match operation.id {
        "takeSendgridNews" => &[
            (
                "X-Twilio-Email-Event-Webhook-Signature",
                "ECDSA on P-256 with SHA-256 over the timestamp and the body, base64 of DER",
            ),
            ("X-Twilio-Email-Event-Webhook-Timestamp", "what is signed before the body"),
        ],
        _ => &[],
    }
}
