//! Survives the panic of one email's attempt: one poisoned message must not take a worker with it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// What a panicking future said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Panicked(pub String);

/// Runs `future` to its end; a panic in it becomes an error. What the future held is dropped then.
///
/// Unwind safety: nothing that outlives the future is reachable through it but parts made to be shared, whose locks
/// forgive poisoning.
pub(super) async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(payload) => Poll::Ready(Err(Panicked(words(payload.as_ref())))),
    })
    .await
}

fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_after_a_wait_is_an_error() {
        let result = caught(async {
            tokio::task::yield_now().await;
            assert!(!std::hint::black_box(true), "poison {}", 7);
            1
        });
        assert_eq!(result.await, Err(Panicked("poison 7".into())));
        assert_eq!(caught(async { 1 }).await, Ok(1));
    }
}
