//! What people change on the pages: told in the audit, and only by forms of our own.

use super::super::release::Ways;
use super::PLAIN;
use super::desk::{desk, desk_with_ways};
use posthaste_model::credential::Permission;
use posthaste_store::AuditFilter;

#[tokio::test]
async fn what_people_delete_is_in_the_audit() {
    let desk = desk().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(desk.keep(0, "ann@example.com", "x", PLAIN).await);
    }
    desk.keep(1, "ann@example.com", "x", PLAIN).await;
    let key = desk.key(0, &[Permission::EmailsRead]).await;
    let path = |at: usize| format!("/inbox/api/messages/{}", ids[at]);
    let by_key = desk.send("192.0.2.7", "DELETE", &path(0), &[("x-api-key", &key)]).await;
    assert_eq!(by_key.status, 204);
    let by_hand = desk.send("127.0.0.1", "DELETE", &path(1), &[]).await;
    assert_eq!(by_hand.status, 204);
    assert_eq!(desk.post(&format!("/inbox/{}/delete", ids[2]), "").await.status, 303);
    assert_eq!(desk.post(&format!("/inbox/{}/delete", ids[2]), "").await.status, 303, "gone already");
    assert_eq!(desk.post("/inbox/delete", "").await.status, 303);
    let filter = AuditFilter { action: Some("inbox.delete".into()), ..AuditFilter::default() };
    let audit = desk.store.audit(None, 10, &filter).await.expect("an audit");
    assert!(audit.iter().all(|one| one.actor.kind == "local"), "{audit:?}");
    assert!(audit.iter().all(|one| one.actor.address.as_deref() == Some("127.0.0.1")), "{audit:?}");
    let told: Vec<_> = audit.iter().map(|one| (one.target.as_str(), one.detail.as_deref())).collect();
    let (second, third) = (ids[1].to_string(), ids[2].to_string());
    assert_eq!(told, [("all", Some("1 message")), (third.as_str(), None), (second.as_str(), None)]);
}

#[tokio::test]
async fn a_form_without_the_browsers_token_changes_nothing() {
    let desk = desk_with_ways(Ways { names: vec!["relay".into()], default: Some("relay".into()) }).await;
    let id = desk.keep(0, "ann@example.com", "Keep me", PLAIN).await;
    let page = desk.get(&format!("/inbox/{id}")).await;
    let (cookie, token) = (page.cookie(), page.token());
    assert_eq!(
        page.body.matches(&format!("name=\"_token\" value=\"{token}\"")).count(),
        2,
        "delete, release"
    );
    let kept = format!("posthaste_session={cookie}");
    let again = desk.send("127.0.0.1", "GET", "/inbox", &[("cookie", &kept)]).await;
    assert_eq!((again.header("set-cookie"), again.token()), ("", token.clone()), "one token for a browser");
    let (other_cookie, other) = {
        let other = desk.get("/inbox").await;
        (format!("posthaste_session={}", other.cookie()), other.token())
    };
    let form = ("content-type", "application/x-www-form-urlencoded");
    let site = ("sec-fetch-site", "same-origin");
    for uri in [format!("/inbox/{id}/delete"), "/inbox/delete".to_owned(), format!("/inbox/{id}/release")] {
        for (cookie, body) in [
            (&kept, String::new()),
            (&kept, "_token=AAAA".to_owned()),
            (&kept, format!("_token={other}")),
            (&other_cookie, format!("_token={token}")),
            (&String::new(), format!("_token={token}")),
        ] {
            let headers = [form, site, ("cookie", cookie.as_str())];
            let got = desk.submit("127.0.0.1", ("POST", &uri), &headers, &body).await;
            assert_eq!(got.status, 419, "{uri} {cookie} {body}: {}", got.body);
            assert!(got.body.contains("The page was too old"), "{}", got.body);
        }
    }
    assert_eq!(desk.store.inbox_count(None).await.expect("a count"), 1);
    let headers = [form, ("cookie", kept.as_str()), ("x-csrf-token", token.as_str())];
    let got = desk.submit("127.0.0.1", ("POST", &format!("/inbox/{id}/release")), &headers, "to=").await;
    assert_eq!(got.status, 303, "a script's header is as good: {}", got.body);
    let key = desk.key(0, &[Permission::EmailsRead]).await;
    let got = desk.submit("192.0.2.7", ("POST", "/inbox/delete"), &[form, ("x-api-key", &key)], "").await;
    assert_eq!(got.status, 303, "no page of another site can send a key");
    assert_eq!(desk.store.inbox_count(None).await.expect("a count"), 0);
}
