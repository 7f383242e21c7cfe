//! The way in: rings arrive in batches, and are acknowledged once the worker has looked for their emails. What dies in
//! between is rung again by the broker.

use super::Shared;
use super::backoff::Backoff;
use super::broker::PRIORITIES;
use super::trouble::BrokerTrouble;
use futures_util::stream::{Stream, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Connection, Consumer};
use posthaste_model::EmailId;
use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// Rings of one priority that a worker is given before it acknowledges any.
const PREFETCH: u16 = 256;
/// Rings answered together at most.
const BATCH: usize = 256;
/// Every so many rings the lowest priority goes first.
const SHARE: u32 = 16;
/// How long a consumer may hear nothing before it subscribes anew. Brokers do not tell the consumers of a quorum queue
/// that it was deleted (seen with RabbitMQ 3.10), and one that was set up again rings nobody who subscribed before.
const QUIET: Duration = Duration::from_secs(15);
/// How long the first ring of a batch waits for others.
const MOMENT: Duration = Duration::from_millis(2);

/// Rings that name emails. Dropped without [`Rings::answered`], they are rung again.
#[derive(Debug)]
pub struct Rings {
    /// The emails, in the order in which they were rung.
    pub emails: Vec<EmailId>,
    /// The last ring of each channel; it stands for those before it.
    last: [Option<Acker>; PRIORITIES as usize],
}

impl Rings {
    fn none() -> Self {
        Self { emails: Vec::new(), last: [const { None }; PRIORITIES as usize] }
    }

    fn add(&mut self, channel: usize, delivery: Delivery) {
        let id = std::str::from_utf8(&delivery.data).ok().and_then(|text| text.parse().ok());
        if let Some(id) = id {
            self.emails.push(id);
        } else {
            // Somebody else's message: acknowledged away with the others.
            tracing::warn!(bytes = delivery.data.len(), "a message on the broker is no email's id");
        }
        self.last[channel] = Some(delivery.acker);
    }

    /// Tells the broker that these need no further ring. Should it not hear that, they are rung again.
    pub async fn answered(self) {
        for acker in self.last.into_iter().flatten() {
            if let Err(error) = acker.ack(BasicAckOptions { multiple: true }).await {
                tracing::debug!(%error, "rings could not be acknowledged and will ring again");
            }
        }
    }
}

/// Consumes until the end, over as many connections as it takes.
pub(super) async fn run(
    shared: Arc<Shared>,
    heard: mpsc::Sender<Rings>,
    over: CancellationToken,
) -> Result<(), Infallible> {
    let mut backoff = Backoff::new(&shared.chance);
    loop {
        let trouble = tokio::select! {
            biased;
            () = over.cancelled() => return Ok(()),
            trouble = session(&shared, &heard, &mut backoff) => trouble,
        };
        // The publisher's line tells the operator; a queue that went away is this side's own news.
        tracing::debug!(%trouble, "rings are not heard now");
        tokio::select! {
            biased;
            () = over.cancelled() => return Ok(()),
            () = tokio::time::sleep(backoff.pause()) => {}
        }
    }
}

/// One connection's life; answers why it ended.
async fn session(shared: &Shared, heard: &mpsc::Sender<Rings>, backoff: &mut Backoff) -> BrokerTrouble {
    let connection = match shared.broker.connect("worker").await {
        Ok(connection) => connection,
        Err(trouble) => return trouble,
    };
    match consume_all(shared, &connection, heard, backoff).await {
        Ok(never) => match never {},
        Err(trouble) => trouble,
    }
}

async fn consume_all(
    shared: &Shared,
    connection: &Connection,
    heard: &mpsc::Sender<Rings>,
    backoff: &mut Backoff,
) -> Result<Infallible, BrokerTrouble> {
    let said = |error: lapin::Error| BrokerTrouble::of(&error);
    let setup = connection.create_channel().await.map_err(said)?;
    shared.broker.declare(&setup).await?;
    let mut subscribed = Subscriptions::new(shared, connection).await.map_err(said)?;
    backoff.reset();
    loop {
        let mut rings = Rings::none();
        let Ok(mut next) = timeout_at(subscribed.quiet_at(), subscribed.next()).await else {
            shared.broker.declare(&setup).await?;
            subscribed.renew(shared, connection).await.map_err(said)?;
            continue;
        };
        let moment = Instant::now() + MOMENT;
        loop {
            match next {
                (channel, Some(Ok(delivery))) => rings.add(channel, delivery),
                (_, Some(Err(error))) => return Err(BrokerTrouble::of(&error)),
                (_, None) => return Err(BrokerTrouble::Closed("a queue went away".into())),
            }
            if rings.emails.len() >= BATCH {
                break;
            }
            match timeout_at(moment, subscribed.next()).await {
                Ok(more) => next = more,
                Err(_) => break,
            }
        }
        if heard.send(rings).await.is_err() {
            return Err(BrokerTrouble::Closed("nobody listens".into()));
        }
    }
}

/// What one connection is subscribed to: for each priority a channel, its consumer, and when that was last heard of.
struct Subscriptions {
    deliveries: Deliveries<Consumer>,
    channels: Vec<Channel>,
    heard_at: Vec<Instant>,
}

impl Subscriptions {
    async fn new(shared: &Shared, connection: &Connection) -> lapin::Result<Self> {
        let deliveries = Deliveries { consumers: Vec::new(), takings: 0 };
        let mut subscribed = Self { deliveries, channels: Vec::new(), heard_at: Vec::new() };
        for priority in 1..=PRIORITIES {
            let (channel, consumer) = consume(shared, connection, priority).await?;
            subscribed.channels.push(channel);
            subscribed.deliveries.consumers.push(consumer);
            subscribed.heard_at.push(Instant::now());
        }
        Ok(subscribed)
    }

    /// The next delivery, with the place of its priority. Cancel-safe.
    async fn next(&mut self) -> (usize, Option<lapin::Result<Delivery>>) {
        let (place, item) = self.deliveries.next().await;
        self.heard_at[place] = Instant::now();
        (place, item)
    }

    /// When the first of them has been quiet for too long.
    fn quiet_at(&self) -> Instant {
        self.heard_at.iter().min().map_or_else(Instant::now, |oldest| *oldest) + QUIET
    }

    /// Subscribes anew where nothing was heard. What the old consumer was given and nobody took is rung again.
    async fn renew(&mut self, shared: &Shared, connection: &Connection) -> lapin::Result<()> {
        for (place, priority) in (1..=PRIORITIES).enumerate() {
            if self.heard_at[place].elapsed() < QUIET {
                continue;
            }
            let (channel, consumer) = consume(shared, connection, priority).await?;
            self.deliveries.consumers[place] = consumer;
            self.heard_at[place] = Instant::now();
            std::mem::replace(&mut self.channels[place], channel)
                .close(200, "subscribed anew".into())
                .await?;
        }
        Ok(())
    }
}

/// The consumers of all priorities, the highest first.
struct Deliveries<S> {
    consumers: Vec<S>,
    takings: u32,
}

impl<S: Stream + Unpin> Deliveries<S> {
    /// The next one, with the place of its consumer: of the highest priority that has any, but every so often of the
    /// lowest, so that none starves. Cancel-safe.
    async fn next(&mut self) -> (usize, Option<S::Item>) {
        self.takings = self.takings.wrapping_add(1);
        let lowest_first = self.takings.is_multiple_of(SHARE);
        poll_fn(|context| {
            for place in 0..self.consumers.len() {
                let place = if lowest_first { self.consumers.len() - 1 - place } else { place };
                if let Poll::Ready(item) = self.consumers[place].poll_next_unpin(context) {
                    return Poll::Ready((place, item));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// A channel of its own for each priority, so that the last acknowledgement of a batch stands for those before it.
async fn consume(
    shared: &Shared,
    connection: &Connection,
    priority: u8,
) -> lapin::Result<(Channel, Consumer)> {
    let channel = connection.create_channel().await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let queue = shared.broker.due(priority);
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?;
    Ok((channel, consumer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    #[tokio::test]
    async fn higher_priorities_are_heard_first_and_none_starves() {
        let consumers = vec![stream::repeat(1).take(100).boxed(), stream::repeat(5).take(100).boxed()];
        let mut deliveries = Deliveries { consumers, takings: 0 };
        let mut heard = [0, 0];
        for _ in 0..64 {
            let (place, item) = deliveries.next().await;
            assert!(item.is_some());
            heard[place] += 1;
        }
        assert_eq!(heard, [60, 4]);
    }
}
