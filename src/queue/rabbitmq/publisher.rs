//! The way out: rings leave from a bounded buffer, each one confirmed by the broker or written off. Nothing that is
//! accepted ever waits for it.

use super::backoff::Backoff;
use super::trouble::BrokerTrouble;
use super::{Ring, Shared};
use crate::base::metrics::RingFate;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, Event, PublisherConfirm};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Rings written together.
const BATCH: usize = 256;
/// Rings that the broker has not confirmed yet; more wait in the buffer.
const UNCONFIRMED_MAX: usize = 4096;
/// Written to disk by the broker before it confirms.
const PERSISTENT: u8 = 2;
/// How often a connection that says nothing is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Publishes until the end, over as many connections as it takes.
pub(super) async fn run(shared: Arc<Shared>, over: CancellationToken) -> Result<(), Infallible> {
    let mut waiting = shared.waiting.lock().await;
    let mut backoff = Backoff::new(&shared.chance);
    loop {
        let trouble = tokio::select! {
            biased;
            () = over.cancelled() => return Ok(()),
            trouble = session(&shared, &mut waiting, &mut backoff) => trouble,
        };
        shared.line.down(trouble);
        tokio::select! {
            biased;
            () = over.cancelled() => return Ok(()),
            () = tokio::time::sleep(backoff.pause()) => {}
        }
    }
}

/// One connection's life; answers why it ended.
async fn session(
    shared: &Shared,
    waiting: &mut mpsc::Receiver<Ring>,
    backoff: &mut Backoff,
) -> BrokerTrouble {
    let connection = match shared.broker.connect("publisher").await {
        Ok(connection) => connection,
        Err(trouble) => return trouble,
    };
    match publish_all(shared, &connection, waiting, backoff).await {
        Ok(never) => match never {},
        Err(trouble) => trouble,
    }
}

async fn publish_all(
    shared: &Shared,
    connection: &Connection,
    waiting: &mut mpsc::Receiver<Ring>,
    backoff: &mut Backoff,
) -> Result<Infallible, BrokerTrouble> {
    let said = |error: lapin::Error| BrokerTrouble::of(&error);
    let channel = connection.create_channel().await.map_err(said)?;
    shared.broker.declare(&channel).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(said)?;
    shared.line.up(connection, connection.create_channel().await.map_err(said)?);
    backoff.reset();
    let mut events = std::pin::pin!(connection.events_listener());
    let mut look = tokio::time::interval(LOOK);
    let mut unconfirmed = FuturesUnordered::new();
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            biased;
            event = events.next() => hear(event)?,
            Some(confirmation) = unconfirmed.next() => {
                let is_returned = judge(shared, confirmation)?;
                if is_returned {
                    shared.broker.declare(&channel).await?;
                }
            }
            count = waiting.recv_many(&mut batch, BATCH), if unconfirmed.len() < UNCONFIRMED_MAX => {
                if count == 0 {
                    return Err(BrokerTrouble::Closed("the queue ended".into()));
                }
                for confirm in publish(shared, &channel, &mut batch).await? {
                    unconfirmed.push(confirm);
                }
            }
            _ = look.tick() => {
                if !connection.status().connected() {
                    return Err(BrokerTrouble::Closed("the connection is gone".into()));
                }
            }
        }
    }
}

/// Writes a batch. While the broker takes nothing this waits, and the buffer behind it fills and overflows.
async fn publish(
    shared: &Shared,
    channel: &Channel,
    batch: &mut Vec<Ring>,
) -> Result<Vec<PublisherConfirm>, BrokerTrouble> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let count = batch.len();
    let written = batch.drain(..).map(|ring| async move {
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let id = ring.email.to_string();
        let queue = shared.broker.due(ring.priority);
        channel.basic_publish("".into(), queue, options, id.as_bytes(), properties).await
    });
    let written = futures_util::future::try_join_all(written).await;
    shared.metrics.rings(RingFate::Published, count);
    written.map_err(|error| BrokerTrouble::of(&error))
}

/// What became of a ring; true when no queue was there to take it.
fn judge(shared: &Shared, confirmation: lapin::Result<Confirmation>) -> Result<bool, BrokerTrouble> {
    match confirmation {
        Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) => {
            shared.metrics.rings(RingFate::Returned, 1);
            tracing::warn!("a queue is missing on the broker, it is set up again");
            return Ok(true);
        }
        Ok(Confirmation::Ack(None) | Confirmation::NotRequested) => {
            shared.metrics.rings(RingFate::Confirmed, 1);
        }
        Ok(Confirmation::Nack(None)) => shared.metrics.rings(RingFate::Refused, 1),
        Err(error) => return Err(BrokerTrouble::of(&error)),
    }
    Ok(false)
}

fn hear(event: Option<Event>) -> Result<(), BrokerTrouble> {
    match event {
        Some(Event::Error(error)) => Err(BrokerTrouble::of(&error)),
        Some(Event::ConnectionBlocked(reason)) => {
            tracing::warn!(reason, "the broker takes no messages: mail goes out by the store's own index");
            Ok(())
        }
        Some(Event::ConnectionUnblocked) => {
            tracing::info!("the broker takes messages again");
            Ok(())
        }
        Some(_) => Ok(()),
        None => Err(BrokerTrouble::Closed("the connection ended".into())),
    }
}
