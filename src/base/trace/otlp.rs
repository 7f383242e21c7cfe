//! Spans as an `ExportTraceServiceRequest` of OTLP 1.x, in protobuf's binary form. Only the fields that are set are
//! written; their numbers are those of `opentelemetry/proto/trace/v1/trace.proto`.

use super::{Span, Value};

/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;

/// One export: these spans, made by the process that `resource` describes.
pub(super) fn request(resource: &[(String, String)], spans: &[Span]) -> Vec<u8> {
    let mut described = Message::default();
    for (name, value) in resource {
        described.message(1, &attribute(name, &Value::Text(value.clone())));
    }
    let mut scope = Message::default();
    scope.text(1, env!("CARGO_PKG_NAME"));
    scope.text(2, env!("CARGO_PKG_VERSION"));
    let mut of_scope = Message::default();
    of_scope.message(1, &scope);
    for one in spans {
        of_scope.message(2, &span(one));
    }
    let mut of_resource = Message::default();
    of_resource.message(1, &described);
    of_resource.message(2, &of_scope);
    let mut request = Message::default();
    request.message(1, &of_resource);
    request.0
}

fn span(span: &Span) -> Message {
    let mut written = Message::default();
    written.bytes(1, &span.context.trace_id);
    written.bytes(2, &span.context.span_id);
    if let Some(parent) = &span.parent {
        written.bytes(4, parent);
    }
    written.text(5, &span.name);
    written.number(6, span.kind as u64);
    written.fixed64(7, span.start);
    written.fixed64(8, span.end);
    for (name, value) in &span.attributes {
        written.message(9, &attribute(name, value));
    }
    if span.failed {
        let mut status = Message::default();
        status.number(3, ERROR);
        written.message(15, &status);
    }
    written
}

fn attribute(name: &str, value: &Value) -> Message {
    let mut held = Message::default();
    match value {
        Value::Text(text) => held.text(1, text),
        // int64: a negative number is its two's complement.
        Value::Number(number) => held.number(3, *number as u64),
    }
    let mut pair = Message::default();
    pair.text(1, name);
    pair.message(2, &held);
    pair
}

/// A protobuf message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// A field's key: its number and how its value is written (0 varint, 1 eight bytes, 2 length and bytes).
    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn number(&mut self, field: u64, number: u64) {
        self.key(field, 0);
        self.varint(number);
    }

    fn fixed64(&mut self, field: u64, number: u64) {
        self.key(field, 1);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SpanContext, SpanKind};
    use super::*;

    /// Byte for byte what Google's protobuf makes of the same span.
    #[test]
    fn a_span_is_written_as_protobuf_does() {
        let span = Span {
            context: SpanContext { trace_id: [1; 16], span_id: [2; 8], sampled: true },
            parent: Some([3; 8]),
            name: "a".into(),
            kind: SpanKind::Client,
            start: 1,
            end: 300,
            attributes: vec![("t", Value::Text("x".into())), ("n", Value::Number(-1))],
            failed: true,
        };
        let mut expected = vec![0x0a, 16];
        expected.extend([1; 16]);
        expected.extend([0x12, 8]);
        expected.extend([2; 8]);
        expected.extend([0x22, 8]);
        expected.extend([3; 8]);
        expected.extend([0x2a, 1, b'a', 0x30, 3]);
        expected.extend([0x39, 1, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend([0x41, 0x2c, 1, 0, 0, 0, 0, 0, 0]);
        expected.extend([0x4a, 8, 0x0a, 1, b't', 0x12, 3, 0x0a, 1, b'x']);
        expected.extend([0x4a, 16, 0x0a, 1, b'n', 0x12, 11, 0x18]);
        expected.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
        expected.extend([0x7a, 2, 0x18, 2]);
        assert_eq!(super::span(&span).0, expected);
    }

    #[test]
    fn long_values_have_long_lengths() {
        let mut message = Message::default();
        message.text(1, &"x".repeat(300));
        assert_eq!(message.0[..3], [0x0a, 0xac, 0x02]);
        assert_eq!(message.0.len(), 303);
    }
}
