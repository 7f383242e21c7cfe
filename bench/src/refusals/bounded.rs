//! Requests that are made to keep a server busy, each with the time that it may take.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::caller::{Caller, Request};
use crate::Fault;

/// Some of the same kind.
struct Kind {
    what: &'static str,
    allowed: Duration,
    status: u16,
    requests: Vec<Request>,
}

/// Prints a row for each kind.
pub async fn measure(address: SocketAddr, key: &str, requests: usize) -> Result<(), Fault> {
    for kind in [addresses(key), templates(key), tokens()] {
        let mut caller = Caller::new(address).await?;
        let mut medians = Vec::with_capacity(kind.requests.len());
        for request in &kind.requests {
            let mut times = Vec::with_capacity(requests);
            for _ in 0..requests.max(1) {
                times.push(caller.time(request, kind.status).await?);
            }
            times.sort_unstable();
            medians.push(times[times.len() / 2]);
        }
        medians.sort_unstable();
        let of = |time: Duration| time.as_secs_f64() * 1000.0;
        println!(
            "| {} | {} | {:.2} | {:.2} | {:.0} |",
            kind.what,
            medians.len(),
            of(medians[medians.len() / 2]),
            of(medians[medians.len() - 1]),
            of(kind.allowed),
        );
    }
    Ok(())
}

fn email(more: Value) -> Value {
    let mut email = json!({"from": "a@example.com", "to": "b@client.com", "subject": "s", "text": "x"});
    if let (Value::Object(email), Value::Object(more)) = (&mut email, more) {
        email.extend(more);
    }
    email
}

/// B17: a hundred kilobytes of one character in each field that holds addresses.
fn addresses(key: &str) -> Kind {
    let mut requests = Vec::new();
    for character in ["(", ":", ",", "\"", "<", "\\", "@", ".", "["] {
        for field in ["to", "from", "reply_to", "cc", "bcc"] {
            let body = email(json!({ field: character.repeat(100_000) }));
            requests.push(Request::json("/api/emails", &[("X-Api-Key", key)], &body));
        }
    }
    Kind {
        what: "100 kB of one character as an address",
        allowed: Duration::from_millis(50),
        status: 422,
        requests,
    }
}

/// B23: templates that would never end, that are nested deeply, that make much of little.
fn templates(key: &str) -> Kind {
    let around = |inside: &str| {
        let (open, shut) = (["{% for a in l %}"; 3].concat(), ["{% endfor %}"; 3].concat());
        format!("{open}{inside}{shut}")
    };
    let long = "y".repeat(100_000);
    let nested =
        |(open, shut): (&str, &str)| format!("{{{{ {}1{} }}}}", open.repeat(5000), shut.repeat(5000));
    let mut texts: Vec<String> = [
        "{% for a in range(1000000000) %}x{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
        "{{ 'x' * 1000000000 }}",
        "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% include 'self' %}",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.extend([("(", ")"), ("[", "]"), ("not ", ""), ("a[", "]")].map(nested));
    texts.push(format!("{}{}", "{% if 1 %}".repeat(5000), "{% endif %}".repeat(5000)));
    texts.extend([
        around("x"),
        around(""),
        format!("{{% for a in l %}}{long}{{% endfor %}}"),
        around("{{ s | upper | lower | replace('y', 'yy') | length }}"),
        around("{% if a == 'b' or a in s %}x{% endif %}"),
    ]);
    let variables = json!({"l": vec!["item"; 1000], "s": long});
    let request = |text: String| {
        let body = email(json!({"text": text, "variables": variables}));
        Request::json("/api/emails", &[("X-Api-Key", key)], &body)
    };
    Kind {
        what: "templates that would never end",
        allowed: Duration::from_millis(200),
        status: 422,
        requests: texts.into_iter().map(request).collect(),
    }
}

/// C26: tokens of nearly all that a request's head may hold, on both surfaces that take them.
fn tokens() -> Kind {
    let long = "A".repeat(30_000);
    let tokens = [
        long.clone(),
        ".".repeat(30_000),
        format!("eyJhbGciOiJIUzI1NiJ9.{long}.{}", "B".repeat(43)),
        format!("eyJhbGciOiJSUzI1NiJ9.{long}.{}", "B".repeat(342)),
        format!("eyJhbGciOiJIUzI1NiJ9.e30.{long}"),
        format!("{long}.e30.AAAA"),
    ];
    let mut requests = Vec::new();
    for path in ["/api/v1/mail/history", "/emails"] {
        for token in &tokens {
            requests.push(Request::new("GET", path, &[("Authorization", &format!("Bearer {token}"))], ""));
        }
    }
    Kind { what: "tokens of 30 kB", allowed: Duration::from_millis(10), status: 401, requests }
}
