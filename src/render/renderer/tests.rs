use super::*;
use crate::base::chance::Chance;
use posthaste_mail::Mailbox;
use posthaste_mail::dkim::{generate_ed25519, generate_rsa};
use posthaste_model::client::Client;
use posthaste_model::domain::{DkimKey, SendingDomain};
use posthaste_model::email::{Attachment, BlobHash, Priority, Recipient, RecipientKind};
use posthaste_model::fault::Faults;
use posthaste_model::{DomainId, EmailId, TemplateId, Timestamp};
use posthaste_store::{Actor, StoreSettings};
use serde_json::json;
use std::collections::BTreeMap;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

struct Rig {
    renderer: Renderer,
    store: Store,
    vault: Vault,
    actor: Actor,
    folder: tempfile::TempDir,
}

fn client_id() -> ClientId {
    ClientId::from_bytes([2; 16])
}

fn vault() -> Vault {
    let chance = Chance::new();
    Vault::new(&Vault::generate_key(&chance), chance).unwrap()
}

async fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(StoreSettings::new(folder.path().join("test.db"))).await.unwrap();
    let blobs = Blobs::files(&folder.path().join("blobs"), Faults::none()).unwrap();
    let vault = vault();
    let actor = Actor { kind: "cli".to_owned(), id: None, address: None };
    let client = Client {
        id: client_id(),
        name: "shop".into(),
        department: None,
        is_active: true,
        retention: posthaste_model::client::Retention::default(),
        created_at: NOW,
    };
    store.create_client(client, &actor).await.unwrap();
    let domain = SendingDomain {
        id: DomainId::from_bytes([3; 16]),
        client_id: None,
        name: "example.com".into(),
        default_from: None,
        bounce_webhook_enabled: true,
        created_at: NOW,
    };
    store.create_domain(domain, &actor).await.unwrap();
    let renderer = Renderer::new(store.clone(), blobs, vault.clone(), Faults::none());
    Rig { renderer, store, vault, actor, folder }
}

impl Rig {
    async fn add_key(&self, selector: &str, algorithm: &str, key: &[u8], vault: &Vault) {
        let place = format!("dkim_keys/example.com/{selector}");
        let key = DkimKey {
            domain: "example.com".into(),
            selector: selector.into(),
            sealed_key: vault.seal(&place, key),
            algorithm: algorithm.into(),
            is_active: true,
            created_at: NOW,
        };
        self.store.add_dkim_key(key, &self.actor).await.unwrap();
    }

    async fn text_of(&self, email: &Email) -> String {
        let message = self.renderer.message(email).await.unwrap();
        assert_eq!(message, self.renderer.message(email).await.unwrap(), "the same bytes on each call");
        String::from_utf8(message.bytes.to_vec()).unwrap()
    }
}

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap()
}

fn recipient(kind: RecipientKind, text: &str) -> Recipient {
    Recipient { kind, mailbox: mailbox(text), suppressed: None }
}

fn email(content: Content) -> Email {
    Email {
        id: EmailId::new(NOW, [7; 10]),
        client_id: client_id(),
        credential_id: None,
        source: posthaste_model::email::Source::Emails,
        test_mode: false,
        domain: "example.com".into(),
        from: mailbox("Shop <noreply@example.com>"),
        recipients: vec![
            recipient(RecipientKind::To, "Ann <ann@client.test>"),
            recipient(RecipientKind::Cc, "bob@client.test"),
            recipient(RecipientKind::Bcc, "hidden@client.test"),
        ],
        reply_to: vec![mailbox("help@example.com")],
        subject: "Selamat datang".into(),
        content,
        attachments: Vec::new(),
        tags: Vec::new(),
        metadata: BTreeMap::new(),
        event_id: None,
        priority: Priority::DEFAULT,
        requested_at: NOW,
        send_at: None,
        idempotency_key: None,
        correlation_id: "test".into(),
        message_id: "abc@example.com".into(),
        signed_by: None,
        resent_from: None,
        decisions: Vec::new(),
    }
}

fn parts(value: serde_json::Value) -> Content {
    Content::Parts(serde_json::from_value(value).unwrap())
}

#[tokio::test]
async fn writes_what_the_email_says_and_nothing_of_bcc() {
    let rig = rig().await;
    let mut email = email(parts(json!({
        "html": "<p>Halo {{ name }}</p>", "variables": {"name": "Ann <3"}, "templated": true,
        "headers": [["X-Campaign", "autumn"], ["X-Posthaste-Id", "forged"]],
    })));
    let text = rig.text_of(&email).await;
    for line in [
        "From: Shop <noreply@example.com>\r\n",
        "To: Ann <ann@client.test>\r\n",
        "Cc: bob@client.test\r\n",
        "Reply-To: help@example.com\r\n",
        "Subject: Selamat datang\r\n",
        "Message-ID: <abc@example.com>\r\n",
        "X-Campaign: autumn\r\n",
        &format!("X-Posthaste-Id: {}\r\n", email.id),
        "<p>Halo Ann &lt;3</p>",
        "Halo Ann <3",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    assert!(!text.contains("hidden") && !text.contains("forged") && !text.contains("DKIM"), "{text}");
    let content = rig.renderer.content(&email).await.unwrap();
    assert_eq!(content.html.as_deref(), Some("<p>Halo Ann &lt;3</p>"));
    assert_eq!(content.text.as_deref().map(str::trim), Some("Halo Ann <3"));

    email.recipients.push(recipient(RecipientKind::Bcc, "jörg@client.test"));
    let message = rig.renderer.message(&email).await.unwrap();
    assert!(message.smtputf8 && !message.is_8bit);
}

#[tokio::test]
async fn an_email_keeps_the_template_version_it_was_accepted_with() {
    let rig = rig().await;
    let mut stored = crate::render::wording::tests::stored(json!({"html": "<p>one {{ n }}</p>"}));
    stored.id = TemplateId::from_bytes([9; 16]);
    rig.store.put_template(stored.clone(), &rig.actor).await.unwrap();
    stored.html = Some("<p>two</p>".into());
    rig.store.put_template(stored, &rig.actor).await.unwrap();
    rig.store.delete_template(client_id(), "welcome", &rig.actor).await.unwrap();
    let of_version = |version| {
        let used = json!({"code": "welcome", "version": version});
        email(parts(json!({"template": used, "variables": {"n": 1}})))
    };
    assert!(rig.text_of(&of_version(1)).await.contains("<p>one 1</p>"));
    assert!(rig.text_of(&of_version(2)).await.contains("<p>two</p>"));
    let error = rig.renderer.message(&of_version(3)).await.unwrap_err();
    assert_eq!(error.to_string(), "version 3 of template welcome is gone");
    assert!(error.is_permanent());
}

#[tokio::test]
async fn files_come_from_the_blobs() {
    let rig = rig().await;
    for size in [10, 300_000] {
        let content = Bytes::from(vec![b'x'; size]);
        let attachment = Attachment {
            filename: "brosur.pdf".into(),
            mime: "application/pdf".into(),
            size: size as u64,
            sha256: BlobHash::of(&content),
            content_id: None,
            inline: false,
            link: None,
        };
        let mut email = email(parts(json!({"text": "see the file"})));
        email.attachments.push(attachment);
        let error = rig.renderer.message(&email).await.unwrap_err();
        assert!(matches!(error, RenderError::Blob(BlobError::Missing(_))) && error.is_permanent());
        Blobs::files(&rig.folder.path().join("blobs"), Faults::none()).unwrap().put(content).await.unwrap();
        let text = rig.text_of(&email).await;
        assert!(text.contains("brosur.pdf") && text.len() > size, "{size}");
    }
}

#[tokio::test]
async fn a_raw_message_goes_out_byte_for_byte() {
    let rig = rig().await;
    let raw = Bytes::from_static("From: a@example.com\r\nSubject: x\r\n\r\nhalo \u{e9}\r\n".as_bytes());
    let blobs = Blobs::files(&rig.folder.path().join("blobs"), Faults::none()).unwrap();
    let sha256 = blobs.put(raw.clone()).await.unwrap();
    let message = rig
        .renderer
        .message(&email(Content::Raw { sha256, size: raw.len() as u64, released_to: None }))
        .await
        .unwrap();
    assert_eq!((message.bytes, message.is_8bit, message.smtputf8), (raw, true, false));
    let raw = Bytes::from_static("From: a@example.com\r\nSubject: \u{e9}\r\n\r\n".as_bytes());
    let sha256 = blobs.put(raw.clone()).await.unwrap();
    let message =
        rig.renderer.message(&email(Content::Raw { sha256, size: 1, released_to: None })).await.unwrap();
    assert!(message.smtputf8, "a header that is not ASCII");
}

#[tokio::test]
async fn every_active_key_signs_and_a_new_one_is_noticed() {
    let rig = rig().await;
    let short = email(parts(json!({"text": "hello"})));
    assert!(!rig.text_of(&short).await.contains("DKIM"));
    rig.add_key("ed", "ed25519", &generate_ed25519().unwrap(), &rig.vault).await;
    rig.add_key("rsa", "rsa", &generate_rsa().unwrap(), &rig.vault).await;
    let signatures = |message: &RenderedMessage| {
        String::from_utf8_lossy(&message.bytes).matches("DKIM-Signature:").count()
    };
    while signatures(&rig.renderer.message(&short).await.unwrap()) < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let text = rig.text_of(&short).await;
    assert!(text.starts_with("DKIM-Signature: v=1;"), "{text}");
    for part in ["a=rsa-sha256", "a=ed25519-sha256", "s=ed;", "s=rsa;", "d=example.com;", "t=1790000000;"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let long = email(parts(json!({"text": "long ".repeat(20_000)})));
    assert_eq!(signatures(&rig.renderer.message(&long).await.unwrap()), 2);
    rig.text_of(&long).await;
}

#[tokio::test]
async fn an_email_is_signed_by_the_keys_that_it_was_accepted_with() {
    let rig = rig().await;
    rig.add_key("old", "ed25519", &generate_ed25519().unwrap(), &rig.vault).await;
    let pinned = |selectors: &[&str]| Email {
        signed_by: Some(selectors.iter().map(|selector| (*selector).to_owned()).collect()),
        ..email(parts(json!({"text": "hello"})))
    };
    let before = rig.text_of(&pinned(&["old"])).await;
    assert!(before.contains("s=old;"), "{before}");
    rig.add_key("new", "ed25519", &generate_ed25519().unwrap(), &rig.vault).await;
    // Known here at once, since no key of that name was: and the older email stays as it was.
    let after = rig.text_of(&pinned(&["new"])).await;
    assert!(after.contains("s=new;") && !after.contains("s=old;"), "{after}");
    assert_eq!(rig.text_of(&pinned(&["old"])).await, before);
    assert!(!rig.text_of(&pinned(&[])).await.contains("DKIM"), "accepted without a key, never signed");
    let both = rig.text_of(&pinned(&["old", "new"])).await;
    assert!(both.find("s=old;") < both.find("s=new;"), "{both}");
    let gone = rig.renderer.message(&pinned(&["gone"])).await.unwrap_err();
    assert!(matches!(gone, RenderError::SigningKey { .. }) && !gone.is_permanent(), "{gone}");
}

#[tokio::test]
async fn a_key_that_signs_nothing_new_still_signs_what_was_accepted_with_it() {
    let rig = rig().await;
    let key = generate_ed25519().unwrap();
    let retired = DkimKey {
        domain: "example.com".into(),
        selector: "retired".into(),
        sealed_key: rig.vault.seal("dkim_keys/example.com/retired", &key),
        algorithm: "ed25519".into(),
        is_active: false,
        created_at: NOW,
    };
    rig.store.add_dkim_key(retired, &rig.actor).await.unwrap();
    let plain = email(parts(json!({"text": "hello"})));
    assert!(!rig.text_of(&plain).await.contains("DKIM"));
    let pinned = Email { signed_by: Some(vec!["retired".into()]), ..plain };
    assert!(rig.text_of(&pinned).await.contains("s=retired;"));
}

#[tokio::test]
async fn a_key_that_cannot_be_opened_holds_the_mail_back() {
    let rig = rig().await;
    rig.add_key("ed", "ed25519", &generate_ed25519().unwrap(), &vault()).await;
    let error = rig.renderer.message(&email(parts(json!({"text": "x"})))).await.unwrap_err();
    assert!(matches!(error, RenderError::SigningKey { .. }) && !error.is_permanent(), "{error}");
    assert!(error.to_string().starts_with("the DKIM key ed._domainkey.example.com"), "{error}");
}

#[test]
fn a_preview_needs_no_store() {
    let stored =
        crate::render::wording::tests::stored(json!({"subject": "{{ a }}", "html": "<b>{{ a }}</b>"}));
    let variables = Map::from_iter([("a".to_owned(), json!("x"))]);
    let rendered = preview(&stored, variables).unwrap();
    assert_eq!((rendered.subject.as_str(), rendered.html.as_deref()), ("x", Some("<b>x</b>")));
    assert_eq!(preview(&stored, Map::new()).unwrap_err()[0].code, FaultCode::MissingVariable);
}
