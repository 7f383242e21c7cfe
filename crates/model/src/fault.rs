//! Named places where a crash test stops the process. Compiled away in release builds.
//!
//! Each place answers the question "if the power fails here, what does the restart find?".

use crate::status::words;

words!(
    /// A place on an email's way.
    FaultPoint {
        /// The request's body was read.
        Read = "read",
        /// All checks passed.
        Validated = "validated",
        /// A blob's temporary file is written.
        BlobTemp = "blob_temp",
        /// The blob has its name.
        BlobRenamed = "blob_renamed",
        /// The row is written, not committed.
        RowWritten = "row_written",
        /// The commit is durable.
        CommitFsynced = "commit_fsynced",
        /// The answer is about to be written.
        Answered = "answered",
        /// The bell was rung.
        Rung = "rung",
        /// A worker holds the claim.
        Claimed = "claimed",
        /// The message is rendered.
        Rendered = "rendered",
        /// The recipients were named to the peer.
        RcptSent = "rcpt_sent",
        /// The final dot was written.
        FinalDotSent = "final_dot_sent",
        /// The peer's acceptance was read.
        AcceptanceRead = "acceptance_read",
        /// The outcome is durable.
        FinishCommitted = "finish_committed",
        /// An outbound webhook was answered.
        WebhookSent = "webhook_sent",
        /// Retention removed a step's worth.
        RetentionStep = "retention_step",
        /// A group commit's fsync fails (injected I/O error).
        CommitIoError = "commit_io_error",
        /// The renderer panics.
        RenderPanic = "render_panic",
        /// The heavy part of a rendering keeps its processor busy for longer than it may.
        RenderEndless = "render_endless",
        /// The store takes no outcome and renews no lease, the first COUNT times it is asked to record outcomes.
        OutcomesRefused = "outcomes_refused",
    }
);

/// What to do at which place, chosen at start (`POSTHASTE_FAULT=final_dot_sent:3` ends the process at the third
/// passage). A release build knows no such variable.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    #[cfg(debug_assertions)]
    armed: Option<std::sync::Arc<(FaultPoint, std::sync::atomic::AtomicI64)>>,
}

/// Text that names no fault point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no fault point; write NAME or NAME:COUNT")]
pub struct FaultSpecError;

impl Faults {
    /// No faults.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads `NAME` or `NAME:COUNT`; in a release build every fault is refused.
    pub fn parse(text: &str) -> Result<Self, FaultSpecError> {
        let (name, count) = text.split_once(':').unwrap_or((text, "1"));
        let point = FaultPoint::parse(name).ok_or(FaultSpecError)?;
        let count: i64 = count.parse().map_err(|_| FaultSpecError)?;
        #[cfg(debug_assertions)]
        return Ok(Self { armed: Some(std::sync::Arc::new((point, count.into()))) });
        #[cfg(not(debug_assertions))]
        {
            let _ = (point, count);
            Err(FaultSpecError)
        }
    }

    /// Ends the process at once, without clean-up, when this is the armed place's turn.
    #[inline]
    pub fn crash_at(&self, point: FaultPoint) {
        if self.is_due(point) {
            // Neither unwinding nor exit handlers: as `kill -9` would.
            std::process::abort();
        }
    }

    /// Whether an injected error (not a crash) is due here.
    #[inline]
    #[cfg_attr(not(debug_assertions), expect(clippy::unused_self, reason = "a release build has no faults"))]
    pub fn is_due(&self, point: FaultPoint) -> bool {
        #[cfg(debug_assertions)]
        if let Some(armed) = &self.armed
            && armed.0 == point
        {
            return armed.1.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 1;
        }
        let _ = point;
        false
    }

    /// Whether an error that lasts is due here: true for the first COUNT passages.
    #[inline]
    #[cfg_attr(not(debug_assertions), expect(clippy::unused_self, reason = "a release build has no faults"))]
    pub fn is_early(&self, point: FaultPoint) -> bool {
        #[cfg(debug_assertions)]
        if let Some(armed) = &self.armed
            && armed.0 == point
        {
            return armed.1.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) >= 1;
        }
        let _ = point;
        false
    }

    /// Whether passages are left for which [`Self::is_early`] will be true; takes none of them.
    #[inline]
    #[cfg_attr(not(debug_assertions), expect(clippy::unused_self, reason = "a release build has no faults"))]
    pub fn lasts(&self, point: FaultPoint) -> bool {
        #[cfg(debug_assertions)]
        if let Some(armed) = &self.armed
            && armed.0 == point
        {
            return armed.1.load(std::sync::atomic::Ordering::SeqCst) >= 1;
        }
        let _ = point;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_due_once_at_the_named_count() {
        let faults = Faults::parse("rendered:2").unwrap();
        let due: Vec<bool> = (0..4).map(|_| faults.is_due(FaultPoint::Rendered)).collect();
        assert_eq!(due, [false, true, false, false]);
        assert!(!faults.is_due(FaultPoint::Read));
        let faults = Faults::parse("outcomes_refused:2").unwrap();
        let point = FaultPoint::OutcomesRefused;
        let seen: Vec<(bool, bool)> = (0..3).map(|_| (faults.lasts(point), faults.is_early(point))).collect();
        assert_eq!(seen, [(true, true), (true, true), (false, false)]);
        assert_eq!(Faults::parse("nowhere").err(), Some(FaultSpecError));
    }
}
