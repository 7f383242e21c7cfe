//! What a relay shall do, in the order of the session.

use super::certificate::Certificate;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

/// A moment at which the relay speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The connection was taken.
    Connect,
    /// EHLO.
    Ehlo,
    /// HELO.
    Helo,
    /// STARTTLS.
    StartTls,
    /// AUTH, its first line.
    Auth,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA.
    Data,
    /// So many bytes of content have come (see [`Script::in_content`]).
    InContent,
    /// The message is whole: after the final dot, or the last chunk. The script's action decides whether it counts
    /// as taken: a refusal does not, everything else does.
    Content,
    /// RSET.
    Rset,
    /// NOOP.
    Noop,
    /// QUIT.
    Quit,
    /// Anything else.
    Other,
}

/// What the relay does at a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Answers; several lines are written with `\r\n` between them. 421 closes the connection after it.
    Reply(String),
    /// Answers and closes.
    ReplyThenClose(String),
    /// Answers and closes its sending side only.
    ReplyThenHalfClose(String),
    /// Writes these bytes and goes on.
    Raw(Vec<u8>),
    /// Answers a byte at a time with a pause after each.
    Trickle(String, Duration),
    /// Answers by a multiline reply that does not end.
    Endless,
    /// Answers by one line of so many bytes.
    LongLine(usize),
    /// Says nothing any more, but reads on.
    Silence,
    /// Closes.
    Close,
    /// Closes with RST.
    Reset,
}

impl Action {
    /// [`Action::Reply`].
    pub fn reply(text: impl Into<String>) -> Self {
        Self::Reply(text.into())
    }
}

#[derive(Debug)]
struct Rule {
    step: Step,
    /// Text that the command line must contain.
    text: Option<String>,
    /// How often it still applies.
    left: Option<usize>,
    action: Action,
}

/// A relay's behaviour; starts from one that takes everything.
#[derive(Debug)]
pub struct Script {
    offers: Vec<String>,
    certificate: Option<Certificate>,
    rules: Vec<Rule>,
    settings: Settings,
}

/// What does not change while the relay runs.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub implicit_tls: bool,
    pub login: Option<(String, String)>,
    pub delay: Duration,
    pub early_354: bool,
    pub in_content: usize,
}

/// The script as the sessions use it.
#[derive(Debug)]
pub(super) struct Rules {
    pub offers: Vec<String>,
    pub settings: Settings,
    rules: Mutex<Vec<Rule>>,
}

impl Rules {
    /// The action for a step, if a rule applies.
    pub fn action(&self, step: Step, line: &str) -> Option<Action> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let applies = |rule: &&mut Rule| {
            rule.step == step
                && rule.left != Some(0)
                && rule.text.as_ref().is_none_or(|text| line.contains(text))
        };
        let rule = rules.iter_mut().find(applies)?;
        rule.left = rule.left.map(|left| left - 1);
        Some(rule.action.clone())
    }

    pub fn offers(&self, keyword: &str) -> bool {
        self.offers.iter().any(|offer| offer.split(' ').next() == Some(keyword))
    }
}

impl Script {
    /// Takes everything; offers PIPELINING, 8BITMIME, SMTPUTF8, CHUNKING and SIZE.
    pub fn accepting() -> Self {
        let offers =
            ["PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "SIZE 10000000"];
        Self {
            offers: offers.map(str::to_owned).to_vec(),
            certificate: None,
            rules: Vec::new(),
            settings: Settings::default(),
        }
    }

    /// Does not offer an extension.
    pub fn without(mut self, keyword: &str) -> Self {
        self.offers.retain(|offer| offer.split(' ').next() != Some(keyword));
        self
    }

    /// Offers a line more.
    pub fn offering(mut self, line: &str) -> Self {
        self.offers.push(line.to_owned());
        self
    }

    /// Does so whenever the step comes. Earlier rules win.
    pub fn on(self, step: Step, action: Action) -> Self {
        self.rule(step, None, None, action)
    }

    /// Does so when the command line contains `text`.
    pub fn on_matching(self, step: Step, text: &str, action: Action) -> Self {
        self.rule(step, Some(text.to_owned()), None, action)
    }

    /// Does so the first `times` the step comes, over all connections.
    pub fn first(self, times: usize, step: Step, action: Action) -> Self {
        self.rule(step, None, Some(times), action)
    }

    /// Does so when so many bytes of content have come.
    pub fn in_content(mut self, bytes: usize, action: Action) -> Self {
        self.settings.in_content = bytes;
        self.rule(Step::InContent, None, None, action)
    }

    fn rule(mut self, step: Step, text: Option<String>, left: Option<usize>, action: Action) -> Self {
        self.rules.push(Rule { step, text, left, action });
        self
    }

    /// Offers STARTTLS, with this certificate.
    pub fn starttls(mut self, certificate: Certificate) -> Self {
        self.certificate = Some(certificate);
        self.offering("STARTTLS")
    }

    /// Speaks TLS from the first byte, with this certificate.
    pub fn implicit_tls(mut self, certificate: Certificate) -> Self {
        self.certificate = Some(certificate);
        self.settings.implicit_tls = true;
        self
    }

    /// Takes mail only after AUTH with these; offers `mechanisms`, such as `PLAIN LOGIN`.
    pub fn login(mut self, mechanisms: &str, username: &str, password: &str) -> Self {
        self.settings.login = Some((username.to_owned(), password.to_owned()));
        self.offering(&format!("AUTH {mechanisms}"))
    }

    /// Waits before each reply.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.settings.delay = delay;
        self
    }

    /// Answers DATA by 354 even when no recipient was taken.
    pub fn early_354(mut self) -> Self {
        self.settings.early_354 = true;
        self
    }

    pub(super) fn into_rules(self) -> (Rules, Option<Certificate>) {
        let rules = Rules { offers: self.offers, settings: self.settings, rules: Mutex::new(self.rules) };
        (rules, self.certificate)
    }
}
