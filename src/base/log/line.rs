//! One event to one line, as text or JSON, with the fields of the spans around it. Lean on purpose: a buffer, no
//! intermediate values, escaping in place.

use super::LogFormat;
use super::sink;
use crate::base::clock::Clock;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::NonBlocking;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Most lines fit; a longer one grows its buffer.
const TYPICAL_LINE: usize = 384;

/// Writes each event as a line.
pub(super) struct LineLayer {
    format: LogFormat,
    hash_addresses: bool,
    clock: Clock,
    writer: NonBlocking,
}

/// A span's fields, formatted once when they are recorded.
struct SpanFields(String);

impl LineLayer {
    pub(super) fn new(format: LogFormat, hash_addresses: bool, writer: NonBlocking) -> Self {
        Self { format, hash_addresses, clock: Clock::system(), writer }
    }

    fn start(&self, line: &mut String, event: &Event<'_>) -> fmt::Result {
        let (now, target) = (self.clock.now(), event.metadata().target());
        let level = *event.metadata().level();
        match self.format {
            LogFormat::Text => write!(line, "{now} {} {target}:", upper(level)),
            LogFormat::Json => {
                write!(
                    line,
                    "{{\"timestamp\":\"{now}\",\"level\":\"{}\",\"target\":\"{target}\"",
                    lower(level)
                )
            }
        }
    }
}

impl<S> Layer<S> for LineLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = SpanFields(String::new());
        attributes.record(&mut Fields { format: self.format, line: &mut fields.0 });
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<SpanFields>() {
            values.record(&mut Fields { format: self.format, line: &mut fields.0 });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = String::with_capacity(TYPICAL_LINE);
        // Writing to a string fails only when a value's own formatting does; the line then ends early.
        let _ = self.start(&mut line, event);
        event.record(&mut Fields { format: self.format, line: &mut line });
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                line.push_str(&fields.0);
            }
        }
        line.push_str(match self.format {
            LogFormat::Text => "\n",
            LogFormat::Json => "}\n",
        });
        if self.hash_addresses && line.contains('@') {
            line = sink::hash_addresses(&line);
        }
        // A full queue drops the line and counts it; there is nobody to tell.
        let _ = self.writer.clone().write_all(line.as_bytes());
    }
}

fn upper(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

fn lower(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// Appends fields to a line.
struct Fields<'a> {
    format: LogFormat,
    line: &'a mut String,
}

impl Fields<'_> {
    /// Writes a value that needs no quotes in either format.
    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        self.name(field);
        let _ = write!(self.line, "{value}");
    }

    fn name(&mut self, field: &Field) {
        let _ = match self.format {
            LogFormat::Text => write!(self.line, " {}=", field.name()),
            LogFormat::Json => write!(self.line, ",\"{}\":", field.name()),
        };
    }

    /// Writes what `write` produces as a string.
    fn quoted(&mut self, field: &Field, write: impl FnOnce(&mut Escaped<'_>) -> fmt::Result) {
        if self.format == LogFormat::Json {
            self.name(field);
            self.line.push('"');
            let _ = write(&mut Escaped { line: self.line, quotes: true });
            self.line.push('"');
            return;
        }
        if field.name() == "message" {
            self.line.push(' ');
            let _ = write(&mut Escaped { line: self.line, quotes: false });
            return;
        }
        self.name(field);
        let start = self.line.len();
        let _ = write(&mut Escaped { line: self.line, quotes: true });
        let value = &self.line[start..];
        if value.is_empty() || value.contains([' ', '\\', '=']) {
            self.line.insert(start, '"');
            self.line.push('"');
        }
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() || self.format == LogFormat::Text {
            self.plain(field, value);
        } else {
            self.plain(field, "null"); // JSON has no word for it (RFC 8259, section 6)
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.quoted(field, |out| out.write_str(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.quoted(field, |out| {
            write!(out, "{value}")?;
            let mut cause = value.source();
            while let Some(error) = cause {
                write!(out, ": {error}")?;
                cause = error.source();
            }
            Ok(())
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.quoted(field, |out| write!(out, "{value:?}"));
    }
}

/// Appends text with JSON's escapes (RFC 8259, section 7), which also keep a text line on one line.
struct Escaped<'a> {
    line: &'a mut String,
    /// Whether `"` and `\` are escaped too.
    quotes: bool,
}

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut done = 0;
        for (at, byte) in text.bytes().enumerate() {
            let escape = match byte {
                b'"' if self.quotes => "\\\"",
                b'\\' if self.quotes => "\\\\",
                b'\n' => "\\n",
                b'\r' => "\\r",
                b'\t' => "\\t",
                0..=0x1f | 0x7f => "",
                _ => continue,
            };
            self.line.push_str(&text[done..at]);
            done = at + 1;
            if escape.is_empty() {
                write!(self.line, "\\u{byte:04x}")?;
            } else {
                self.line.push_str(escape);
            }
        }
        self.line.push_str(&text[done..]);
        Ok(())
    }
}
