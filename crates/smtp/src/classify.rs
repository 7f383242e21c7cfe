//! What a negative reply means: for now or for good, whose fault, and whether an operator must act.
//!
//! The enhanced code decides, then the reply code with the command it answered, never the text (but for the one
//! row that names it). The first row that matches wins. Rows that name a command beat rows that do not: `535 5.7.8`
//! to AUTH is about our password, not a policy bounce.

use crate::failure::{Failure, FailureClass, Stage};
use crate::reply::{EnhancedCode, Reply};

/// For now or for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// Transient: try again later.
    Later,
    /// Permanent: trying again is no use.
    Refused,
}

/// A reply, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// For now or for good.
    pub disposition: Disposition,
    /// What to record and show.
    pub failure: Failure,
}

/// Judges a reply to the command of `stage`. A reply that is neither 4yz nor 5yz did not fit the command: transient,
/// `unknown`.
pub fn classify(stage: Stage, reply: &Reply) -> Verdict {
    let row = if reply.is_negative() {
        by_command(stage, reply)
            .or_else(|| reply.enhanced.and_then(by_enhanced_code))
            .unwrap_or_else(|| by_reply_code(stage, reply))
    } else {
        later(FailureClass::Unknown).reconnect()
    };
    Verdict {
        disposition: row.disposition,
        failure: Failure {
            code: row.code,
            reply: Some(reply.clone()),
            stage,
            message: reply.to_string(),
            alarm: row.alarm,
            // 421 means that the server closes the channel, whatever else it says (RFC 5321 section 3.8).
            reconnect: row.reconnect || reply.code == 421,
        },
    }
}

/// The right side of the table.
#[derive(Clone, Copy)]
struct Row {
    disposition: Disposition,
    code: FailureClass,
    alarm: bool,
    reconnect: bool,
}

impl Row {
    fn alarm(self) -> Self {
        Self { alarm: true, ..self }
    }

    fn reconnect(self) -> Self {
        Self { reconnect: true, ..self }
    }
}

fn later(code: FailureClass) -> Row {
    Row { disposition: Disposition::Later, code, alarm: false, reconnect: false }
}

fn refused(code: FailureClass) -> Row {
    Row { disposition: Disposition::Refused, code, alarm: false, reconnect: false }
}

/// Rows that stand above the enhanced code, because that would mislead.
fn by_command(stage: Stage, reply: &Reply) -> Option<Row> {
    use FailureClass::{ServerError, TransportError};
    match (stage, reply.code) {
        // The operator's credential is wrong or missing, also when MAIL is answered 530: one bad password must not
        // fail the whole queue.
        (_, 530 | 534 | 535 | 538) | (Stage::Auth, 500..) => Some(later(ServerError).alarm()),
        // Nothing has been said about any message yet, so a 5yz here cannot be about one.
        (Stage::Greeting, 500..) => Some(later(TransportError).reconnect()),
        (Stage::Connect | Stage::Tls, 500..) => Some(later(TransportError).alarm()),
        (Stage::Ehlo, 500..) => Some(later(ServerError).alarm().reconnect()),
        // Amazon SES answers this after the data when the sender's domain is not verified.
        (Stage::Data | Stage::EndOfData, 554) if reply.text.to_ascii_lowercase().contains("not verified") => {
            Some(refused(ServerError))
        }
        // RFC 5321 section 4.5.3.1.10: old servers say 552 for "too many recipients"; read it as 452.
        (Stage::RcptTo, 552) if !names_another_cause(reply.enhanced) => Some(later(ServerError)),
        _ => None,
    }
}

/// Whether a 552 to RCPT says itself that it is not about too many recipients: mailbox full, message too big, no
/// such address.
fn names_another_cause(enhanced: Option<EnhancedCode>) -> bool {
    matches!(
        enhanced,
        Some(
            EnhancedCode { class: 5, subject: 2, detail: 2 }
                | EnhancedCode { class: 5, subject: 3, detail: 4 }
                | EnhancedCode { class: 5, subject: 1, detail: 1 | 2 | 3 | 6 | 10 }
        )
    )
}

/// Rows that an enhanced code decides; none for codes that say too little, such as 5.0.0.
fn by_enhanced_code(enhanced: EnhancedCode) -> Option<Row> {
    use FailureClass::{Bounce, InvalidEmail, ServerError, TransportError};
    match (enhanced.class, enhanced.subject, enhanced.detail) {
        // A loop and an expired message stay so.
        (5, 4, 6 | 7) => Some(refused(ServerError)),
        (_, 4, 1..=7) => Some(later(TransportError)),
        (5, 1, 1 | 2 | 3 | 6 | 10) | (5, 6, 7) => Some(refused(InvalidEmail)),
        (4, 1 | 2, _) | (4, 7, 1) => Some(later(ServerError)),
        (5, 2, 1..=4) | (5, 7, _) => Some(refused(Bounce)),
        (5, 1, 7 | 8) | (5, 3..=5, _) => Some(refused(ServerError)),
        _ => None,
    }
}

/// Rows that the reply code decides, with the command that it answered.
fn by_reply_code(stage: Stage, reply: &Reply) -> Row {
    use FailureClass::{Bounce, InvalidEmail, ServerError, TransportError};
    match (stage, reply.code) {
        (_, 421) => later(TransportError).reconnect(),
        (_, 400..=499) => later(ServerError),
        (Stage::RcptTo, 550 | 551 | 553) if reply.enhanced.is_none() => refused(InvalidEmail),
        (Stage::Data | Stage::EndOfData, 552) | (Stage::MailFrom, _) | (_, 500..=504) => refused(ServerError),
        // 550 and 554 to the data among them: its content was refused.
        (Stage::RcptTo | Stage::Data | Stage::EndOfData, _) => refused(Bounce),
        _ => refused(ServerError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Disposition::{Later, Refused};
    use FailureClass::{Bounce, InvalidEmail, ServerError, TransportError, Unknown};
    use Stage::{Auth, Data, Ehlo, EndOfData, Greeting, MailFrom, RcptTo};

    /// Judges a reply given as on the wire.
    fn judge(stage: Stage, wire: &str) -> Verdict {
        let fed = crate::reply::ReplyParser::new().feed(format!("{wire}\r\n").as_bytes());
        classify(stage, &fed.expect("well-formed").reply.expect("whole"))
    }

    /// Every row of the table, in its order.
    const TABLE: &[(Stage, &str, Disposition, FailureClass)] = &[
        // x.4.1-x.4.7, but for the two that a later row names
        (RcptTo, "450 4.4.1 no answer from host", Later, TransportError),
        (EndOfData, "451 4.4.7 delivery time expired", Later, TransportError),
        (RcptTo, "550 5.4.1 no answer from host", Later, TransportError),
        (RcptTo, "550 5.4.4 unable to route", Later, TransportError),
        // the address
        (RcptTo, "556 5.1.10 null MX", Refused, InvalidEmail),
        (RcptTo, "550 5.1.1 no such user", Refused, InvalidEmail),
        (RcptTo, "550 5.1.2 bad domain", Refused, InvalidEmail),
        (RcptTo, "501 5.1.3 bad syntax", Refused, InvalidEmail),
        (RcptTo, "550 5.1.6 moved", Refused, InvalidEmail),
        (EndOfData, "550 5.1.1 no such user", Refused, InvalidEmail),
        (RcptTo, "550 no such user", Refused, InvalidEmail),
        (RcptTo, "551 not local", Refused, InvalidEmail),
        (RcptTo, "553 bad name", Refused, InvalidEmail),
        (MailFrom, "553 5.6.7 non-ASCII address", Refused, InvalidEmail),
        // the mailbox or the system, for now
        (RcptTo, "450 4.2.0 mailbox busy", Later, ServerError),
        (RcptTo, "452 4.2.2 over quota", Later, ServerError),
        (RcptTo, "450 4.1.1 unverified", Later, ServerError),
        (MailFrom, "451 4.1.8 sender domain", Later, ServerError),
        (RcptTo, "450 busy", Later, ServerError),
        (EndOfData, "451 try again", Later, ServerError),
        (MailFrom, "452 no space", Later, ServerError),
        (RcptTo, "450 4.7.1 greylisted", Later, ServerError),
        (EndOfData, "454 4.3.0 odd", Later, ServerError),
        (Data, "499 odd", Later, ServerError),
        // 421 anywhere, 554 banner
        (Greeting, "421 too busy", Later, TransportError),
        (Ehlo, "421 4.3.2 shutting down", Later, TransportError),
        (MailFrom, "421 idle too long", Later, TransportError),
        (RcptTo, "421 4.7.0 try later", Later, TransportError),
        (EndOfData, "421 4.3.0 closing", Later, TransportError),
        (Greeting, "554 no service here", Later, TransportError),
        (Greeting, "554 5.7.1 you are blocked", Later, TransportError),
        // 552 to RCPT
        (RcptTo, "552 too many recipients", Later, ServerError),
        (RcptTo, "552 5.5.3 too many recipients", Later, ServerError),
        (RcptTo, "552 5.2.2 mailbox full", Refused, Bounce),
        (RcptTo, "552 5.3.4 too big", Refused, ServerError),
        // the mailbox, for good
        (RcptTo, "550 5.2.1 disabled", Refused, Bounce),
        (RcptTo, "550 5.2.2 full", Refused, Bounce),
        (EndOfData, "552 5.2.3 too long for the mailbox", Refused, Bounce),
        (RcptTo, "550 5.2.4 list problem", Refused, Bounce),
        // policy
        (RcptTo, "550 5.7.1 relaying denied", Refused, Bounce),
        (EndOfData, "554 5.7.1 spam", Refused, Bounce),
        (EndOfData, "550 5.7.26 DMARC", Refused, Bounce),
        (MailFrom, "550 5.7.23 SPF", Refused, Bounce),
        (EndOfData, "550 content rejected", Refused, Bounce),
        (EndOfData, "554 transaction failed", Refused, Bounce),
        (Data, "554 no", Refused, Bounce),
        // too big
        (MailFrom, "552 5.3.4 too big", Refused, ServerError),
        (MailFrom, "552 too big", Refused, ServerError),
        (Data, "552 too big", Refused, ServerError),
        (EndOfData, "552 too big", Refused, ServerError),
        // our sender
        (MailFrom, "553 5.1.7 bad sender", Refused, ServerError),
        (MailFrom, "550 5.1.8 sender domain", Refused, ServerError),
        (MailFrom, "550 no", Refused, ServerError),
        (MailFrom, "554 refused", Refused, ServerError),
        (EndOfData, "554 Message rejected: Email address is not verified.", Refused, ServerError),
        // AUTH
        (Auth, "454 4.7.0 temporary failure", Later, ServerError),
        (Auth, "530 5.7.0 must use TLS", Later, ServerError),
        (Auth, "534 5.7.9 too weak", Later, ServerError),
        (Auth, "535 5.7.8 bad credentials", Later, ServerError),
        (Auth, "538 5.7.11 encryption required", Later, ServerError),
        (MailFrom, "530 5.7.0 authentication required", Later, ServerError),
        // protocol and system
        (MailFrom, "501 5.5.4 bad parameter", Refused, ServerError),
        (Data, "503 5.5.1 no recipients", Refused, ServerError),
        (RcptTo, "500 what", Refused, ServerError),
        (Data, "502 what", Refused, ServerError),
        (EndOfData, "504 what", Refused, ServerError),
        (EndOfData, "554 5.3.0 system", Refused, ServerError),
        (RcptTo, "554 5.4.6 loop", Refused, ServerError),
        (RcptTo, "554 5.4.7 expired", Refused, ServerError),
        (RcptTo, "554 5.4.0 network", Refused, ServerError),
        // no sense
        (MailFrom, "354 go on", Later, Unknown),
        (Data, "250 ok", Later, Unknown),
        // other 5yz
        (RcptTo, "554 no", Refused, Bounce),
        (RcptTo, "550 5.1.0 other address status", Refused, Bounce),
        (EndOfData, "571 no", Refused, Bounce),
        (Data, "555 no", Refused, Bounce),
        (MailFrom, "555 unknown parameter", Refused, ServerError),
    ];

    #[test]
    fn every_row_of_the_table() {
        for (stage, wire, disposition, code) in TABLE {
            let verdict = judge(*stage, wire);
            assert_eq!((verdict.disposition, verdict.failure.code), (*disposition, *code), "{stage}: {wire}");
            assert_eq!(verdict.failure.message, *wire);
            assert_eq!(verdict.failure.stage, *stage);
        }
    }

    #[test]
    fn only_the_operator_can_mend_credentials() {
        for (stage, wire, alarm) in [
            (Auth, "535 5.7.8 bad credentials", true),
            (Auth, "534 x", true),
            (Auth, "504 5.5.4 mechanism", true),
            (MailFrom, "530 5.7.0 authentication required", true),
            (Ehlo, "550 who are you", true),
            (Auth, "454 4.7.0 temporary failure", false),
            (Greeting, "554 no service", false),
            (RcptTo, "550 5.1.1 no such user", false),
        ] {
            assert_eq!(judge(stage, wire).failure.alarm, alarm, "{wire}");
        }
    }

    #[test]
    fn another_connection_may_help_after_421_and_a_bad_banner() {
        for (stage, wire, reconnect) in [
            (RcptTo, "421 4.7.1 too fast", true),
            (Greeting, "554 no service", true),
            (RcptTo, "450 4.7.1 greylisted", false),
            (EndOfData, "550 spam", false),
        ] {
            assert_eq!(judge(stage, wire).failure.reconnect, reconnect, "{wire}");
        }
    }
}
