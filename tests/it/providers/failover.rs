//! A provider dies under load.

use super::{options, sendgrid, small};
use crate::harness::{Relay, Server, eventually};

const BEFORE: usize = 40;
const AFTER: usize = 160;

#[test]
fn all_mail_of_a_killed_provider_goes_out_by_the_second() {
    let primary = sendgrid::start();
    let backup = Relay::accepting();
    let toml = format!(
        "[transports.sendgrid]\napi_key = \"SG.key\"\nbase_url = \"{}\"\n\
         [transports.backup]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\nencryption = \"none\"\n\
         [[routes]]\ntransports = [\"sendgrid\", \"backup\"]\n",
        primary.url(),
        backup.port(),
    );
    let server = Server::start(
        options()
            .toml(&toml)
            .env("POSTHASTE_DELIVERY__BREAKER_OPEN", "60s")
            .env("POSTHASTE_DELIVERY__BREAKER_FAILURES", "3"),
    );
    let mut ids: Vec<String> = (0..BEFORE).map(|_| server.send(&small())).collect();
    primary.wait_for(1);
    primary.kill();
    ids.extend((0..AFTER).map(|_| server.send(&small())));
    let mut marked = 0;
    for id in &ids {
        let email = server.wait_status(id, "sent");
        marked += usize::from(email.to_string().contains("possible_duplicate"));
    }
    let sent = primary.taken().len() + backup.messages().len();
    assert!(sent >= ids.len(), "{sent} of {}", ids.len());
    assert!(sent - ids.len() <= marked, "{} doubled, {marked} marked", sent - ids.len());
    assert!(backup.messages().len() >= AFTER);
    eventually("it is said loudly", || {
        server.stderr().contains("mail goes by the second choice").then_some(())
    });
    assert_eq!(server.get("/health").json()["status"], "degraded");
}
