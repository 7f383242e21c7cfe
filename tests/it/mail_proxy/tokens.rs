//! `/auth/token*`: made, shown, listed and revoked, by this API and by the command line.

use super::{call, delete, error, get, mail, post, sent, token};
use crate::emails_api::with;
use crate::harness::{Server, eventually};
use serde_json::{Value, json};

#[test]
fn a_token_lives_as_documented() {
    let server = Server::inbox();
    let admin = token(&server, "ops", &["admin"]);
    let asked = json!({
        "client_name": "Accounting", "department": "Finance", "permissions": ["mail.send", "mail:read"],
        "client_id": "client_00000000", "is_active": false,
    });
    let made = post(&server, &admin, "/auth/token", &asked).expect(201);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let made = made.json();
    let members: Vec<&String> = made.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["token", "client_id", "created_at"]);
    let client_id = made["client_id"].as_str().expect("a text").to_owned();
    assert!(client_id.starts_with("client_") && client_id.len() == 15 && client_id != "client_00000000");
    let bearer = format!("Bearer {}", made["token"].as_str().expect("a token"));
    let mail = with(mail(), json!({"from": "a@accounting.example"}));
    call(&server, "POST", "/mail/send", &bearer, &[], Some(&mail)).expect(200);

    let shown = get(&server, &admin, &format!("/auth/token/{client_id}")).expect(200).json();
    let id = shown["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        shown,
        json!({
            "id": id, "client_id": client_id, "client_name": "Accounting", "department": "Finance",
            "permissions": ["mail:send", "mail:read"], "is_active": true, "created_at": made["created_at"],
            "revoked_at": null,
        })
    );
    assert_eq!(get(&server, &admin, &format!("/auth/token/{id}")).expect(200).json(), shown);
    let path = format!("/auth/token/{id}");
    let revoked = delete(&server, &admin, &path).expect(200).json();
    assert_eq!(revoked, json!({"success": true, "message": "Token 已撤銷"}));
    assert_eq!(delete(&server, &admin, &path).expect(200).json(), revoked);
    let english = call(&server, "DELETE", &path, &admin.bearer, &[("Accept-Language", "en")], None);
    assert_eq!(english.json()["message"], "Token revoked");
    let refused = call(&server, "POST", "/mail/send", &bearer, &[], Some(&mail));
    assert_eq!(error(&refused), (401, "token_revoked".into()));
    let list = get(&server, &admin, "/auth/tokens").expect(200).json();
    assert_eq!(list["total"], 2);
    let gone = list["data"].as_array().expect("data").iter().find(|one| one["id"] == id.as_str());
    let gone = gone.expect("revoked ones are listed");
    assert!(gone["is_active"] == false && gone["revoked_at"].is_string(), "{gone}");
    for nothing in ["client_zzzzzzzz", "0192f0c1-d2a3-7000-8000-000000000000", "x", "%ff"] {
        for method in ["GET", "DELETE"] {
            let answer = call(&server, method, &format!("/auth/token/{nothing}"), &admin.bearer, &[], None);
            assert_eq!(error(&answer), (404, "token_not_found".into()), "{method} {nothing}");
        }
    }
}

#[test]
fn bad_wishes_have_their_codes() {
    let server = Server::inbox();
    let admin = token(&server, "ops", &["admin"]);
    let wish = json!({"client_name": "Accounting", "permissions": ["mail:send"]});
    for (patch, code) in [
        (json!({"client_name": null}), "missing_field"),
        (json!({"client_name": " "}), "missing_field"),
        (json!({"client_name": 7}), "invalid_request"),
        (json!({"client_name": "a\r\nb"}), "invalid_request"),
        (json!({"department": []}), "invalid_request"),
        (json!({"permissions": null}), "missing_field"),
        (json!({"permissions": []}), "missing_field"),
        (json!({"permissions": "mail:send"}), "invalid_request"),
        (json!({"permissions": ["mail:everything"]}), "invalid_request"),
        (json!({"permissions": ["templates:write"]}), "invalid_request"),
        (json!({"permissions": [1]}), "invalid_request"),
        (json!({"expires_in": 0}), "invalid_request"),
        (json!({"expires_in": -1}), "invalid_request"),
        (json!({"expires_in": "60"}), "invalid_request"),
        (json!({"expires_in": i64::MAX}), "invalid_request"),
    ] {
        let answer = post(&server, &admin, "/auth/token", &with(wish.clone(), patch.clone()));
        assert_eq!(error(&answer), (400, code.into()), "{patch}: {}", answer.text());
    }
    assert_eq!(get(&server, &admin, "/auth/tokens").expect(200).json()["total"], 1);
}

#[test]
fn a_token_with_an_end_ends() {
    let server =
        Server::start(crate::harness::ServerOptions::default().env("POSTHASTE_MAIL_PROXY__JWT_LEEWAY", "0s"));
    let admin = token(&server, "ops", &["admin"]);
    let wish = json!({"client_name": "Short", "permissions": ["mail:read"], "expires_in": 1});
    let made = post(&server, &admin, "/auth/token", &wish).expect(201).json();
    let bearer = format!("Bearer {}", made["token"].as_str().expect("a token"));
    let refused = eventually("the token ends", || {
        let answer = call(&server, "GET", "/mail/history", &bearer, &[], None);
        (answer.status != 200).then_some(answer)
    });
    assert_eq!(error(&refused), (401, "invalid_token".into()));
}

#[test]
fn the_command_line_makes_lists_shows_and_revokes() {
    let mut server = Server::inbox();
    let made = token(&server, "default", &["mail:send", "mail:read"]);
    let id = sent(&server, &made, &mail());
    server.restart();
    get(&server, &made, &format!("/mail/status/{id}")).expect(200);
    let second = token(&server, "default", &["mail:read"]);
    assert_eq!(second.client_id, made.client_id, "tokens of one client share its mail");
    get(&server, &second, &format!("/mail/status/{id}")).expect(200);
    let listed = server.cli_json(&["token", "list"]);
    let ids: Vec<&Value> = listed.as_array().expect("a list").iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&json!(second.id), &json!(made.id)]);
    let shown = server.cli_json(&["token", "show", &made.id]);
    assert_eq!(shown["permissions"], json!(["mail:send", "mail:read"]));
    assert_eq!(server.cli_json(&["token", "revoke", &made.client_id])["revoked"], true);
    for one in [&made, &second] {
        assert_eq!(error(&get(&server, one, "/mail/history")), (401, "token_revoked".into()));
    }
    let short =
        server.cli_json(&["token", "create", "--name", "x", "--permission", "admin", "--expires-in", "3600"]);
    let shown = server.cli_json(&["token", "show", short["id"].as_str().expect("an id")]);
    assert!(shown["expires_at"].is_string(), "{shown}");
}
