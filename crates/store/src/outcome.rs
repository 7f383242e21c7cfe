//! Outcomes: what an attempt or a client's cancel changes, in one commit, by whoever holds the newest claim.

use crate::{Store, StoreError, on_engine};
use posthaste_model::attempt::Settlement;
use posthaste_model::email::RecipientState;
use posthaste_model::news::overall;
use posthaste_model::{ClientId, EmailId, RecipientStatus, Status, Timestamp};
use std::sync::Arc;

/// What became of one settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettleResult {
    /// It is durable.
    Recorded,
    /// Another claim is newer, or the email is under no claim: nothing was changed.
    Fenced,
}

/// What became of a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelResult {
    /// It will not go out.
    Cancelled,
    /// Too late: its status.
    NotCancellable(Status),
    /// No such email of this client.
    NotFound,
}

/// The status after an outcome; `None` when it cannot follow. Better-informed news that came meanwhile stays, and
/// `sent` stays while recipients are left over.
pub(crate) fn next_status(from: Status, to: Status) -> Option<Status> {
    use Status::{Bounced, Complained, Delivered, Sent};
    match (from, to) {
        _ if from == to || from.may_become(to) => Some(to),
        (Delivered | Bounced | Complained, Sent) => Some(from),
        _ => None,
    }
}

/// What an outcome makes of an email, and whether that is more than the outcome itself knew: news that came before it
/// (the provider had the mail although nobody was told) counts once nobody is to be tried any more.
pub(crate) fn outcome_status(
    from: Status,
    wanted: Status,
    recipients: Option<&[RecipientState]>,
) -> (Option<Status>, bool) {
    let Some(states) = recipients.filter(|states| !states.iter().any(|state| state.status.is_open())) else {
        return (next_status(from, wanted), false);
    };
    // Where every recipient left was erased meanwhile there is nobody to try again.
    let wanted = if wanted == Status::Queued { Status::Failed } else { wanted };
    match (next_status(from, wanted), overall(states)) {
        (Some(status), better) if Status::Sent.may_become(better) && better != Status::Failed => {
            let by_way_of_sent = !matches!(status, Status::Delivered | Status::Bounced | Status::Complained);
            let follows = by_way_of_sent || status.may_become(better);
            (Some(if follows { better } else { status }), follows && better != wanted)
        }
        (status, _) => (status, false),
    }
}

/// Whether a recipient is in such a state; of unchanged ones (`None`) all are queued.
pub(crate) fn anybody(recipients: Option<&[RecipientState]>, such: impl Fn(RecipientStatus) -> bool) -> bool {
    recipients.map_or(such(RecipientStatus::Queued), |states| states.iter().any(|state| such(state.status)))
}

impl Store {
    /// Records outcomes, each with its events; one result per settlement, in order.
    pub async fn settle(
        &self,
        settlements: impl Into<Arc<[Settlement]>>,
    ) -> Result<Vec<SettleResult>, StoreError> {
        on_engine!(self, engine => engine.settle(settlements.into()).await)
    }

    /// Takes an email back while it is scheduled or queued. A claim at the same instant: exactly one wins.
    pub async fn cancel(
        &self,
        client_id: ClientId,
        email_id: EmailId,
        now: Timestamp,
    ) -> Result<CancelResult, StoreError> {
        on_engine!(self, engine => engine.cancel(client_id, email_id, now).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_that_came_before_the_outcome_counts() {
        let states = |statuses: &[RecipientStatus]| -> Vec<RecipientState> {
            let at = Timestamp::from_millis(0);
            let state = |status: &RecipientStatus| RecipientState {
                status: *status,
                last_reply: None,
                failure_code: None,
                updated_at: at,
            };
            statuses.iter().map(state).collect()
        };
        use RecipientStatus::{Cancelled, Delivered, Failed, Queued, Sent};
        let of = |wanted, statuses: &[RecipientStatus]| {
            outcome_status(Status::Processing, wanted, Some(&states(statuses)))
        };
        assert_eq!(of(Status::Sent, &[Sent]), (Some(Status::Sent), false));
        assert_eq!(of(Status::Sent, &[Delivered]), (Some(Status::Delivered), true));
        assert_eq!(
            of(Status::Queued, &[Delivered]),
            (Some(Status::Delivered), true),
            "it need not be tried again"
        );
        assert_eq!(of(Status::Failed, &[Delivered]), (Some(Status::Delivered), true), "it arrived after all");
        assert_eq!(of(Status::Failed, &[Failed]), (Some(Status::Failed), false));
        assert_eq!(of(Status::Queued, &[Cancelled]), (Some(Status::Failed), false));
        assert_eq!(of(Status::Sent, &[Delivered, Queued]), (Some(Status::Sent), false));
    }

    #[test]
    fn news_is_not_undone_and_sent_never_goes_back() {
        assert_eq!(next_status(Status::Processing, Status::Queued), Some(Status::Queued));
        assert_eq!(next_status(Status::Sent, Status::Sent), Some(Status::Sent));
        assert_eq!(next_status(Status::Delivered, Status::Sent), Some(Status::Delivered));
        assert_eq!(next_status(Status::Sent, Status::Queued), None);
        assert_eq!(next_status(Status::Cancelled, Status::Sent), None);
    }
}
