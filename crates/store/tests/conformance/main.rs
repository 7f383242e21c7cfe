//! What every engine must do, each test a function of a fresh store. The same list runs on each engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod accept;
mod blobs;
mod cancel;
mod claim;
mod configuration;
mod erase;
mod fixture;
mod inbox;
mod life;
mod list;
mod moving;
mod news;
mod people;
mod postgres_conflicts;
mod postgres_schema;
mod retention;
mod sender_configs;
mod settle;
mod stats;
mod suppressions;
mod tokens;
mod webhooks;
mod workers;

/// Runs each named function of a module on a fresh store of each engine.
#[macro_export]
macro_rules! on_every_engine {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let home = $crate::fixture::sqlite().await;
                    super::$name(&home.store).await;
                    home.end().await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let Some(home) = $crate::fixture::postgres().await else { return };
                    super::$name(&home.store).await;
                    home.end().await;
                }
            )+
        }
    };
}
