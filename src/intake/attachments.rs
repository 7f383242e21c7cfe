//! Reads and judges the files of a draft: base64, size, name, type by declaration and by content.

use super::IntakeLimits;
use super::limits::ATTACHMENTS;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use posthaste_mail::{filename, mime_sniff};
use posthaste_model::draft::{AttachmentField, Draft, DraftAttachment, Field};
use posthaste_model::email::{Attachment, BlobHash, Source};
use posthaste_model::refusal::{Fault, FaultCode};

/// Files with their descriptions, in the order given.
#[derive(Default)]
pub(super) struct Files {
    pub described: Vec<Attachment>,
    pub contents: Vec<Bytes>,
}

/// Judges all files. CPU-bound: base64 and hashing of up to the body's limit.
pub(super) fn read(draft: &Draft, limits: &IntakeLimits, faults: &mut Vec<Fault>) -> Files {
    if draft.attachments.len() > ATTACHMENTS {
        let message = format!("at most {ATTACHMENTS} attachments");
        faults.push(Fault::new(Field::Attachments, FaultCode::OutOfRange, message));
        return Files::default();
    }
    let mut files = Files::default();
    let mut total: u64 = 0;
    for (index, given) in draft.attachments.iter().enumerate() {
        let judge = Judge { draft, limits, index, given };
        match judge.read() {
            Err(mut found) => faults.append(&mut found),
            Ok((described, content)) => {
                total += described.size;
                files.described.push(described);
                files.contents.push(content);
            }
        }
    }
    if total > limits.attachments_bytes {
        let message = format!("all attachments together may have {} bytes", limits.attachments_bytes);
        faults.push(Fault::new(Field::Attachments, FaultCode::AttachmentTooLarge, message));
    }
    let mut ids: Vec<&str> = files.described.iter().filter_map(|a| a.content_id.as_deref()).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        faults.push(Fault::new(Field::Attachments, FaultCode::InvalidValue, "a content_id stands twice"));
    }
    files
}

struct Judge<'a> {
    draft: &'a Draft,
    limits: &'a IntakeLimits,
    index: usize,
    given: &'a DraftAttachment,
}

impl Judge<'_> {
    /// Whether this part, or the whole attachment, could not be read and was told of already.
    fn is_told(&self, part: AttachmentField) -> bool {
        self.draft.faults.iter().any(|fault| match fault.field {
            Field::Attachment(index, told) => {
                index == self.index && (told == part || told == AttachmentField::Whole)
            }
            _ => false,
        })
    }

    fn fault(&self, part: AttachmentField, code: FaultCode, message: impl Into<String>) -> Fault {
        Fault::new(Field::Attachment(self.index, part), code, message)
    }

    fn read(&self) -> Result<(Attachment, Bytes), Vec<Fault>> {
        if self.is_told(AttachmentField::Whole) {
            return Err(Vec::new());
        }
        let mut faults = Vec::new();
        let filename = filename::safe_filename(&self.given.filename)
            .map_err(|error| {
                if !self.is_told(AttachmentField::Filename) {
                    let message = format!("the file name {error}");
                    faults.push(self.fault(AttachmentField::Filename, FaultCode::InvalidFilename, message));
                }
            })
            .ok();
        let content = if self.is_told(AttachmentField::Content) {
            None
        } else {
            self.content().map_err(|fault| faults.push(fault)).ok()
        };
        let content_id = self.content_id().map_err(|fault| faults.push(fault)).ok();
        let inline = self.inline().map_err(|fault| faults.push(fault)).ok();
        let mime = match (&filename, &content) {
            (Some(name), Some(content)) if !self.is_told(AttachmentField::Mime) => {
                self.media_type(name, content).map_err(|fault| faults.push(fault)).ok()
            }
            _ => None,
        };
        match (filename, content, content_id, inline, mime) {
            (Some(filename), Some(content), Some(content_id), Some(inline), Some(mime)) => {
                let sha256 = BlobHash::of(&content);
                let inline = inline.unwrap_or(content_id.is_some());
                let size = content.len() as u64;
                Ok((Attachment { filename, mime, size, sha256, content_id, inline, link: None }, content))
            }
            _ => Err(faults),
        }
    }

    fn content(&self) -> Result<Bytes, Fault> {
        let too_large = || {
            let message = format!("an attachment may have {} bytes", self.limits.attachment_bytes);
            self.fault(AttachmentField::Content, FaultCode::AttachmentTooLarge, message)
        };
        // Four characters carry three bytes: refuse by length before decoding.
        if self.given.content_base64.len() as u64 / 4 * 3 > self.limits.attachment_bytes + 3 {
            return Err(too_large());
        }
        let content = STANDARD.decode(self.given.content_base64.as_bytes()).map_err(|_| {
            let message = "the content is not base64 (RFC 4648 section 4, padded, no line breaks)";
            self.fault(AttachmentField::Content, FaultCode::InvalidBase64, message)
        })?;
        if content.len() as u64 > self.limits.attachment_bytes {
            return Err(too_large());
        }
        Ok(Bytes::from(content))
    }

    fn content_id(&self) -> Result<Option<String>, Fault> {
        let Some(id) = self.given.content_id.as_deref() else { return Ok(None) };
        let id = id.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(id);
        let plain = |b: u8| b.is_ascii_graphic() && !b"<>()[]\\,;:\"".contains(&b);
        if id.is_empty() || id.len() > 200 || !id.bytes().all(plain) {
            let message =
                "a content id has 1 to 200 visible ASCII characters without brackets, quotes or commas";
            return Err(self.fault(AttachmentField::ContentId, FaultCode::InvalidValue, message));
        }
        Ok(Some(id.to_owned()))
    }

    fn inline(&self) -> Result<Option<bool>, Fault> {
        match self.given.disposition.as_deref() {
            None => Ok(None),
            Some("inline") => Ok(Some(true)),
            Some("attachment") => Ok(Some(false)),
            Some(_) => {
                let message = "the disposition is attachment or inline";
                Err(self.fault(AttachmentField::Disposition, FaultCode::InvalidValue, message))
            }
        }
    }

    /// The declared type if it is well-formed, allowed and agrees with the content; else the one found.
    fn media_type(&self, filename: &str, content: &[u8]) -> Result<String, Fault> {
        let bound = self.draft.source == Source::Emails || self.limits.types_everywhere;
        let mime = match self.given.mime.as_deref() {
            Some(declared) => self.declared(declared)?,
            None => mime_sniff::sniff(content, filename)
                .or_else(|| mime_sniff::type_from_name(filename))
                .unwrap_or("application/octet-stream")
                .to_owned(),
        };
        if bound && !self.limits.allowed_types.contains(&mime) {
            let message = format!("files of type {mime} may not be attached");
            return Err(self.fault(AttachmentField::Mime, FaultCode::AttachmentType, message));
        }
        if bound && !mime_sniff::agrees(&mime, content) {
            let message = format!("the content is not {mime}");
            return Err(self.fault(AttachmentField::Mime, FaultCode::AttachmentMismatch, message));
        }
        Ok(mime)
    }

    /// `type/subtype` in lower case; parameters are left out, as they are ours to write.
    fn declared(&self, declared: &str) -> Result<String, Fault> {
        let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let token = |part: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
            !part.is_empty() && part.len() <= 127 && part.bytes().all(plain)
        };
        let clean = declared.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        match essence.split_once('/') {
            Some((kind, sub)) if clean && token(kind) && token(sub) && kind != "multipart" => Ok(essence),
            _ => {
                let message = "a media type looks like application/pdf";
                Err(self.fault(AttachmentField::Mime, FaultCode::InvalidValue, message))
            }
        }
    }
}
