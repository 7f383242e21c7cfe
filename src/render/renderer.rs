//! The renderer: fetches what an email needs (template, files, keys) and puts it together, with the heavy part of
//! the work off the async threads and no more of it at once than there are processors.

use super::links::{with_links_html, with_links_text};
use super::message::{self, Bodies};
use super::signers::{SignerCache, Signers};
use super::template::TemplateError;
use super::wording::{Part, Source, Wording, WordingError};
use super::{Rendered, RenderedMessage, check};
use crate::base::vault::Vault;
use crate::blobs::{BlobError, Blobs};
use bytes::Bytes;
use posthaste_mail::view::{BodyView, read_message};
use posthaste_model::ClientId;
use posthaste_model::draft::Field;
use posthaste_model::email::{Content, Email, Parts, TemplateRef};
use posthaste_model::fault::{FaultPoint, Faults};
use posthaste_model::refusal::{Fault, FaultCode};
use posthaste_model::template::Template;
use posthaste_store::{Store, StoreError};
use serde_json::{Map, Value as Json};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Above this many bytes of bodies and files a message is written off the async threads.
const INLINE_BYTES_MAX: usize = 64 * 1024;
/// Template versions remembered, and the bytes of their sources; past either the memory starts anew.
const WORDINGS_MAX: usize = 1_000;
const WORDING_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long the work on one message may take. Its parts are bounded, so this is never reached by size alone.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Renders emails. Cheap to clone; clones share what they remember and the bound on heavy work.
#[derive(Clone)]
pub struct Renderer(Arc<Inner>);

struct Inner {
    store: Store,
    blobs: Blobs,
    signers: SignerCache,
    /// Versions never change, so they are never read twice.
    wordings: Mutex<Wordings>,
    heavy: Arc<Semaphore>,
    faults: Faults,
}

#[derive(Default)]
struct Wordings {
    known: HashMap<(ClientId, String, u32), Arc<Wording>>,
    bytes: usize,
}

/// Why an email did not become a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The store did not answer.
    #[error("the template or the signing keys could not be read: {0}")]
    Store(StoreError),
    /// A file could not be read.
    #[error(transparent)]
    Blob(BlobError),
    /// The template version that the email was accepted with is gone.
    #[error("version {} of template {} is gone", .0.version, .0.code)]
    TemplateGone(TemplateRef),
    /// A part does not render any more.
    #[error("{0}")]
    Template(String),
    /// The message cannot be written.
    #[error("the message cannot be written: {0}")]
    Message(String),
    /// A signing key of the domain cannot be used; an operator must look.
    #[error("the DKIM key {name} cannot be used: {reason}")]
    SigningKey {
        /// `selector._domainkey.domain`.
        name: String,
        /// Why.
        reason: String,
    },
    /// The signature could not be made.
    #[error("the message could not be signed: {0}")]
    Signature(String),
    /// The work took too long.
    #[error("rendering took longer than {} s", TIME_LIMIT.as_secs())]
    TimedOut,
    /// The process is shutting down.
    #[error("the process is shutting down")]
    ShuttingDown,
}

impl RenderError {
    /// Whether the same email can never be rendered.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error, StoreError::Corrupt(_)),
            Self::Blob(error) => !error.is_transient(),
            Self::TemplateGone(_) | Self::Template(_) | Self::Message(_) | Self::TimedOut => true,
            Self::SigningKey { .. } | Self::Signature(_) | Self::ShuttingDown => false,
        }
    }
}

impl Renderer {
    /// A renderer that reads templates and keys from `store` and files from `blobs`; `vault` opens the keys.
    /// `faults` are none but in crash tests.
    pub fn new(store: Store, blobs: Blobs, vault: Vault, faults: Faults) -> Self {
        let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self(Arc::new(Inner {
            signers: SignerCache::new(store.clone(), vault),
            store,
            blobs,
            wordings: Mutex::default(),
            heavy: Arc::new(Semaphore::new(processors)),
            faults,
        }))
    }

    /// The check at accept, with `template` being the version that `parts` name: what the email will say, or
    /// everything because of which it could not be rendered. Takes some tens of milliseconds at the very most.
    pub fn check(
        &self,
        client_id: ClientId,
        parts: &Parts,
        template: Option<&Template>,
    ) -> Result<Rendered, Vec<Fault>> {
        let wording = template.map(|template| self.wording_of(client_id, template)).transpose()?;
        check::check(parts, wording.as_deref())
    }

    /// What an email says. A raw message is read as a reader of mail would.
    pub async fn content(&self, email: &Email) -> Result<Rendered, RenderError> {
        let parts = match &email.content {
            Content::Parts(parts) => parts,
            Content::Raw { sha256, .. } => {
                let bytes = self.0.blobs.get(sha256).await.map_err(RenderError::Blob)?;
                return self.as_read(email, bytes).await;
            }
            Content::Whole { message } => return self.as_read(email, message.0.clone()).await,
        };
        let wording = self.wording(email, parts).await?;
        let html = render(Part::Html, parts, wording.as_deref())?.map(|html| with_links_html(html, email));
        let text = render(Part::Text, parts, wording.as_deref())?.map(|text| with_links_text(text, email));
        let (html, text) = (html.map(Cow::into_owned), text.map(Cow::into_owned));
        Ok(check::complete(email.subject.clone(), html, text))
    }

    /// The whole message of an email; the same bytes on every call, whatever keys its domain gets or
    /// loses meanwhile.
    pub async fn message(&self, email: &Email) -> Result<RenderedMessage, RenderError> {
        let parts = match &email.content {
            Content::Parts(parts) => parts,
            Content::Whole { message } => return Ok(message::finished(email, message.0.clone())),
            Content::Raw { sha256, .. } => {
                let bytes = self.0.blobs.get(sha256).await.map_err(RenderError::Blob)?;
                return Ok(message::finished(email, bytes));
            }
        };
        let wording = self.wording(email, parts).await?;
        let signers = self.0.signers.of(&email.domain, email.signed_by.as_deref()).await?;
        let mut files = Vec::with_capacity(email.attachments.len());
        for attachment in email.attachments.iter().filter(|attachment| attachment.link.is_none()) {
            files.push(self.0.blobs.get(&attachment.sha256).await.map_err(RenderError::Blob)?);
        }
        let html = render(Part::Html, parts, wording.as_deref())?.map(|html| with_links_html(html, email));
        let text = render(Part::Text, parts, wording.as_deref())?.map(|text| with_links_text(text, email));
        let bodies = Bodies { html: html.as_deref(), text: text.as_deref() };
        let size = html.as_ref().map_or(0, |html| html.len())
            + text.as_ref().map_or(0, |text| text.len())
            + files.iter().map(Bytes::len).sum::<usize>();
        if size > INLINE_BYTES_MAX {
            let bodies = (html.map(Cow::into_owned), text.map(Cow::into_owned));
            return self.write_apart(email, bodies, files, signers).await;
        }
        let written = message::write(email, parts, &bodies, &files)?;
        if signers.is_slow() {
            return self.sign_apart(email, written, signers).await;
        }
        let signed = message::sign(email.requested_at, written, &signers)?;
        Ok(message::finished(email, signed.into()))
    }

    async fn as_read(&self, email: &Email, bytes: Bytes) -> Result<Rendered, RenderError> {
        let view = if bytes.len() > INLINE_BYTES_MAX {
            self.apart(move || Ok(read_message(&bytes))).await?
        } else {
            read_message(&bytes)
        };
        let body = |body: Option<BodyView>| body.map(|body| body.content);
        Ok(Rendered { subject: email.subject.clone(), html: body(view.html), text: body(view.text) })
    }

    async fn write_apart(
        &self,
        email: &Email,
        (html, text): (Option<String>, Option<String>),
        files: Vec<Bytes>,
        signers: Signers,
    ) -> Result<RenderedMessage, RenderError> {
        // The copy is small beside the work: files are shared.
        let owned = email.clone();
        let signed = self
            .apart(move || {
                let Content::Parts(parts) = &owned.content else { return Ok(Vec::new()) };
                let bodies = Bodies { html: html.as_deref(), text: text.as_deref() };
                let written = message::write(&owned, parts, &bodies, &files)?;
                message::sign(owned.requested_at, written, &signers)
            })
            .await?;
        Ok(message::finished(email, signed.into()))
    }

    async fn sign_apart(
        &self,
        email: &Email,
        written: Vec<u8>,
        signers: Signers,
    ) -> Result<RenderedMessage, RenderError> {
        let time = email.requested_at;
        let signed = self.apart(move || message::sign(time, written, &signers)).await?;
        Ok(message::finished(email, signed.into()))
    }

    /// Runs heavy work on a thread that may take its time; a panic in it is the caller's.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, RenderError> + Send + 'static,
    ) -> Result<T, RenderError> {
        let permit = Arc::clone(&self.0.heavy).acquire_owned().await;
        let is_endless = self.0.faults.is_due(FaultPoint::RenderEndless);
        let running = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            if is_endless {
                keep_busy();
            }
            work()
        });
        match tokio::time::timeout(TIME_LIMIT, running).await {
            Ok(Ok(done)) => done,
            Ok(Err(stopped)) => match stopped.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => Err(RenderError::ShuttingDown),
            },
            Err(_elapsed) => Err(RenderError::TimedOut),
        }
    }

    /// The template version an email was accepted with.
    async fn wording(&self, email: &Email, parts: &Parts) -> Result<Option<Arc<Wording>>, RenderError> {
        let Some(used) = &parts.template else { return Ok(None) };
        let key = (email.client_id, used.code.clone(), used.version);
        if let Some(known) = self.known(&key) {
            return Ok(Some(known));
        }
        let found = self.0.store.template_version(email.client_id, &used.code, used.version).await;
        let template = found.map_err(RenderError::Store)?;
        let template = template.ok_or_else(|| RenderError::TemplateGone(used.clone()))?;
        let wording = Wording::new(&template).map_err(|error| RenderError::Template(error.to_string()))?;
        Ok(Some(self.remember(key, wording)))
    }

    fn wording_of(&self, client_id: ClientId, template: &Template) -> Result<Arc<Wording>, Vec<Fault>> {
        let key = (client_id, template.code.clone(), template.version);
        if let Some(known) = self.known(&key) {
            return Ok(known);
        }
        let wording = Wording::new(template).map_err(|error| vec![unusable(&error)])?;
        Ok(self.remember(key, wording))
    }

    fn known(&self, key: &(ClientId, String, u32)) -> Option<Arc<Wording>> {
        self.wordings().known.get(key).cloned()
    }

    fn remember(&self, key: (ClientId, String, u32), wording: Wording) -> Arc<Wording> {
        let wording = Arc::new(wording);
        let mut wordings = self.wordings();
        if wordings.known.len() >= WORDINGS_MAX || wordings.bytes >= WORDING_BYTES_MAX {
            *wordings = Wordings::default();
        }
        wordings.bytes += wording.bytes();
        wordings.known.insert(key, Arc::clone(&wording));
        wording
    }

    fn wordings(&self) -> MutexGuard<'_, Wordings> {
        self.0.wordings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an injected fault makes of heavy work: nothing stops it, and its time runs out.
fn keep_busy() {
    let begun = Instant::now();
    while begun.elapsed() < TIME_LIMIT.mul_f64(1.2) {
        std::hint::spin_loop();
    }
}

/// What a template becomes with these variables, or everything that is in the way. Remembers nothing.
pub fn preview(template: &Template, variables: Map<String, Json>) -> Result<Rendered, Vec<Fault>> {
    let wording = Wording::new(template).map_err(|error| vec![unusable(&error)])?;
    let parts = Parts { variables, ..Parts::default() };
    check::check(&parts, Some(&wording))
}

fn unusable(error: &WordingError) -> Fault {
    Fault::new(Field::TemplateCode, FaultCode::TemplateError, error.to_string())
}

/// A body as it is sent.
fn render<'a>(
    part: Part,
    parts: &'a Parts,
    wording: Option<&'a Wording>,
) -> Result<Option<Cow<'a, str>>, RenderError> {
    let Some(source) = Source::of(part, parts, wording) else { return Ok(None) };
    let named = |error: TemplateError| RenderError::Template(format!("{}: {error}", part.name()));
    source.render(part, &parts.variables).map(Some).map_err(named)
}

#[cfg(test)]
mod tests;
