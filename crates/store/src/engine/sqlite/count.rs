//! How many emails a filter finds. Where the kept counts can say they do; else the emails are found one by one, within
//! the time a read may take.

use super::Sqlite;
use super::list::Search;
use super::stats::{Counted, visit_counts};
use super::trouble::Trouble;
use super::tx::client_number;
use crate::StoreError;
use crate::emails::EmailFilter;
use crate::record::status_code;
use posthaste_model::{ClientId, Timestamp};
use rusqlite::{Connection, OptionalExtension};

impl Sqlite {
    pub(crate) async fn count(&self, client_id: ClientId, filter: EmailFilter) -> Result<u64, StoreError> {
        self.readers
            .read(move |connection| match client_number(connection, client_id)? {
                None => Ok(0),
                Some(client) if filter.is_counted() => by_counts(connection, client, &filter),
                Some(client) => {
                    let search = Search::new(connection, client, &filter)?;
                    if let Some(count) = search.count_by_index()? {
                        return Ok(count);
                    }
                    let mut count = 0;
                    search.each(i64::MAX, |_| {
                        count += 1;
                        true
                    })?;
                    Ok(count)
                }
            })
            .await
    }
}

fn by_counts(connection: &Connection, client: i64, filter: &EmailFilter) -> Result<u64, Trouble> {
    let domain = match &filter.domain {
        None => None,
        Some(name) => {
            let sql = "SELECT n FROM domain_names WHERE name = ?1";
            match connection.prepare_cached(sql)?.query_row([name], |row| row.get::<_, i64>(0)).optional()? {
                None => return Ok(0),
                found => found,
            }
        }
    };
    let statuses: Vec<i64> = filter.statuses.iter().map(|status| status_code(*status)).collect();
    let from = filter.date_from.map_or(i64::MIN, Timestamp::millis);
    let to = filter.date_to.map_or(i64::MAX, Timestamp::millis);
    let mut total = 0;
    visit_counts(connection, client, from, to, |counted: Counted| {
        let wanted = (statuses.is_empty() || statuses.contains(&counted.status))
            && domain.is_none_or(|domain| domain == counted.domain);
        if wanted {
            total += counted.amount;
        }
    })?;
    Ok(u64::try_from(total).unwrap_or(0))
}
