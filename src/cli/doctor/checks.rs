//! The checks on an installation that could be opened.

use super::{Diagnosis, disk, endpoint};
use crate::app::App;
use crate::cache::Trial;
use crate::health::{Reports, live_workers};
use crate::transports::Health;
use posthaste_model::news::NewsSource;
use posthaste_store::StoreError;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

/// How long a way out may take to answer: some relays let strangers wait for their greeting.
const PATIENCE: Duration = Duration::from_secs(30);
/// Below this it is time to make room.
const LITTLE_ROOM: u64 = 1 << 30;
/// Below this the next large attachment does not fit.
const NO_ROOM: u64 = 64 << 20;

/// Every check.
pub async fn all(app: &App) -> Vec<Diagnosis> {
    let mut found = vec![data_directory(app.data.root()), room(app.data.root()), secrets(app)];
    found.push(store(app).await);
    found.push(blobs(app).await);
    found.extend(cache(app).await);
    found.extend(transports(app).await);
    found.extend(endpoint::webhook(app).await);
    found.extend(reports(app).await);
    found.push(queue(app).await);
    found.extend(broker(app).await);
    found.push(keys(app).await);
    found.extend(signing(app).await);
    found
}

fn data_directory(root: &Path) -> Diagnosis {
    let part = "data directory";
    let shown = root.display();
    match fs::metadata(root) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            Diagnosis::warning(part, format!("{shown} is open to other users"), format!("chmod 700 {shown}"))
        }
        Ok(_) => Diagnosis::ok(part, format!("{shown}, closed to other users")),
        Err(error) => {
            Diagnosis::failed(part, format!("{shown}: {error}"), "mount it, or choose another DATA_DIR")
        }
    }
}

fn room(root: &Path) -> Diagnosis {
    let part = "disk";
    let remedy = "make room, or shorten retention.bodies";
    match disk::free_bytes(root) {
        None => Diagnosis::warning(part, "the free space is not known", "install df to have it checked"),
        Some(free) if free < NO_ROOM => {
            Diagnosis::failed(part, format!("{} MB free: mail cannot be accepted", free >> 20), remedy)
        }
        Some(free) if free < LITTLE_ROOM => {
            Diagnosis::warning(part, format!("{} MB free", free >> 20), remedy)
        }
        Some(free) => Diagnosis::ok(part, format!("{} GB free", free >> 30)),
    }
}

fn secrets(app: &App) -> Diagnosis {
    let part = "secrets";
    let folder = app.data.path("secrets");
    let open = |path: &Path| fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
    let exposed: Vec<String> = entries
        .map(|entry| entry.path())
        .filter(|path| open(path))
        .map(|path| path.display().to_string())
        .collect();
    if exposed.is_empty() {
        Diagnosis::ok(part, "readable by the owner alone")
    } else {
        let remedy = format!("chmod 600 {}", exposed.join(" "));
        Diagnosis::failed(part, format!("others can read {}", exposed.join(", ")), remedy)
    }
}

async fn store(app: &App) -> Diagnosis {
    let part = "store";
    let whole = async {
        app.store.ping().await?;
        app.store.check_integrity().await
    };
    let remedy = match whole.await {
        Ok(()) => {
            let engine = format!("{} {}", app.store.engine_name(), app.store.engine_version());
            return Diagnosis::ok(part, format!("{engine}, whole, takes writes"));
        }
        Err(error @ StoreError::Corrupt(_)) => {
            return Diagnosis::failed(
                part,
                error.to_string(),
                "restore the last backup with `posthaste restore`",
            );
        }
        Err(error) => error,
    };
    Diagnosis::failed(
        part,
        remedy.to_string(),
        "look at the disk and at the permissions of the data directory",
    )
}

async fn blobs(app: &App) -> Diagnosis {
    match app.blobs.diagnose().await {
        Ok(()) => Diagnosis::ok("attachments", "the storage takes writes"),
        Err((message, remedy)) => Diagnosis::failed("attachments", message, remedy),
    }
}

async fn cache(app: &App) -> Option<Diagnosis> {
    let part = "cache";
    Some(match app.cache.as_ref()?.try_out().await {
        Ok(Trial { server, evicts: Some(policy), .. }) => {
            let message = format!("{server}; may throw limits away when its memory is full ({policy})");
            Diagnosis::warning(part, message, "set its maxmemory-policy to noeviction or volatile-ttl")
        }
        Ok(Trial { server, took, .. }) => {
            Diagnosis::ok(part, format!("{server}, takes writes in {} ms", took.as_millis()))
        }
        Err(cause) => {
            let remedy = "look at REDIS_URL: host, port, password and TLS; mail is accepted without it, and limits \
                          hold for each node alone";
            Diagnosis::failed(part, cause, remedy)
        }
    })
}

async fn transports(app: &App) -> Vec<Diagnosis> {
    let ways = match app.ways() {
        Ok(ways) => ways,
        Err(error) => return vec![Diagnosis::failed("transports", error.to_string(), "mend what is named")],
    };
    let mut found = Vec::new();
    for way in &ways {
        let part = format!("transport {}", way.transport.name());
        found.push(match way.transport.ping(PATIENCE).await {
            Health::Up { took } => Diagnosis::ok(part, format!("answers in {} ms", took.as_millis())),
            Health::Down(reason) => {
                let remedy =
                    "look at host, port, encryption and credentials, and whether a firewall is between";
                Diagnosis::failed(part, reason, remedy)
            }
        });
        way.transport.close().await;
    }
    if let Some(mailer) = &app.settings.mail.kept_by {
        let message = format!("MAIL_MAILER is {mailer}: mail that no route takes stays in the inbox");
        let remedy = "take MAIL_MAILER out, or name a transport by it, to send for real";
        found.push(Diagnosis::warning("transports", message, remedy));
    } else if !ways.iter().any(|way| way.transport.is_outward()) {
        let remedy = "set SMTP_HOST, or a provider's variables, to send for real";
        found.push(Diagnosis::warning("transports", "only the inbox: no mail leaves this machine", remedy));
    }
    found
}

/// Whether the providers that should report what became of mail do.
async fn reports(app: &App) -> Vec<Diagnosis> {
    let Some(silence) = app.settings.hooks.silence else { return Vec::new() };
    let Ok(found) = Reports::find(&app.store, &app.reporters(), silence, app.clock.now()).await else {
        return Vec::new();
    };
    let diagnosis = |source: &NewsSource| {
        let part = format!("reports {source}");
        let Some(silent) = found.silent.iter().find(|silent| silent.source == *source) else {
            return Diagnosis::ok(part, "mail of late was reported on, or there was none");
        };
        let message = match silent.last_heard {
            Some(at) => format!("mail went out, and nothing was reported since {at}"),
            None => "mail went out, and nothing was ever reported".to_owned(),
        };
        let remedy = format!(
            "look at the provider whether its webhook leads to /api/webhooks/{source} under our public address, and \
             what it was answered (docs/bounces.md)"
        );
        Diagnosis::warning(part, message, remedy)
    };
    found.expected.iter().map(diagnosis).collect()
}

async fn queue(app: &App) -> Diagnosis {
    let part = "queue";
    let now = app.clock.now();
    let asked = async { tokio::try_join!(app.store.queue_counts(now), app.store.workers(now)) };
    match asked.await {
        Ok((counts, workers)) => {
            let live = live_workers(&workers, now);
            if live == 0 && counts.oldest_due_seconds > 0 {
                let message =
                    format!("mail has been due for {} s and no worker is alive", counts.oldest_due_seconds);
                return Diagnosis::warning(part, message, "start `posthaste serve`");
            }
            Diagnosis::ok(
                part,
                format!("{} wait, {live} workers are alive", counts.pending + counts.scheduled),
            )
        }
        Err(error) => Diagnosis::failed(part, error.to_string(), "see the store"),
    }
}

/// The broker, where one is configured: connected to, and everything set up on it.
async fn broker(app: &App) -> Option<Diagnosis> {
    let part = "broker";
    Some(match app.queue.examine().await? {
        Ok(found) if found.dead > 0 => Diagnosis::warning(
            part,
            format!("answers; {} rings wait, {} were given up", found.waiting, found.dead),
            "a worker ended again and again on the emails whose ids lie in the dead-letter queue: look at their \
             timelines, then purge it",
        ),
        Ok(found) => Diagnosis::ok(part, format!("answers, its queues stand; {} rings wait", found.waiting)),
        Err(trouble) => Diagnosis::failed(part, trouble.to_string(), trouble.remedy()),
    })
}

async fn keys(app: &App) -> Diagnosis {
    let part = "keys";
    let now = app.clock.now();
    match app.admin.keys(None).await {
        Ok(keys) if keys.iter().any(|key| key.is_usable(now)) => {
            Diagnosis::ok(part, format!("{} work", keys.iter().filter(|key| key.is_usable(now)).count()))
        }
        Ok(_) => {
            let remedy =
                "the first start of `posthaste serve` makes one, or: posthaste client create, key create";
            Diagnosis::warning(part, "no key works: nobody can hand in mail", remedy)
        }
        Err(_) => Diagnosis::failed(part, "the keys cannot be read", "see the store"),
    }
}

/// A domain's signing keys must open under the present encryption key.
async fn signing(app: &App) -> Vec<Diagnosis> {
    let Ok(domains) = app.admin.domains().await else { return Vec::new() };
    let mut found = Vec::new();
    for domain in domains {
        let part = format!("domain {}", domain.name);
        found.push(match app.admin.dkim_records(&domain.name).await {
            Ok(records) if records.is_empty() => {
                let remedy = format!("posthaste domain dkim {}", domain.name);
                Diagnosis::warning(part, "its mail is not signed (DKIM)", remedy)
            }
            Ok(records) => Diagnosis::ok(part, format!("{} signing keys", records.len())),
            Err(refusal) => {
                let remedy = "give the ENCRYPTION_KEY that it was made under";
                let message = super::Failure::Refused(refusal).to_string();
                Diagnosis::failed(part, message, remedy)
            }
        });
    }
    found
}
