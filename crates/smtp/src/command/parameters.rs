//! The parameters of MAIL and RCPT: those of the extensions that the server offers, each at most once, each of its
//! exact form. Another one is refused (555), as RFC 5321 section 4.1.1.11 wants.

use super::CommandError;

/// Longest `ENVID` (RFC 3461 section 4.4).
const MAX_ENVID: usize = 100;
/// Longest `ORCPT` (RFC 3461 section 4.2).
const MAX_ORCPT: usize = 500;

/// How much of a message its bounce should carry (RFC 3461 section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Return {
    /// `RET=FULL`.
    Full,
    /// `RET=HDRS`.
    Headers,
}

/// When a recipient's sender wants to hear (RFC 3461 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notify {
    /// On delivery.
    pub success: bool,
    /// On failure.
    pub failure: bool,
    /// On delay.
    pub delay: bool,
}

/// What may stand behind a sender.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MailParameters {
    /// `SIZE`: the message's size as the client believes it (RFC 1870).
    pub size: Option<u64>,
    /// `BODY=8BITMIME` (RFC 6152).
    pub is_8bit: bool,
    /// `SMTPUTF8` (RFC 6531).
    pub smtputf8: bool,
    /// `RET`.
    pub ret: Option<Return>,
    /// `ENVID`, as written.
    pub envid: Option<String>,
}

/// What may stand behind a recipient.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RcptParameters {
    /// `NOTIFY`; all false is `NEVER`.
    pub notify: Option<Notify>,
    /// `ORCPT`, as written.
    pub orcpt: Option<String>,
}

/// Each parameter with its value; none may stand twice.
struct Words<'a> {
    rest: std::str::Split<'a, char>,
    seen: Vec<&'static str>,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        Self { rest: text.split(' '), seen: Vec::new() }
    }

    fn next(&mut self) -> Option<(String, Option<&'a str>)> {
        let word = self.rest.by_ref().find(|word| !word.is_empty())?;
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        Some((name.to_ascii_uppercase(), value))
    }

    /// Notes a parameter; an error the second time.
    fn once(&mut self, name: &'static str) -> Result<&'static str, CommandError> {
        if self.seen.contains(&name) {
            return Err(CommandError::BadParameter(name));
        }
        self.seen.push(name);
        Ok(name)
    }
}

pub(super) fn mail(text: &str) -> Result<MailParameters, CommandError> {
    let mut words = Words::of(text);
    let mut read = MailParameters::default();
    while let Some((name, value)) = words.next() {
        match name.as_str() {
            "SIZE" => {
                let name = words.once("SIZE")?;
                read.size = Some(value.and_then(number).ok_or(CommandError::BadParameter(name))?);
            }
            "BODY" => {
                let name = words.once("BODY")?;
                read.is_8bit = match value.map(str::to_ascii_uppercase).as_deref() {
                    Some("7BIT") => false,
                    Some("8BITMIME") => true,
                    // BINARYMIME is not offered: nothing here could pass such content on.
                    _ => return Err(CommandError::BadParameter(name)),
                };
            }
            "SMTPUTF8" => {
                let name = words.once("SMTPUTF8")?;
                read.smtputf8 = value.is_none();
                if !read.smtputf8 {
                    return Err(CommandError::BadParameter(name));
                }
            }
            "RET" => {
                let name = words.once("RET")?;
                read.ret = match value.map(str::to_ascii_uppercase).as_deref() {
                    Some("FULL") => Some(Return::Full),
                    Some("HDRS") => Some(Return::Headers),
                    _ => return Err(CommandError::BadParameter(name)),
                };
            }
            "ENVID" => {
                let name = words.once("ENVID")?;
                let envid = value.filter(|value| is_xtext(value, MAX_ENVID));
                read.envid = Some(envid.ok_or(CommandError::BadParameter(name))?.to_owned());
            }
            "AUTH" => {
                // Whom the client says it was told by (RFC 4954 section 5): of a submission it says nothing.
                let name = words.once("AUTH")?;
                let fits = value.is_some_and(|value| value == "<>" || is_xtext(value, MAX_ORCPT));
                if !fits {
                    return Err(CommandError::BadParameter(name));
                }
            }
            _ => return Err(CommandError::UnknownParameter),
        }
    }
    Ok(read)
}

pub(super) fn rcpt(text: &str) -> Result<RcptParameters, CommandError> {
    let mut words = Words::of(text);
    let mut read = RcptParameters::default();
    while let Some((name, value)) = words.next() {
        match name.as_str() {
            "NOTIFY" => {
                let name = words.once("NOTIFY")?;
                read.notify = Some(value.and_then(notify).ok_or(CommandError::BadParameter(name))?);
            }
            "ORCPT" => {
                let name = words.once("ORCPT")?;
                let fits = |value: &&str| {
                    let address = value.split_once(';').filter(|(kind, _)| {
                        !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                    });
                    value.len() <= MAX_ORCPT && address.is_some_and(|(_, text)| is_orcpt_text(text))
                };
                read.orcpt = Some(value.filter(fits).ok_or(CommandError::BadParameter(name))?.to_owned());
            }
            _ => return Err(CommandError::UnknownParameter),
        }
    }
    Ok(read)
}

fn notify(value: &str) -> Option<Notify> {
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(Notify::default());
    }
    let mut read = Notify::default();
    for word in value.split(',') {
        let slot = match word.to_ascii_uppercase().as_str() {
            "SUCCESS" => &mut read.success,
            "FAILURE" => &mut read.failure,
            "DELAY" => &mut read.delay,
            _ => return None,
        };
        if std::mem::replace(slot, true) {
            return None;
        }
    }
    Some(read)
}

/// 1 to 20 digits (RFC 1870 section 3).
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    // Twenty digits may be more than fits: then it is more than anybody takes.
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// `xtext` (RFC 3461 section 4).
fn is_xtext(text: &str, longest: usize) -> bool {
    if text.is_empty() || text.len() > longest {
        return false;
    }
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => {
                let is_hex = |byte: Option<u8>| byte.is_some_and(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
                if !is_hex(bytes.next()) || !is_hex(bytes.next()) {
                    return false;
                }
            }
            b'=' => return false,
            b'!'..=b'~' => {}
            _ => return false,
        }
    }
    true
}

/// `xtext`, or the `utf-8-address` of RFC 6533, which may hold what is not ASCII.
fn is_orcpt_text(text: &str) -> bool {
    if text.is_ascii() {
        return is_xtext(text, MAX_ORCPT);
    }
    !text.contains(['=', '+']) && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}
