//! Bounce messages and complaints that came by SMTP to a return path of ours. Which email they are about is said by the
//! address, which is signed; what they say of it is the reporter's word.

use super::text::{canonical, detail, digest, has_enhanced_code};
use super::{Desk, NewsError};
use crate::base::return_path::{ReturnPaths, Returned};
use posthaste_mail::report::{self, Action, Complaint, RecipientReport, Report};
use posthaste_model::news::{News, NewsKind, NewsSource};
use posthaste_model::suppression::reason;
use posthaste_model::{Address, EmailId, FailureCode};

/// Bytes of a report that are kept for the audit.
const KEPT: usize = 64 * 1024;

impl Desk {
    /// Takes a message that came to return paths of ours.
    pub async fn report(
        &self,
        paths: &ReturnPaths,
        returned: &[Returned],
        message: &[u8],
    ) -> Result<(), NewsError> {
        let report = report::read(message);
        let kept = message.get(..KEPT).unwrap_or(message);
        let raw = String::from_utf8_lossy(kept).into_owned();
        let digest = digest(message);
        let mut news = Vec::new();
        for to in returned {
            // A complaint that came to the common address names the return path inside, signed like any other.
            let email_id = match (to, &report) {
                (Returned::Email(id), _) => Some(*id),
                (Returned::Complaints, Some(Report::Complaint(complaint))) => named(paths, complaint),
                (Returned::Complaints, _) => None,
            };
            let name = email_id.map_or_else(|| "unmatched".to_owned(), |id| id.to_string());
            let mut whole =
                News::kept(NewsSource::Smtp, format!("{name}:{digest}"), raw.clone(), self.clock.now());
            whole.email_id = email_id;
            match &report {
                Some(Report::Delivery(recipients)) => {
                    news.extend(recipients.iter().enumerate().map(|(at, one)| delivery(&whole, at, one)));
                }
                Some(Report::Complaint(complaint)) => news.extend(complaints(&whole, complaint)),
                // An answer of a person or a machine: nothing is known, and nothing follows.
                None => news.push(whole),
            }
        }
        self.record(news).await
    }
}

fn named(paths: &ReturnPaths, complaint: &Complaint) -> Option<EmailId> {
    match paths.read(&Address::parse(complaint.return_path.as_deref()?).ok()?)? {
        Returned::Email(id) => Some(id),
        Returned::Complaints => None,
    }
}

/// What a bounce says of one recipient, by the table of 07-providers.
fn delivery(whole: &News, at: usize, one: &RecipientReport) -> News {
    let mut news = News { key: format!("{}/{at}", whole.key), ..whole.clone() };
    news.recipient = canonical(one.original.as_deref().unwrap_or(&one.last));
    news.detail = detail([Some(one.status.as_str()), one.diagnostic.as_deref()]);
    match one.action {
        Action::Failed => {
            news.kind = Some(NewsKind::Bounced);
            news.code = Some(FailureCode::Bounce);
            news.suppress = has_enhanced_code(&one.status, "5.1.").then_some(reason::BOUNCE);
        }
        Action::Delayed => news.kind = Some(NewsKind::Deferred),
        Action::Delivered => news.kind = Some(NewsKind::Delivered),
        Action::PassedOn => {}
    }
    news
}

fn complaints(whole: &News, complaint: &Complaint) -> Vec<News> {
    let is_complaint =
        matches!(complaint.kind.as_str(), "abuse" | "fraud" | "virus" | "other" | "miscategorized");
    let one = |(at, recipient): (usize, Option<&String>)| {
        let mut news = News { key: format!("{}/{at}", whole.key), ..whole.clone() };
        news.recipient = recipient.and_then(|address| canonical(address));
        news.detail = detail([Some("feedback:"), Some(complaint.kind.as_str())]);
        if is_complaint {
            news.kind = Some(NewsKind::Complained);
            news.suppress = Some(reason::COMPLAINT);
        } else if complaint.kind == "opt-out" {
            news.kind = Some(NewsKind::Unsubscribed);
            news.suppress = Some(reason::UNSUBSCRIBE);
        }
        news
    };
    if complaint.recipients.is_empty() {
        return vec![one((0, None))];
    }
    complaint.recipients.iter().map(Some).enumerate().map(one).collect()
}
