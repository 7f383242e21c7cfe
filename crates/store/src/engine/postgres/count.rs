//! How many emails a filter finds. Where the kept counts can say they do; else the emails are counted in their index,
//! within the time a read may take.

use super::Postgres;
use super::list::Search;
use super::rows::uuid_of;
use super::stats::visit_counts;
use crate::StoreError;
use crate::emails::EmailFilter;
use crate::record::status_code;
use posthaste_model::{ClientId, Timestamp};

impl Postgres {
    pub(crate) async fn count(&self, client_id: ClientId, filter: EmailFilter) -> Result<u64, StoreError> {
        let client = uuid_of!(client_id);
        let filter = &filter;
        self.read(|db| async move {
            if !filter.is_counted() {
                return Search::new(client, filter).count(&db).await;
            }
            let statuses: Vec<i64> = filter.statuses.iter().map(|status| status_code(*status)).collect();
            let from = filter.date_from.map_or(i64::MIN, Timestamp::millis);
            let to = filter.date_to.map_or(i64::MAX, Timestamp::millis);
            let mut total = 0;
            visit_counts(&db, client, from, to, |counted| {
                let wanted = (statuses.is_empty() || statuses.contains(&counted.status))
                    && filter.domain.as_ref().is_none_or(|domain| *domain == counted.domain);
                if wanted {
                    total += counted.amount;
                }
            })
            .await?;
            Ok(u64::try_from(total).unwrap_or(0))
        })
        .await
    }
}
