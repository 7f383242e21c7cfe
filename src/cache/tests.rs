use super::testing::test_cache;
use super::*;
use crate::base::chance::Chance;
use std::sync::Mutex;
use tokio::sync::mpsc;

fn cache_at(url: &str) -> SharedCache {
    let chance = Chance::new();
    let vault = Vault::new(&Vault::generate_key(&chance), chance).unwrap();
    SharedCache::new(&Secret::new(url), "posthaste", &vault, &Metrics::new()).unwrap()
}

async fn ping(mut connection: MultiplexedConnection) -> RedisResult<String> {
    redis::cmd("PING").query_async(&mut connection).await
}

#[test]
fn keys_tell_no_names_and_say_nothing_of_the_password() {
    let cache = cache_at("redis://:hunter2@127.0.0.1:1/");
    let key = cache.hashed_key("limit:ip", b"192.0.2.1");
    assert!(key.starts_with("posthaste:limit:ip:") && !key.contains("192"), "{key}");
    assert_eq!(key.len(), "posthaste:limit:ip:".len() + 2 * HASH_LEN);
    assert_eq!(key, cache.hashed_key("limit:ip", b"192.0.2.1"));
    assert_ne!(key, cache.hashed_key("limit:ip", b"192.0.2.2"));
    assert_ne!(key, cache_at("redis://127.0.0.1:1/").hashed_key("limit:ip", b"192.0.2.1"));
    assert!(!format!("{cache:?}").contains("hunter2"));
    let chance = Chance::new();
    let vault = Vault::new(&Vault::generate_key(&chance), chance).unwrap();
    let wrong = SharedCache::new(&Secret::new("redis://:hunter2@"), "p", &vault, &Metrics::new());
    assert!(!wrong.unwrap_err().to_string().contains("hunter2"));
}

#[tokio::test]
async fn a_cache_that_is_away_is_said_to_be_so_at_once() {
    // A listener that takes connections and never says a word, as a host behind a broken firewall.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}/", silent.local_addr().unwrap());
    let (tasks, cache) = (Tasks::new(), cache_at(&url));
    cache.watch(&tasks);
    assert!(!cache.is_up_within(Duration::from_millis(50)).await);
    for _ in 0..1000 {
        assert_eq!(cache.call(ping).await, None);
    }
    assert!(cache.state().is_err());
    assert!(cache.try_out().await.is_err());
    assert!(tasks.shutdown(Duration::from_secs(20)).await);
}

#[tokio::test]
async fn a_cache_answers_is_tried_out_and_carries_news() {
    let Some(server) = test_cache() else { return };
    let tasks = Tasks::new();
    let (one, two) = (server.node(&tasks).await, server.node(&tasks).await);
    assert_eq!(one.call(ping).await.as_deref(), Some("PONG"));
    assert!(!one.try_out().await.unwrap().server.contains("unknown"));
    let (sender, mut heard) = mpsc::unbounded_channel();
    let channel = two.key("live", "test");
    let sender = Mutex::new(sender);
    two.listen(&tasks, channel.clone(), move |news| {
        let _ = sender.lock().unwrap().send(news.to_vec());
    });
    // A subscriber that is not there yet hears nothing: say it until it does.
    let mut said = None;
    while said.is_none() {
        let channel = channel.clone();
        let publish = one.call(|mut c| async move {
            redis::cmd("PUBLISH").arg(channel).arg("news").query_async::<i64>(&mut c).await
        });
        publish.await.unwrap();
        said = timeout(Duration::from_millis(20), heard.recv()).await.ok().flatten();
    }
    assert_eq!(said.unwrap(), b"news");
    assert!(tasks.shutdown(Duration::from_secs(20)).await);
}
