//! The way to the server: the URL, the pool, and what every connection is told first.

use super::tls;
use super::trouble::Trouble;
use crate::StoreError;
use crate::settings::PostgresSettings;
use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolConfig, QueueMode, RecyclingMethod, Runtime,
    Timeouts,
};
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres_rustls::MakeRustlsConnect;

/// A peer that does not acknowledge for this long is gone.
const DEAD_PEER: Duration = Duration::from_secs(10);
/// The oldest server whose statements we use, as `server_version_num`.
const OLDEST: u32 = 14_00_00;

/// Where the server is and how it is talked to.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
    connect: Duration,
}

impl Target {
    /// Reads the URL. libpq's `sslmode=verify-*` and `sslrootcert` are ours to understand.
    pub(super) fn read(settings: &PostgresSettings) -> Result<Self, StoreError> {
        let (url, mode, root) = without_tls_words(settings.url.expose());
        let (ssl_mode, check) = tls::meaning(mode.as_deref(), root.as_deref())?;
        // The parser's error does not repeat the URL, which may hold a password.
        let unreadable =
            |error| StoreError::Unavailable(format!("the database's URL cannot be read: {error}"));
        let mut config: Config = url.parse().map_err(unreadable)?;
        config
            .ssl_mode(ssl_mode)
            .connect_timeout(settings.connect)
            .tcp_user_timeout(DEAD_PEER)
            .keepalives_idle(DEAD_PEER);
        if config.get_application_name().is_none() {
            config.application_name("posthaste");
        }
        if config.get_hosts().len() > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        Ok(Self { config, tls: tls::connector(check, root.as_deref())?, connect: settings.connect })
    }

    /// The connections that all operations share.
    pub(super) fn pool(&self, settings: &PostgresSettings) -> Result<Pool, StoreError> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(self.config.clone(), self.tls.clone(), recycling);
        let first_words = first_words(settings);
        let hook = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            let first_words = first_words.clone();
            Box::pin(async move { client.batch_execute(&first_words).await.map_err(HookError::Backend) })
        });
        let timeouts = Timeouts {
            wait: Some(settings.acquire),
            create: Some(settings.connect),
            recycle: Some(settings.connect),
        };
        Pool::builder(manager)
            .config(PoolConfig {
                max_size: settings.connections.max(2),
                timeouts,
                // The connection used last has the warmest caches, at both ends.
                queue_mode: QueueMode::Lifo,
            })
            .runtime(Runtime::Tokio1)
            .post_create(hook)
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    /// How long making a connection may take.
    pub(super) const fn patience(&self) -> Duration {
        self.connect
    }
}

/// Limits on every wait; commits that are durable, whatever the server's default; plans made for the values at hand,
/// since only then the days that cannot hold them are left out.
fn first_words(settings: &PostgresSettings) -> String {
    format!(
        "SET statement_timeout = {statement}; SET lock_timeout = {lock};
         SET idle_in_transaction_session_timeout = {idle}; SET plan_cache_mode = force_custom_plan;
         SET jit = off; SET TimeZone = 'UTC'; SET client_min_messages = warning;
         SELECT set_config('synchronous_commit', 'on', false)
         WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')",
        statement = settings.statement.as_millis(),
        lock = (settings.statement / 2).as_millis(),
        idle = (settings.statement * 2).as_millis(),
    )
}

/// The server's version, as it says it; refused when it is too old.
pub(super) async fn version(client: &Object) -> Result<String, Trouble> {
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::int4, current_setting('server_version')",
            &[],
        )
        .await?;
    let number: i32 = row.try_get(0)?;
    let text: String = row.try_get(1)?;
    // "15.14 (Debian 15.14-0+deb12u1)": the packager's words say nothing of the engine.
    let text = text.split_whitespace().next().unwrap_or_default().to_owned();
    if number < OLDEST as i32 {
        return Err(StoreError::TooOld { engine: "PostgreSQL", found: text, needed: "14" }.into());
    }
    Ok(text)
}

/// Takes what tokio-postgres does not know out of the URL: the URL without, `sslmode`, `sslrootcert`.
fn without_tls_words(url: &str) -> (String, Option<String>, Option<String>) {
    let Some((place, query)) = url.split_once('?') else { return (url.to_owned(), None, None) };
    let (mut mode, mut root) = (None, None);
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            Some(("sslrootcert", value)) => root = Some(decoded(value)),
            _ => rest.push(pair),
        }
    }
    let url = if rest.is_empty() { place.to_owned() } else { format!("{place}?{}", rest.join("&")) };
    (url, mode, root)
}

/// A value of a URL's query without percent signs.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_tls_are_taken_out_of_the_url() {
        let (url, mode, root) = without_tls_words(
            "postgres://u:p@h/db?sslmode=verify-full&connect_timeout=3&sslrootcert=%2Fca%20.pem",
        );
        assert_eq!(url, "postgres://u:p@h/db?connect_timeout=3");
        assert_eq!((mode.as_deref(), root.as_deref()), (Some("verify-full"), Some("/ca .pem")));
        assert_eq!(decoded("100%"), "100%");
    }
}
