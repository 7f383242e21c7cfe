//! Commands as values: one line of a client, read strictly (RFC 5321 section 4.1, RFC 1870, 3030, 3461, 4954, 6531).
//!
//! Nothing here does I/O, and nothing is repaired: what is not exactly a command is an error, which the server says
//! with the reply that the RFC gives it.

mod parameters;
mod path;

pub use parameters::{MailParameters, Notify, RcptParameters, Return};

use path::Path;
use posthaste_mail::{Address, AddressError};

/// Longest command line with its CRLF (RFC 5321 section 4.5.3.1.4); for MAIL and RCPT that is verb and path.
pub const MAX_COMMAND_BYTES: usize = 512;
/// Longest MAIL or RCPT line with all parameters that extensions add, and its CRLF.
pub const MAX_EXTENDED_BYTES: usize = 2048;
/// Longest line of an AUTH exchange with its CRLF (RFC 4954 section 4).
pub const MAX_AUTH_BYTES: usize = 12_288;

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'a> {
    /// `EHLO name`.
    Ehlo(&'a str),
    /// `HELO name`.
    Helo(&'a str),
    /// `MAIL FROM:<...>`.
    Mail(MailFrom),
    /// `RCPT TO:<...>`.
    Rcpt(RcptTo),
    /// `DATA`.
    Data,
    /// `BDAT n [LAST]`.
    Bdat(Chunk),
    /// `AUTH mechanism [initial-response]`.
    Auth {
        /// The mechanism as written.
        mechanism: &'a str,
        /// The initial response in base64, as written.
        initial: Option<&'a str>,
    },
    /// `STARTTLS`.
    StartTls,
    /// `RSET`.
    Rset,
    /// `NOOP`.
    Noop,
    /// `QUIT`.
    Quit,
    /// `VRFY`; whom it asks for does not matter.
    Vrfy,
    /// `EXPN`.
    Expn,
    /// `HELP`.
    Help,
}

/// The sender of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailFrom {
    /// The return path; `None` is the null sender `<>`.
    pub sender: Option<Address>,
    /// What stood behind it.
    pub parameters: MailParameters,
}

/// A recipient of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RcptTo {
    /// The address.
    pub address: Address,
    /// It was written with characters outside ASCII, which only a message with SMTPUTF8 may (RFC 6531 section 3.4).
    pub is_utf8: bool,
    /// What stood behind it.
    pub parameters: RcptParameters,
}

/// The announcement of a piece of content (RFC 3030 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Octets that follow the command.
    pub size: u64,
    /// Whether the message ends with it.
    pub is_last: bool,
}

/// Why a line is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Bytes that are no UTF-8.
    #[error("the command is not UTF-8")]
    NotUtf8,
    /// A control character.
    #[error("the command holds a control character")]
    Control,
    /// A web client came to the wrong port.
    #[error("this is HTTP")]
    Http,
    /// The line, or its part without the parameters of extensions, is too long.
    #[error("the command is too long")]
    TooLong,
    /// An AUTH line is too long.
    #[error("the authentication exchange line is too long")]
    AuthTooLong,
    /// No such command.
    #[error("the command is not known")]
    Unknown,
    /// The command's argument is missing, superfluous or malformed; how it should read.
    #[error("the argument is malformed: {0}")]
    Syntax(&'static str),
    /// The path is no address that mail is sent to.
    #[error("the address {0}")]
    Mailbox(#[from] AddressError),
    /// A source route (RFC 5321 appendix F.2 lets a server refuse it).
    #[error("source routes are not taken")]
    SourceRoute,
    /// An address outside ASCII in a message without SMTPUTF8.
    #[error("the address needs SMTPUTF8")]
    NeedsSmtputf8,
    /// A parameter nobody offered.
    #[error("the parameter is not known")]
    UnknownParameter,
    /// A parameter with a wrong value, or twice; which one.
    #[error("the parameter {0} is malformed")]
    BadParameter(&'static str),
}

/// Reads one line, its CRLF cut off.
pub fn parse(line: &[u8]) -> Result<Command<'_>, CommandError> {
    let verb = verb_of(line);
    let longest = match verb.as_str() {
        "AUTH" => MAX_AUTH_BYTES,
        "MAIL" | "RCPT" => MAX_EXTENDED_BYTES,
        _ => MAX_COMMAND_BYTES,
    };
    if line.len() + 2 > longest {
        return Err(if longest == MAX_AUTH_BYTES {
            CommandError::AuthTooLong
        } else {
            CommandError::TooLong
        });
    }
    let text = std::str::from_utf8(line).map_err(|_| CommandError::NotUtf8)?;
    if text.chars().any(char::is_control) {
        return Err(CommandError::Control);
    }
    let text = text.trim_end_matches(' ');
    let argument = text.get(verb.len()..).unwrap_or_default();
    let argument = match argument.strip_prefix(' ') {
        Some(argument) => argument.trim_start_matches(' '),
        None if argument.is_empty() => "",
        None => return Err(unknown(text)),
    };
    match verb.as_str() {
        "EHLO" => Ok(Command::Ehlo(name(argument)?)),
        "HELO" => Ok(Command::Helo(name(argument)?)),
        "MAIL" => mail(argument).map(Command::Mail),
        "RCPT" => rcpt(argument).map(Command::Rcpt),
        "DATA" => alone(argument, Command::Data),
        "BDAT" => chunk(argument).map(Command::Bdat),
        "AUTH" => auth(argument),
        "STARTTLS" => alone(argument, Command::StartTls),
        "RSET" => alone(argument, Command::Rset),
        "QUIT" => alone(argument, Command::Quit),
        "NOOP" => Ok(Command::Noop),
        "HELP" => Ok(Command::Help),
        "VRFY" if argument.is_empty() => Err(CommandError::Syntax("VRFY <text>")),
        "VRFY" => Ok(Command::Vrfy),
        "EXPN" => Ok(Command::Expn),
        _ => Err(unknown(text)),
    }
}

/// The letters that a line begins with, in upper case; no more than the longest verb has.
fn verb_of(line: &[u8]) -> String {
    let letters = line.iter().take(9).take_while(|byte| byte.is_ascii_alphabetic());
    letters.map(|byte| char::from(byte.to_ascii_uppercase())).collect()
}

/// A line that no verb begins. Web clients are told apart: their session ends, so that no line of a request body is
/// ever read as a command.
fn unknown(text: &str) -> CommandError {
    const METHODS: [&str; 10] =
        ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PATCH", "PRI"];
    let method = text.split(' ').next().unwrap_or_default();
    let is_http = METHODS.contains(&method) && text.contains(' ')
        || text.contains(" HTTP/")
        || text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("host:"));
    if is_http { CommandError::Http } else { CommandError::Unknown }
}

/// The client's name: anything visible, as most clients' names would not pass a stricter look (RFC 5321 section
/// 4.1.4 forbids to refuse mail for it).
fn name(argument: &str) -> Result<&str, CommandError> {
    if argument.is_empty() || argument.len() > 255 || argument.contains(' ') {
        return Err(CommandError::Syntax("EHLO <host name>"));
    }
    Ok(argument)
}

fn alone<'a>(argument: &str, command: Command<'a>) -> Result<Command<'a>, CommandError> {
    if argument.is_empty() { Ok(command) } else { Err(CommandError::Syntax("no argument")) }
}

/// The path behind `FROM:` or `TO:`. Spaces before it are not RFC 5321 (section 3.3), but common and harmless.
fn path_behind<'a>(
    argument: &'a str,
    prefix: &str,
    syntax: &'static str,
) -> Result<(Path<'a>, &'a str), CommandError> {
    let start = argument.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix));
    let rest = start.and_then(|_| argument.get(prefix.len()..)).ok_or(CommandError::Syntax(syntax))?;
    let (path, rest) = path::split(rest.trim_start_matches(' ')).ok_or(CommandError::Syntax(syntax))?;
    // `MAIL ` and CRLF: without parameters a line has 512 octets.
    if argument.len() - rest.len() + 7 > MAX_COMMAND_BYTES {
        return Err(CommandError::TooLong);
    }
    match rest.strip_prefix(' ') {
        Some(parameters) => Ok((path, parameters)),
        None if rest.is_empty() => Ok((path, rest)),
        None => Err(CommandError::Syntax(syntax)),
    }
}

fn mail(argument: &str) -> Result<MailFrom, CommandError> {
    let (path, rest) = path_behind(argument, "FROM:", "MAIL FROM:<address> [parameters]")?;
    let parameters = parameters::mail(rest)?;
    let sender = match path {
        Path::Null => None,
        Path::Mailbox(text) => {
            if !text.is_ascii() && !parameters.smtputf8 {
                return Err(CommandError::NeedsSmtputf8);
            }
            Some(path::address(text)?)
        }
    };
    Ok(MailFrom { sender, parameters })
}

fn rcpt(argument: &str) -> Result<RcptTo, CommandError> {
    const SYNTAX: &str = "RCPT TO:<address> [parameters]";
    let (path, rest) = path_behind(argument, "TO:", SYNTAX)?;
    let parameters = parameters::rcpt(rest)?;
    let Path::Mailbox(text) = path else { return Err(CommandError::Mailbox(AddressError::Empty)) };
    Ok(RcptTo { address: path::address(text)?, is_utf8: !text.is_ascii(), parameters })
}

fn chunk(argument: &str) -> Result<Chunk, CommandError> {
    const SYNTAX: CommandError = CommandError::Syntax("BDAT <octets> [LAST]");
    let mut words = argument.split(' ').filter(|word| !word.is_empty());
    let size = words.next().and_then(parameters::number).ok_or(SYNTAX)?;
    let is_last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return Err(SYNTAX),
    };
    if words.next().is_some() { Err(SYNTAX) } else { Ok(Chunk { size, is_last }) }
}

fn auth(argument: &str) -> Result<Command<'_>, CommandError> {
    const SYNTAX: CommandError = CommandError::Syntax("AUTH <mechanism> [<initial response>]");
    let mut words = argument.split(' ').filter(|word| !word.is_empty());
    let mechanism = words.next().ok_or(SYNTAX)?;
    let initial = words.next();
    if words.next().is_some() { Err(SYNTAX) } else { Ok(Command::Auth { mechanism, initial }) }
}

#[cfg(test)]
mod tests;
