//! Every reply that the protocol says, with the section that wants it. Replies carry enhanced codes (RFC 2034) except
//! the greeting, 354, 334 and those to EHLO and HELO.

use super::content::ContentFault;
use super::settings::ServerSettings;
use super::wire::Lost;
use crate::command::CommandError;
use crate::reply::{EnhancedCode, Reply};
use posthaste_mail::AddressError;

/// A reply with its enhanced code.
pub fn reply(code: u16, enhanced: (u8, u16, u16), text: impl Into<String>) -> Reply {
    let (class, subject, detail) = enhanced;
    Reply::new(code, Some(EnhancedCode::new(class, subject, detail)), text)
}

/// The text of 535 5.7.8: the same for an unknown name and a wrong password.
pub const AUTHENTICATION_FAILED: &str = "Authentication credentials invalid";
/// The text of 421 4.3.2 for a peer that there is no place for.
pub const TOO_BUSY: &str = "Too many connections, try again later";

/// 220, RFC 5321 section 4.2.
pub(super) fn greeting(settings: &ServerSettings) -> Reply {
    Reply::new(220, None, format!("{} ESMTP Posthaste", settings.hostname))
}

/// 554 instead of the greeting for a peer that did not wait for it, RFC 5321 sections 3.1 and 4.3.1.
pub(super) fn early() -> Reply {
    reply(554, (5, 5, 1), "You talked before you were greeted")
}

/// 250 to HELO, RFC 5321 section 4.1.1.1.
pub(super) fn helo(settings: &ServerSettings) -> Reply {
    Reply::new(250, None, settings.hostname.clone())
}

/// 250 to EHLO with what is offered, RFC 5321 section 4.1.1.1.
pub(super) fn ehlo(settings: &ServerSettings, offers_tls: bool, offers_login: bool) -> Reply {
    let mut text = format!(
        "{}\nPIPELINING\nSIZE {}\n8BITMIME\nSMTPUTF8\nCHUNKING\nENHANCEDSTATUSCODES\nDSN",
        settings.hostname, settings.max_bytes
    );
    if offers_tls {
        text.push_str("\nSTARTTLS");
    }
    if offers_login {
        text.push_str("\nAUTH PLAIN LOGIN");
    }
    Reply::new(250, None, text)
}

/// 250 to a sender.
pub(super) fn sender_taken() -> Reply {
    reply(250, (2, 1, 0), "Ok")
}

/// 250 to a recipient.
pub(super) fn recipient_taken() -> Reply {
    reply(250, (2, 1, 5), "Ok")
}

/// 250 to RSET and NOOP.
pub(super) fn done() -> Reply {
    reply(250, (2, 0, 0), "Ok")
}

/// 354, RFC 5321 section 4.1.1.4.
pub(super) fn go_ahead() -> Reply {
    Reply::new(354, None, "End data with <CR><LF>.<CR><LF>")
}

/// 250 to a chunk, RFC 3030 section 2.
pub(super) fn chunk_taken(octets: u64) -> Reply {
    reply(250, (2, 0, 0), format!("{octets} octets received"))
}

/// 221, RFC 5321 section 4.1.1.10.
pub(super) fn bye() -> Reply {
    reply(221, (2, 0, 0), "Bye")
}

/// 214, RFC 5321 section 4.1.1.8.
pub(super) fn help() -> Reply {
    reply(214, (2, 0, 0), "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT AUTH STARTTLS VRFY HELP")
}

/// 252 to VRFY: whether an address exists is told to nobody, RFC 5321 sections 3.5.3 and 7.3.
pub(super) fn verify() -> Reply {
    reply(252, (2, 1, 5), "Cannot verify, but will take a message and try to deliver it")
}

/// 502 to EXPN, RFC 5321 section 4.2.4.
pub(super) fn not_implemented() -> Reply {
    reply(502, (5, 5, 1), "Command not implemented")
}

/// 503, RFC 5321 section 4.1.4.
pub(super) fn bad_sequence(text: &str) -> Reply {
    reply(503, (5, 5, 1), text)
}

/// 452 4.5.3, RFC 5321 section 4.5.3.1.10.
pub(super) fn too_many_recipients() -> Reply {
    reply(452, (4, 5, 3), "Too many recipients")
}

/// 552 5.3.4, RFC 1870 section 6.
pub(super) fn too_large(settings: &ServerSettings) -> Reply {
    reply(552, (5, 3, 4), format!("The message is larger than {} octets", settings.max_bytes))
}

/// 553 5.6.7, RFC 6531 section 3.5.
pub(super) fn needs_smtputf8() -> Reply {
    reply(553, (5, 6, 7), "The address needs SMTPUTF8")
}

/// 554 5.6.0 for a stray line end among the commands.
pub(super) fn stray_line_end() -> Reply {
    reply(554, (5, 6, 0), "Lines end with CR LF; a stray CR or LF is not taken")
}

/// 220 to STARTTLS, RFC 3207 section 4.
pub(super) fn ready_for_tls() -> Reply {
    reply(220, (2, 0, 0), "Ready to start TLS")
}

/// 334 with a challenge in base64, RFC 4954 section 4.
pub(super) fn challenge(base64: &str) -> Reply {
    Reply::new(334, None, base64)
}

/// 235, RFC 4954 section 4.
pub(super) fn logged_in() -> Reply {
    reply(235, (2, 7, 0), "Authentication succeeded")
}

/// 535, RFC 4954 section 6.
pub(super) fn login_refused() -> Reply {
    reply(535, (5, 7, 8), AUTHENTICATION_FAILED)
}

/// 501 to a malformed login, RFC 4954 section 4.
pub(super) fn login_malformed() -> Reply {
    reply(501, (5, 5, 2), "Malformed authentication data")
}

/// 501 to a login that the client took back with `*`, RFC 4954 section 4.
pub(super) fn login_cancelled() -> Reply {
    reply(501, (5, 7, 0), "Authentication cancelled")
}

/// 504, RFC 4954 section 4.
pub(super) fn unknown_mechanism() -> Reply {
    reply(504, (5, 5, 4), "Unrecognized authentication mechanism")
}

/// 538 where a login would go over the wire in clear, RFC 4954 section 6.
pub(super) fn login_needs_tls() -> Reply {
    reply(538, (5, 7, 11), "Encryption required for requested authentication mechanism")
}

/// 421 after too many failed logins.
pub(super) fn too_many_failed_logins() -> Reply {
    reply(421, (4, 7, 0), "Too many failed logins, closing connection")
}

/// 421 after too many errors.
pub(super) fn too_many_errors() -> Reply {
    reply(421, (4, 7, 0), "Too many errors, closing connection")
}

/// The last word, where there is one.
pub(super) fn farewell(lost: Lost) -> Option<Reply> {
    match lost {
        Lost::Closed => None,
        Lost::TimedOut => Some(reply(421, (4, 4, 2), "Timeout, closing connection")),
        Lost::Stopping => Some(reply(421, (4, 3, 2), "Service shutting down, closing connection")),
        Lost::Endless => Some(reply(500, (5, 5, 2), "Line too long, closing connection")),
    }
}

/// A line that is no command, RFC 5321 section 4.2.4.
pub(super) fn refused_command(error: &CommandError) -> Reply {
    match error {
        CommandError::NotUtf8 => reply(500, (5, 5, 2), "Commands are UTF-8"),
        CommandError::Control => reply(500, (5, 5, 2), "Commands hold no control characters"),
        CommandError::Http => reply(554, (5, 5, 1), "This is SMTP, not HTTP"),
        CommandError::TooLong => reply(500, (5, 5, 2), "Line too long"),
        CommandError::AuthTooLong => reply(500, (5, 5, 6), "Authentication exchange line is too long"),
        CommandError::Unknown => reply(500, (5, 5, 1), "Command not recognized"),
        CommandError::Syntax(syntax) => reply(501, (5, 5, 4), format!("Syntax: {syntax}")),
        CommandError::Mailbox(error) => invalid_mailbox(*error),
        CommandError::SourceRoute => reply(553, (5, 1, 3), "Source routes are not taken"),
        CommandError::NeedsSmtputf8 => needs_smtputf8(),
        CommandError::UnknownParameter => reply(555, (5, 5, 4), "Parameter not recognized"),
        CommandError::BadParameter(name) => reply(501, (5, 5, 4), format!("Malformed parameter {name}")),
    }
}

/// 553 5.1.3, RFC 5321 section 4.2.3.
fn invalid_mailbox(error: AddressError) -> Reply {
    reply(553, (5, 1, 3), format!("The address {error}"))
}

/// Content that is refused.
pub(super) fn refused_content(fault: &ContentFault, settings: &ServerSettings) -> Reply {
    match fault {
        ContentFault::StrayLineEnd => {
            reply(554, (5, 6, 0), "The message has a stray CR or LF; lines end with CR LF")
        }
        ContentFault::Nul => reply(554, (5, 6, 0), "The message holds NUL"),
        ContentFault::LongLine => reply(554, (5, 6, 0), "The message has a line of more than 998 octets"),
        ContentFault::TooLarge => too_large(settings),
        ContentFault::NoRoom(reply) => reply.clone(),
    }
}
