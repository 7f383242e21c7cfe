//! OpenTelemetry's usual variables.

use super::*;
use crate::base::trace::{Sampler, TraceSettings};
use std::time::Duration;

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

fn resolved(variables: &[(&str, &str)]) -> Option<TraceSettings> {
    Place::new().variables(variables).settings().otel
}

#[test]
fn nothing_is_traced_without_a_collector_or_when_it_is_switched_off() {
    assert_eq!(resolved(&[]), None);
    assert_eq!(resolved(&[("OTEL_SERVICE_NAME", "mailer"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]), None);
    assert!(resolved(&[ENDPOINT]).is_some());
    assert_eq!(resolved(&[ENDPOINT, ("OTEL_SDK_DISABLED", "true")]), None);
    assert_eq!(resolved(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]), None);
}

#[test]
fn what_is_for_traces_alone_goes_before_what_is_for_everything() {
    let plain = resolved(&[ENDPOINT]).unwrap();
    assert_eq!(plain.endpoint.expose(), "http://collector:4318/v1/traces");
    assert_eq!(plain.resource[0], ("service.name".to_owned(), "posthaste".to_owned()));
    let own = resolved(&[
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces.example.org/otlp"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=s%3D%2C1, b=2"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=attribute,team=mail"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
    ])
    .unwrap();
    assert_eq!(own.endpoint.expose(), "https://traces.example.org/otlp");
    let headers: Vec<(&str, &str)> = own.headers.iter().map(|(n, v)| (n.as_str(), v.expose())).collect();
    assert_eq!(headers, [("api-key", "s=,1"), ("b", "2")]);
    assert_eq!(own.timeout, Duration::from_millis(2500));
    assert_eq!(own.resource[0], ("service.name".to_owned(), "attribute".to_owned()));
    assert_eq!(own.sampler, Sampler::parse("traceidratio", Some("0.5")).unwrap());
    let named = resolved(&[
        ENDPOINT,
        ("OTEL_SERVICE_NAME", "mailer"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=attribute"),
    ]);
    assert_eq!(named.unwrap().resource[0], ("service.name".to_owned(), "mailer".to_owned()));
}

#[test]
fn a_value_that_cannot_be_used_stops_the_start_and_secrets_stay_out_of_the_message() {
    for (name, value, said) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "user:secret@collector", "otel.endpoint: is not a URL"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret", "otel.headers: the value is not a list of name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=sec%0Aret", "otel.headers: the value is not a list"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "otel.sampler: \"sometimes\" is no sampler; write always_on"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "otel.protocol: is not spoken; write http/protobuf"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "otel.exporter: \"zipkin\" is unknown; write otlp, none"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team", "otel.resource_attributes: is not a list of name=value"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0", "otel.schedule_delay: is no time at all"),
    ] {
        let base = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces");
        let faults = Place::new().variables(&[base, (name, value)]).faults();
        assert!(faults.len() == 1 && faults[0].contains(said), "{name}={value}: {faults:?}");
        assert!(!faults[0].contains("secret"), "{faults:?}");
    }
    let share = [ENDPOINT, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")];
    let faults = Place::new().variables(&share).faults();
    assert!(faults[0].contains("otel.sampler_arg: \"2\" is no share"), "{faults:?}");
}
