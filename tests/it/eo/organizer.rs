//! Whom the reports' journeys are about.

use crate::harness::Server;
use crate::harness::browser::{Browser, make_event, make_user};
use crate::harness::relay::{Action, Script, Step};

/// Who organizes.
pub const OWNER: &str = "eo@example.com";

/// An organizer who is logged in, and the number of its event.
pub fn organizer(server: &Server, event: &str) -> (Browser, i64) {
    make_user(server, OWNER, "eo");
    let event = make_event(server, event, OWNER);
    (Browser::logged_in(server, OWNER), event)
}

/// A relay that knows nobody called bad.
pub fn refusing() -> Script {
    Script::accepting().on_matching(Step::Rcpt, "<bad@", Action::reply("550 5.1.1 no such user"))
}
