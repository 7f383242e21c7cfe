//! One connection of the scripted relay.

mod stream;

use super::link::Link;
use super::script::{Action, Step};
use super::{Shared, Taken};
use crate::sink::{has_stray_line_end, unstuff};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Runs a connection to its end.
pub(super) async fn run(stream: TcpStream, index: usize, shared: Arc<Shared>) {
    // Answers go out when they are made, however small.
    let _ = stream.set_nodelay(true);
    let mut session = Session {
        link: Some(Link::Clear(stream)),
        index,
        shared,
        pending: Vec::new(),
        logged_in: false,
        sender: None,
        recipients: Vec::new(),
        content: Vec::new(),
    };
    // The peer may leave whenever it wants.
    let _ = session.serve().await;
    let shared = session.shared.clone();
    // Its socket is closed before anybody is told so.
    drop(session);
    shared.with_connection(index, |recorded| recorded.closed = true);
}

/// Whether the session goes on.
#[derive(Debug, PartialEq, Eq)]
enum Flow {
    Go,
    End,
}

struct Session {
    /// None after a reset or a failed handshake.
    link: Option<Link>,
    index: usize,
    shared: Arc<Shared>,
    /// Read and not yet used.
    pending: Vec<u8>,
    logged_in: bool,
    sender: Option<(String, String)>,
    recipients: Vec<String>,
    content: Vec<u8>,
}

impl Session {
    async fn serve(&mut self) -> io::Result<()> {
        let shared = self.shared.clone();
        if shared.rules.settings.implicit_tls {
            self.encrypt().await?;
        }
        if self.act(Step::Connect, "", "220 relay.example ESMTP").await? == Flow::End {
            return Ok(());
        }
        while let Some(line) = self.read_line().await? {
            if !shared.rules.offers("PIPELINING") && !self.pending.is_empty() {
                self.violation(format!("more after {line:?} without PIPELINING"));
            }
            if self.command(&line).await? == Flow::End {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn command(&mut self, line: &str) -> io::Result<Flow> {
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                self.clear();
                let reply = self.ehlo_reply();
                self.act(Step::Ehlo, line, &reply).await
            }
            "HELO" => self.act(Step::Helo, line, "250 relay.example").await,
            "STARTTLS" => self.start_tls(line).await,
            "AUTH" => self.auth(line).await,
            "MAIL" => self.mail(line).await,
            "RCPT" => self.rcpt(line).await,
            "DATA" => self.data(line).await,
            "BDAT" => self.bdat(line).await,
            "RSET" => {
                self.clear();
                self.act(Step::Rset, line, "250 2.0.0 ok").await
            }
            "NOOP" => self.act(Step::Noop, line, "250 2.0.0 ok").await,
            "QUIT" => {
                self.act(Step::Quit, line, "221 2.0.0 bye").await?;
                Ok(Flow::End)
            }
            _ => {
                self.violation(format!("unknown command {line:?}"));
                self.act(Step::Other, line, "500 5.5.2 what").await
            }
        }
    }

    fn ehlo_reply(&self) -> String {
        let encrypted = self.link.as_ref().is_some_and(Link::is_encrypted);
        let offers = self.shared.rules.offers.iter().filter(|offer| !(encrypted && *offer == "STARTTLS"));
        let lines: Vec<&str> = std::iter::once("relay.example").chain(offers.map(String::as_str)).collect();
        let (last, first) = lines.split_last().unwrap_or((&"", &[]));
        let first: String = first.iter().flat_map(|line| ["250-", line, "\r\n"]).collect();
        format!("{first}250 {last}")
    }

    async fn start_tls(&mut self, line: &str) -> io::Result<Flow> {
        if !self.shared.rules.offers("STARTTLS") {
            return self.act(Step::StartTls, line, "502 5.5.1 not offered").await;
        }
        let (flow, positive) = self.act_positive(Step::StartTls, line, "220 2.0.0 go on").await?;
        if positive && flow == Flow::Go {
            if !self.pending.is_empty() {
                self.violation("bytes before the TLS handshake".to_owned());
            }
            self.clear();
            self.encrypt().await?;
        }
        Ok(flow)
    }

    async fn auth(&mut self, line: &str) -> io::Result<Flow> {
        let Some((username, password)) = self.shared.rules.settings.login.clone() else {
            return self.act(Step::Auth, line, "502 5.5.1 not offered").await;
        };
        if let Some(action) = self.shared.rules.action(Step::Auth, line) {
            return self.perform(action).await;
        }
        let decode = |text: &str| STANDARD.decode(text).unwrap_or_default();
        let right = if let Some(response) = line.strip_prefix("AUTH PLAIN ") {
            decode(response) == format!("\0{username}\0{password}").into_bytes()
        } else if line == "AUTH LOGIN" {
            self.write("334 VXNlcm5hbWU6\r\n").await?;
            let given_username = decode(&self.read_line().await?.unwrap_or_default());
            self.write("334 UGFzc3dvcmQ6\r\n").await?;
            let given_password = decode(&self.read_line().await?.unwrap_or_default());
            given_username == username.as_bytes() && given_password == password.as_bytes()
        } else {
            return self.perform(Action::reply("504 5.5.4 unknown mechanism")).await;
        };
        self.logged_in = right;
        let reply = if right { "235 2.7.0 welcome" } else { "535 5.7.8 wrong credentials" };
        self.perform(Action::reply(reply)).await
    }

    async fn mail(&mut self, line: &str) -> io::Result<Flow> {
        let needs_login = self.shared.rules.settings.login.is_some() && !self.logged_in;
        let usual = match (needs_login, &self.sender) {
            (true, _) => "530 5.7.0 authentication required",
            (false, Some(_)) => "503 5.5.1 a sender was given",
            (false, None) => "250 2.1.0 ok",
        };
        let (flow, positive) = self.act_positive(Step::Mail, line, usual).await?;
        if positive {
            self.sender = Some(path_and_parameters(line));
        }
        Ok(flow)
    }

    async fn rcpt(&mut self, line: &str) -> io::Result<Flow> {
        let (recipient, _) = path_and_parameters(line);
        let code = recipient.split_once('-').map_or("", |(code, _)| code);
        let asked = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
        let usual = match (&self.sender, asked) {
            (None, _) => "503 5.5.1 no sender".to_owned(),
            (Some(_), true) => format!("{code} as you wish"),
            (Some(_), false) => "250 2.1.5 ok".to_owned(),
        };
        let (flow, positive) = self.act_positive(Step::Rcpt, line, &usual).await?;
        if positive {
            self.recipients.push(recipient);
        }
        Ok(flow)
    }

    async fn data(&mut self, line: &str) -> io::Result<Flow> {
        let ready = !self.recipients.is_empty() || self.shared.rules.settings.early_354;
        let usual = if ready { "354 go on" } else { "503 5.5.1 no recipients" };
        let action = self.shared.rules.action(Step::Data, line).unwrap_or_else(|| Action::reply(usual));
        let goes_on =
            matches!(&action, Action::Reply(text) | Action::Trickle(text, _) if text.starts_with("354"));
        let flow = self.perform(action).await?;
        if !goes_on || flow == Flow::End {
            return Ok(flow);
        }
        loop {
            let end = if self.pending.starts_with(b".\r\n") {
                Some(0)
            } else {
                memchr::memmem::find(&self.pending, b"\r\n.\r\n").map(|at| at + 2)
            };
            let so_far = end.unwrap_or(self.pending.len());
            if self.in_content(so_far).await? == Flow::End {
                return Ok(Flow::End);
            }
            if let Some(end) = end {
                let stuffed: Vec<u8> = self.pending.drain(..end + 3).take(end).collect();
                self.content = unstuff(&stuffed);
                return self.finish().await;
            }
            if !self.fill().await? {
                return Ok(Flow::End);
            }
        }
    }

    async fn bdat(&mut self, line: &str) -> io::Result<Flow> {
        let mut words = line.split(' ').skip(1);
        let size: usize = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
        let last = words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        while self.pending.len() < size {
            if self.in_content(self.pending.len()).await? == Flow::End || !self.fill().await? {
                return Ok(Flow::End);
            }
        }
        if self.in_content(size).await? == Flow::End {
            return Ok(Flow::End);
        }
        self.content.extend(self.pending.drain(..size));
        if last { self.finish().await } else { self.perform(Action::reply("250 2.0.0 go on")).await }
    }

    /// The script's action when enough content has come.
    async fn in_content(&mut self, so_far: usize) -> io::Result<Flow> {
        if so_far < self.shared.rules.settings.in_content {
            return Ok(Flow::Go);
        }
        match self.shared.rules.action(Step::InContent, "") {
            Some(action) => self.perform(action).await,
            None => Ok(Flow::Go),
        }
    }

    /// The message is whole.
    async fn finish(&mut self) -> io::Result<Flow> {
        let usual =
            if self.recipients.is_empty() { "554 5.5.1 no valid recipients" } else { "250 2.0.0 taken" };
        let action = self.shared.rules.action(Step::Content, "").unwrap_or_else(|| Action::reply(usual));
        let refused = match &action {
            Action::Reply(text) | Action::ReplyThenClose(text) | Action::ReplyThenHalfClose(text) => {
                text.starts_with(['4', '5'])
            }
            _ => false,
        };
        if has_stray_line_end(&self.content) {
            self.violation("stray CR or LF in the content".to_owned());
        }
        if !refused && let Some((sender, sender_parameters)) = self.sender.take() {
            let taken = Taken {
                connection: self.index,
                sender,
                sender_parameters,
                recipients: std::mem::take(&mut self.recipients),
                content: std::mem::take(&mut self.content),
            };
            self.shared.change(|records| records.messages.push(taken));
        }
        self.clear();
        self.perform(action).await
    }

    fn clear(&mut self) {
        self.sender = None;
        self.recipients.clear();
        self.content.clear();
    }

    /// The script's action for the step, else the usual reply.
    async fn act(&mut self, step: Step, line: &str, usual: &str) -> io::Result<Flow> {
        Ok(self.act_positive(step, line, usual).await?.0)
    }

    /// The same, and whether the answer was 2yz.
    async fn act_positive(&mut self, step: Step, line: &str, usual: &str) -> io::Result<(Flow, bool)> {
        let action = self.shared.rules.action(step, line).unwrap_or_else(|| Action::reply(usual));
        let positive = match &action {
            Action::Reply(text) | Action::Trickle(text, _) | Action::ReplyThenHalfClose(text) => {
                text.starts_with('2')
            }
            _ => false,
        };
        Ok((self.perform(action).await?, positive))
    }

    fn violation(&self, what: String) {
        self.shared.with_connection(self.index, |recorded| recorded.violations.push(what));
    }
}

/// `MAIL FROM:<path> PARAMETERS`.
fn path_and_parameters(line: &str) -> (String, String) {
    let after = line.split_once('<').map_or("", |(_, after)| after);
    let (path, parameters) = after.split_once('>').unwrap_or((after, ""));
    (path.to_owned(), parameters.trim().to_owned())
}
