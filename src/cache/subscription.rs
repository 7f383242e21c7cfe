//! Hearing what other nodes publish, on a connection of its own: while it listens it can ask nothing else.

use super::link::Link;
use futures_util::StreamExt as _;
use redis::RedisResult;
use redis::aio::PubSub;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long subscribing may take.
const LIMIT: Duration = Duration::from_secs(2);
/// The pause after it failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a silent connection is asked whether it still lives.
const CHECK: Duration = Duration::from_secs(15);

/// Gives `hear` each message of `channel`; never ends. The connection is made anew when the link was.
pub async fn listen(link: &Link, channel: &str, hear: &(dyn Fn(&[u8]) + Send + Sync)) {
    loop {
        let generation = link.up().await;
        let subscribed = timeout(LIMIT, subscribe(link, channel)).await;
        match subscribed {
            Ok(Ok(pubsub)) => {
                tokio::select! {
                    () = hear_all(pubsub, hear) => tracing::debug!("the subscription ended"),
                    () = link.replaced(generation) => {}
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "other nodes' news cannot be heard"),
            Err(_) => tracing::warn!("other nodes' news cannot be heard, the cache does not answer"),
        }
        sleep(PAUSE).await;
    }
}

async fn subscribe(link: &Link, channel: &str) -> RedisResult<PubSub> {
    let mut pubsub = link.client().get_async_pubsub().await?;
    pubsub.subscribe(channel).await?;
    Ok(pubsub)
}

async fn hear_all(pubsub: PubSub, hear: &(dyn Fn(&[u8]) + Send + Sync)) {
    let (mut sink, mut messages) = pubsub.split();
    loop {
        match timeout(CHECK, messages.next()).await {
            Ok(Some(message)) => hear(message.get_payload_bytes()),
            Ok(None) => return,
            Err(_silent) => {
                let alive = timeout(LIMIT, sink.ping::<redis::Value>()).await;
                if !alive.is_ok_and(|answer| answer.is_ok()) {
                    return;
                }
            }
        }
    }
}
