use super::*;
use crate::testing::email;
use posthaste_model::email::BlobHash;
use posthaste_model::{EmailId, Timestamp};

fn rule(transports: &[&str]) -> RouteRule {
    RouteRule { transports: transports.iter().map(|&name| name.to_owned()).collect(), ..RouteRule::default() }
}

fn of(organization: &[Domain]) -> MailProxyDefaults {
    MailProxyDefaults { organization: organization.to_vec(), ..MailProxyDefaults::default() }
}

fn names(decision: &RouteDecision) -> Vec<&str> {
    decision.transports.iter().map(|name| &**name).collect()
}

#[test]
fn the_first_matching_rule_decides_and_the_default_takes_the_rest() {
    let by_tag = RouteRule { tag: Some("bulk".into()), ..rule(&["b", "a"]) };
    let by_sender = RouteRule { from_domain: Some("Shop.Example".into()), ..rule(&["a"]) };
    let routes = Routes::new(vec![by_tag, by_sender], "c", &["a", "b", "c"]).unwrap();

    let mut mail = email("ann@shop.example", &["bob@else.example"]);
    assert_eq!(names(&routes.choose(&mail, None)), ["a"]);
    assert_eq!(routes.choose(&mail, None).reason, RouteReason::Rule(2));
    mail.tags.push("bulk".into());
    assert_eq!(names(&routes.choose(&mail, None)), ["b", "a"]);
    let other = email("ann@other.example", &["bob@else.example"]);
    assert_eq!(routes.choose(&other, None).reason, RouteReason::Default);
    assert_eq!(names(&routes.choose(&other, None)), ["c"]);
}

#[test]
fn mail_of_a_test_key_goes_to_the_inbox_whatever_the_rules_say() {
    let routes = Routes::new(vec![rule(&["a"])], "a", &["a"]).unwrap();
    let mail = Email { test_mode: true, ..email("ann@a.example", &["bob@b.example"]) };
    let decision = routes.choose(&mail, None);
    assert_eq!((names(&decision), decision.reason), (vec![INBOX], RouteReason::TestMode));
}

#[test]
fn a_released_message_takes_the_way_it_was_released_to() {
    let routes = Routes::new(vec![rule(&["a"])], INBOX, &["a", "b"]).unwrap();
    let mut mail = email("ann@a.example", &["bob@b.example"]);
    let sha256 = BlobHash::of(b"kept");
    mail.content = Content::Raw { sha256, size: 4, released_to: Some("b".to_owned()) };
    let decision = routes.choose(&mail, None);
    assert_eq!((names(&decision), decision.reason), (vec!["b"], RouteReason::Released));
    mail.test_mode = true;
    assert_eq!(names(&routes.choose(&mail, None)), [INBOX], "a test key makes nothing leave the machine");
    mail.test_mode = false;
    mail.content = Content::Raw { sha256, size: 4, released_to: None };
    assert_eq!(names(&routes.choose(&mail, None)), ["a"]);
}

#[test]
fn a_recipient_domain_must_be_that_of_every_recipient() {
    let inner = RouteRule { to_domain: Some("*.corp.example".into()), ..rule(&["relay"]) };
    let routes = Routes::new(vec![inner], "out", &["relay", "out"]).unwrap();
    for (recipients, expected) in [
        (&["x@a.corp.example", "y@b.corp.example"][..], "relay"),
        (&["x@a.corp.example", "y@gmail.example"], "out"),
        (&["x@corp.example"], "out"),
        (&["x@evilcorp.example"], "out"),
    ] {
        assert_eq!(
            names(&routes.choose(&email("s@s.example", recipients), None)),
            [expected],
            "{recipients:?}"
        );
    }
}

#[test]
fn clients_match_by_name_or_id_and_sources_by_door() {
    let by_client = RouteRule { client: Some("shop".into()), ..rule(&["a"]) };
    let by_door = RouteRule { source: Some(Door::Smtp), ..rule(&["b"]) };
    let mail = email("s@s.example", &["x@x.example"]);
    let by_id = RouteRule { client: Some(mail.client_id.to_string()), ..rule(&["c"]) };
    let routes = Routes::new(vec![by_client, by_door, by_id], "d", &["a", "b", "c", "d"]).unwrap();
    assert!(routes.ask_client_name());
    assert_eq!(names(&routes.choose(&mail, Some("shop"))), ["a"]);
    assert_eq!(names(&routes.choose(&mail, Some("mart"))), ["c"]);
    let by_smtp = Email { source: Source::Smtp, ..mail };
    assert_eq!(names(&routes.choose(&by_smtp, None)), ["b"]);
}

#[test]
fn weights_share_the_mail_out_and_an_email_keeps_its_lot() {
    let shared = RouteRule { weights: vec![1, 3], ..rule(&["a", "b"]) };
    let routes = Routes::new(vec![shared], "a", &["a", "b"]).unwrap();
    let mut first_b = 0;
    for lot in 0..1000_u32 {
        let mut chance = [0; 10];
        chance[6..].copy_from_slice(&lot.to_be_bytes());
        let mail = Email {
            id: EmailId::new(Timestamp::from_millis(1), chance),
            ..email("s@s.example", &["x@x.example"])
        };
        let chosen = routes.choose(&mail, None);
        assert_eq!(chosen, routes.choose(&mail, None));
        assert_eq!(chosen.transports.len(), 2, "the other one stays as a way round");
        first_b += usize::from(names(&chosen)[0] == "b");
    }
    assert_eq!(first_b, 750);
}

#[test]
fn faulty_rules_are_named() {
    let unknown = Routes::new(vec![rule(&["a"]), rule(&["z"])], "a", &["a"]).unwrap_err();
    assert_eq!(unknown.to_string(), "route 2 names the transport `z`, which is not configured");
    assert_eq!(Routes::new(vec![rule(&[])], "a", &["a"]).unwrap_err(), RouteError::NoTransport(1));
    assert_eq!(Routes::new(vec![], "z", &["a"]).unwrap_err(), RouteError::UnknownDefault("z".into()));
    for weights in [vec![1], vec![0, 0], vec![1, 2, 3]] {
        let odd = RouteRule { weights, ..rule(&["a", "inbox"]) };
        assert_eq!(Routes::new(vec![odd], "a", &["a"]).unwrap_err(), RouteError::Weights(1));
    }
}

#[test]
fn the_organizations_mail_proxy_mail_waits_for_its_own_way_unless_a_rule_says_otherwise() {
    let organization = [Domain::parse("org.example").unwrap()];
    let routes = Routes::new(vec![], "d", &["d"]).unwrap().with_defaults(of(&organization));
    let mut own = email("ann@org.example", &["bob@b.example"]);
    assert_eq!(routes.choose(&own, None).reason, RouteReason::Default, "another door");
    own.source = Source::MailProxy;
    let decision = routes.choose(&own, None);
    assert_eq!((&*decision.transports[0], decision.reason), (SENDER_CONFIG, RouteReason::SenderConfig));
    let mut below = email("ann@sub.org.example", &["bob@b.example"]);
    below.source = Source::MailProxy;
    assert_eq!(routes.choose(&below, None).reason, RouteReason::Default);
    let by_rule = RouteRule { from_domain: Some("org.example".into()), ..rule(&["a"]) };
    let routes = Routes::new(vec![by_rule], "d", &["a", "d"]).unwrap().with_defaults(of(&organization));
    assert_eq!(routes.choose(&own, None).reason, RouteReason::Rule(1));
}

#[test]
fn the_mail_proxys_defaults_hold_where_no_rule_does() {
    let defaults = MailProxyDefaults {
        organization: vec![Domain::parse("org.example").unwrap()],
        sendgrid: Some("sg".into()),
        graph: Some("ms".into()),
    };
    let by_priority = RouteRule { priorities: vec![1], ..rule(&["fast"]) };
    let routes =
        Routes::new(vec![by_priority], "d", &["sg", "ms", "d", "fast"]).unwrap().with_defaults(defaults);
    for (source, from, transport, reason) in [
        (Source::MailProxy, "a@org.example", SENDER_CONFIG, RouteReason::SenderConfig),
        (Source::MailProxy, "a@else.example", "sg", RouteReason::MailProxy),
        (Source::Smtp, "a@org.example", "ms", RouteReason::Organization),
        (Source::Smtp, "a@else.example", "d", RouteReason::Default),
        (Source::Emails, "a@org.example", "d", RouteReason::Default),
    ] {
        let mut mail = Email { source, ..email(from, &["b@b.example"]) };
        let decision = routes.choose(&mail, None);
        assert_eq!((&*decision.transports[0], decision.reason), (transport, reason), "{source} {from}");
        mail.priority = Priority::new(1).unwrap();
        assert_eq!(routes.choose(&mail, None).reason, RouteReason::Rule(1));
    }
    let bare = Routes::new(vec![], "d", &["d"]).unwrap();
    let mail = Email { source: Source::MailProxy, ..email("a@else.example", &["b@b.example"]) };
    assert_eq!(bare.choose(&mail, None).reason, RouteReason::Default, "SendGrid is not configured");
}

#[test]
fn a_rule_says_what_it_may_be_given() {
    let limited = RouteRule { rate: Some(Rate::per_seconds(5, 60)), daily_quota: Some(9), ..rule(&["a"]) };
    let routes = Routes::new(vec![rule(&["a"]), limited], "a", &["a"]).unwrap();
    assert_eq!(routes.limits(), [vec![], vec![Rate::per_seconds(5, 60), Rate::per_seconds(9, 86_400)]]);
}
