//! Hostile text in everything that a page shows, in a real browser: nothing runs, nothing loads, nothing leads away (61).

use super::browser::{at, log_in};
use super::{PAGES, ROOT, default_client};
use crate::emails_api::{email_to, with};
use crate::harness::browser::{Browser, make_event, make_user};
use crate::harness::chromium::{Chromium, Looks};
use crate::harness::receiver::status;
use crate::harness::relay::{Action, Script, Step};
use crate::harness::{Receiver, Relay, Server, ServerOptions, eventually};
use serde_json::json;

/// Whatever of this were taken for markup would ask `evil`, or rename the page.
fn hostile(evil: &str) -> String {
    format!(
        "</title></textarea>'\"><img src={evil} onerror=document.title='run'><script>document.title='run'</script>"
    )
}

fn mail(evil: &str) -> String {
    format!(
        "<script>parent.document.title='run';top.location='{evil}'</script><img src='{evil}' onerror='alert(1)'>\
         <link rel=stylesheet href='{evil}'><link rel=dns-prefetch href='{evil}'><style>@import '{evil}';body{{background:url({evil})}}</style>\
         <meta http-equiv=refresh content='0;url={evil}'><base href='{evil}'><iframe src='{evil}'></iframe>\
         <form action='{evil}' id=f><input name=x autofocus onfocus='f.submit()'></form><svg onload=alert(1)></svg>\
         <object data='{evil}'></object><video src='{evil}' autoplay></video><a href='javascript:alert(1)'>x</a>"
    )
}

/// Fills every page with hostile text; the addresses of further pages.
#[track_caller]
fn fill(server: &Server, evil: &str, hook: &Receiver) -> Vec<String> {
    let text = hostile(evil);
    let client = default_client(server);
    let agent = [("User-Agent", text.as_str()), ("Accept", "text/html")];
    let browser = Browser::logged_in(server, ROOT);
    browser.send("GET", "/admin", &agent, b"").expect(200);
    let made = |path: &str, fields: &[(&str, &str)]| {
        let answer = browser.post(path, fields);
        assert!(matches!(answer.status, 200 | 303 | 422), "{path}: {} {}", answer.status, answer.text());
    };
    let short: String = text.chars().take(95).collect();
    made("/admin/clients", &[("name", &short), ("department", &short)]);
    made("/admin/keys", &[("client", &client), ("name", &short), ("permission", "emails:send")]);
    made("/admin/keys", &[("client", &client), ("name", "x"), ("permission", &text)]);
    made("/admin/tokens", &[("name", &format!("b{short}")), ("permission", "mail:send")]);
    made(
        "/admin/domains",
        &[
            ("name", "hostile.example.com"),
            ("client", &client),
            ("default_from", "\"<img src=x onerror=alert(1)>\" <a@example.com>"),
        ],
    );
    let template = [
        ("code", "hostile"),
        ("name", &short[..]),
        ("subject", &text[..]),
        ("html", &mail(evil)),
        ("text", &text[..]),
    ];
    made(&format!("/admin/templates/{client}"), &template);
    made(&format!("/admin/suppressions/{client}"), &[("email", "x@client.com"), ("stream", &short)]);
    made(&format!("/admin/webhooks/{client}"), &[("url", &hook.url()), ("events", "*")]);
    made(
        "/admin/users",
        &[("email", "eve@example.com"), ("name", &short), ("role", "eo"), ("password", "long enough")],
    );
    let event = make_event(server, &short, "eve@example.com").to_string();
    let report = [("event_id", event.as_str()), ("to_email", "refused@client.com"), ("subject", &short)];
    made("/eo/email-reports/send", &report);
    let email = with(
        email_to("refused@client.com", &text),
        json!({"subject": text, "from": format!("{:?} <noreply@example.com>", "<img src=x onerror=alert(1)>"), "html": mail(evil),
            "tags": ["<script>x</script>"], "attachments": [{"filename": "<img src=x onerror=alert(1)>.html",
            "content_base64": "PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==", "mime": "text/html"}]}),
    );
    let refused = server.send(&email);
    eventually("the relay refused it", || (server.email(&refused)["status"] == "failed").then_some(()));
    let sent = server.send(&with(email, json!({"to": ["ann@client.com"]})));
    server.wait_status(&sent, "sent");
    eventually("the webhook was called", || (!hook.calls().is_empty()).then_some(()));
    let mut pages: Vec<String> = PAGES.iter().map(|path| (*path).to_owned()).collect();
    for id in [&refused, &sent] {
        for view in ["html", "text", "headers", "parts", "source"] {
            pages.push(format!("/admin/emails/{client}/{id}?view={view}"));
        }
    }
    let asked = text.bytes().fold(String::new(), |all, byte| all + &format!("%{byte:02X}"));
    pages.extend([
        format!("/admin/emails?client={client}&q={asked}"),
        format!("/admin/emails?client={client}&q=status:{asked}"),
        format!("/admin/audit?action={asked}&target={asked}"),
        format!("/admin/suppressions?client={client}&email={asked}"),
        format!("/admin/templates/{client}?code=hostile"),
        format!("/admin/webhooks?client={client}"),
        "/eo/email-reports?lang=en".to_owned(),
        format!("/eo/email-reports?date_from={asked}&status={asked}"),
        format!("/eo/email-reports?said={asked}"),
    ]);
    pages
}

#[test]
fn a61_hostile_text_stays_text_in_every_page() {
    let (evil, hook) = (Receiver::start(), Receiver::answering(|_, _| Some(status(500))));
    let reply = format!("550 5.1.1 {}", hostile(&evil.url()));
    let relay = Relay::start(Script::accepting().on_matching(Step::Rcpt, "<refused@", Action::reply(reply)));
    let options = ServerOptions::to_relay(&relay)
        .env("WEBHOOKS_ALLOW_PRIVATE", "true")
        .env("POSTHASTE_EO__ATTENTION_AFTER", "1s");
    let server = Server::start(options);
    make_user(&server, ROOT, "admin");
    let pages = fill(&server, &evil.url(), &hook);
    let browser = Chromium::start(Looks::default());
    log_in(&browser, &server, ROOT);
    let fine = "return document.title.endsWith('· Posthaste') && !document.querySelector(
        'script:not([src^=\"/inbox/assets/\"]), [onerror], [onload], img, base, object, embed, meta[http-equiv]')
        && [...document.querySelectorAll('iframe')].every((one) => one.sandbox.length === 0 && one.hasAttribute('sandbox'))";
    for path in &pages {
        browser.open(&at(&server, path));
        assert_eq!(
            browser.ask(fine),
            json!(true),
            "{path}: {}",
            browser.ask("return document.documentElement.outerHTML")
        );
        assert!(
            browser.url().starts_with(&at(&server, path.split('?').next().unwrap_or(path))),
            "{path} led away"
        );
    }
    // The frame's own page, opened by itself.
    let frame = pages
        .iter()
        .find(|path| path.ends_with("view=html"))
        .expect("a message")
        .replace("?view=html", "/html");
    browser.open(&at(&server, &frame));
    assert_eq!(
        browser.ask(
            "return document.title !== 'run' && !document.querySelector('base, meta[http-equiv=refresh]')"
        ),
        json!(true)
    );
    assert!(browser.url().starts_with(&at(&server, &frame)), "{} led away", browser.url());
    assert_eq!(evil.calls(), [], "something was loaded");
}
