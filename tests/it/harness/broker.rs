//! A RabbitMQ that is given by `POSTHASTE_TEST_AMQP_URL`. Each value has names of its own on it, and removes them.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::process::Command;

use futures_util::StreamExt as _;
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ExchangeDeleteOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::runtime::{Builder, Runtime};

use super::installation::service;
use super::options::ServerOptions;
use super::proxy::{Line, Proxy};

/// The broker, under names of this value's own.
pub struct Broker {
    url: String,
    prefix: String,
    runtime: Runtime,
    connection: Connection,
}

impl Broker {
    /// `None`, and a word about it, where no broker is given.
    #[expect(clippy::disallowed_methods, reason = "how the test script tells its tests of a service")]
    pub fn given() -> Option<Self> {
        let Ok(url) = std::env::var("POSTHASTE_TEST_AMQP_URL") else {
            assert!(
                std::env::var("POSTHASTE_TEST_REQUIRE_SERVICES").is_err(),
                "POSTHASTE_TEST_AMQP_URL names no broker"
            );
            eprintln!("skipped: POSTHASTE_TEST_AMQP_URL names no broker");
            return None;
        };
        let url = if url.ends_with('/') { format!("{url}%2f") } else { url };
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let connecting = Connection::connect(&url, ConnectionProperties::default());
        let connection = runtime.block_on(connecting).expect("the broker given");
        let name = tempfile::tempdir().expect("a name").path().file_name().map(ToOwned::to_owned);
        let name = name.unwrap_or_default().to_string_lossy().replace('.', "");
        Some(Self { url, prefix: format!("test-{}-{name}", std::process::id()), runtime, connection })
    }

    /// The server uses this broker.
    pub fn used_by(&self, options: ServerOptions) -> ServerOptions {
        options.env("AMQP_URL", &self.url).env("POSTHASTE_QUEUE__PREFIX", &self.prefix)
    }

    /// The server uses this broker over a line that can be cut.
    pub fn used_over(&self, proxy: &Proxy, options: ServerOptions) -> ServerOptions {
        self.used_by(options).env("AMQP_URL", self.url_with(|_| proxy.address().to_string()))
    }

    /// A line to this broker.
    pub fn line(&self, line: Line) -> Proxy {
        let mut target: Option<SocketAddr> = None;
        self.url_with(|host| {
            let host = if host.contains(':') { host.to_owned() } else { format!("{host}:5672") };
            target = host.to_socket_addrs().expect("the broker's address").next();
            host
        });
        Proxy::to(target.expect("an address"), line)
    }

    /// The broker's URL with another user and virtual host.
    pub fn url_of(&self, user: &str, vhost: &str) -> String {
        let mut host = String::new();
        self.url_with(|found| {
            found.clone_into(&mut host);
            String::new()
        });
        format!("amqp://{user}@{host}/{vhost}")
    }

    fn url_with(&self, change: impl FnOnce(&str) -> String) -> String {
        let rest = self.url.strip_prefix("amqp://").expect("a plain AMQP URL");
        let (user, rest) = rest.split_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        let (host, vhost) = rest.split_once('/').unwrap_or((rest, "%2f"));
        let user = user.unwrap_or("guest:guest");
        format!("amqp://{user}@{}/{vhost}", change(host))
    }

    /// A queue's name: `due.3`, `dead`.
    pub fn queue(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    fn on_channel<T>(&self, work: impl AsyncFnOnce(Channel) -> T) -> T {
        self.runtime.block_on(async {
            let channel = self.connection.create_channel().await.expect("a channel");
            work(channel).await
        })
    }

    /// Messages that wait in a queue; `None`: there is no such queue.
    pub fn waiting(&self, name: &str) -> Option<u32> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = self.queue(name);
        self.on_channel(async |channel| {
            let found = channel.queue_declare(queue.into(), options, FieldTable::default()).await;
            found.ok().map(|queue| queue.message_count())
        })
    }

    /// Takes a message out of a queue: its body, and whether anything stands beside it but the delivery mode.
    pub fn take(&self, name: &str) -> Option<(String, bool)> {
        let queue = self.queue(name);
        let taken = self.on_channel(async |channel| {
            channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await.expect("a queue")
        })?;
        let mut plain = BasicProperties::default().with_delivery_mode(2);
        if let Some(headers) = taken.properties.headers() {
            // A dead letter's own history.
            plain = plain.with_headers(headers.clone());
        }
        let is_plain = taken.properties == plain;
        Some((String::from_utf8_lossy(&taken.data).into_owned(), is_plain))
    }

    /// Puts a message into a queue.
    pub fn put(&self, name: &str, body: &str) {
        let queue = self.queue(name);
        self.on_channel(async |channel| {
            let options = BasicPublishOptions::default();
            let properties = BasicProperties::default();
            let sent = channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), properties);
            sent.await.expect("a publish").await.expect("its end");
        });
    }

    /// Is given a message and dies before it acknowledges it. `false`: none came any more, all are in `over`.
    pub fn die_of_a_message(&self, name: &str, over: &str) -> bool {
        let queue = self.queue(name);
        let properties = ConnectionProperties::default();
        let connection =
            self.runtime.block_on(Connection::connect(&self.url, properties)).expect("the broker");
        let died = self.runtime.block_on(async {
            let channel = connection.create_channel().await.expect("a channel");
            let options = BasicConsumeOptions::default();
            let consuming = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
            let mut consumer = consuming.await.expect("a consumer");
            loop {
                let next = tokio::time::timeout(std::time::Duration::from_millis(200), consumer.next()).await;
                match next {
                    Ok(delivery) => return delivery.is_some(),
                    Err(_) if self.dead(over).await => return false,
                    Err(_) => {}
                }
            }
        });
        let closing = connection.close(200, "died".into());
        self.runtime.block_on(closing).expect("closed");
        died
    }

    async fn dead(&self, name: &str) -> bool {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let channel = self.connection.create_channel().await.expect("a channel");
        let found = channel.queue_declare(self.queue(name).into(), options, FieldTable::default()).await;
        found.is_ok_and(|queue| queue.message_count() > 0)
    }

    /// Makes a queue that is none of ours.
    pub fn declare_classic(&self, name: &str) {
        let queue = self.queue(name);
        self.on_channel(async |channel| {
            let declared =
                channel.queue_declare(queue.into(), QueueDeclareOptions::default(), FieldTable::default());
            declared.await.expect("a queue");
        });
    }

    /// Removes a queue.
    pub fn delete(&self, name: &str) {
        let queue = self.queue(name);
        self.on_channel(async |channel| {
            // One that is not there is as good.
            let _ = channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await;
        });
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        for name in ["due.1", "due.2", "due.3", "due.4", "due.5", "dead"] {
            self.delete(name);
        }
        let exchange = self.queue("dead");
        self.on_channel(async |channel| {
            let _ = channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await;
        });
    }
}

/// The disk alarm of the whole broker, on as long as this lives: RabbitMQ then reads nothing more from connections that
/// publish. A test that raises it must run alone (`.config/nextest.toml`).
pub struct DiskAlarm {
    rabbitmqctl: String,
}

impl DiskAlarm {
    /// More must be free than any disk has. `None`, and a word about it, where no broker of the tests' own runs.
    #[track_caller]
    pub fn raise() -> Option<Self> {
        let alarm = Self { rabbitmqctl: service("POSTHASTE_TEST_RABBITMQCTL")? };
        let said = alarm.run(&["set_disk_free_limit", "1000000000000000"]);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        Some(alarm)
    }

    fn run(&self, arguments: &[&str]) -> std::process::Output {
        Command::new(&self.rabbitmqctl).args(arguments).output().expect("rabbitmqctl runs")
    }
}

impl Drop for DiskAlarm {
    fn drop(&mut self) {
        let said = self.run(&["set_disk_free_limit", "50MB"]);
        assert!(said.status.success() || std::thread::panicking(), "the disk alarm goes on");
    }
}
