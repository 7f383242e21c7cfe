//! One message over an open session: MAIL, RCPT, content, in as few writes and round trips as the relay allows.
//!
//! - PIPELINING and CHUNKING: a small message goes out whole in one write, `MAIL RCPT.. BDAT LAST` (one round trip).
//! - PIPELINING alone: `MAIL RCPT.. DATA` in one write, then the content (two).
//! - Neither: a command at a time.
//!
//! A group with BDAT in it commits us before the relay has answered: if the session then dies without a word, the
//! message may have been taken. So it is kept for sessions that took a message a moment ago. On one that has proved
//! nothing yet, or was idle and may well be dead, the content waits for the replies, and a loss is certainly none.

mod body;

use super::connection::Connection;
use super::envelope::Envelope;
use super::outcome::{Progress, RecipientOutcome, SendResult};
use super::watch::{Passage, Watch};
use crate::classify::classify;
use crate::content::Shape;
use crate::failure::{Failure, Stage};
use crate::reply::Reply;
use std::io::Write as _;
use std::time::Duration;

/// Messages up to this size are sent in one group with their commands, and their content in one write.
const SMALL_MESSAGE_BYTES: usize = 64 * 1024;
/// RCPT commands in one group: their replies must fit the socket's buffers while nobody reads (RFC 2920 section 3.1).
const RECIPIENTS_PER_GROUP: usize = 100;
/// A session silent for longer is not trusted with a group that cannot be taken back.
const TRUSTED_SILENCE: Duration = Duration::from_secs(1);
/// Why the transaction ended before its time.
enum Stop {
    /// The caller said no.
    Aborted,
    /// The session is lost.
    Lost(Failure),
}

/// How the content goes out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// BDAT in the group with MAIL and RCPT.
    BdatInGroup,
    /// BDAT when the recipients are known.
    Bdat,
    /// DATA.
    Data,
}

/// What is being sent, and what is known of it so far.
struct Job<'a> {
    envelope: &'a Envelope<'a>,
    message: &'a [u8],
    shape: Shape,
    way: Way,
    progress: Progress,
}

impl Connection {
    /// Sends one message. `watch` is asked right before MAIL is written and right before the content goes out
    /// (once, when both go in one write); when it says no, nothing has been accepted and the result is `aborted`.
    /// After the call look at [`Connection::is_reusable`].
    ///
    /// The message's line ends must be CRLF, all of them; a message with a stray CR or LF is refused here.
    pub async fn send(
        &mut self,
        envelope: &Envelope<'_>,
        message: &[u8],
        mut watch: impl Watch,
    ) -> SendResult {
        self.send_watched(envelope, message, &mut watch).await
    }

    /// [`Connection::send`] for a watch that is needed again.
    pub(super) async fn send_watched(
        &mut self,
        envelope: &Envelope<'_>,
        message: &[u8],
        watch: &mut impl Watch,
    ) -> SendResult {
        let mut progress = Progress::new(envelope.recipients.len());
        let shape = match self.check(envelope, message, &mut progress) {
            Some(shape) if !progress.open().is_empty() => shape,
            _ => return progress.finish(),
        };
        if !self.is_alive().await {
            self.broken = true;
            progress.settle_lost(Failure::transport(Stage::MailFrom, "the session was closed by the relay"));
            return SendResult { untouched: true, ..progress.finish() };
        }
        if !watch.may_proceed() {
            return SendResult::aborted();
        }
        let mut job = Job { envelope, message, shape, way: self.choose_way(message), progress };
        let ended = self.transact(&mut job, watch).await;
        match ended {
            Ok(()) => job.progress.finish(),
            Err(Stop::Aborted) => SendResult::aborted(),
            Err(Stop::Lost(failure)) => {
                self.broken = true;
                let untouched = !job.progress.answered && !job.progress.may_be_taken;
                job.progress.settle_lost(failure);
                SendResult { untouched, ..job.progress.finish() }
            }
        }
    }

    fn choose_way(&self, message: &[u8]) -> Way {
        let small = message.len() <= SMALL_MESSAGE_BYTES;
        match (self.capabilities.chunking, self.capabilities.pipelining) {
            (true, true) if small && self.is_trusted() => Way::BdatInGroup,
            // On a session not trusted DATA is pipelined where possible; BDAT would cost the same round trips.
            (true, pipelining) if !(pipelining && small) => Way::Bdat,
            _ => Way::Data,
        }
    }

    /// Whether a message was taken over this session a moment ago.
    fn is_trusted(&self) -> bool {
        self.last_taken.is_some_and(|taken| taken.elapsed() < TRUSTED_SILENCE)
    }

    /// The whole transaction. On return everyone is settled.
    async fn transact(&mut self, job: &mut Job<'_>, watch: &mut impl Watch) -> Result<(), Stop> {
        let tail_sent = self.announce(job, watch).await?;
        match job.way {
            Way::BdatInGroup if tail_sent => self.conclude(job, watch).await,
            Way::Data if tail_sent => self.answer_to_data(job, watch).await,
            _ if !job.progress.has_taken() => Ok(()),
            Way::Data => {
                self.wire.queue(b"DATA\r\n");
                self.flush(Stage::Data, self.timeouts.data_init).await?;
                self.answer_to_data(job, watch).await
            }
            Way::Bdat | Way::BdatInGroup => {
                if !watch.may_proceed() {
                    return self.roll_back().await;
                }
                self.queue_bdat(job);
                self.write_content(job, watch).await?;
                self.conclude(job, watch).await
            }
        }
    }

    /// MAIL and all RCPT with their replies; with PIPELINING also the command (or all) that follows, which is
    /// answered with whether it went out.
    async fn announce(&mut self, job: &mut Job<'_>, watch: &mut impl Watch) -> Result<bool, Stop> {
        let open = job.progress.open();
        let pipelining = self.capabilities.pipelining;
        let reset_queued = std::mem::replace(&mut self.needs_reset, true);
        if reset_queued {
            self.wire.queue(b"RSET\r\n");
        }
        self.queue_mail(job.envelope);
        if !pipelining {
            self.flush(Stage::MailFrom, self.timeouts.mail).await?;
            if !self.answer_to_mail(job, reset_queued).await? {
                return Ok(false);
            }
        }
        let groups = open.chunks(if pipelining { RECIPIENTS_PER_GROUP } else { 1 });
        let last = groups.len() - 1;
        for (number, group) in groups.enumerate() {
            for recipient in group.iter().filter_map(|index| job.envelope.recipients.get(*index)) {
                queue_path(self.wire.output(), b"RCPT TO:<", recipient, b">\r\n");
            }
            let with_tail = pipelining && number == last;
            let stage = if number == 0 && pipelining { Stage::MailFrom } else { Stage::RcptTo };
            if with_tail {
                self.flush_with_tail(job, stage, watch).await?;
            } else {
                self.flush(stage, self.timeouts.rcpt).await?;
                if number == last {
                    watch.passed(Passage::RecipientsSent);
                }
            }
            let mut mail_taken = true;
            if number == 0 && pipelining {
                mail_taken = self.answer_to_mail(job, reset_queued).await?;
            }
            for index in group {
                let reply = self.read(Stage::RcptTo, self.timeouts.rcpt).await?;
                if reply.is_positive() {
                    job.progress.take(*index);
                } else {
                    let outcome = job.judge(Stage::RcptTo, &reply)?;
                    job.progress.settle(*index, outcome);
                }
            }
            if with_tail {
                return Ok(matches!(job.way, Way::BdatInGroup | Way::Data));
            }
            if !mail_taken {
                break;
            }
        }
        Ok(false)
    }

    /// Writes the last group, with DATA or the whole content behind it.
    async fn flush_with_tail(
        &mut self,
        job: &mut Job<'_>,
        stage: Stage,
        watch: &mut impl Watch,
    ) -> Result<(), Stop> {
        match job.way {
            Way::Data => self.wire.queue(b"DATA\r\n"),
            Way::Bdat => {}
            Way::BdatInGroup => {
                self.queue_bdat(job);
                let output = self.wire.output();
                output.extend_from_slice(job.message);
                if !job.shape.ends_line {
                    output.extend_from_slice(b"\r\n");
                }
                self.flush(stage, self.timeouts.data_block).await?;
                job.progress.may_be_taken = true;
                watch.passed(Passage::RecipientsSent);
                watch.passed(Passage::ContentSent);
                return Ok(());
            }
        }
        self.flush(stage, self.timeouts.rcpt).await?;
        watch.passed(Passage::RecipientsSent);
        Ok(())
    }

    fn queue_mail(&mut self, envelope: &Envelope<'_>) {
        let offered = &self.capabilities;
        let needs_utf8 = envelope.smtputf8
            || !envelope.mail_from.is_ascii()
            || (offered.smtputf8 && envelope.recipients.iter().any(|recipient| !recipient.is_ascii()));
        let (size, body, utf8) =
            (offered.size, offered.eight_bit_mime && (envelope.body_8bit || needs_utf8), needs_utf8);
        let output = self.wire.output();
        queue_path(output, b"MAIL FROM:<", envelope.mail_from, b">");
        if size {
            // Writing into a Vec cannot fail.
            let _ = write!(output, " SIZE={}", envelope.size);
        }
        if body {
            output.extend_from_slice(b" BODY=8BITMIME");
        }
        if utf8 {
            output.extend_from_slice(b" SMTPUTF8");
        }
        output.extend_from_slice(b"\r\n");
    }

    /// Reads the reply to RSET, if it was sent, and to MAIL. Answers whether MAIL was taken.
    async fn answer_to_mail(&mut self, job: &mut Job<'_>, reset_queued: bool) -> Result<bool, Stop> {
        if reset_queued {
            let reply = self.read(Stage::MailFrom, self.timeouts.mail).await?;
            if !reply.is_positive() {
                // A session that cannot be reset is of no use, whatever the reason.
                return Err(job.lost(Stage::MailFrom, &reply));
            }
        }
        let reply = self.read(Stage::MailFrom, self.timeouts.mail).await?;
        if reply.code == 421 {
            return Err(job.lost(Stage::MailFrom, &reply));
        }
        job.progress.answered = true;
        if reply.is_positive() {
            return Ok(true);
        }
        let outcome = job.judge(Stage::MailFrom, &reply)?;
        job.progress.settle_rest(&outcome);
        job.progress.may_be_taken = false;
        Ok(false)
    }

    /// Takes back what was announced, although the recipients were taken.
    async fn roll_back(&mut self) -> Result<(), Stop> {
        self.wire.queue(b"RSET\r\n");
        let reset = match self.flush(Stage::MailFrom, self.timeouts.mail).await {
            Ok(()) => {
                self.read(Stage::MailFrom, self.timeouts.mail).await.is_ok_and(|reply| reply.is_positive())
            }
            Err(_) => false,
        };
        self.needs_reset = !reset;
        self.broken |= !reset;
        Err(Stop::Aborted)
    }

    async fn flush(&mut self, stage: Stage, within: Duration) -> Result<(), Stop> {
        self.wire.flush(within).await.map_err(|fault| Stop::Lost(fault.into_failure(stage)))
    }

    async fn read(&mut self, stage: Stage, within: Duration) -> Result<Reply, Stop> {
        self.wire.read_reply(within).await.map_err(|fault| Stop::Lost(fault.into_failure(stage)))
    }
}

impl Job<'_> {
    /// What a reply that is not the wanted one means. 421, and replies that do not fit the command, end the session.
    fn judge(&mut self, stage: Stage, reply: &Reply) -> Result<RecipientOutcome, Stop> {
        if reply.code == 421 || !reply.is_negative() {
            return Err(self.lost(stage, reply));
        }
        Ok(classify(stage, reply).into())
    }

    /// The session is over by this reply. A negative one is a clear word: nothing was taken. One that makes no sense
    /// is not.
    fn lost(&mut self, stage: Stage, reply: &Reply) -> Stop {
        if reply.is_negative() {
            self.progress.may_be_taken = false;
        }
        Stop::Lost(Failure { reconnect: true, ..classify(stage, reply).failure })
    }
}

fn queue_path(output: &mut Vec<u8>, verb: &[u8], address: &str, end: &[u8]) {
    output.extend_from_slice(verb);
    output.extend_from_slice(address.as_bytes());
    output.extend_from_slice(end);
}
