//! Reports that come back by mail: bounce messages (delivery status notifications, RFC 3464) and complaints (ARF,
//! RFC 5965). Strict where a mistake would suppress an address, bounded everywhere: a report is a stranger's text.

mod fields;

use fields::Groups;
use mail_parser::{MessageParser, MimeHeaders, PartType};

/// Recipients of one report at most.
const MOST_RECIPIENTS: usize = 100;
/// The longest report part that is read, in bytes.
const LONGEST_PART: usize = 256 * 1024;
/// The beginning of a message that is looked at, in bytes: a report stands before the mail it is about.
const LONGEST_MESSAGE: usize = 1024 * 1024;

/// What a recipient's delivery came to (RFC 3464, 2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Given up.
    Failed,
    /// Not yet; the reporter goes on trying.
    Delayed,
    /// Delivered to the mailbox.
    Delivered,
    /// Handed to a system that reports no further, or to a list.
    PassedOn,
}

/// What a bounce message says of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientReport {
    /// The address as we wrote it, where the reporter tells it.
    pub original: Option<String>,
    /// The address that was tried last.
    pub last: String,
    /// What became of it.
    pub action: Action,
    /// Enhanced status code (RFC 3463), `5.1.1`.
    pub status: String,
    /// What the receiving side said.
    pub diagnostic: Option<String>,
}

/// A complaint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// `abuse`, `fraud`, `not-spam`..., lower case.
    pub kind: String,
    /// The envelope sender of the mail complained of: our return path.
    pub return_path: Option<String>,
    /// Those who complained, where the reporter tells them.
    pub recipients: Vec<String>,
}

/// A report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A bounce message, or another word on deliveries.
    Delivery(Vec<RecipientReport>),
    /// A complaint.
    Complaint(Complaint),
}

/// Reads a report; `None` when the message is none. Never panics.
pub fn read(message: &[u8]) -> Option<Report> {
    let message = message.get(..LONGEST_MESSAGE).unwrap_or(message);
    let message = MessageParser::default().parse(message)?;
    let root = message.parts.first()?;
    let kind = root.content_type()?;
    if !kind.ctype().eq_ignore_ascii_case("multipart") || !kind.subtype()?.eq_ignore_ascii_case("report") {
        return None;
    }
    for part in message.parts.iter().skip(1) {
        let Some(kind) = part.content_type().filter(|kind| kind.ctype().eq_ignore_ascii_case("message"))
        else {
            continue;
        };
        let subtype = kind.subtype().unwrap_or_default().to_ascii_lowercase();
        let content = match &part.body {
            PartType::Message(_) => &[][..],
            _ => part.contents(),
        };
        let text = String::from_utf8_lossy(content.get(..LONGEST_PART).unwrap_or(content));
        match subtype.as_str() {
            "delivery-status" | "global-delivery-status" => return delivery(&text),
            "feedback-report" => return complaint(&text),
            _ => {}
        }
    }
    None
}

/// The groups of fields: the first is about the message, each further one about a recipient.
fn delivery(text: &str) -> Option<Report> {
    let groups = Groups::read(text);
    let recipients: Vec<RecipientReport> =
        groups.iter().skip(1).filter_map(recipient).take(MOST_RECIPIENTS).collect();
    (!recipients.is_empty()).then_some(Report::Delivery(recipients))
}

fn recipient(group: &[(String, String)]) -> Option<RecipientReport> {
    let field = |name: &str| fields::first(group, name);
    let action = match field("action")?.to_ascii_lowercase().as_str() {
        "failed" => Action::Failed,
        "delayed" => Action::Delayed,
        "delivered" => Action::Delivered,
        "relayed" | "expanded" => Action::PassedOn,
        _ => return None,
    };
    // A comment may stand behind the code.
    let status = field("status")?.split_ascii_whitespace().next()?;
    is_status(status).then(|| RecipientReport {
        original: field("original-recipient").and_then(address),
        last: field("final-recipient").and_then(address).unwrap_or_default(),
        action,
        status: status.to_owned(),
        diagnostic: field("diagnostic-code").map(str::to_owned),
    })
}

/// The address of `rfc822; user@example.com`.
fn address(field: &str) -> Option<String> {
    let (kind, address) = field.split_once(';')?;
    let is_known = ["rfc822", "utf-8"].iter().any(|known| kind.trim().eq_ignore_ascii_case(known));
    let bare = address.trim().trim_start_matches('<').trim_end_matches('>');
    (is_known && !bare.is_empty()).then(|| bare.to_owned())
}

/// `class.subject.detail` (RFC 3463, 2).
fn is_status(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let is_number = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    parts.len() == 3 && parts.iter().all(is_number) && matches!(parts[0], "2" | "4" | "5")
}

fn complaint(text: &str) -> Option<Report> {
    let groups = Groups::read(text);
    let group = groups.iter().next()?;
    let kind = fields::first(group, "feedback-type").filter(|kind| !kind.is_empty())?.to_ascii_lowercase();
    let bare = |text: &str| text.trim().trim_start_matches('<').trim_end_matches('>').to_owned();
    let recipients = group.iter().filter(|(name, _)| name == "original-rcpt-to");
    Some(Report::Complaint(Complaint {
        kind,
        return_path: fields::first(group, "original-mail-from").map(bare).filter(|path| !path.is_empty()),
        recipients: recipients.map(|(_, value)| bare(value)).take(MOST_RECIPIENTS).collect(),
    }))
}

#[cfg(test)]
mod tests;
