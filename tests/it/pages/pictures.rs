//! Pictures of every page, for people to look at: not a test, and run by hand,
//!
//!     tests/services/run cargo nextest run --workspace --test it --run-ignored only -E 'test(pictures)'
//!
//! They lie in `target/tmp/pictures`, named after the page, its colours and its width.

use super::ROOT;
use super::browser::{at, log_in};
use super::stage::{OWNER, Place, Stage, fresh};
use crate::harness::Server;
use crate::harness::chromium::{Chromium, Looks};
use serde_json::json;
use std::fs;
use std::path::PathBuf;

struct Album {
    browser: Chromium,
    folder: PathBuf,
}

impl Album {
    #[track_caller]
    fn take(&self, server: &Server, places: &[Place]) {
        for (name, path) in places {
            self.browser.open(&at(server, path));
            self.keep(name);
        }
    }

    /// The page that is open: light and dark, wide and narrow.
    #[track_caller]
    fn keep(&self, name: &str) {
        for (kind, width, height) in [("desktop", 1280, 800), ("phone", 390, 844)] {
            self.browser.resize(width, height);
            for scheme in ["light", "dark"] {
                self.browser.prefer(scheme);
                let file = self.folder.join(format!("{name}-{kind}-{scheme}.png"));
                fs::write(file, self.browser.picture()).expect("a file");
            }
        }
        self.browser.resize(1280, 800);
        self.browser.prefer("light");
    }
}

#[test]
#[ignore = "takes pictures for people, and proves nothing"]
fn of_every_page() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    fs::create_dir_all(&folder).expect("a folder");
    let stage = Stage::set(true);
    let album = Album { browser: Chromium::start(Looks::default()), folder };
    album.take(&stage.server, &stage.open_pages());
    log_in(&album.browser, &stage.server, OWNER);
    album.take(&stage.server, &Stage::organizer_pages());
    album.browser.open(&at(&stage.server, "/eo/email-reports?lang=en"));
    album.browser.click("[data-resend]");
    album.keep("reports-dialog");
    album.browser.devtools("Network.clearBrowserCookies", &json!({}));
    log_in(&album.browser, &stage.server, ROOT);
    album.take(&stage.server, &stage.admin_pages());
    let (server, places) = fresh();
    album.take(&server, &places);
}
