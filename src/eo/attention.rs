//! What time does to reports: one that is not out some minutes after it was asked for is told to its organizer, once;
//! one whose email was never written, because a process died, is finished.

use super::message::{Notice, needs_attention};
use super::words::{ReportWords, failure};
use super::{Eo, unavailable};
use crate::base::correlation::CorrelationId;
use crate::base::tasks::Tasks;
use crate::intake::{Accepted, IdempotencyRequest, Submission};
use askama::Template as _;
use posthaste_model::draft::{Draft, DraftMailbox, SenderRule};
use posthaste_model::email::Source;
use posthaste_model::refusal::Refusal;
use posthaste_store::{EoDeliveryRecord, StoreError};
use std::convert::Infallible;
use std::time::Duration;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);
/// Deliveries of one look.
const PAGE: usize = 50;
/// A delivery whose email is not there after this was left by a process that died.
const LEFT: Duration = Duration::from_secs(30);
/// Older ones are left alone: their emails are gone by retention, or nobody waits for them any more.
const WAITED_FOR: Duration = Duration::from_hours(24);
/// A report that fails later than this tells its organizer nothing new.
const WATCHED: Duration = Duration::from_hours(3 * 24);

/// Starts the watch; it ends with the tasks.
pub fn watch(eo: Eo, tasks: &Tasks) {
    let stop = tasks.token();
    tasks.supervise("eo.attention", move || {
        let (eo, stop) = (eo.clone(), stop.clone());
        async move {
            while !stop.is_cancelled() {
                if let Err(error) = eo.look().await {
                    tracing::warn!(%error, "the reports could not be looked after, it is tried again");
                }
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
            Ok::<(), Infallible>(())
        }
    });
}

impl Eo {
    async fn look(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        for record in self.store.eo_unwritten(now.minus(WAITED_FOR), now.minus(LEFT), PAGE).await? {
            self.finish(&record).await?;
        }
        let to = now.minus(self.attention_after);
        for record in self.store.eo_overdue(now.minus(WATCHED), to, PAGE).await? {
            if record.outcome.as_ref().is_none_or(|outcome| needs_attention(outcome.status)) {
                self.tell(&record).await?;
            }
        }
        Ok(())
    }

    /// Sends a report whose delivery was written down and nothing more. Two nodes that do so at once, and a retry beside
    /// them, use one key and one id: the store takes one of them.
    async fn finish(&self, record: &EoDeliveryRecord) -> Result<(), StoreError> {
        let delivery = &record.delivery;
        let Some(event) = self.store.eo_event(delivery.event_id).await? else { return Ok(()) };
        match self.submit(delivery, &event, None, CorrelationId::generate(&self.chance)).await {
            Ok(Accepted::New(..)) => {
                tracing::info!(delivery = delivery.id, "a report that was left over was sent");
            }
            Ok(Accepted::Replayed(answer)) => self.drop_double(delivery, &answer).await?,
            Err(refusal) => {
                tracing::warn!(?refusal, delivery = delivery.id, "a report that was left over waits");
            }
        }
        Ok(())
    }

    /// Tells the organizer of a delivery: in the page, and by email unless that is the address that fails.
    async fn tell(&self, record: &EoDeliveryRecord) -> Result<(), StoreError> {
        let delivery = &record.delivery;
        let owner = self.store.user(record.owner_id).await?;
        if let Some(owner) =
            owner.filter(|owner| owner.is_active && !owner.email.eq_ignore_ascii_case(&delivery.to_email))
            && let Err(refusal) = self.mail_notice(record, &owner.email).await
        {
            tracing::warn!(?refusal, delivery = delivery.id, "an organizer could not be told by email");
            if matches!(refusal, Refusal::Unavailable { .. }) {
                return Ok(());
            }
        }
        self.store.notice_eo_delivery(delivery.id, self.clock.now()).await?;
        Ok(())
    }

    async fn mail_notice(&self, record: &EoDeliveryRecord, to: &str) -> Result<(), Refusal> {
        let delivery = &record.delivery;
        let event = self.store.eo_event(delivery.event_id).await.map_err(unavailable)?;
        let event = event.ok_or(Refusal::NotFound)?;
        let caller = self.caller(&event).await?;
        let words = ReportWords::of(delivery.language);
        let notice = Notice {
            language: delivery.language.as_str(),
            words,
            event: &event.name,
            subject: &delivery.subject,
            to_email: &delivery.to_email,
            reason: failure(record).map(|(_, message)| message).unwrap_or_default(),
            link: self.page_of(&event, None),
        };
        let mut draft = Draft::new(Source::EoReport);
        draft.sender = SenderRule::Configuration;
        draft.from = Some(self.sender(&caller).await?);
        draft.to = vec![DraftMailbox::Text(to.to_owned())];
        draft.subject = Some(format!("{}: {}", words.notice_subject, event.name));
        draft.html = notice.render().ok();
        draft.text = Some(notice.text());
        draft.tags = vec!["eo-notice".to_owned()];
        let submission = Submission {
            correlation: CorrelationId::generate(&self.chance),
            // Two nodes may tell of the same delivery at once, and one may die before it notes that it told.
            idempotency: Some(IdempotencyRequest {
                endpoint: "eo-notice",
                key: delivery.id.to_string(),
                fingerprint: [0; 32],
            }),
            limits: None,
            answer: &|_| b"{}".to_vec(),
        };
        self.intake.accept(&caller, draft, submission).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_model::Status;

    #[test]
    fn what_is_out_needs_no_attention() {
        let needy: Vec<&Status> = Status::ALL.iter().filter(|status| needs_attention(**status)).collect();
        assert_eq!(
            needy,
            [&Status::Scheduled, &Status::Queued, &Status::Bounced, &Status::Failed, &Status::Cancelled]
        );
    }
}
