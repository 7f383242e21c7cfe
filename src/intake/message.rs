//! Every check on one draft, all faults at once, and the email that comes of it.

use super::limits::{BODY_BYTES, SUBJECT_CHARS};
use super::sender::Sender;
use super::{
    Intake, Prepared, Submission, addresses, attachments, fields, first_decisions, sender, unavailable,
};
use crate::auth::Caller;
use crate::auth::link::FileLink;
use posthaste_model::credential::KeyMode;
use posthaste_model::decision::Decision;
use posthaste_model::draft::{Draft, Field};
use posthaste_model::email::{Attachment, Content, Email, Parts, TemplateRef};
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_model::template::Template;
use posthaste_model::{EmailId, Timestamp};
use std::sync::Arc;

/// Above this much base64 the decoding leaves the async threads.
const DECODE_INLINE: usize = 256 * 1024;

impl Intake {
    /// Judges a draft; `Ok` can be stored as it is.
    pub(super) async fn prepare(
        &self,
        caller: &Caller,
        draft: &Draft,
        submission: &Submission<'_>,
        now: Timestamp,
    ) -> Result<Prepared, Refusal> {
        let mut faults = draft.faults.clone();
        if faults.iter().any(|fault| fault.field == Field::Request) {
            // No email at all: to name each field that is missing in it would be noise.
            return Err(Refusal::Invalid(faults));
        }
        let sender = self.sender(caller, draft, &mut faults).await?;
        let recipients = addresses::recipients(draft, self.limits.recipients, &mut faults);
        let reply_to = addresses::reply_to(draft, &mut faults);
        self.eo_event(caller, draft, &mut faults).await?;
        let template = self.template(caller, draft, &mut faults).await?;
        let subject = self.wording(caller, draft, template.as_deref(), &mut faults);
        let fields = fields::judge(draft, now, &mut faults);
        self.judge_unsubscribe(draft, recipients.len(), &mut faults);
        let mut files = self.files(draft, &mut faults).await;

        let (Some(sender), Some(subject)) = (sender, subject) else { return Err(refusal(faults)) };
        if !faults.is_empty() {
            return Err(refusal(faults));
        }
        let id: EmailId = draft.id.unwrap_or_else(|| self.new_id(now));
        let mut decisions = first_decisions(caller, sender.decision, submission);
        decisions.extend(own_decisions(template.as_deref(), fields.send_at));
        self.link_large(&mut files.described, caller, id, now);
        let mut email = Email {
            id,
            client_id: caller.client.id,
            credential_id: caller.credential_id(),
            source: draft.source,
            test_mode: caller.credential.mode == KeyMode::Test,
            message_id: format!("{id}@{}", sender.domain.as_str()),
            domain: sender.domain.as_str().to_owned(),
            from: sender.from,
            recipients,
            reply_to,
            subject,
            content: Content::Parts(parts(draft, template.as_deref(), fields.headers)),
            attachments: files.described,
            tags: draft.tags.clone(),
            metadata: draft.metadata.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            event_id: draft.event_id,
            priority: fields.priority,
            requested_at: now,
            send_at: fields.send_at,
            idempotency_key: submission.idempotency.as_ref().map(|request| request.key.clone()),
            correlation_id: submission.correlation.as_str().to_owned(),
            signed_by: Some(sender.signed_by),
            resent_from: None,
            decisions,
        };
        self.add_unsubscribe(draft, &mut email);
        self.suppress(caller, &mut email, now).await?;
        Ok(Prepared { email, files: files.contents })
    }

    /// The sender, when it is one; what is wrong with it is added to `faults`.
    async fn sender(
        &self,
        caller: &Caller,
        draft: &Draft,
        faults: &mut Vec<Fault>,
    ) -> Result<Option<Sender>, Refusal> {
        let found = sender::decide(caller, draft).await.map_err(|error| unavailable(&error))?;
        let sender = match found {
            Ok(sender) => sender,
            Err(found) => {
                add_unless_told(faults, found);
                return Ok(None);
            }
        };
        self.sender_config(caller, draft, &sender, faults).await?;
        Ok(Some(sender))
    }

    /// The organization's own addresses are sent as by the client's Microsoft credentials for them, where these are asked
    /// for.
    async fn sender_config(
        &self,
        caller: &Caller,
        draft: &Draft,
        sender: &Sender,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Refusal> {
        if !self.routes.needs_sender_config(draft.source, sender.domain.as_str()) {
            return Ok(());
        }
        let address = &sender.from.address;
        let found = caller.view.sender_config(caller.client.id, address.canonical()).await;
        if !found.map_err(|error| unavailable(&error))?.is_some_and(|config| config.is_active) {
            let message = format!("{} has no active sender config of this client", address.as_str());
            faults.push(Fault::new(Field::From, FaultCode::SenderNotConfigured, message));
        }
        Ok(())
    }

    /// An organizer's event is named by its own client's mail only. A number that stands for no event is the caller's own
    /// affair: it may number events elsewhere.
    async fn eo_event(&self, caller: &Caller, draft: &Draft, faults: &mut Vec<Fault>) -> Result<(), Refusal> {
        let Some(id) = draft.event_id else { return Ok(()) };
        let event = self.store.eo_event(id).await.map_err(|error| unavailable(&error))?;
        if event.is_some_and(|event| event.client_id != caller.client.id) {
            let message = "no EO event of this client has this number";
            faults.push(Fault::new(Field::EventId, FaultCode::UnknownEvent, message));
        }
        Ok(())
    }

    async fn template(
        &self,
        caller: &Caller,
        draft: &Draft,
        faults: &mut Vec<Fault>,
    ) -> Result<Option<Arc<Template>>, Refusal> {
        let Some(code) = draft.template_code.as_deref() else { return Ok(None) };
        let found =
            caller.view.template(caller.client.id, code).await.map_err(|error| unavailable(&error))?;
        if found.is_none() {
            let message = "no template has this code";
            faults.push(Fault::new(Field::TemplateCode, FaultCode::TemplateNotFound, message));
        }
        Ok(found)
    }

    /// Subject, bodies and variables: what is there, and whether it renders. The subject as it will read.
    fn wording(
        &self,
        caller: &Caller,
        draft: &Draft,
        template: Option<&Template>,
        faults: &mut Vec<Fault>,
    ) -> Option<String> {
        let before = faults.len();
        for (field, body) in [(Field::Html, &draft.html), (Field::Text, &draft.text)] {
            if body.as_ref().is_some_and(|body| body.len() > BODY_BYTES) {
                let message = format!("a body may have {BODY_BYTES} bytes; attach larger documents");
                faults.push(Fault::new(field, FaultCode::TooLong, message));
            }
        }
        let can_render = faults.len() == before && (draft.template_code.is_none() || template.is_some());
        let told = faults.len();
        presence(draft, template, faults);
        let is_complete = faults.len() == told;
        if !can_render {
            return None;
        }
        let subject = match self.rendered_subject(caller, draft, template) {
            Ok(subject) => subject,
            Err(mut found) => {
                faults.append(&mut found);
                return None;
            }
        };
        // Looked at so far because what is missing hides no fault of what is there.
        if !is_complete {
            return None;
        }
        if subject.chars().any(char::is_control) {
            let message = "the subject contains a line break or control character";
            faults.push(Fault::new(Field::Subject, FaultCode::ControlCharacter, message));
        }
        if subject.chars().count() > SUBJECT_CHARS {
            let message = format!("the subject may have {SUBJECT_CHARS} characters");
            faults.push(Fault::new(Field::Subject, FaultCode::TooLong, message));
        }
        Some(subject)
    }

    /// Renders once to find at accept what would fail at delivery; literal text is taken as it is.
    fn rendered_subject(
        &self,
        caller: &Caller,
        draft: &Draft,
        template: Option<&Template>,
    ) -> Result<String, Vec<Fault>> {
        let inline = [&draft.subject, &draft.html, &draft.text];
        let has_placeholder =
            |text: &String| text.contains("{{") || text.contains("{%") || text.contains("{#");
        let literal =
            !draft.templated || !inline.iter().any(|part| part.as_ref().is_some_and(has_placeholder));
        if template.is_none() && literal {
            nul_free(draft)?;
            return Ok(draft.subject.clone().unwrap_or_default());
        }
        let parts = parts(draft, template, Vec::new());
        self.renderer.check(caller.client.id, &parts, template).map(|rendered| rendered.subject)
    }

    /// Gives the files that are too large to be carried their links.
    fn link_large(&self, files: &mut [Attachment], caller: &Caller, email_id: EmailId, now: Timestamp) {
        let Some(rule) = &self.limits.links else { return };
        // As long as files are kept.
        let kept = caller.client.retention;
        let lifetime = kept.bodies.unwrap_or(rule.lifetime);
        let expires_at = now.plus(kept.records.map_or(lifetime, |records| lifetime.min(records)));
        for (index, file) in (0_u16..).zip(files) {
            if file.size > rule.above_bytes && !file.inline {
                let link = FileLink { client_id: caller.client.id, email_id, index, expires_at };
                file.link = Some(format!("{}/files/{}", rule.base_url, link.token(&rule.vault)));
            }
        }
    }

    async fn files(&self, draft: &Draft, faults: &mut Vec<Fault>) -> attachments::Files {
        let encoded: usize = draft.attachments.iter().map(|a| a.content_base64.len()).sum();
        if encoded <= DECODE_INLINE {
            return attachments::read(draft, &self.limits, faults);
        }
        // Copying the draft's files would double them in memory; the runtime is told to move its other work instead.
        tokio::task::block_in_place(|| attachments::read(draft, &self.limits, faults))
    }
}

/// Invalid; or, when all that is wrong is the size of the files, too large.
fn refusal(mut faults: Vec<Fault>) -> Refusal {
    let only_size = faults.iter().all(|fault| fault.code == FaultCode::AttachmentTooLarge);
    if only_size && let Some(first) = faults.pop() {
        return Refusal::TooLarge(first);
    }
    Refusal::Invalid(faults)
}

/// Adds faults at fields that have none yet: a sender of the wrong type need not be called missing as well.
fn add_unless_told(faults: &mut Vec<Fault>, found: Vec<Fault>) {
    for fault in found {
        if !faults.iter().any(|known| known.field == fault.field) {
            faults.push(fault);
        }
    }
}

/// What the draft itself decides: the template's version, and when it is due.
fn own_decisions(template: Option<&Template>, send_at: Option<Timestamp>) -> impl Iterator<Item = Decision> {
    let template = template.map(|template| {
        let outcome = format!("{} version {}", template.code, template.version);
        Decision::new("template", outcome, "the newest version at acceptance")
    });
    let schedule = send_at.map(|at| Decision::new("schedule", at.to_string(), "send_at lies ahead"));
    template.into_iter().chain(schedule)
}

fn parts(draft: &Draft, template: Option<&Template>, headers: Vec<(String, String)>) -> Parts {
    Parts {
        subject: draft.subject.clone(),
        html: draft.html.clone(),
        text: draft.text.clone(),
        template: template.map(|t| TemplateRef { code: t.code.clone(), version: t.version }),
        variables: draft.variables.clone(),
        templated: draft.templated,
        headers,
    }
}

/// A subject unless the template has one; a body of some kind.
fn presence(draft: &Draft, template: Option<&Template>, faults: &mut Vec<Fault>) {
    let told = |faults: &[Fault], field: &Field| faults.iter().any(|fault| fault.field == *field);
    let template_subject = template.is_some_and(|t| t.subject.is_some());
    let subject = draft.subject.as_ref().is_some_and(|s| !s.trim().is_empty());
    if !subject && !template_subject && draft.template_code.is_none() && !told(faults, &Field::Subject) {
        faults.push(Fault::new(Field::Subject, FaultCode::Required, "subject is required"));
    } else if !subject && template.is_some() && !template_subject {
        let message = "subject is required: the template has none";
        faults.push(Fault::new(Field::Subject, FaultCode::Required, message));
    }
    let body = [&draft.html, &draft.text].iter().any(|b| b.as_ref().is_some_and(|b| !b.is_empty()));
    let body_told =
        told(faults, &Field::Html) || told(faults, &Field::Text) || told(faults, &Field::TemplateCode);
    if !body && draft.template_code.is_none() && !body_told {
        let message = "at least one of html, text and template_code is required";
        faults.push(Fault::new(Field::Html, FaultCode::MissingBody, message));
    }
}

fn nul_free(draft: &Draft) -> Result<(), Vec<Fault>> {
    let mut faults = Vec::new();
    for (field, body) in [(Field::Html, &draft.html), (Field::Text, &draft.text)] {
        if body.as_ref().is_some_and(|body| body.contains('\0')) {
            faults.push(Fault::new(field, FaultCode::ControlCharacter, "the body contains NUL"));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}
