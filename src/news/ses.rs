//! Amazon SES by SNS (SES developer guide, "Event publishing"). One notification may speak of several recipients; fields
//! that are not known are left alone.

use super::sns::{Kind, Verified};
use super::text::{canonical, detail, own_id, text};
use super::{Desk, NewsError};
use posthaste_model::news::{News, NewsKind, NewsSource};
use posthaste_model::suppression::reason;
use posthaste_model::{EmailId, FailureCode, Timestamp};
use serde_json::Value;

/// Recipients of one notification at most; SES takes 50.
const MOST_RECIPIENTS: usize = 1000;

impl Desk {
    /// Takes a request of SNS's; `type_header` is `x-amz-sns-message-type`.
    pub async fn ses(&self, type_header: Option<&str>, body: &[u8]) -> Result<(), NewsError> {
        let verified = self.verified(type_header, body).await?;
        match verified.kind {
            Kind::Notification => self.record(self.notification(&verified)).await,
            Kind::SubscriptionConfirmation => self.confirm(&verified).await,
            Kind::UnsubscribeConfirmation => {
                tracing::warn!(
                    "the subscription of the SES topic has ended: no news comes until it is made anew"
                );
                let at = Timestamp::parse(&verified.timestamp).unwrap_or_else(|_| self.clock.now());
                let raw = String::from_utf8_lossy(body).into_owned();
                self.record(vec![News::kept(NewsSource::Ses, verified.message_id, raw, at)]).await
            }
        }
    }

    fn notification(&self, verified: &Verified) -> Vec<News> {
        let at = Timestamp::parse(&verified.timestamp).unwrap_or_else(|_| self.clock.now());
        let whole = News::kept(NewsSource::Ses, verified.message_id.clone(), verified.message.clone(), at);
        match serde_json::from_str::<Value>(&verified.message) {
            Ok(message) if message.is_object() => news_of(&message, whole),
            // "Successfully validated SNS topic for Amazon SES event publishing."
            _ => vec![whole],
        }
    }
}

/// What is said of all recipients of a notification.
struct Said {
    kind: NewsKind,
    code: Option<FailureCode>,
    suppress: Option<&'static str>,
    detail: Option<String>,
}

/// The news of a notification, one for each recipient; `whole` is kept when it says nothing.
fn news_of(message: &Value, mut whole: News) -> Vec<News> {
    let mail = message.get("mail").unwrap_or(&Value::Null);
    whole.email_id = own(mail);
    whole.provider_ids = text(mail, "messageId").map(str::to_owned).into_iter().collect();
    let kind = text(message, "eventType").or(text(message, "notificationType")).unwrap_or_default();
    let Some((said, recipients)) = classify(kind, message, mail) else { return vec![whole] };
    if let Some(at) = said_at(kind, message) {
        whole.at = at;
    }
    let one = |(index, (recipient, own)): (usize, (Option<String>, Option<String>))| News {
        key: format!("{}/{index}", whole.key),
        recipient,
        kind: Some(said.kind),
        code: said.code,
        suppress: said.suppress,
        detail: own.or_else(|| said.detail.clone()),
        ..whole.clone()
    };
    let recipients = if recipients.is_empty() { vec![(None, None)] } else { recipients };
    recipients.into_iter().take(MOST_RECIPIENTS).enumerate().map(one).collect()
}

/// Our own id: the tag or the header it was sent with, or the Message-ID, of which SES keeps a copy in the headers.
fn own(mail: &Value) -> Option<EmailId> {
    let tag = mail.pointer("/tags/posthaste_id/0").and_then(Value::as_str);
    let headers = mail.get("headers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let named = |name: &str| {
        let is_named = |header: &&Value| text(header, "name").is_some_and(|n| n.eq_ignore_ascii_case(name));
        headers.iter().find(is_named).and_then(|header| text(header, "value"))
    };
    [tag, named("X-Posthaste-Id"), named("Message-ID")].into_iter().flatten().find_map(own_id)
}

fn said_at(kind: &str, message: &Value) -> Option<Timestamp> {
    let member = match kind {
        "Bounce" => "bounce",
        "Complaint" => "complaint",
        "Delivery" => "delivery",
        "DeliveryDelay" => "deliveryDelay",
        "Open" => "open",
        "Click" => "click",
        _ => return None,
    };
    Timestamp::parse(text(message.get(member)?, "timestamp")?).ok()
}

/// Address and own words of each recipient.
type Recipients = Vec<(Option<String>, Option<String>)>;

/// The table of 07-providers.
fn classify(kind: &str, message: &Value, mail: &Value) -> Option<(Said, Recipients)> {
    let part = |name: &str| message.get(name).unwrap_or(&Value::Null);
    let said = |kind, code, suppress, detail| Said { kind, code, suppress, detail };
    let everybody = || strings(mail.get("destination"));
    Some(match kind {
        "Bounce" => {
            let bounce = part("bounce");
            let words = detail([text(bounce, "bounceType"), text(bounce, "bounceSubType")]);
            let (code, suppress) = match text(bounce, "bounceType") {
                Some("Permanent") => (FailureCode::Bounce, Some(reason::BOUNCE)),
                Some("Transient") => (FailureCode::Bounce, None),
                _ => (FailureCode::Unknown, None),
            };
            (said(NewsKind::Bounced, Some(code), suppress, words), objects(bounce.get("bouncedRecipients")))
        }
        "Complaint" => {
            let complaint = part("complaint");
            let feedback = text(complaint, "complaintFeedbackType");
            // The recipient took it out of the spam folder: the contrary of a complaint.
            if feedback == Some("not-spam") {
                return None;
            }
            let said = said(NewsKind::Complained, None, Some(reason::COMPLAINT), detail([feedback]));
            (said, objects(complaint.get("complainedRecipients")))
        }
        "Delivery" => {
            let delivery = part("delivery");
            let words = detail([text(delivery, "smtpResponse")]);
            (said(NewsKind::Delivered, None, None, words), strings(delivery.get("recipients")))
        }
        "DeliveryDelay" => {
            let delay = part("deliveryDelay");
            let words = detail([text(delay, "delayType")]);
            (said(NewsKind::Deferred, None, None, words), objects(delay.get("delayedRecipients")))
        }
        "Reject" => {
            let words = detail([Some("rejected:"), text(part("reject"), "reason")]);
            (said(NewsKind::Failed, Some(FailureCode::ServerError), None, words), everybody())
        }
        "Rendering Failure" => {
            let words = detail([Some("rendering failed:"), text(part("failure"), "errorMessage")]);
            (said(NewsKind::Failed, Some(FailureCode::ServerError), None, words), everybody())
        }
        "Open" => {
            (said(NewsKind::Opened, None, None, detail([text(part("open"), "userAgent")])), everybody())
        }
        "Click" => (said(NewsKind::Clicked, None, None, detail([text(part("click"), "link")])), everybody()),
        _ => return None,
    })
}

fn strings(list: Option<&Value>) -> Recipients {
    let list = list.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    list.iter().filter_map(Value::as_str).map(|address| (canonical(address), None)).collect()
}

fn objects(list: Option<&Value>) -> Recipients {
    let list = list.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    list.iter()
        .map(|one| {
            let words = detail([text(one, "status"), text(one, "diagnosticCode")]);
            (text(one, "emailAddress").and_then(canonical), words)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(message: &Value) -> Vec<News> {
        let whole = News::kept(NewsSource::Ses, "m".into(), message.to_string(), Timestamp::from_millis(5));
        news_of(message, whole)
    }

    #[test]
    fn notifications_become_news_by_the_table() {
        let bounce = |kind: &str| {
            json!({"notificationType": "Bounce", "mail": {"messageId": "x", "destination": ["a@b.example"]},
                "bounce": {"bounceType": kind, "bouncedRecipients": [{"emailAddress": "A@b.example",
                    "status": "5.1.1", "diagnosticCode": "smtp; 550"}], "timestamp": "2023-11-14T22:13:20.000Z"}})
        };
        for (kind, code, suppress) in [
            ("Permanent", FailureCode::Bounce, Some("bounce")),
            ("Transient", FailureCode::Bounce, None),
            ("Undetermined", FailureCode::Unknown, None),
        ] {
            let news = of(&bounce(kind));
            assert_eq!(news.len(), 1);
            assert_eq!(
                (news[0].kind, news[0].code, news[0].suppress),
                (Some(NewsKind::Bounced), Some(code), suppress)
            );
            assert_eq!(news[0].detail.as_deref(), Some("5.1.1 smtp; 550"));
            assert_eq!(news[0].at, Timestamp::from_millis(1_700_000_000_000));
            assert_eq!(news[0].provider_ids, ["x"]);
        }
        let complaint = |feedback: &str| {
            json!({"eventType": "Complaint", "complaint": {"complaintFeedbackType": feedback,
                "complainedRecipients": [{"emailAddress": "a@b.example"}, {"emailAddress": "c@b.example"}]}})
        };
        assert_eq!(of(&complaint("abuse")).len(), 2);
        assert_eq!(of(&complaint("abuse"))[1].suppress, Some("complaint"));
        assert_eq!(of(&complaint("not-spam"))[0].kind, None);
        assert_eq!(of(&json!({"eventType": "Send"}))[0].kind, None);
        assert_eq!(of(&json!({"eventType": 5}))[0].kind, None);
    }

    #[test]
    fn our_own_id_is_found_in_tag_header_and_message_id() {
        let id = "0192f0c1-2d3e-7abc-8def-0123456789ab";
        for mail in [
            json!({"tags": {"posthaste_id": [id]}}),
            json!({"headers": [{"name": "x-posthaste-id", "value": id}]}),
            json!({"headers": [{"name": "Message-ID", "value": format!("<{id}@example.com>")}]}),
        ] {
            assert_eq!(own(&mail).map(|own| own.to_string()).as_deref(), Some(id), "{mail}");
        }
        assert_eq!(own(&json!({"headers": [7, {"name": 1}]})), None);
    }
}
