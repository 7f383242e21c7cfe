//! An installation with something of everything in it, and all of its pages: what is looked at as a whole.

use super::{ROOT, default_client};
use crate::emails_api::{email_to, with};
use crate::harness::browser::{Browser, make_event, make_user};
use crate::harness::receiver::status;
use crate::harness::relay::{Action, Script, Step};
use crate::harness::{Receiver, Relay, Server, ServerOptions, eventually, soon};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

pub const OWNER: &str = "rina@konser.example";
const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3600);

const HTML: &str = "<h1>Halo, Ann!</h1><p>Pesanan <b>#4711</b> sudah kami terima. \
    Kode Anda: <b>482 913</b>.</p><p><a href=\"https://shop.example.com/orders/4711\">Lihat pesanan</a></p>";

/// The installation and what mail goes to.
pub struct Stage {
    pub server: Server,
    client: String,
    /// An email that was sent, with every kind of content.
    sent: String,
    failed: String,
    scheduled: String,
    /// A message in the inbox.
    kept: String,
    /// The link of a reader.
    unsubscribe: String,
    report: i64,
    relay: Relay,
    clock: tempfile::TempDir,
}

/// A page: a name for its picture, and its address.
pub type Place = (&'static str, String);

impl Stage {
    /// Makes it, with a history of a month.
    #[track_caller]
    pub fn set() -> Self {
        let script = Script::accepting()
            .on_matching(Step::Rcpt, "<gone@", Action::reply("550 5.1.1 no such user here"))
            .on_matching(Step::Rcpt, "<later@", Action::reply("451 4.7.1 greylisted, try again later"));
        let relay = Relay::start(script);
        let clock = tempfile::tempdir().expect("a directory");
        let options = ServerOptions::to_relay(&relay)
            .env("PUBLIC_URL", "https://mail.example.com")
            .env("WEBHOOKS_ALLOW_PRIVATE", "true")
            .env("POSTHASTE_DELIVERY__RETRY_SCHEDULE", "1h")
            .env("POSTHASTE_EO__ATTENTION_AFTER", "1s")
            .env("POSTHASTE_CLOCK_SHIFT", clock.path().join("shift"));
        fs::write(clock.path().join("shift"), "0").expect("a file");
        let server = Server::start(options);
        let client = default_client(&server);
        let [sent, failed, scheduled, kept, unsubscribe] = [const { String::new() }; 5];
        let mut stage =
            Self { server, client, sent, failed, scheduled, kept, unsubscribe, report: 0, relay, clock };
        stage.people();
        stage.history();
        stage.mail();
        stage.reports();
        stage.configuration();
        stage
    }

    fn people(&self) {
        for (email, role) in
            [(ROOT, "admin"), (OWNER, "eo"), ("budi@konser.example", "eo"), ("auditor@example.com", "viewer")]
        {
            make_user(&self.server, email, role);
        }
        make_event(&self.server, "Konser Malam di Taman Kota", OWNER);
        make_event(&self.server, "Pasar Malam", OWNER);
    }

    /// Sets the clock back by so much.
    fn go_back(&self, by: Duration) {
        let fresh = self.clock.path().join("fresh");
        fs::write(&fresh, format!("-{}", by.as_millis())).expect("a file");
        fs::rename(fresh, self.clock.path().join("shift")).expect("its name");
    }

    fn post(&self, patch: Value) -> String {
        self.server.send(&with(email_to("ann@client.com", "Pesanan #4711 sudah kami terima."), patch))
    }

    /// Reports of a month, and mail of a day.
    fn history(&self) {
        for day in (2..30).rev() {
            self.go_back(DAY * day);
            // By two, as one may ask for 30 a minute, and a shared cache has a clock of its own.
            let asker = if day % 2 == 0 { OWNER } else { ROOT };
            let browser = Browser::logged_in(&self.server, asker);
            for number in 0..(day * 7 % 4) {
                let to = if (day + number) % 6 == 0 { "gone@client.com" } else { "panitia@client.com" };
                let event = (1 + (day + number) % 2).to_string();
                browser.ajax("/eo/email-reports/send", &[("event_id", &event), ("to_email", to)]).expect(200);
            }
            self.delivered();
        }
        for hour in (1..24).rev() {
            self.go_back(HOUR * hour);
            let emails: Vec<Value> = (0..(3 + hour * 13 % 17))
                .map(|number| {
                    let to = if (hour + number) % 11 == 0 { "gone@client.com" } else { "ann@client.com" };
                    email_to(to, "Pesanan Anda sudah kami terima.")
                })
                .collect();
            self.server.post("/api/emails/batch", &json!({"emails": emails})).expect(202);
            self.delivered();
        }
        self.go_back(Duration::ZERO);
    }

    /// Waits until nothing is on its way any more.
    fn delivered(&self) {
        eventually("all mail is out", || {
            let counts = self.server.cli_json(&["queue", "status"]);
            (counts["pending"] == 0 && counts["processing"] == 0).then_some(())
        });
    }

    fn mail(&mut self) {
        let picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
        let files = json!([
            {"filename": "invoice.pdf", "content_base64": "JVBERi0xLjQK", "mime": "application/pdf"},
            {"filename": "logo.png", "content_base64": picture, "mime": "image/png"},
        ]);
        let subjects = ["Kode masuk Anda", "Tiket konser: 2 kursi", "Pembayaran diterima", "Ulasan Anda"];
        for (number, subject) in subjects.iter().enumerate() {
            let to = json!([format!("pelanggan{number}@client.com")]);
            self.post(json!({"to": to, "subject": subject, "tags": ["order"]}));
        }
        self.failed = self.post(json!({"to": ["gone@client.com"], "subject": "Pengingat pembayaran"}));
        self.post(json!({"to": ["later@client.com"], "subject": "Undangan"}));
        self.scheduled = self
            .post(json!({"subject": "Pengingat: konser besok", "send_at": soon(Duration::from_secs(7200))}));
        let unsubscribed = self.post(json!({"subject": "Buletin November", "list_unsubscribe": "news"}));
        self.sent = self.post(json!({
            "to": ["Ann Puspita <ann@client.com>", "gone@client.com"], "subject": "Pesanan #4711 sudah kami terima",
            "html": HTML, "attachments": files, "tags": ["order", "welcome"],
        }));
        eventually("the email failed", || {
            (self.server.email(&self.failed)["status"] == "failed").then_some(())
        });
        for id in [&unsubscribed, &self.sent] {
            self.server.wait_status(id, "sent");
        }
        let taken = self.relay.messages();
        let all = taken
            .iter()
            .map(|one| String::from_utf8_lossy(&one.content).replace("\r\n ", " ").replace("\r\n\t", " "));
        let mut link = all.filter_map(|text| {
            let (_, rest) = text.split_once("<https://mail.example.com/unsubscribe/")?;
            Some(format!("/unsubscribe/{}", rest.split('>').next()?))
        });
        self.unsubscribe = link.next_back().expect("a link of a reader");
        let key = self.server.new_key(&["--client", "default", "--mode", "test"]);
        for (subject, text) in
            [("Kode masuk Anda: 482 913", "Kode Anda 482 913"), ("Pesanan #4711", "Terima kasih!")]
        {
            let email = with(
                email_to("ann@client.com", text),
                json!({"subject": subject, "html": HTML, "attachments": files}),
            );
            self.server.post_with("/api/emails", &[("X-Api-Key", &key)], &email).expect(202);
        }
        self.kept = eventually("the message is in the inbox", || {
            let browser = Browser::logged_in(&self.server, ROOT);
            let found = browser.get_json("/inbox/api/messages").expect(200).json();
            found["data"][0]["id"].as_str().map(str::to_owned)
        });
    }

    fn reports(&mut self) {
        let browser = Browser::logged_in(&self.server, OWNER);
        let send = |event: &str, to: &str| {
            let made = browser.ajax("/eo/email-reports/send", &[("event_id", event), ("to_email", to)]);
            made.expect(200).json()["delivery_id"].as_i64().expect("a number")
        };
        self.report = send("1", "panitia@client.com");
        send("2", "sponsor@client.com");
        send("1", "gone@client.com");
        eventually("its organizer is told", || {
            browser.get("/eo/email-reports").expect(200).text().contains("class=\"notice\"").then_some(())
        });
    }

    fn configuration(&self) {
        let browser = Browser::logged_in(&self.server, ROOT);
        let client = self.client.as_str();
        browser.post("/admin/clients", &[("name", "Ticketing"), ("department", "Sales")]).expect(303);
        let tokens = [("name", "Ticketing"), ("permission", "mail:send"), ("permission", "mail:read")];
        browser.post("/admin/tokens", &tokens).expect(200);
        for algorithm in ["rsa", "ed25519"] {
            browser.post("/admin/domains/example.com/keys", &[("algorithm", algorithm)]).expect(303);
        }
        for (code, name) in
            [("welcome", "Welcome"), ("otp", "One-time code"), ("welcome", "Welcome, shorter")]
        {
            let fields = [
                ("code", code),
                ("name", name),
                ("subject", "Halo {{ name }}"),
                ("html", "<p>Halo <b>{{ name }}</b>!</p>"),
                ("text", ""),
            ];
            browser.post(&format!("/admin/templates/{client}"), &fields).expect(303);
        }
        for email in ["keluhan@client.com", "salah@client.com"] {
            browser.post(&format!("/admin/suppressions/{client}"), &[("email", email)]).expect(303);
        }
        let (good, bad) = (Receiver::start(), Receiver::answering(|_, _| Some(status(500))));
        for receiver in [&good, &bad] {
            browser
                .post(&format!("/admin/webhooks/{client}"), &[("url", &receiver.url()), ("events", "*")])
                .expect(200);
        }
        self.server.wait_status(&self.post(json!({"subject": "Tiket Anda"})), "sent");
        eventually("both were called", || {
            (!good.calls().is_empty() && !bad.calls().is_empty()).then_some(())
        });
    }

    /// Pages that an admin sees.
    pub fn admin_pages(&self) -> Vec<Place> {
        let Self { client, sent, failed, scheduled, kept, report, .. } = self;
        let email = format!("/admin/emails/{client}/{sent}");
        let mut pages = vec![
            ("overview", "/admin".to_owned()),
            ("emails", format!("/admin/emails?client={client}")),
            ("emails-found", format!("/admin/emails?client={client}&q=status:failed")),
            ("emails-none", format!("/admin/emails?client={client}&q=nothing-like-it")),
            ("emails-fault", format!("/admin/emails?client={client}&q=status:gone")),
            ("email", email.clone()),
            ("email-failed", format!("/admin/emails/{client}/{failed}")),
            ("email-scheduled", format!("/admin/emails/{client}/{scheduled}")),
            ("clients", "/admin/clients".to_owned()),
            ("templates", format!("/admin/templates?client={client}")),
            ("template", format!("/admin/templates/{client}?code=welcome")),
            ("template-old", format!("/admin/templates/{client}?code=welcome&version=1")),
            ("template-new", format!("/admin/templates/{client}")),
            ("domains", "/admin/domains".to_owned()),
            ("domains-checked", "/admin/domains?check=example.com".to_owned()),
            ("webhooks", format!("/admin/webhooks?client={client}")),
            ("suppressions", format!("/admin/suppressions?client={client}")),
            ("people", "/admin/people".to_owned()),
            ("audit", "/admin/audit".to_owned()),
            ("audit-none", "/admin/audit?action=nothing".to_owned()),
            ("system", "/admin/system".to_owned()),
            ("not-found", "/admin/emails/x/y".to_owned()),
            ("password", "/account/password".to_owned()),
            ("codes", "/account/codes".to_owned()),
            ("reports-of-all", "/eo/email-reports?lang=en".to_owned()),
            ("resend", format!("/eo/email-reports/{report}/resend")),
            ("inbox", "/inbox".to_owned()),
            ("inbox-none", "/inbox?q=nothing-like-it".to_owned()),
        ];
        for view in ["text", "headers", "parts", "source"] {
            pages.push((
                named(&["email-text", "email-headers", "email-parts", "email-source"], view),
                format!("{email}?view={view}"),
            ));
        }
        for view in ["html", "text", "headers", "files", "links", "source"] {
            let names = [
                "message-html",
                "message-text",
                "message-headers",
                "message-files",
                "message-links",
                "message-source",
            ];
            pages.push((named(&names, view), format!("/inbox/{kept}?view={view}")));
        }
        pages
    }

    /// Pages that an organizer sees.
    pub fn organizer_pages() -> Vec<Place> {
        vec![
            ("reports", "/eo/email-reports?lang=id".to_owned()),
            ("reports-filtered", "/eo/email-reports?status=failed&event_id=1".to_owned()),
            ("reports-none", "/eo/email-reports?date_to=2001-01-01".to_owned()),
            ("reports-fault", "/eo/email-reports?date_from=yesterday".to_owned()),
            ("refused", "/admin".to_owned()),
        ]
    }

    /// Pages that everybody sees.
    pub fn open_pages(&self) -> Vec<Place> {
        vec![
            ("login", "/login?lang=en".to_owned()),
            ("login-refused", "/inbox".to_owned()),
            ("unsubscribe", self.unsubscribe.clone()),
            ("unsubscribe-wrong", "/unsubscribe/nothing".to_owned()),
            ("api", "/api/docs".to_owned()),
        ]
    }
}

/// The name that ends with a word.
fn named(names: &[&'static str], word: &str) -> &'static str {
    names.iter().find(|name| name.ends_with(&format!("-{word}"))).copied().expect("a name")
}

/// An installation that nobody has used yet, and its pages.
pub fn fresh() -> (Server, Vec<Place>) {
    let server = Server::inbox();
    let banner = server.stdout();
    let at = banner.find("/setup?token=").expect("a link in the banner");
    let link: String = banner[at..].chars().take_while(|c| !c.is_whitespace()).collect();
    (
        server,
        vec![("setup", link), ("login-first", "/login".to_owned()), ("inbox-empty", "/inbox".to_owned())],
    )
}
