//! One message with its source, read for display.

use super::Inbox;
use super::access::{self, Scope};
use crate::blobs::BlobError;
use crate::surfaces::http::problem::{self, Problem};
use bytes::Bytes;
use posthaste_mail::links_from_html;
use posthaste_mail::view::{MessageView, read_message};
use posthaste_model::ClientId;
use posthaste_model::inbox::InboxMessage;
use std::sync::Arc;

/// A source larger than this is read off the threads that serve requests.
const READ_INLINE: usize = 256 * 1024;
/// Links of a message that are listed.
const MOST_LINKS: usize = 200;

/// A message that was found, and what is in it.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) message: InboxMessage,
    pub(super) source: Bytes,
    pub(super) view: Arc<MessageView>,
}

impl Inbox {
    /// The part of a scope that is the client of this id or name; nothing of another client is told apart from nothing
    /// at all.
    pub(super) async fn narrowed(&self, scope: Scope, client: Option<&str>) -> Result<Scope, Problem> {
        let Some(wanted) = client else { return Ok(scope) };
        let found = match wanted.parse::<ClientId>() {
            Ok(id) => self.store.client(id).await,
            Err(_) => self.store.client_by_name(wanted).await,
        };
        let found = found.map_err(|error| access::unavailable(&error))?;
        let found = found.filter(|client| scope.client.is_none_or(|own| own == client.id));
        let found = found.ok_or_else(|| Problem::new(problem::NOT_FOUND, "there is no such client"))?;
        Ok(Scope { client: Some(found.id) })
    }

    /// The message of that id. Another client's, a random id and text that is no id are told alike.
    pub(super) async fn find(&self, scope: Scope, id: &str) -> Result<InboxMessage, Problem> {
        let id = id.parse().map_err(|_| not_found())?;
        let found = self.store.inbox_get(scope.client, id).await;
        found.map_err(|error| access::unavailable(&error))?.ok_or_else(not_found)
    }

    /// A message with what is in it.
    pub(super) async fn open(&self, message: InboxMessage) -> Result<Opened, Problem> {
        let source = self.source_of(&message).await?;
        let view = if source.len() <= READ_INLINE {
            read_message(&source)
        } else {
            let source = source.clone();
            let read = tokio::task::spawn_blocking(move || read_message(&source)).await;
            read.map_err(|error| {
                tracing::error!(%error, "a message of the inbox could not be read");
                Problem::new(problem::INTERNAL_ERROR, "the message cannot be shown")
            })?
        };
        Ok(Opened { message, source, view: Arc::new(view) })
    }

    /// The bytes of a message as they would have gone out.
    pub(super) async fn source_of(&self, message: &InboxMessage) -> Result<Bytes, Problem> {
        self.blobs.get(&message.sha256).await.map_err(|error| match error {
            BlobError::Missing(_) => Problem::new(problem::NOT_FOUND, "the message's source is gone"),
            BlobError::Corrupt(_) | BlobError::Unavailable(_) => {
                tracing::warn!(%error, "the source of a message of the inbox could not be read");
                Problem::new(problem::STORE_UNAVAILABLE, "the message's source cannot be read now")
                    .with_retry_after(2)
            }
        })
    }
}

fn not_found() -> Problem {
    Problem::new(problem::NOT_FOUND, "the inbox has no such message")
}

impl Opened {
    /// Where the message's links lead: those of its HTML, else the addresses in its text.
    pub(super) fn links(&self) -> Vec<String> {
        match (&self.view.html, &self.view.text) {
            (Some(html), _) => links_from_html(&html.content, MOST_LINKS),
            (None, Some(text)) => links_from_text(&text.content),
            (None, None) => Vec::new(),
        }
    }

    /// The code for logging in or confirming that the message carries, if it seems to carry one.
    pub(super) fn code(&self) -> Option<String> {
        let html = || self.view.html.as_ref().map(|html| posthaste_mail::text_from_html(&html.content));
        let text = self.view.text.as_ref().map(|text| text.content.clone()).or_else(html);
        super::code::find(&self.message.subject).or_else(|| super::code::find(&text.unwrap_or_default()))
    }
}

fn links_from_text(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in text.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"')) {
        if found.len() == MOST_LINKS {
            break;
        }
        let start = word.find("https://").or_else(|| word.find("http://"));
        let link =
            start.map(|start| word[start..].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '\'']));
        if let Some(link) = link
            && link.len() > "https://".len()
            && !found.iter().any(|known| known == link)
        {
            found.push(link.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_in_text_end_where_the_sentence_goes_on() {
        let text = "See https://a.example/x?y=1, or (http://b.example/z). <https://c.example>\nhttps://a.example/x?y=1";
        assert_eq!(
            links_from_text(text),
            ["https://a.example/x?y=1", "http://b.example/z", "https://c.example"]
        );
        assert_eq!(links_from_text("ftp://a https:// nothing"), [""; 0]);
    }
}
