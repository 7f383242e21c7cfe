//! The bell of a store that several nodes share: it says "look again", never what at. It may be late, doubled or lost.

use tokio::sync::watch;

/// Rings when mail became due anywhere in the installation.
#[derive(Clone, Debug)]
pub struct Bell {
    rings: watch::Receiver<u64>,
}

impl Bell {
    pub(crate) const fn new(rings: watch::Receiver<u64>) -> Self {
        Self { rings }
    }

    /// Waits for the next ring; several rings since the last call count as one. Never, once the store is closed.
    pub async fn rung(&mut self) {
        if self.rings.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rings_that_came_together_are_one() {
        let (rope, rings) = watch::channel(0);
        let mut bell = Bell::new(rings);
        rope.send_modify(|n| *n += 1);
        rope.send_modify(|n| *n += 1);
        bell.rung().await;
        drop(rope);
        tokio::select! {
            biased;
            () = bell.rung() => panic!("nobody rang"),
            () = std::future::ready(()) => {}
        }
    }
}
