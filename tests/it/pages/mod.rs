//! `/admin`: what operators see and change by pages, and that hostile mail stays text there.

mod accessibility;
mod browser;
mod forged;
mod hostile;
mod scriptless;
mod stage;

use crate::emails_api::email_to;
use crate::harness::browser::{Browser, PASSWORD, make_event, make_user};
use crate::harness::{Server, eventually};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Pages of one crawl, against lists that lead on and on.
const CRAWLED: usize = 300;
const ROOT: &str = "root@example.com";
const PAGES: [&str; 10] = [
    "/admin",
    "/admin/emails",
    "/admin/clients",
    "/admin/templates",
    "/admin/webhooks",
    "/admin/suppressions",
    "/admin/domains",
    "/admin/people",
    "/admin/audit",
    "/admin/system",
];

fn default_client(server: &Server) -> String {
    let clients = server.cli_json(&["client", "list"]);
    let found = clients.as_array().expect("a list").iter().find(|one| one["name"] == "default");
    found.expect("the default client")["client_id"].as_str().expect("an id").to_owned()
}

fn admin() -> (Server, Browser) {
    let server = Server::inbox();
    make_user(&server, ROOT, "admin");
    let browser = Browser::logged_in(&server, ROOT);
    (server, browser)
}

#[test]
fn every_page_opens_for_admins_and_viewers_only() {
    let (server, browser) = admin();
    make_user(&server, "viewer@example.com", "viewer");
    make_user(&server, "eo@example.com", "eo");
    let viewer = Browser::logged_in(&server, "viewer@example.com");
    let organizer = Browser::logged_in(&server, "eo@example.com");
    let nobody = Browser::new(&server);
    assert_eq!(nobody.get("/").expect(303).header("location"), Some("/admin"));
    for path in PAGES {
        let page = browser.get(path).expect(200);
        assert!(page.body.len() < 100_000, "{path}: {}", page.body.len());
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        let text = page.text();
        assert!(!text.contains("<style") && !text.contains(" style=") && !text.contains("onclick"), "{path}");
        viewer.get(path).expect(200);
        organizer.get(path).expect(403);
        let told = nobody.get(path).expect(303);
        assert!(told.header("location").is_some_and(|to| to.starts_with("/login?next=")), "{path}");
    }
    viewer.post("/admin/clients", &[("name", "x")]).expect(403);
    organizer.post("/admin/clients", &[("name", "x")]).expect(403);
    browser.post_form("/admin/clients", &[], &[("name", "x")]).expect(419);
    browser.get("/admin/emails/x/y").expect(404);
}

#[test]
fn what_a_page_changes_is_in_the_audit() {
    let (server, browser) = admin();
    browser.post("/admin/clients", &[("name", "Tickets"), ("department", "Sales")]).expect(303);
    let page = browser.get("/admin/clients").expect(200).text();
    assert!(page.contains("Tickets") && page.contains("Sales"));
    browser.post("/admin/clients", &[("name", "Tickets")]).expect(409);
    let client = default_client(&server);
    let fields =
        [("client", client.as_str()), ("name", "by page"), ("permission", "emails:send"), ("rate_limit", "")];
    let shown = browser.post("/admin/keys", &fields).expect(200).text();
    let at = shown.find("ph_live_").expect("a key, shown once");
    let key: String = shown[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let sent =
        server.post_with("/api/emails", &[("X-Api-Key", &key)], &email_to("a@client.com", "x")).expect(202);
    assert!(sent.json()["email_id"].is_string());
    assert!(!browser.get("/admin/clients").expect(200).text().contains(&key));
    let keys = server.cli_json(&["key", "list"]);
    let made = keys.as_array().expect("a list").iter().find(|one| one["name"] == "by page").expect("the key");
    let id = made["id"].as_str().expect("an id");
    browser.post(&format!("/admin/keys/{id}/revoke"), &[]).expect(303);
    server.post_with("/api/emails", &[("X-Api-Key", &key)], &email_to("a@client.com", "x")).expect(401);
    browser.post("/admin/domains", &[("name", "mail.example.com"), ("client", &client)]).expect(303);
    let domains = browser.get("/admin/domains?check=other.example.com").expect(200).text();
    assert!(domains.contains("/admin/domains?check=mail.example.com"), "{domains}");
    let user = [("email", "eo@example.com"), ("role", "eo"), ("password", PASSWORD), ("name", "")];
    browser.post("/admin/users", &user).expect(303);
    let event = [("name", "Konser"), ("owner", "eo@example.com"), ("client", client.as_str())];
    browser.post("/admin/eo-events", &event).expect(303);
    make_user(&server, "viewer@example.com", "viewer");
    let viewer = Browser::logged_in(&server, "viewer@example.com");
    // Reports are not for viewers, so no link leads them there.
    for (reader, is_led) in [(&browser, true), (&viewer, false)] {
        let people = reader.get("/admin/people").expect(200).text();
        assert!(people.contains("Konser"), "{people}");
        assert_eq!(people.contains("/eo/email-reports?event_id="), is_led, "{people}");
    }
    let audit = browser.get("/admin/audit").expect(200).text();
    for action in [
        "client.create",
        "credential.create",
        "credential.revoke",
        "domain.create",
        "user.create",
        "eo_event.create",
    ] {
        assert!(audit.contains(action), "{action}");
    }
    assert!(audit.contains(ROOT), "who did it");
}

#[test]
fn a_word_that_a_form_does_not_know_is_refused_by_name() {
    let (server, browser) = admin();
    let client = default_client(&server);
    let refused = |path: &str, fields: &[(&str, &str)], said: &str| {
        let page = browser.post(path, fields).expect(422).text();
        assert!(page.contains(said), "{path} {fields:?}: {page}");
    };
    let key = [("client", client.as_str()), ("name", "typo"), ("permission", "emails:send")];
    refused("/admin/keys", &[&key[..], &[("permission", "emails:reed")]].concat(), "emails:reed");
    refused("/admin/keys", &key[..2], "at least one permission");
    refused("/admin/keys", &[&key[..], &[("mode", "trial")]].concat(), "live or test");
    refused("/admin/tokens", &[("name", "typo"), ("permission", "mail:sent")], "mail:sent");
    let user = [("email", "x@example.com"), ("role", "root"), ("password", PASSWORD)];
    refused("/admin/users", &user, "admin, viewer or eo");
    browser.post("/admin/domains", &[("name", "mail.example.com"), ("client", &client)]).expect(303);
    refused("/admin/domains/mail.example.com/keys", &[("algorithm", "dsa")], "rsa or ed25519");
    let made = server.cli_json(&["key", "list"]).to_string();
    assert!(!made.contains("typo"), "{made}");
    assert_eq!(server.cli_json(&["user", "list"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn an_email_is_searched_read_sent_again_and_cancelled() {
    let (server, browser) = admin();
    let client = default_client(&server);
    let id = server.send(&email_to("ann@client.com", "hello there"));
    server.wait_status(&id, "sent");
    let found =
        |query: &str| browser.get(&format!("/admin/emails?client={client}&q={query}")).expect(200).text();
    assert!(found("to%3Aann%40client.com%20status%3Asent").contains(&id));
    assert!(found("selamat").contains(&id));
    assert!(!found("status%3Afailed").contains(&id));
    assert!(found("status%3Agone").contains("is no status"));
    let at = format!("/admin/emails/{client}/{id}");
    let page = browser.get(&at).expect(200).text();
    assert!(
        page.contains("ann@client.com")
            && page.contains("hello there")
            && page.contains("Why it went this way")
    );
    assert!(browser.get(&format!("{at}?view=source")).expect(200).text().contains("Message-ID:"));
    let source = browser.get(&format!("{at}/source")).expect(200);
    assert_eq!(source.header("content-type"), Some("message/rfc822"));
    let again = browser.post(&format!("{at}/resend"), &[]).expect(303);
    let second = again.header("location").expect("a place").rsplit('/').next().expect("an id").to_owned();
    assert_ne!(second, id);
    server.wait_status(&second, "sent");
    browser.post(&format!("{at}/cancel"), &[]).expect(409);
    let mut later = email_to("bob@client.com", "later");
    later["send_at"] = Value::String(crate::harness::soon(std::time::Duration::from_secs(3600)));
    let later = server.send(&later);
    browser.post(&format!("/admin/emails/{client}/{later}/cancel"), &[]).expect(303);
    assert_eq!(server.email(&later)["status"], "cancelled");
    let audit = browser.get("/admin/audit").expect(200).text();
    assert!(audit.contains("email.resend") && audit.contains("email.cancel"));
    let other = server.cli_json(&["client", "create", "--name", "other"]);
    let other = other["client_id"].as_str().expect("an id").to_owned();
    browser.get(&format!("/admin/emails/{other}/{id}")).expect(404);
}

/// Where a page leads, by its links and by its forms. A link to the other language is remembered, as it says.
fn links(page: &str) -> Vec<String> {
    let found = ["href=\"", "action=\""].into_iter().flat_map(|attribute| page.split(attribute).skip(1));
    let paths = found.filter_map(|rest| rest.split('"').next());
    let own =
        paths.filter(|path| path.starts_with('/') && !path.starts_with("/inbox") && !path.contains("lang="));
    own.map(|path| path.replace("&#38;", "&").replace("&amp;", "&")).collect()
}

/// C31: crawlers and browsers that think ahead follow links. By GET nothing changes, at the addresses of forms neither.
#[test]
fn c31_no_get_changes_anything() {
    let (server, browser) = admin();
    let client = default_client(&server);
    make_user(&server, "eo@example.com", "eo");
    let event = make_event(&server, "Konser", "eo@example.com").to_string();
    let report = [("event_id", event.as_str()), ("to_email", "ann@client.com")];
    browser.ajax("/eo/email-reports/send", &report).expect(200);
    let mut email = email_to("bob@client.com", "later");
    email["send_at"] = Value::String(crate::harness::soon(std::time::Duration::from_secs(3600)));
    let email = server.send(&email);
    let key = server.new_key(&["--client", "default", "--permission", "admin"]);
    let reports = || browser.get_json("/eo/email-reports/data").expect(200).json();
    eventually("the report is sent", || (reports()["deliveries"][0]["status"] == "sent").then_some(()));
    let state = || {
        let ask = |path: &str| server.get_with(path, &[("X-Api-Key", key.as_str())]).expect(200).json();
        let mut state = vec![reports(), server.email(&email)];
        state.extend(["/api/emails?count=true", "/api/audit", "/api/clients"].map(ask));
        state.extend(
            [["key", "list"], ["domain", "list"], ["event", "list"]].map(|list| server.cli_json(&list)),
        );
        state
    };
    let before = state();
    let mut ahead: Vec<String> = PAGES.iter().map(|path| (*path).to_owned()).collect();
    ahead.push("/eo/email-reports".to_owned());
    ahead.push(format!("/admin/emails/{client}/{email}"));
    let mut asked = BTreeSet::new();
    while let Some(path) = ahead.pop() {
        if asked.len() < CRAWLED && asked.insert(path.clone()) {
            ahead.extend(links(&browser.get(&path).text()));
        }
    }
    for form in ["/logout", "/eo/email-reports/send", &format!("/admin/emails/{client}/{email}/cancel")] {
        assert!(asked.contains(form), "{form} was not among {asked:?}");
    }
    browser.get("/admin").expect(200);
    assert_eq!(state(), before);
}

#[test]
fn hostile_mail_stays_text() {
    let (server, browser) = admin();
    let client = default_client(&server);
    let mut email = email_to("x@client.com", "x");
    email["subject"] = json!("<script>alert(1)</script>");
    email["from"] = json!("\"<img src=x onerror=alert(1)>\" <noreply@example.com>");
    email["html"] = json!(
        "<script>parent.x=1</script><base href='https://evil.example'><meta http-equiv=refresh content='0;url=https://evil.example'><a href=javascript:alert(1)>x</a>"
    );
    let id = server.send(&email);
    server.wait_status(&id, "sent");
    for path in [
        "/admin/emails".to_owned(),
        format!("/admin/emails/{client}/{id}"),
        format!("/admin/emails/{client}/{id}?view=source"),
    ] {
        let page = browser.get(&path).expect(200).text();
        assert!(!page.contains("<script>alert") && !page.contains("<img src=x"), "{path}: {page}");
    }
    let frame = browser.get(&format!("/admin/emails/{client}/{id}/html")).expect(200);
    let policy = frame.header("content-security-policy").expect("a policy");
    assert!(
        policy.contains("script-src 'none'") && policy.contains("sandbox") && !policy.contains("allow-"),
        "{policy}"
    );
    let text = frame.text();
    assert!(!text.contains("<base") && !text.contains("<meta"), "{text}");
}

#[test]
fn a_template_is_written_previewed_and_kept_in_versions() {
    let (server, browser) = admin();
    let client = default_client(&server);
    let at = format!("/admin/templates/{client}");
    let fields =
        [("code", "welcome"), ("subject", "Hi {{ name }}"), ("html", "<p>Hi {{ name }}</p>"), ("text", "")];
    browser.post(&at, &fields).expect(303);
    let changed = [
        ("code", "welcome"),
        ("subject", "Hello {{ name }}"),
        ("html", "<p>Hello {{ name }}</p>"),
        ("text", ""),
    ];
    browser.post(&at, &changed).expect(303);
    let page = browser.get(&format!("{at}?code=welcome")).expect(200).text();
    assert!(page.contains("version 2 of 2") && page.contains("Hello {{ name }}"), "{page}");
    assert!(
        browser.get(&format!("{at}?code=welcome&version=1")).expect(200).text().contains("Hi {{ name }}")
    );
    let first = "src=\"/admin/templates/";
    let (_, rest) = page.split_once(first).expect("a frame that shows something at once");
    let shown = rest.split('"').next().expect("an address").replace("&#38;", "&");
    let shown = browser.get(&format!("/admin/templates/{shown}")).expect(200);
    assert_eq!(shown.text(), "<p>Hello name</p>");
    let policy = shown.header("content-security-policy").expect("a policy");
    assert!(policy.contains("script-src 'none'") && policy.contains("sandbox"), "{policy}");
    let old = browser.get(&format!("{at}/rendered?code=welcome&version=1")).expect(200);
    assert_eq!(old.text(), "<p>Hi name</p>");
    assert!(
        page.contains("{&#34;name&#34;:&#34;name&#34;}"),
        "typing goes on with the same variables: {page}"
    );
    browser.get(&format!("{at}/rendered?code=nothing")).expect(404);
    let hint = browser.get(&format!("{at}/rendered")).expect(200).text();
    assert!(hint.contains("is shown here"), "{hint}");
    let preview = [("html", "<p>Hi {{ name }}</p>"), ("variables", "{\"name\": \"<Ann>\"}")];
    let preview = browser.post(&format!("{at}/preview"), &preview).expect(200);
    assert!(preview.text().contains("<p>Hi &lt;Ann&gt;</p>"), "{}", preview.text());
    browser.post(&at, &[("code", "bad"), ("html", "{{ open")]).expect(422);
    browser.post(&format!("{at}/delete"), &[("code", "welcome")]).expect(303);
    browser.get(&format!("{at}?code=welcome")).expect(404);
}
