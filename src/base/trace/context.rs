//! Who a part of the work belongs to: W3C Trace Context, and the part that the present task is in.

use std::future::Future;

tokio::task_local! {
    static CURRENT: SpanContext;
}

/// The ids of one span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanContext {
    /// The whole trace's.
    pub trace_id: [u8; 16],
    /// This span's own.
    pub span_id: [u8; 8],
    /// Whether it is recorded.
    pub sampled: bool,
}

impl SpanContext {
    /// What nobody recorded.
    const UNSAMPLED: Self = Self { trace_id: [0; 16], span_id: [0; 8], sampled: false };

    /// Reads a `traceparent` header (W3C Trace Context, section 3.2); what is not one is as if it were not there.
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let (version, trace_id, span_id, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [version] = hex::<1>(version)?;
        // Version 255 is forbidden, and version 0 has exactly these four; later ones may say more.
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let (trace_id, span_id, [flags]) = (hex::<16>(trace_id)?, hex::<8>(span_id)?, hex::<1>(flags)?);
        let names_something = trace_id != [0; 16] && span_id != [0; 8];
        names_something.then_some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

/// Runs `work` as part of `context`, which [`current`] then answers inside. Without one it is work that is not to be
/// recorded, nor any part of it.
pub async fn within<F: Future>(context: Option<SpanContext>, work: F) -> F::Output {
    CURRENT.scope(context.unwrap_or(SpanContext::UNSAMPLED), work).await
}

/// What the present task is part of. A task of its own starts without.
pub fn current() -> Option<SpanContext> {
    CURRENT.try_with(|context| *context).ok()
}

/// Exactly `N` bytes in lower-case hexadecimal digits, as the standard wants them.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn the_standards_own_example_is_read() {
        let context = SpanContext::parse(&format!("00-{TRACE}-{SPAN}-01")).unwrap();
        assert_eq!(context.trace_id[..2], [0x4b, 0xf9]);
        assert_eq!(context.span_id, [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
        assert!(context.sampled);
        assert!(!SpanContext::parse(&format!("00-{TRACE}-{SPAN}-00")).unwrap().sampled);
        assert!(SpanContext::parse(&format!("cc-{TRACE}-{SPAN}-01-what-comes")).is_some());
    }

    #[test]
    fn what_is_none_is_not_there() {
        let zeros = "0".repeat(32);
        for bad in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &zeros[..16]),
            format!("00-{TRACE}0-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-+1"),
        ] {
            assert_eq!(SpanContext::parse(&bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn a_task_is_part_of_what_it_runs_within() {
        let context = SpanContext::parse(&format!("00-{TRACE}-{SPAN}-01"));
        assert_eq!(within(context, async { current() }).await, context);
        assert_eq!(within(None, async { current() }).await, Some(SpanContext::UNSAMPLED));
        assert_eq!(current(), None);
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_ignored(text in "\\PC{0,80}") {
            let _ = SpanContext::parse(&text);
        }
    }
}
