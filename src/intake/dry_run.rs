//! Everything but the sending: what would go out, to whom, by which way, and why. Stores and counts nothing.

use super::{Intake, Submission, unavailable};
use crate::auth::Caller;
use crate::render::Rendered;
use posthaste_model::credential::Permission;
use posthaste_model::decision::Decision;
use posthaste_model::draft::Draft;
use posthaste_model::email::{Content, Email};
use posthaste_model::refusal::Refusal;
use posthaste_store::StoreError;

/// What sending would do.
#[derive(Debug)]
pub struct DryRun {
    /// The email as it would be stored.
    pub email: Email,
    /// The message as it would read.
    pub rendered: Rendered,
    /// The decisions in the order they were taken.
    pub decisions: Vec<Decision>,
}

impl Intake {
    /// Judges a draft and renders it.
    pub async fn dry_run(
        &self,
        caller: &Caller,
        draft: Draft,
        submission: Submission<'_>,
    ) -> Result<DryRun, Refusal> {
        caller.must(Permission::EmailsSend)?;
        let mut caller = caller.clone();
        for _ in 0..super::STALE_ROUNDS {
            let now = self.clock.now();
            match self.prepare(&caller, &draft, &submission, now).await {
                Err(refusal) => caller = self.refreshed_or(caller, refusal).await?,
                Ok(prepared) => return self.shown(&caller, prepared.email).await,
            }
        }
        Err(unavailable(&StoreError::Busy))
    }

    async fn shown(&self, caller: &Caller, email: Email) -> Result<DryRun, Refusal> {
        let Content::Parts(parts) = &email.content else { return Err(Refusal::NotFound) };
        let template = match &parts.template {
            None => None,
            Some(used) => {
                let found = caller.view.template(caller.client.id, &used.code).await;
                found.map_err(|error| unavailable(&error))?
            }
        };
        let rendered =
            self.renderer.check(caller.client.id, parts, template.as_deref()).map_err(Refusal::Invalid)?;
        let mut decisions = email.decisions.clone();
        decisions.push(self.explain_route(&email, &caller.client.name));
        Ok(DryRun { email, rendered, decisions })
    }
}
