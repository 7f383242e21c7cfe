//! DATA.

use super::{End, Open, Session, Stage};
use crate::server::content::{Content, ContentFault};
use crate::server::frame::Frame;
use crate::server::handler::{Handler, Transaction};
use crate::server::pace::Pace;
use crate::server::replies;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// Room is asked for in steps, so that what is announced and never sent costs nothing.
const FIRST_ROOM: usize = 16 * 1024;

impl<S, H> Session<S, H>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    H: Handler,
{
    /// RFC 5321 section 4.1.1.4.
    pub(super) async fn data(&mut self) -> Result<(), End> {
        let transaction = match self.open.take() {
            None => return self.refuse(&replies::bad_sequence("Send MAIL and RCPT first")),
            Some(Open { stage: Stage::Chunks(_), .. }) => {
                // RFC 3030 section 2: the two do not mix. Nothing of what was taken stays.
                self.handler.reset();
                return self.refuse(&replies::bad_sequence("DATA does not follow BDAT"));
            }
            Some(open) if open.transaction.recipients.is_empty() => {
                self.open = Some(open);
                return self.refuse(&replies::bad_sequence("Send RCPT first"));
            }
            Some(Open { transaction, .. }) => transaction,
        };
        self.say(&replies::go_ahead())?;
        let content = self.read_to_end(&transaction).await?;
        self.conclude(transaction, content).await
    }

    /// Reads up to the true end, whatever is wrong with the content: what follows it is a command again.
    async fn read_to_end(&mut self, transaction: &Transaction) -> Result<Content, End> {
        let mut frame = Frame::default();
        let mut content = Content::new(self.settings.max_bytes);
        let mut room = Room::announced(transaction.mail.parameters.size);
        let mut pace = Pace::new(self.settings.patience, self.settings.min_rate);
        // A peer that goes on for ever is not read for ever.
        let most = self.settings.max_bytes as u64 * 2 + FIRST_ROOM as u64;
        loop {
            self.make_room(&mut room, &mut content).await;
            let (used, ended) = frame.feed(self.wire.pending(), &mut content);
            self.wire.used(used);
            if ended {
                return Ok(content);
            }
            if content.received() > most {
                self.part(&replies::too_large(&self.settings))?;
            }
            let began = Instant::now();
            let came = self.wire.more(pace.left()).await?;
            pace.note(began.elapsed(), came);
        }
    }

    /// Asks for room for what is kept and what has come; without it the content is refused.
    pub(super) async fn make_room(&mut self, room: &mut Room, content: &mut Content) {
        let wanted = content.len() + self.wire.pending().len();
        if content.fault().is_some() || wanted <= room.held {
            return;
        }
        let step = wanted.max(room.held * 2).max(FIRST_ROOM.min(room.announced));
        let step = step.min(self.settings.max_bytes + FIRST_ROOM).max(wanted);
        match self.handler.room(step).await {
            Ok(()) => room.held = step,
            Err(reply) => content.fail(ContentFault::NoRoom(reply)),
        }
    }
}

/// The room that a message's content has.
pub(super) struct Room {
    held: usize,
    announced: usize,
}

impl Room {
    pub(super) fn announced(size: Option<u64>) -> Self {
        Self {
            held: 0,
            announced: size.map_or(FIRST_ROOM, |size| usize::try_from(size).unwrap_or(FIRST_ROOM)),
        }
    }

    /// Room that is held already.
    pub(super) fn held(bytes: usize) -> Self {
        Self { held: bytes, announced: FIRST_ROOM }
    }
}
