//! Rings over the store itself, for workers in other processes where no broker is configured: the store tells that
//! mail became due, and the due index says which.

use super::in_process::InProcess;
use crate::base::chance::Chance;
use crate::base::tasks::Tasks;
use posthaste_store::Bell;
use std::convert::Infallible;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// All nodes hear a ring at once. They look at moments that lie apart by up to this, so that one finds the mail and the
/// others find it gone, instead of all asking for the same rows; and what is accepted meanwhile is claimed together.
const SPREAD: Duration = Duration::from_millis(8);

/// The queue over the store's bell.
#[derive(Clone, Debug)]
pub struct StoreBell {
    local: InProcess,
    bell: Bell,
    chance: Chance,
}

impl StoreBell {
    pub(super) fn new(local: InProcess, bell: Bell, chance: Chance) -> Self {
        Self { local, bell, chance }
    }

    /// The hand-over inside the process.
    pub(super) fn local(&self) -> &InProcess {
        &self.local
    }

    /// Passes the store's rings on to this process's worker.
    pub(super) fn start(&self, tasks: &Tasks) {
        let (queue, over) = (self.clone(), tasks.token());
        tasks.supervise("queue.listen", move || queue.clone().listen(over.clone()));
    }

    async fn listen(mut self, over: CancellationToken) -> Result<(), Infallible> {
        loop {
            let apart = SPREAD.mul_f64(self.chance.f64());
            tokio::select! {
                biased;
                () = over.cancelled() => return Ok(()),
                () = async { self.bell.rung().await; tokio::time::sleep(apart).await } => self.local.ring(),
            }
        }
    }
}
