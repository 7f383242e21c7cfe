//! The numbers that words of closed sets have in rows. They never change their meaning.

use super::damaged;
use crate::StoreError;
use posthaste_model::event::EventKind;
use posthaste_model::{FailureCode, Status};

/// The number a status has in rows.
pub(crate) const fn status_code(status: Status) -> i64 {
    match status {
        Status::Scheduled => 0,
        Status::Queued => 1,
        Status::Processing => 2,
        Status::Sent => 3,
        Status::Delivered => 4,
        Status::Bounced => 5,
        Status::Complained => 6,
        Status::Failed => 7,
        Status::Cancelled => 8,
    }
}

/// The status of a number.
pub(crate) fn status_of(code: i64) -> Result<Status, StoreError> {
    let found = Status::ALL.iter().copied().find(|status| status_code(*status) == code);
    found.ok_or_else(|| damaged("status"))
}

/// Failure codes by number: the place in this list. Only ever appended to.
const FAILURE_CODES: [FailureCode; 6] = [
    FailureCode::InvalidEmail,
    FailureCode::TransportError,
    FailureCode::ServerError,
    FailureCode::Bounce,
    FailureCode::Unknown,
    FailureCode::Suppressed,
];

/// The number a failure code has in rows.
pub(crate) fn failure_code(code: FailureCode) -> i64 {
    FAILURE_CODES.iter().position(|known| *known == code).map_or(4, |at| at as i64)
}

/// The failure code of a number.
pub(crate) fn failure_of(code: i64) -> Result<FailureCode, StoreError> {
    usize::try_from(code)
        .ok()
        .and_then(|at| FAILURE_CODES.get(at).copied())
        .ok_or_else(|| damaged("failure code"))
}

/// Event kinds by number: the place in this list. Only ever appended to.
const EVENT_KINDS: [EventKind; 18] = [
    EventKind::Scheduled,
    EventKind::Queued,
    EventKind::Processing,
    EventKind::Sent,
    EventKind::Deferred,
    EventKind::PossibleDuplicate,
    EventKind::Held,
    EventKind::LeaseExpired,
    EventKind::Postponed,
    EventKind::Delivered,
    EventKind::Bounced,
    EventKind::Complained,
    EventKind::Failed,
    EventKind::Cancelled,
    EventKind::Opened,
    EventKind::Clicked,
    EventKind::Unsubscribed,
    EventKind::Resent,
];

/// The number an event kind has in rows.
pub(crate) fn event_code(kind: EventKind) -> i64 {
    EVENT_KINDS.iter().position(|known| *known == kind).map_or(-1, |at| at as i64)
}

/// The event kind of a number.
pub(crate) fn event_of(code: i64) -> Result<EventKind, StoreError> {
    usize::try_from(code)
        .ok()
        .and_then(|at| EVENT_KINDS.get(at).copied())
        .ok_or_else(|| damaged("event kind"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_a_number_of_its_own() {
        for (at, status) in Status::ALL.iter().enumerate() {
            assert_eq!(status_of(status_code(*status)), Ok(*status));
            assert_eq!(status_code(*status), at as i64);
        }
        for kind in EventKind::ALL {
            assert_eq!(event_of(event_code(*kind)), Ok(*kind));
        }
        for code in FailureCode::ALL {
            assert_eq!(failure_of(failure_code(*code)), Ok(*code));
        }
        assert!(status_of(9).is_err() && event_of(-1).is_err() && failure_of(6).is_err());
    }
}
