use super::*;
use axum::routing::{get, post};
use http::StatusCode;
use http_body_util::BodyExt;

async fn who(exchange: Exchange) -> String {
    format!("{} {}", exchange.client_address(), exchange.came_by_tls())
}

async fn poison() -> &'static str {
    panic!("on purpose")
}

fn nothing(kind: problem::Kind, exchange: &Exchange) -> Response {
    Problem::new(kind, "there is none").into_response(exchange)
}

fn edge(metrics: &Metrics) -> Edge {
    let router = Router::new()
        .route("/who/{name}", get(who))
        .route("/poison", post(poison))
        .route("/page", get(|| async { axum::response::Html("<p>") }))
        .route("/cached", get(|| async { ([(CACHE_CONTROL, "public, max-age=60")], "x") }))
        .fallback(async |exchange: Exchange| nothing(problem::NOT_FOUND, &exchange))
        .method_not_allowed_fallback(async |exchange: Exchange| {
            nothing(problem::METHOD_NOT_ALLOWED, &exchange)
        });
    let trusted = TrustedProxies::new(vec!["127.0.0.1".parse().unwrap()]);
    Edge::new(router, trusted, 32 * 1024, metrics.clone(), Chance::new())
}

async fn send(edge: &Edge, request: http::request::Builder) -> (StatusCode, HeaderMap, String) {
    let request = request.header("host", "localhost").body(Body::empty()).unwrap();
    let origin = Origin { peer: "127.0.0.1:4711".parse().unwrap(), tls: false };
    let (response, _) = edge.answer(request, origin).await;
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn every_answer_carries_the_correlation_id_and_the_safe_headers() {
    let metrics = Metrics::new();
    let edge = edge(&metrics);
    for (method, uri, status) in [
        ("GET", "/who/ann", 200),
        ("GET", "/nowhere", 404),
        ("DELETE", "/who/ann", 405),
        ("POST", "/poison", 500),
        ("GET", "/page", 200),
    ] {
        let request = Request::builder().method(method).uri(uri).header("x-correlation-id", "abc-1");
        let (got, headers, body) = send(&edge, request).await;
        assert_eq!(got.as_u16(), status, "{uri}: {body}");
        assert_eq!(headers["x-correlation-id"], "abc-1", "{uri}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{uri}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{uri}");
        assert_eq!(headers["cache-control"], "no-store", "{uri}");
        assert!(headers["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
        if status >= 400 {
            assert_eq!(headers["content-type"], "application/problem+json", "{uri}");
            assert!(body.contains("\"correlation_id\":\"abc-1\""), "{body}");
        }
        if status == 405 {
            assert_eq!(headers["allow"], "GET,HEAD");
        }
    }
    let text = metrics.encode();
    for line in [
        r#"posthaste_http_requests_total{route="/who/{name}",method="GET",status="200"} 1"#,
        r#"posthaste_http_requests_total{route="/who/{name}",method="DELETE",status="405"} 1"#,
        r#"posthaste_http_requests_total{route="unmatched",method="GET",status="404"} 1"#,
        r#"posthaste_http_requests_total{route="/poison",method="POST",status="500"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[tokio::test]
async fn a_bad_correlation_id_is_replaced_and_a_request_id_taken() {
    let metrics = Metrics::new();
    let edge = edge(&metrics);
    let (_, headers, _) = send(&edge, Request::get("/page").header("x-correlation-id", "a b")).await;
    assert_eq!(headers["x-correlation-id"].len(), 32);
    let request =
        Request::get("/page").header("x-correlation-id", "x".repeat(129)).header("x-request-id", "r-1");
    assert_eq!(send(&edge, request).await.1["x-correlation-id"], "r-1");
}

#[tokio::test]
async fn what_a_surface_set_stays_and_the_client_is_known() {
    let metrics = Metrics::new();
    let edge = edge(&metrics);
    let (_, headers, _) = send(&edge, Request::get("/cached")).await;
    assert_eq!(headers["cache-control"], "public, max-age=60");
    let request = Request::get("/who/ann")
        .header("x-forwarded-for", "192.0.2.1, 203.0.113.7")
        .header("x-forwarded-proto", "https");
    assert_eq!(send(&edge, request).await.2, "203.0.113.7 true");
}

#[tokio::test]
async fn too_many_fields_and_doubtful_hosts_are_refused() {
    let metrics = Metrics::new();
    let edge = edge(&metrics);
    let mut request = Request::get("/page");
    for n in 0..100 {
        request = request.header(format!("x-{n}"), "1");
    }
    assert_eq!(send(&edge, request).await.0.as_u16(), 431);
    let request = Request::get("/page").version(Version::HTTP_2).header("x-big", "x".repeat(33_000));
    assert_eq!(send(&edge, request).await.0.as_u16(), 431);
    let (status, _, body) = send(&edge, Request::get("/page").header("host", "evil.example")).await;
    assert_eq!(status.as_u16(), 400, "{body}");
}

#[tokio::test]
async fn what_no_call_sees_is_refused_in_the_words_of_its_surface() {
    let edge = edge(&Metrics::new());
    let voices: Voices = |path, headers| {
        assert!(headers.contains_key("host"));
        if path.starts_with("/poison") || path.starts_with("/many") {
            |problem, _, now| answer_in_short(&problem, now)
        } else {
            plain(path, headers)
        }
    };
    let edge = edge.speaking(voices, Clock::manual(Timestamp::from_millis(5)));
    let (status, _, body) = send(&edge, Request::post("/poison")).await;
    assert_eq!((status.as_u16(), body.as_str()), (500, "internal_error 5"));
    let mut many = Request::get("/many");
    for n in 0..=MAX_HEADERS {
        many = many.header(format!("x-{n}"), "x");
    }
    let (status, _, body) = send(&edge, many).await;
    assert_eq!((status.as_u16(), body.as_str()), (431, "headers_too_large 5"));
}

fn answer_in_short(problem: &Problem, now: Timestamp) -> Response {
    let body = format!("{} {}", problem.code(), now.millis());
    http::Response::builder().status(problem.status()).body(Body::from(body)).unwrap()
}
