//! BDAT (RFC 3030). The octets of a chunk are read whatever becomes of them: they are counted, so none of them is
//! ever looked at as a command.

use super::data::Room;
use super::{End, Open, Session, Stage};
use crate::command::Chunk;
use crate::server::content::{Content, ContentFault};
use crate::server::handler::Handler;
use crate::server::pace::Pace;
use crate::server::replies;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

impl<S, H> Session<S, H>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    H: Handler,
{
    pub(super) async fn bdat(&mut self, chunk: Chunk) -> Result<(), End> {
        if chunk.size > self.settings.max_bytes as u64 * 2 {
            // To read it away would take as long as its sender likes.
            self.forget_transaction();
            return self.part(&replies::too_large(&self.settings));
        }
        let (transaction, mut content) = match self.open.take() {
            Some(open) if !open.transaction.recipients.is_empty() => match open.stage {
                Stage::Envelope => (open.transaction, Content::new(self.settings.max_bytes)),
                Stage::Chunks(content) => (open.transaction, content),
            },
            without => {
                let mut unwanted = Content::new(0);
                unwanted.fail(ContentFault::TooLarge);
                self.read_chunk(chunk.size, &mut unwanted).await?;
                // A sender alone may stay: its recipients may still come.
                self.open = without;
                return self.refuse(&replies::bad_sequence("Send MAIL and RCPT first"));
            }
        };
        self.read_chunk(chunk.size, &mut content).await?;
        if chunk.is_last {
            return self.conclude(transaction, content).await;
        }
        if let Some(fault) = content.fault() {
            // RFC 3030 section 2: after a refused chunk the rest of them are out of sequence.
            let reply = replies::refused_content(fault, &self.settings);
            self.handler.reset();
            return self.refuse(&reply);
        }
        self.open = Some(Open { transaction, stage: Stage::Chunks(content) });
        self.say(&replies::chunk_taken(chunk.size))
    }

    async fn read_chunk(&mut self, size: u64, content: &mut Content) -> Result<(), End> {
        let mut left = size;
        let mut room = Room::held(content.len());
        let mut pace = Pace::new(self.settings.patience, self.settings.min_rate);
        while left > 0 {
            let pending = self.wire.pending().len();
            if pending == 0 {
                let began = Instant::now();
                let came = self.wire.more(pace.left()).await?;
                pace.note(began.elapsed(), came);
                continue;
            }
            self.make_room(&mut room, content).await;
            let take = usize::try_from(left).unwrap_or(pending).min(pending);
            content.push(&self.wire.pending()[..take]);
            self.wire.used(take);
            left -= take as u64;
        }
        Ok(())
    }
}
