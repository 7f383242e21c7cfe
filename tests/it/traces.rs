//! OpenTelemetry: spans arrive at a collector that reads them with OpenTelemetry's own messages, and a collector that is
//! away changes nothing for mail.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Relay, Server, ServerOptions, eventually, python};

/// Takes OTLP over HTTP and nothing else; writes each span as a line. What cannot be read, or reads back as other bytes,
/// is refused and written as a complaint.
const COLLECTOR: &str = r#"
import http.server, json, sys
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

out = open(sys.argv[1], "a", buffering=1)

def plain(attributes):
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}

class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            assert self.path == "/v1/traces", self.path
            assert self.headers["Content-Type"] == "application/x-protobuf", self.headers
            request = ExportTraceServiceRequest.FromString(body)
            assert request.SerializeToString() == body, "not as protobuf writes it"
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        assert len(span.trace_id) == 16 and len(span.span_id) == 8
                        assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
                        print(json.dumps({
                            "trace": span.trace_id.hex(), "id": span.span_id.hex(), "parent": span.parent_span_id.hex(),
                            "name": span.name, "kind": span.kind, "status": span.status.code,
                            "attributes": plain(span.attributes), "resource": plain(resource.resource.attributes),
                            "token": self.headers["X-Team-Token"]}), file=out)
            self.send_response(200)
        except Exception as trouble:
            print(json.dumps({"complaint": repr(trouble)}), file=out)
            self.send_response(400)
        self.end_headers()
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

struct Collector {
    child: Child,
    address: SocketAddr,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Collector {
    /// A running collector; none where OpenTelemetry's messages cannot be had.
    fn start() -> Option<Self> {
        let python = python::with(&["opentelemetry-proto"])?;
        let folder = tempfile::tempdir().expect("a temporary directory");
        let file = folder.path().join("spans");
        let mut child = Command::new(python)
            .args(["-c", COLLECTOR])
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a collector");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a port");
        let port: u16 = line.trim().parse().expect("a port");
        Some(Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)), file, _folder: folder })
    }

    fn options(&self, relay: &Relay) -> ServerOptions {
        ServerOptions::to_relay(relay)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", self.address))
            .env("OTEL_BSP_SCHEDULE_DELAY", "50")
    }

    #[track_caller]
    fn spans(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        let spans: Vec<Value> = lines.collect();
        assert!(spans.iter().all(|span| span.get("complaint").is_none()), "{spans:#?}");
        spans
    }

    #[track_caller]
    fn wait_for(&self, name: &str, correlation_id: &str) -> Value {
        eventually(&format!("the span {name} of {correlation_id}"), || {
            self.spans().into_iter().find(|span| {
                let told = &span["attributes"];
                // The first commit may find that the configuration just changed, and is made again.
                span["name"] == name
                    && told["posthaste.correlation_id"] == correlation_id
                    && told["posthaste.outcome"] != "stale_revision"
            })
        })
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // Ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn email() -> Value {
    json!({
        "from": "sender@example.com", "to": ["secret.person@client.com"],
        "subject": "the secret subject", "text": "the secret body",
    })
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn a_request_its_commit_and_its_attempt_are_one_trace_with_the_caller() {
    let Some(collector) = Collector::start() else { return };
    let relay = Relay::accepting();
    let options = collector
        .options(&relay)
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-team-token=a%3Db")
        .env("OTEL_SERVICE_NAME", "mailer")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test,service.name=other");
    let mut server = Server::start(options);
    let send = |traceparent: &str, correlation_id: &str| -> String {
        let headers = [("traceparent", traceparent), ("X-Correlation-Id", correlation_id)];
        let answer = server.post_with("/api/emails", &headers, &email()).expect(202).json();
        answer["email_id"].as_str().expect("an id").to_owned()
    };
    let id = send(&format!("00-{TRACE}-00f067aa0ba902b7-01"), "traced-1");
    let unsampled = send(&format!("00-{TRACE}-00f067aa0ba902b7-00"), "untraced-1");
    server.wait_status(&id, "sent");
    server.wait_status(&unsampled, "sent");
    let request = collector.wait_for("POST /api/emails", "traced-1");
    let commit = collector.wait_for("intake.commit", "traced-1");
    let attempt = collector.wait_for("dispatch.attempt", "traced-1");
    assert_eq!((&request["trace"], &request["parent"]), (&json!(TRACE), &json!("00f067aa0ba902b7")));
    assert_eq!((&commit["trace"], &commit["parent"]), (&json!(TRACE), &request["id"]));
    assert_eq!((&attempt["trace"], &attempt["parent"]), (&json!(TRACE), &commit["id"]));
    assert_eq!([&request["kind"], &commit["kind"], &attempt["kind"]], [2, 1, 3]);
    assert_eq!(request["attributes"]["http.response.status_code"], 202);
    assert_eq!(request["attributes"]["http.route"], "/api/emails");
    assert_eq!(commit["attributes"]["posthaste.email.id"], id.as_str());
    assert_eq!(attempt["attributes"]["posthaste.email.id"], id.as_str());
    assert_eq!(attempt["attributes"]["posthaste.outcome"], "sent");
    assert_eq!(attempt["attributes"]["posthaste.transport"], "smtp");
    assert_eq!(request["resource"]["service.name"], "mailer");
    assert_eq!(request["resource"]["deployment.environment"], "test");
    assert_eq!(request["token"], "a=b");
    // The end sends what still waits; then everything that ever comes is there.
    assert!(server.sigterm().success());
    let all = json!(collector.spans()).to_string();
    assert!(!all.contains("secret") && !all.contains('@') && !all.contains(server.key()), "{all}");
    let told = |correlation_id: &str| all.contains(&format!("\"{correlation_id}\""));
    assert!(told("traced-1"));
    let of_unsampled: Vec<Value> = collector
        .spans()
        .into_iter()
        .filter(|span| span["attributes"]["posthaste.correlation_id"] == "untraced-1")
        .filter(|span| span["name"] != "dispatch.attempt" || span["trace"] == TRACE)
        .collect();
    assert!(of_unsampled.is_empty(), "{of_unsampled:#?}");
}

#[test]
fn a_failed_attempt_is_told_with_its_code_and_without_the_relays_words() {
    use crate::harness::relay::{Action, Script, Step};
    let Some(collector) = Collector::start() else { return };
    let relay =
        Relay::start(Script::accepting().on(Step::Rcpt, Action::reply("550 5.1.1 <ann@client.com> unknown")));
    let server = Server::start(collector.options(&relay));
    let answer =
        server.post_with("/api/emails", &[("X-Correlation-Id", "refused-1")], &email()).expect(202).json();
    server.wait_status(answer["email_id"].as_str().expect("an id"), "failed");
    let attempt = collector.wait_for("dispatch.attempt", "refused-1");
    assert_eq!(
        (&attempt["status"], &attempt["attributes"]["posthaste.outcome"]),
        (&json!(2), &json!("failed"))
    );
    assert!(attempt["attributes"]["error.type"].is_string(), "{attempt:#}");
    assert!(!attempt.to_string().contains('@'), "{attempt:#}");
}

#[test]
fn switched_off_nothing_is_exported() {
    let Some(collector) = Collector::start() else { return };
    for (name, value) in [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
    ] {
        let relay = Relay::accepting();
        let mut server = Server::start(collector.options(&relay).env(name, value));
        let id = server.send(&email());
        server.wait_status(&id, "sent");
        assert!(server.sigterm().success());
        assert_eq!(collector.spans(), Vec::<Value>::new(), "{name}={value}");
    }
}

#[test]
fn a_collector_that_is_away_or_silent_changes_nothing_for_mail() {
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let away = {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        taken.local_addr().expect("an address")
    };
    for address in [silent.local_addr().expect("an address"), away] {
        let relay = Relay::accepting();
        let options = ServerOptions::to_relay(&relay)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"))
            .env("OTEL_BSP_SCHEDULE_DELAY", "10");
        let mut server = Server::start(options);
        // More spans than may wait.
        for _ in 0..40 {
            let many: Vec<Value> = (0..50).map(|_| email()).collect();
            server.post("/api/emails/batch", &json!({"emails": many})).expect(202);
        }
        relay.wait_for(2_000);
        server.signal("TERM");
        assert!(server.wait_exit(Duration::from_secs(25)).success());
    }
}
