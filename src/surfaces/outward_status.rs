//! An email's status in the words of the replaced services (the table of 'Status of an email').

use posthaste_model::Status;

/// As the Mail Proxy and OAuth APIs show it.
pub fn mail_proxy(status: Status) -> &'static str {
    match status {
        Status::Scheduled | Status::Queued => "queued",
        Status::Processing => "processing",
        Status::Sent | Status::Delivered | Status::Complained => "sent",
        Status::Bounced | Status::Failed => "failed",
        Status::Cancelled => "cancelled",
    }
}
