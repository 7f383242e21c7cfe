//! Whether a transport answers, asked seldom.

use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// An answer is good for this long: a monitor that asks each second must not open a session each second.
const FRESH_FOR: Duration = Duration::from_secs(5);

/// What a transport answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It can be reached and took our credentials.
    Up {
        /// How long it took.
        took: Duration,
    },
    /// It cannot be used now; why, for people.
    Down(String),
}

impl Health {
    /// Whether it can be used.
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }
}

/// The last answer. One question at a time: whoever comes meanwhile gets the same answer.
#[derive(Debug, Default)]
pub(super) struct LastHealth(Mutex<Option<(Instant, Health)>>);

impl LastHealth {
    /// The last answer while it is fresh, else a new one from `ask`, which has `limit` to answer.
    pub async fn get<F>(&self, limit: Duration, ask: F) -> Health
    where
        F: Future<Output = Result<(), String>>,
    {
        let mut last = self.0.lock().await;
        if let Some((at, health)) = &*last
            && at.elapsed() < FRESH_FOR
        {
            return health.clone();
        }
        let asked = Instant::now();
        let health = match tokio::time::timeout(limit, ask).await {
            Ok(Ok(())) => Health::Up { took: asked.elapsed() },
            Ok(Err(reason)) => Health::Down(reason),
            Err(_) => Health::Down(format!("no answer within {} ms", limit.as_millis())),
        };
        *last = Some((Instant::now(), health.clone()));
        health
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn asks_once_while_the_answer_is_fresh() {
        let last = LastHealth::default();
        let first = last.get(Duration::from_secs(1), async { Err("refused".to_owned()) }).await;
        assert_eq!(first, Health::Down("refused".into()));
        let second = last.get(Duration::from_secs(1), async { Ok(()) }).await;
        assert_eq!(second, first, "still the first answer");
    }

    #[tokio::test]
    async fn silence_is_an_answer() {
        let last = LastHealth::default();
        let health = last.get(Duration::from_millis(1), std::future::pending()).await;
        assert_eq!(health, Health::Down("no answer within 1 ms".into()));
        assert!(!health.is_up());
    }
}
