//! Every page under axe-core (from npm, for tests only): nothing serious or critical, in the light and in the dark, wide
//! and as narrow as a phone.

use super::ROOT;
use super::browser::{at, log_in};
use super::stage::{OWNER, Place, Stage, fresh};
use crate::harness::chromium::{Chromium, Looks};
use crate::harness::{Server, npm};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// Answers the faults as lines. Frames are left out: what is in them is mail.
const CHECK: &str = r"
const done = arguments[arguments.length - 1];
axe.run(document, {iframes: false, resultTypes: ['violations'], RULES}).then((result) => {
  const bad = result.violations.filter((one) => ['serious', 'critical'].includes(one.impact));
  done(bad.flatMap((one) => one.nodes.slice(0, 3).map((node) => `${one.id} ${node.target.join(' ')}: ${node.failureSummary}`)));
}, (fault) => done([`axe-core: ${fault}`]));
";

/// Looks at pages and remembers what is wrong with them.
struct Examiner {
    browser: Chromium,
    axe: String,
    pictures: PathBuf,
    faults: Vec<String>,
}

impl Examiner {
    /// `None` where axe-core cannot be had.
    fn new() -> Option<Self> {
        let axe = npm::with("axe-core@4.14.1")?.join("axe.min.js");
        let axe = fs::read_to_string(axe).expect("axe-core");
        let pictures = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pictures");
        fs::create_dir_all(&pictures).expect("a folder");
        Some(Self { browser: Chromium::start(Looks::default()), axe, pictures, faults: Vec::new() })
    }

    #[track_caller]
    fn visit(&mut self, server: &Server, places: &[Place]) {
        for (name, path) in places {
            self.browser.open(&at(server, path));
            self.look(name);
        }
    }

    /// The page that is open, as everybody sees it.
    #[track_caller]
    fn look(&mut self, name: &str) {
        self.browser.prefer("light");
        self.browser.resize(1280, 900);
        self.browser.ask(&self.axe);
        self.check(&format!("{name}, light"), "");
        self.browser.prefer("dark");
        // Darkness changes nothing but colours.
        self.check(&format!("{name}, dark"), "runOnly: ['color-contrast', 'link-in-text-block']");
        self.browser.resize(390, 844);
        self.browser.ask("document.querySelectorAll('details').forEach((one) => { one.open = true; })");
        self.check(&format!("{name}, dark, phone"), "");
        if !self.browser.fits() {
            self.faults.push(format!("{name}: wider than a phone"));
        }
    }

    #[track_caller]
    fn check(&mut self, what: &str, rules: &str) {
        let found = self.browser.ask_later(&CHECK.replace("RULES", rules));
        let found = found.as_array().cloned().unwrap_or_else(|| vec![Value::from("no answer of axe-core")]);
        let lines = found.iter().filter_map(Value::as_str).map(|line| format!("{what}: {line}"));
        self.faults.extend(lines);
        fs::write(self.pictures.join(format!("{what}.png")), self.browser.picture()).expect("a file");
    }
}

#[test]
fn no_page_has_a_serious_fault() {
    let Some(mut examiner) = Examiner::new() else { return };
    let stage = Stage::set();
    examiner.visit(&stage.server, &stage.open_pages());
    log_in(&examiner.browser, &stage.server, OWNER);
    examiner.visit(&stage.server, &Stage::organizer_pages());
    examiner.browser.open(&at(&stage.server, "/eo/email-reports?lang=en"));
    examiner.browser.click("[data-resend]");
    examiner.look("reports, dialog");
    examiner.browser.resize(1280, 900);
    examiner.browser.devtools("Network.clearBrowserCookies", &serde_json::json!({}));
    log_in(&examiner.browser, &stage.server, ROOT);
    examiner.visit(&stage.server, &stage.admin_pages());
    for (form, name) in [("/admin/keys", "secret"), ("/admin/users", "refusal")] {
        let path = if form == "/admin/keys" { "/admin/clients" } else { "/admin/people" };
        examiner.browser.resize(1280, 900);
        examiner.browser.open(&at(&stage.server, path));
        // A form that is not filled in is refused by the server; the browser's own check is not what is looked at.
        let sent = format!(
            "const form = document.querySelector('form[action=\"{form}\"]'); form.noValidate = true; form.submit()"
        );
        examiner.browser.ask(&sent);
        examiner
            .browser
            .wait_for("the answer is there", "return !!document.querySelector('main .narrow h1')");
        examiner.look(name);
    }
    let (server, places) = fresh();
    examiner.visit(&server, &places);
    assert_eq!(examiner.faults, Vec::<String>::new());
}
