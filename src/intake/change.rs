//! What a caller may still change about an accepted email: take it back, or send it again as a new one.

use super::commit::no_room;
use super::{Accepted, Intake, Prepared, Submission, Wanted, first_decisions, sender, unavailable};
use crate::auth::Caller;
use crate::live::Change;
use bytes::Bytes;
use posthaste_model::credential::{KeyMode, Permission};
use posthaste_model::decision::Decision;
use posthaste_model::email::{Content, Email};
use posthaste_model::refusal::Refusal;
use posthaste_model::{EmailId, Timestamp};
use posthaste_store::CancelResult;

impl Intake {
    /// Takes an email back while it is scheduled or queued. Of a cancel and a worker's claim exactly one wins.
    pub async fn cancel(&self, caller: &Caller, id: EmailId) -> Result<(), Refusal> {
        caller.must(Permission::EmailsCancel)?;
        let now = self.clock.now();
        let result =
            self.store.cancel(caller.client.id, id, now).await.map_err(|error| unavailable(&error))?;
        match result {
            CancelResult::Cancelled => {
                // The caller may ask for the status in the next moment, of any node.
                self.live.announce_at_once(Change { client_id: caller.client.id, email_id: id }).await;
                Ok(())
            }
            CancelResult::NotCancellable(status) => Err(Refusal::CannotCancel(status.as_str())),
            CancelResult::NotFound => Err(Refusal::NotFound),
        }
    }

    /// Sends an email again: a new email with the same content, linked to the old one, due at once.
    pub async fn resend(
        &self,
        caller: &Caller,
        id: EmailId,
        submission: Submission<'_>,
    ) -> Result<Accepted, Refusal> {
        caller.must(Permission::EmailsSend)?;
        if let Some(answer) = self.replayed(caller, submission.idempotency.as_ref()).await? {
            return Ok(Accepted::Replayed(answer));
        }
        let found = self.store.email(caller.client.id, id).await.map_err(|error| unavailable(&error))?;
        let found = found.ok_or(Refusal::NotFound)?;
        if found.content_dropped {
            return Err(content_gone());
        }
        let original = found.email;
        let files = self.files_of(&original).await?;
        self.store_wanted(caller, Wanted::Copy(&original, &files), &submission).await
    }

    /// A new email like `original`, if the caller may send as its sender today.
    pub(super) async fn prepare_copy(
        &self,
        caller: &Caller,
        original: &Email,
        files: &[Bytes],
        submission: &Submission<'_>,
        now: Timestamp,
    ) -> Result<Prepared, Refusal> {
        let sender = sender::again(caller, original).await.map_err(|error| unavailable(&error))?;
        let sender = sender.map_err(|fault| Refusal::Invalid(vec![fault]))?;
        let mut decisions = first_decisions(caller, sender, submission);
        let reason = "content and template version of this email";
        decisions.push(Decision::new("resend", original.id.to_string(), reason));
        let signed_by = match &original.content {
            Content::Parts(_) => {
                let found = caller.view.selectors(&original.domain).await;
                Some(found.map_err(|error| unavailable(&error))?.to_vec())
            }
            Content::Raw { .. } | Content::Whole { .. } => None,
        };
        let id = self.new_id(now);
        let mut email = Email {
            id,
            credential_id: caller.credential_id(),
            test_mode: original.test_mode || caller.credential.mode == KeyMode::Test,
            message_id: format!("{id}@{}", original.domain),
            requested_at: now,
            send_at: None,
            idempotency_key: submission.idempotency.as_ref().map(|request| request.key.clone()),
            correlation_id: submission.correlation.as_str().to_owned(),
            signed_by,
            resent_from: Some(original.id),
            decisions,
            ..original.clone()
        };
        self.suppress(caller, &mut email, now).await?;
        Ok(Prepared { email, files: files.to_vec() })
    }

    /// The files of an email. Put down again with the copy's commit, they are young once more: retention, which may be
    /// dropping the original at this moment, leaves them to the copy.
    async fn files_of(&self, email: &Email) -> Result<Vec<Bytes>, Refusal> {
        let raw = match &email.content {
            Content::Raw { sha256, .. } => Some(sha256),
            Content::Parts(_) | Content::Whole { .. } => None,
        };
        let mut files = Vec::with_capacity(email.attachments.len() + 1);
        for hash in email.attachments.iter().map(|attachment| &attachment.sha256).chain(raw) {
            let file = self.blobs.get(hash).await;
            files.push(file.map_err(|e| if e.is_transient() { no_room() } else { content_gone() })?);
        }
        Ok(files)
    }
}

fn content_gone() -> Refusal {
    Refusal::Conflict("the content of this email is no longer kept".to_owned())
}
