//! The content of a message: BDAT (RFC 3030) or DATA with dots stuffed (RFC 5321 section 4.5.2), and the reply that
//! settles everyone.

use super::{Job, Stop, Way};
use crate::classify::classify;
use crate::client::connection::Connection;
use crate::client::outcome::RecipientOutcome;
use crate::client::watch::{Passage, Watch};
use crate::client::wire::Fault;
use crate::content::Stuffer;
use crate::failure::{Failure, Stage};
use std::io::Write as _;
use std::time::Duration;
use tokio::time::Instant;

/// Content is written in blocks of this size, each within the `data_block` timeout.
const BLOCK_BYTES: usize = 64 * 1024;
/// How long a relay that stopped reading is given to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Connection {
    pub(super) fn queue_bdat(&mut self, job: &Job<'_>) {
        let bytes = job.message.len() + if job.shape.ends_line { 0 } else { 2 };
        // Writing into a Vec cannot fail.
        let _ = write!(self.wire.output(), "BDAT {bytes} LAST\r\n");
    }

    /// The reply to DATA, then the content.
    pub(super) async fn answer_to_data(
        &mut self,
        job: &mut Job<'_>,
        watch: &mut impl Watch,
    ) -> Result<(), Stop> {
        let reply = self.read(Stage::Data, self.timeouts.data_init).await?;
        if reply.code != 354 {
            if reply.is_negative() && !job.progress.has_taken() && reply.code != 421 {
                return Ok(());
            }
            let outcome = job.judge(Stage::Data, &reply)?;
            job.progress.settle_rest(&outcome);
            return Ok(());
        }
        if !job.progress.has_taken() {
            // RFC 2920 section 3.1: an early 354 although nobody was accepted is answered by an empty message.
            self.wire.queue(b".\r\n");
            self.flush(Stage::Data, self.timeouts.data_block).await?;
            self.read(Stage::EndOfData, self.timeouts.data_done).await?;
            return Ok(());
        }
        if !watch.may_proceed() {
            // Within DATA there is no way back but to hang up; without the final dot nothing is taken.
            self.broken = true;
            return Err(Stop::Aborted);
        }
        self.write_content(job, watch).await?;
        self.conclude(job, watch).await
    }

    /// Writes the content in blocks, dot-stuffed and ended by a dot under DATA. `may_be_taken` is set once its last
    /// byte is out.
    pub(super) async fn write_content(
        &mut self,
        job: &mut Job<'_>,
        watch: &mut impl Watch,
    ) -> Result<(), Stop> {
        let mut stuffer = (job.way == Way::Data && job.shape.has_leading_dot).then(Stuffer::default);
        let mut blocks = job.message.chunks(BLOCK_BYTES).peekable();
        loop {
            let output = self.wire.output();
            let block = blocks.next().unwrap_or_default();
            match &mut stuffer {
                Some(stuffer) => stuffer.push(block, output),
                None => output.extend_from_slice(block),
            }
            let last = blocks.peek().is_none();
            if last && !job.shape.ends_line {
                output.extend_from_slice(b"\r\n");
            }
            if last && job.way == Way::Data {
                output.extend_from_slice(b".\r\n");
            }
            if let Err(fault) = self.wire.flush(self.timeouts.data_block).await {
                return Err(self.last_words(job, fault).await);
            }
            if last {
                job.progress.may_be_taken = true;
                watch.passed(Passage::ContentSent);
                return Ok(());
            }
        }
    }

    /// The relay stopped reading in the middle of the content: what it said before says why.
    async fn last_words(&mut self, job: &mut Job<'_>, fault: Fault) -> Stop {
        match self.wire.read_reply(LAST_WORDS).await {
            Ok(reply) if reply.is_negative() => {
                let outcome = RecipientOutcome::from(classify(Stage::EndOfData, &reply));
                job.progress.settle_rest(&outcome);
                Stop::Lost(Failure::transport(Stage::Data, fault.to_string()))
            }
            _ => Stop::Lost(fault.into_failure(Stage::Data)),
        }
    }

    /// Reads the reply to the whole message, and settles everyone by it.
    pub(super) async fn conclude(&mut self, job: &mut Job<'_>, watch: &mut impl Watch) -> Result<(), Stop> {
        let reply = self.read(Stage::EndOfData, self.timeouts.data_done).await?;
        if !job.progress.has_taken() && reply.code != 421 {
            // Nobody to serve: a group with BDAT in it was refused as a whole.
            return Ok(());
        }
        if reply.is_positive() {
            watch.passed(Passage::AcceptanceRead);
            self.needs_reset = false;
            self.last_taken = Some(Instant::now());
            job.progress.settle_rest(&RecipientOutcome::Accepted { reply });
            return Ok(());
        }
        let outcome = job.judge(Stage::EndOfData, &reply)?;
        job.progress.settle_rest(&outcome);
        Ok(())
    }
}
