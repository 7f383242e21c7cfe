//! Messages with large files: a draft, each large file by an upload session in pieces, then the draft is sent. Until
//! that last request nothing has gone out, so any loss before it is certain.

use super::letter::{FILE_MAX, all_files, file, message};
use super::session::Session;
use super::{REQUEST_MAX, bytes_of, segment};
use crate::transports::provider::call::{Call, Reply};
use crate::transports::provider::content::Content;
use crate::transports::provider::verdict::Verdict;
use crate::transports::{LeaseGuard, Outgoing};
use bytes::Bytes;
use http::Method;
use posthaste_mail::view::Piece;
use posthaste_model::FailureCode;
use posthaste_model::outcome::{Failure, RecipientOutcome};
use reqwest::Url;
use serde_json::{Value, json};

/// The largest file, in bytes.
const UPLOAD_MAX: usize = 150_000_000;
/// A piece of an upload, in bytes: below 4 MB, and a multiple of 320 KiB as uploads to Microsoft are.
const CHUNK: usize = 12 * 320 * 1024;
/// Where Microsoft lets files be uploaded to, with all names below.
const UPLOAD_HOSTS: [&str; 6] =
    ["office.com", "office365.com", "office365.us", "outlook.cn", "microsoft.com", "microsoft.us"];

type Judged = (Verdict, bool);

/// Sends by a draft.
pub(super) async fn send(
    session: &Session<'_>,
    outgoing: &Outgoing<'_>,
    content: &Content,
    lease: &LeaseGuard,
) -> Judged {
    let files = all_files(content);
    if let Some(file) = files.iter().find(|file| file.content.len() > UPLOAD_MAX) {
        let message =
            format!("Microsoft Graph takes files of {UPLOAD_MAX} bytes, {} is larger", file.filename);
        return (Verdict::over_limit(message), false);
    }
    let draft = match create(session, outgoing, content).await {
        Ok(draft) => draft,
        Err(judged) => return judged,
    };
    let path = format!("/messages/{}", segment(&draft));
    let filled = fill(session, outgoing, &path, &files).await;
    let judged = match filled {
        Ok(()) if !lease.still_held() => (Verdict::LeaseLost, false),
        Ok(()) => {
            let called = session.call((Method::POST, &format!("{path}/send")), "", Bytes::new(), None).await;
            session.judge_last(called, outgoing)
        }
        Err(judged) => judged,
    };
    let may_be_sent =
        matches!(judged.0, Verdict::Accepted { .. } | Verdict::Not(RecipientOutcome::Uncertain(_)));
    if !may_be_sent {
        // The next attempt makes its own; one that stays behind harms nobody.
        let _ = session.call((Method::DELETE, &path), "", Bytes::new(), None).await;
    }
    judged
}

async fn create(session: &Session<'_>, outgoing: &Outgoing<'_>, content: &Content) -> Result<String, Judged> {
    let body: Value = message(outgoing, content).into();
    let body = bytes_of(&body);
    if body.len() > REQUEST_MAX {
        let message =
            format!("Microsoft Graph takes bodies of {REQUEST_MAX} bytes, this one has {}", body.len());
        return Err((Verdict::over_limit(message), false));
    }
    let called = session.call((Method::POST, "/messages"), "application/json", body, None).await;
    let reply = session.judge_earlier(called, outgoing)?;
    reply.json()["id"].as_str().map(str::to_owned).ok_or_else(|| odd("made a draft without an id"))
}

async fn fill(
    session: &Session<'_>,
    outgoing: &Outgoing<'_>,
    path: &str,
    files: &[Piece],
) -> Result<(), Judged> {
    for piece in files {
        if piece.content.len() < FILE_MAX {
            let path = format!("{path}/attachments");
            let body = bytes_of(&file(piece));
            let called = session.call((Method::POST, &path), "application/json", body, None).await;
            session.judge_earlier(called, outgoing)?;
        } else {
            upload(session, outgoing, path, piece).await?;
        }
    }
    Ok(())
}

async fn upload(
    session: &Session<'_>,
    outgoing: &Outgoing<'_>,
    path: &str,
    piece: &Piece,
) -> Result<(), Judged> {
    let mut item = json!({
        "attachmentType": "file",
        "name": piece.filename,
        "size": piece.content.len(),
        "contentType": piece.mime,
    });
    if let Some(id) = &piece.content_id {
        item["isInline"] = piece.is_inline.into();
        item["contentId"] = id.as_str().into();
    }
    let path = format!("{path}/attachments/createUploadSession");
    let body = bytes_of(&json!({"AttachmentItem": item}));
    let called = session.call((Method::POST, &path), "application/json", body, None).await;
    let opened = session.judge_earlier(called, outgoing)?.json();
    let url = opened["uploadUrl"].as_str().unwrap_or_default();
    if !may_upload_to(url, &session.place.graph_url) {
        return Err(odd("named a place for uploads that is not Microsoft's"));
    }
    let content = Bytes::copy_from_slice(&piece.content);
    let total = content.len();
    let mut from = 0;
    while from < total {
        let to = (from + CHUNK).min(total);
        let range = format!("bytes {from}-{}/{total}", to - 1);
        let reply = put(session, url, range, content.slice(from..to)).await;
        session.judge_earlier(reply, outgoing)?;
        from = to;
    }
    Ok(())
}

/// No token: the URL itself is the permission.
async fn put(
    session: &Session<'_>,
    url: &str,
    range: String,
    chunk: Bytes,
) -> Result<Reply, super::session::Trouble> {
    let headers = vec![("Content-Range", range), ("Content-Type", "application/octet-stream".to_owned())];
    let call = Call { method: Method::PUT, url, headers, body: vec![chunk], lease: None };
    session.http.call(call).await.map_err(super::session::Trouble::Call)
}

/// An upload goes to Microsoft by TLS, or back to where Graph itself was configured to be.
fn may_upload_to(url: &str, graph_url: &str) -> bool {
    let (Ok(url), Ok(graph)) = (Url::parse(url), Url::parse(graph_url)) else { return false };
    let host = url.host_str().unwrap_or_default();
    let is_microsoft =
        UPLOAD_HOSTS.iter().any(|known| host.strip_suffix(known).is_some_and(|rest| rest.ends_with('.')));
    let has_no_user = url.username().is_empty() && url.password().is_none();
    url.origin() == graph.origin()
        || (url.scheme() == "https" && url.port().is_none() && has_no_user && is_microsoft)
}

fn odd(what: &str) -> Judged {
    let message = format!("Microsoft Graph {what}");
    (Verdict::later(Failure::new(FailureCode::ServerError, message)), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_to_microsoft_only() {
        let graph = "https://graph.microsoft.com";
        for (url, is_fine) in [
            ("https://outlook.office.com/api/v2.0/Users('x')/AttachmentSessions('y')?authtoken=z", true),
            ("https://outlook.office365.com/x", true),
            ("https://graph.microsoft.com/x", true),
            ("http://outlook.office.com/x", false),
            ("https://outlook.office.com.evil.example/x", false),
            ("https://eviloffice.com/x", false),
            ("https://outlook.office.com:8443/x", false),
            ("https://outlook.office.com@evil.example/x", false),
            ("https://127.0.0.1/x", false),
            ("", false),
        ] {
            assert_eq!(may_upload_to(url, graph), is_fine, "{url}");
        }
        assert!(may_upload_to("http://127.0.0.1:9/upload", "http://127.0.0.1:9"));
        assert!(!may_upload_to("http://127.0.0.1:10/upload", "http://127.0.0.1:9"));
    }
}
