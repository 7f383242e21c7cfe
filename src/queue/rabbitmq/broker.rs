//! Where the broker is, and what is set up on it: a durable quorum queue a priority, and one for the rings of which a
//! consumer died time and again.

use super::trouble::BrokerTrouble;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use posthaste_model::Secret;
use std::time::Duration;

/// Priorities 1 to 5, a queue each.
pub(super) const PRIORITIES: u8 = 5;
/// How long a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Seconds between two signs of life on an idle connection, unless the URL says otherwise.
const HEARTBEAT: u16 = 10;
/// A ring whose consumer died so often goes to the dead-letter queue. Brokers from 4.0 on have this number by default.
const DELIVERY_LIMIT: i32 = 20;
/// Rings that one queue holds at most; further ones are refused, and the store's own index has the mail.
const RINGS_MAX: i32 = 1_000_000;
/// Rings that the dead-letter queue holds at most; the oldest give way.
const DEAD_MAX: i32 = 10_000;

/// A broker with the names that are used on it.
#[derive(Clone, Debug)]
pub(super) struct Broker {
    uri: AMQPUri,
    prefix: String,
}

/// How many rings wait in a queue, and for whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Examination {
    /// Rings that wait, over all priorities.
    pub waiting: u64,
    /// Rings given up.
    pub dead: u64,
}

impl Broker {
    /// `None`: the text is no AMQP URL.
    pub fn parse(url: &Secret, prefix: &str) -> Option<Self> {
        let mut uri: AMQPUri = url.expose().parse().ok()?;
        if uri.vhost.is_empty() {
            // A bare slash at the end means the default virtual host to everybody but the letter of the URL.
            "/".clone_into(&mut uri.vhost);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        Some(Self { uri, prefix: prefix.to_owned() })
    }

    /// The queue of a priority (1 is the highest).
    pub fn due(&self, priority: u8) -> ShortString {
        format!("{}.due.{}", self.prefix, priority.clamp(1, PRIORITIES)).into()
    }

    /// The dead-letter queue, and the exchange before it.
    fn dead(&self) -> ShortString {
        format!("{}.dead", self.prefix).into()
    }

    /// A connection for one purpose, shown to the broker's operator under that name.
    pub async fn connect(&self, purpose: &str) -> Result<Connection, BrokerTrouble> {
        let properties =
            ConnectionProperties::default().with_connection_name(format!("posthaste {purpose}").into());
        let connecting = Connection::connect_uri(self.uri.clone(), properties);
        match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(BrokerTrouble::connecting(&error)),
            Err(_) => Err(BrokerTrouble::Silent),
        }
    }

    /// Sets up exchange and queues where they are missing.
    pub async fn declare(&self, channel: &Channel) -> Result<Examination, BrokerTrouble> {
        let declared = tokio::time::timeout(CONNECT_LIMIT, self.declare_all(channel)).await;
        declared.map_err(|_| BrokerTrouble::Silent)?.map_err(|error| BrokerTrouble::of(&error))
    }

    async fn declare_all(&self, channel: &Channel) -> lapin::Result<Examination> {
        let dead = self.dead();
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare(dead.clone(), ExchangeKind::Fanout, durable, FieldTable::default()).await?;
        let mut of_dead = quorum();
        of_dead.insert("x-max-length".into(), AMQPValue::LongInt(DEAD_MAX));
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let mut found = Examination::default();
        let queue = channel.queue_declare(dead.clone(), options, of_dead).await?;
        found.dead = u64::from(queue.message_count());
        channel
            .queue_bind(
                dead.clone(),
                dead.clone(),
                ShortString::default(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
        for priority in 1..=PRIORITIES {
            let queue = channel.queue_declare(self.due(priority), options, self.of_due()).await?;
            found.waiting += u64::from(queue.message_count());
        }
        Ok(found)
    }

    fn of_due(&self) -> FieldTable {
        let mut arguments = quorum();
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERY_LIMIT));
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(RINGS_MAX));
        arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
        let dead = self.dead();
        arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString(dead.as_str().into()));
        arguments
    }
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_as_people_mean_it() {
        let broker = |url: &str| Broker::parse(&Secret::new(url), "posthaste");
        let plain = broker("amqp://user:p%40ss@mq.example/").unwrap();
        assert_eq!((plain.uri.vhost.as_str(), plain.uri.authority.port), ("/", 5672));
        assert_eq!(plain.uri.authority.userinfo.password, "p@ss");
        assert_eq!(plain.uri.query.heartbeat, Some(HEARTBEAT));
        let other = broker("amqps://mq.example/mail?heartbeat=3").unwrap();
        assert_eq!((other.uri.vhost.as_str(), other.uri.authority.port), ("mail", 5671));
        assert_eq!(other.uri.query.heartbeat, Some(3));
        assert!(broker("http://mq.example").is_none());
        assert_eq!(plain.due(1).as_str(), "posthaste.due.1");
        assert_eq!(plain.due(9).as_str(), "posthaste.due.5");
    }
}
