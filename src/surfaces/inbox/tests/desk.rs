//! What the tests stand on: an inbox with two clients, behind the edge.

use super::super::*;
use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::base::metrics::Metrics;
use crate::base::tasks::Tasks;
use crate::base::trace::Traces;
use crate::base::vault::Vault;
use crate::intake::{Intake, IntakeLimits, IntakeParts};
use crate::limits::Limits;
use crate::live::Live;
use crate::queue::Queue;
use crate::render::Renderer;
use crate::routing::{INBOX, Routes};
use crate::surfaces::http::body::{Bodies, BodySettings};
use crate::surfaces::http::client_address::TrustedProxies;
use crate::surfaces::http::edge::{Edge, Origin};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use posthaste_model::client::Client;
use posthaste_model::credential::{ApiKey, Credential, CredentialKind, KeyMode, Permission};
use posthaste_model::fault::Faults;
use posthaste_model::inbox::InboxMessage;
use posthaste_model::{ClientId, CredentialId, EmailId, InboxId, Rate, Timestamp};
use posthaste_store::{Actor, StoreSettings};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use tempfile::TempDir;

pub const HOSTILE: &str = include_str!("hostile.eml");
pub const START: i64 = 1_796_086_800_000;

/// An inbox with two clients, behind the edge.
pub struct Desk {
    edge: Edge,
    pub store: Store,
    pub blobs: Blobs,
    bell: InboxBell,
    pub clock: Clock,
    chance: Chance,
    pub clients: [ClientId; 2],
    pub stopping: CancellationToken,
    _folder: TempDir,
}

/// An answer.
pub struct Got {
    pub status: u16,
    headers: HeaderMap,
    pub body: String,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The cookie that the answer gives to a browser that has none.
    pub fn cookie(&self) -> String {
        let (_, rest) = self.header("set-cookie").split_once("posthaste_session=").expect("a cookie");
        rest.split(';').next().expect("a value").to_owned()
    }

    /// The token of the page's forms.
    pub fn token(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"csrf-token\" content=\"").expect("a token");
        rest.split('"').next().expect("a value").to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }
}

pub async fn desk() -> Desk {
    desk_with_ways(Ways::default()).await
}

/// A desk that can release messages by these transports; nothing carries them out.
pub async fn desk_with_ways(ways: Ways) -> Desk {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(StoreSettings::new(folder.path().join("store.db"))).await.expect("a store");
    let blobs = Blobs::files(&folder.path().join("blobs"), Faults::default()).expect("blobs");
    let (bell, clock, chance) =
        (InboxBell::new(), Clock::manual(Timestamp::from_millis(START)), Chance::new());
    let clients = [1, 2].map(|number| ClientId::new(clock.now(), [number; 10]));
    for (number, id) in clients.into_iter().enumerate() {
        let client = Client {
            id,
            name: format!("client {number}"),
            department: None,
            is_active: true,
            retention: posthaste_model::client::Retention::default(),
            created_at: clock.now(),
        };
        store.create_client(client, &actor()).await.expect("a client");
    }
    let stopping = CancellationToken::new();
    let auth = Auth::of_store(&store, &clock).await;
    let releases = Releases {
        intake: intake((&store, &blobs, &auth), &clock, &chance),
        bodies: Bodies::new(BodySettings::default(), &Metrics::new()),
        limits: Limits::memory(),
        per_key: Rate::per_seconds(3, 60),
        ways,
    };
    let parts = InboxParts {
        store: store.clone(),
        blobs: blobs.clone(),
        bell: bell.clone(),
        auth,
        public_url: Some("https://mail.example.com".into()),
        releases,
        stopping: stopping.clone(),
    };
    let router = Inbox::new(parts).router().fallback(async || http::StatusCode::NOT_FOUND);
    let trusted = TrustedProxies::new(vec!["127.0.0.2".parse().expect("an address")]);
    let edge = Edge::new(router, trusted, 32 * 1024, Metrics::new(), chance.clone());
    Desk { edge, store, blobs, bell, clock, chance, clients, stopping, _folder: folder }
}

fn intake((store, blobs, auth): (&Store, &Blobs, &Auth), clock: &Clock, chance: &Chance) -> Intake {
    let vault = Vault::new(&Vault::generate_key(chance), chance.clone()).expect("a key");
    Intake::new(IntakeParts {
        renderer: Renderer::new(store.clone(), blobs.clone(), vault, Faults::default()),
        store: store.clone(),
        blobs: blobs.clone(),
        queue: Queue::in_process(8),
        live: Live::new(store.clone(), None, chance.bytes(), Metrics::new()),
        auth: auth.clone(),
        routes: Routes::only(INBOX),
        clock: clock.clone(),
        chance: chance.clone(),
        limits: IntakeLimits {
            recipients: 3,
            batch: 1,
            attachment_bytes: 1,
            attachments_bytes: 1,
            allowed_types: BTreeSet::new(),
            links: None,
            unsubscribe: None,
            types_everywhere: false,
        },
        idempotency_keep: Duration::from_mins(1),
        tasks: Tasks::new(),
        faults: Faults::default(),
        traces: Traces::off(),
    })
}

fn actor() -> Actor {
    Actor { kind: "cli".into(), id: None, address: None }
}

impl Desk {
    /// Keeps a message as the transport does, a second after the one before.
    pub async fn keep(&self, client: usize, to: &str, subject: &str, raw: &str) -> InboxId {
        self.clock.advance(Duration::from_secs(1));
        let raw = raw.replace("\r\n", "\n").replace('\n', "\r\n");
        let now = self.clock.now();
        let message = InboxMessage {
            id: InboxId::new(now, self.chance.bytes()),
            client_id: self.clients[client],
            email_id: EmailId::new(now, [3; 10]),
            mail_from: "bounce@example.com".into(),
            recipients: vec![to.to_owned()],
            subject: subject.to_owned(),
            from: "Shop <shop@example.com>".into(),
            size: raw.len() as u64,
            sha256: self.blobs.put(Bytes::from(raw.into_bytes())).await.expect("a blob"),
            received_at: now,
        };
        let id = message.id;
        self.store.inbox_add(message).await.expect("kept");
        self.bell.ring();
        id
    }

    pub async fn key(&self, client: usize, permissions: &[Permission]) -> String {
        self.key_of(KeyMode::Live, client, permissions).await
    }

    pub async fn key_of(&self, mode: KeyMode, client: usize, permissions: &[Permission]) -> String {
        let key = ApiKey::new(mode, &self.chance.bytes());
        let credential = Credential {
            id: CredentialId::new(self.clock.now(), self.chance.bytes()),
            client_id: self.clients[client],
            kind: CredentialKind::Key,
            name: None,
            prefix: key.prefix().to_owned(),
            key_hash: key.hash(),
            mode,
            permissions: permissions.to_vec(),
            domain: None,
            rate_limit: None,
            is_active: true,
            expires_at: None,
            created_at: self.clock.now(),
            retires_at: None,
            revoked_at: None,
        };
        self.store.create_credential(credential, &actor()).await.expect("a key");
        key.expose().to_owned()
    }

    pub async fn send(&self, peer: &str, method: &str, uri: &str, headers: &[(&str, &str)]) -> Got {
        self.submit(peer, (method, uri), headers, "").await
    }

    /// [`Self::send`] with a body.
    pub async fn submit(
        &self,
        peer: &str,
        (method, uri): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> Got {
        let mut request = Request::builder().method(method).uri(uri);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "127.0.0.1:8000");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let origin = Origin { peer: format!("{peer}:4711").parse().expect("an address"), tls: false };
        let (response, _) =
            self.edge.answer(request.body(Body::from(body.to_owned())).expect("a request"), origin).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Got { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// A form of a page, sent by the browser that was shown the page.
    pub async fn post(&self, uri: &str, fields: &str) -> Got {
        let page = self.get("/inbox").await;
        let cookie = format!("posthaste_session={}", page.cookie());
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", "http://127.0.0.1:8000"),
            ("sec-fetch-site", "same-origin"),
            ("cookie", cookie.as_str()),
        ];
        let body = format!("_token={}&{fields}", page.token());
        self.submit("127.0.0.1", ("POST", uri), &headers, &body).await
    }

    pub async fn get(&self, uri: &str) -> Got {
        self.send("127.0.0.1", "GET", uri, &[]).await
    }
}
