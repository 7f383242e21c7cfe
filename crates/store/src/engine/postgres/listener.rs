//! The bell between nodes: LISTEN on a connection of its own, NOTIFY after commits.
//!
//! The bell is rung after the commit and not in it: a transaction that notifies holds a lock of the whole database
//! until its commit is durable, which would make the commits of all nodes wait for each other. A ring that is lost
//! with its node costs the time until the next sweep.

use super::connect::Target;
use super::trouble::Trouble;
use crate::{Bell, StoreError};
use deadpool_postgres::Pool;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_postgres::AsyncMessage;

/// The name of the channel; a database has channels of its own.
const CHANNEL: &str = "posthaste_due";
/// How long after a lost connection the next try is made.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a connection that nothing is heard on is tried.
const LOOK: Duration = Duration::from_secs(15);

/// The tasks behind the bell. They end with the value.
pub(super) struct Listener {
    rope: Arc<watch::Sender<u64>>,
    to_ring: Arc<Notify>,
    tasks: Mutex<JoinSet<()>>,
}

impl Listener {
    /// Listens from now on.
    pub(super) fn start(target: Target, pool: Pool) -> Self {
        let rope = Arc::new(watch::Sender::new(0));
        let to_ring = Arc::new(Notify::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(listen_always(target, Arc::clone(&rope)));
        tasks.spawn(ring_others(pool, Arc::clone(&to_ring)));
        Self { rope, to_ring, tasks: Mutex::new(tasks) }
    }

    /// A bell that rings from now on.
    pub(super) fn bell(&self) -> Bell {
        Bell::new(self.rope.subscribe())
    }

    /// Rings on every node, this one included. Many calls may become one ring.
    pub(super) fn ring(&self) {
        self.to_ring.notify_one();
    }

    /// Stops listening.
    pub(super) fn close(&self) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

async fn ring_others(pool: Pool, to_ring: Arc<Notify>) {
    loop {
        to_ring.notified().await;
        let rung = async {
            let client = pool.get().await.map_err(Trouble::from)?;
            let statement = client.prepare_cached("SELECT pg_notify($1, '')").await?;
            client.execute(&statement, &[&CHANNEL]).await?;
            Ok::<_, Trouble>(())
        };
        if let Err(trouble) = rung.await {
            let error = StoreError::from(trouble);
            if error == StoreError::Closed {
                return;
            }
            tracing::debug!(%error, "other nodes were not told of due mail; their sweeps will find it");
        }
    }
}

async fn listen_always(target: Target, rope: Arc<watch::Sender<u64>>) {
    loop {
        let error = match listen(&target, &rope).await {
            Ok(()) => StoreError::Unavailable("the server closed the connection".into()),
            Err(trouble) => StoreError::from(trouble),
        };
        tracing::warn!(%error, "rings of other nodes cannot be heard; trying again");
        tokio::time::sleep(AGAIN).await;
    }
}

/// Listens until the connection ends.
async fn listen(target: &Target, rope: &watch::Sender<u64>) -> Result<(), Trouble> {
    let late = |_| StoreError::Unavailable("PostgreSQL does not answer".into());
    let connecting = target.config.connect(target.tls.clone());
    let (client, mut connection) =
        tokio::time::timeout(target.patience(), connecting).await.map_err(late)??;
    let heard = async {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(_) = message? {
                rope.send_modify(|rings| *rings += 1);
            }
        }
        Ok::<_, Trouble>(())
    };
    let alive = async {
        client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
        // What was rung for meanwhile was not heard.
        rope.send_modify(|rings| *rings += 1);
        loop {
            tokio::time::sleep(LOOK).await;
            tokio::time::timeout(target.patience(), client.batch_execute("")).await.map_err(late)??;
        }
    };
    tokio::select! {
        ended = heard => ended,
        failed = alive => failed,
    }
}
