//! `GET /api/emails` and `GET /api/stats`: the client's own email, newest first, and counts of it.

use super::emails::call;
use super::{EmailsApi, refusals, shapes};
use crate::surfaces::http::answer;
use crate::surfaces::http::json::reader::FieldErrors;
use crate::surfaces::http::problem::{self, Problem};
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::Response;
use http::{Request, StatusCode};
use posthaste_model::credential::Permission;
use posthaste_model::{Address, Domain, Status, Timestamp};
use posthaste_store::{Cursor, EmailFilter, StatsBy};
use serde_json::json;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const DEFAULT_PAGE: usize = 20;
const LARGEST_PAGE: i64 = 100;
/// Words of `q` that are looked for.
const MOST_WORDS: usize = 10;
/// Without `from`, statistics go back this far.
const STATS_BACK: Duration = Duration::from_secs(30 * 86_400);

/// The query's pairs, decoded.
pub(super) fn query(parts: &http::request::Parts) -> Result<Vec<(String, String)>, Problem> {
    // PostgreSQL cannot be asked for a text with NUL, and nothing that is kept has one.
    let is_text = |(key, value): &(String, String)| !key.contains('\0') && !value.contains('\0');
    Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
        .ok()
        .map(|Query(pairs)| pairs)
        .filter(|pairs| pairs.iter().all(is_text))
        .ok_or_else(|| Problem::new(problem::BAD_REQUEST, "the query cannot be decoded"))
}

/// What a list asks for.
struct Asked {
    filter: EmailFilter,
    limit: usize,
    cursor: Option<Cursor>,
    count: bool,
}

/// `GET /api/emails`.
pub(super) async fn emails(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::EmailsRead, async |caller, _| {
        let asked = asked(query(&parts)?)?;
        let client = caller.client.id;
        let store = |error| refusals::store(&error);
        let page = api.store.list(client, &asked.filter, asked.cursor, asked.limit).await.map_err(store)?;
        let mut body = json!({
            "data": page.rows.iter().map(shapes::summary).collect::<Vec<_>>(),
            "next_cursor": page.next.map(|cursor| cursor.to_string()),
        });
        if asked.count {
            body["total"] = api.store.count(client, &asked.filter).await.map_err(store)?.into();
        }
        Ok(answer::json(StatusCode::OK, &body))
    })
    .await
}

fn asked(pairs: Vec<(String, String)>) -> Result<Asked, Problem> {
    let mut asked = Asked { filter: EmailFilter::default(), limit: DEFAULT_PAGE, cursor: None, count: false };
    let mut errors = FieldErrors::new();
    for (key, text) in pairs {
        if let Err((code, message)) = one_filter(&mut asked, &key, &text) {
            errors.push(format!("/{key}"), code, message);
        }
    }
    if errors.is_empty() { Ok(asked) } else { Err(Problem::validation(errors)) }
}

/// Takes one parameter; what is wrong with it as code and message.
fn one_filter(asked: &mut Asked, key: &str, text: &str) -> Result<(), (&'static str, String)> {
    let invalid = |message: &str| Err(("invalid_value", message.to_owned()));
    let filter = &mut asked.filter;
    match key {
        "status" => match Status::parse(text) {
            Some(status) => filter.statuses.push(status),
            None => return invalid("is not a status"),
        },
        "date_from" => match moment(text) {
            Some((at, _)) => filter.date_from = Some(at),
            None => return invalid("is not a date or timestamp"),
        },
        // A date as the end is inclusive: up to the first instant of the next day.
        "date_to" => match moment(text) {
            Some((at, is_date)) => {
                filter.date_to = Some(if is_date { at.plus(DAY) } else { at.plus(Duration::from_millis(1)) });
            }
            None => return invalid("is not a date or timestamp"),
        },
        "recipient" => match Address::parse(text) {
            Ok(address) => filter.recipient = Some(address.canonical().to_owned()),
            Err(error) => return Err(("invalid_email", format!("the address {error}"))),
        },
        "domain" => match Domain::parse(text) {
            Ok(domain) => filter.domain = Some(domain.as_str().to_owned()),
            Err(error) => return Err(("invalid_domain", format!("the domain {error}"))),
        },
        "tag" => filter.tag = Some(text.to_owned()),
        "template_code" => filter.template_code = Some(text.to_owned()),
        "event_id" => match text.parse() {
            Ok(id) => filter.event_id = Some(id),
            Err(_) => return invalid("is not an integer"),
        },
        "q" if text.split_whitespace().count() > MOST_WORDS => return invalid("has more than 10 words"),
        "q" => filter.q = Some(text.to_owned()).filter(|q| !q.trim().is_empty()),
        "limit" => match text.parse::<i64>() {
            Ok(limit) if (1..=LARGEST_PAGE).contains(&limit) => asked.limit = limit as usize,
            _ => return Err(("out_of_range", "must be 1 to 100".to_owned())),
        },
        "cursor" => match text.parse() {
            Ok(cursor) => asked.cursor = Some(cursor),
            Err(_) => return invalid("is not a cursor of this list"),
        },
        "count" => match text {
            "true" | "1" => asked.count = true,
            "false" | "0" => asked.count = false,
            _ => return invalid("is true or false"),
        },
        _ => return Err(("unknown_field", "is not a parameter of this request".to_owned())),
    }
    Ok(())
}

/// A date (its first instant, UTC) or a timestamp; whether it was a date.
fn moment(text: &str) -> Option<(Timestamp, bool)> {
    // A plus sign in a query decodes to a blank; an offset can only have been a plus.
    let text = text.replace(' ', "+");
    let date = Timestamp::parse_date(&text).ok().map(|at| (at, true));
    date.or_else(|| Timestamp::parse(&text).ok().map(|at| (at, false)))
}

/// `GET /api/stats?from&to&group_by`.
pub(super) async fn stats(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::EmailsRead, async |caller, _| {
        let now = api.clock.now();
        let (mut from, mut to, mut by) = (now.minus(STATS_BACK), now, StatsBy::Status);
        let mut errors = FieldErrors::new();
        for (key, text) in query(&parts)? {
            match (key.as_str(), moment(&text), group(&text)) {
                ("from", Some((at, _)), _) => from = at,
                ("to", Some((at, true)), _) => to = at.plus(DAY),
                ("to", Some((at, false)), _) => to = at,
                ("from" | "to", None, _) => {
                    errors.push(format!("/{key}"), "invalid_value", "is not a date or timestamp");
                }
                ("group_by", _, Some(group)) => by = group,
                ("group_by", _, None) => {
                    errors.push("/group_by", "invalid_value", "is one of status, domain, tag, hour, day");
                }
                _ => errors.push(format!("/{key}"), "unknown_field", "is not a parameter of this request"),
            }
        }
        if from > to {
            errors.push("/from", "out_of_range", "from lies after to");
        }
        if !errors.is_empty() {
            return Err(Problem::validation(errors));
        }
        let counts = api.store.stats(caller.client.id, from, to, by).await;
        let counts = counts.map_err(|error| refusals::store(&error))?;
        let data: Vec<_> = counts.iter().map(|(key, count)| json!({"key": key, "count": count})).collect();
        Ok(answer::json(StatusCode::OK, &json!({"data": data, "from": from, "to": to})))
    })
    .await
}

fn group(text: &str) -> Option<StatsBy> {
    match text {
        "status" => Some(StatsBy::Status),
        "domain" => Some(StatsBy::Domain),
        "tag" => Some(StatsBy::Tag),
        "hour" => Some(StatsBy::Hour),
        "day" => Some(StatsBy::Day),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_date_as_the_end_is_inclusive() {
        let asked =
            asked(pairs(&[("date_from", "2026-01-01"), ("date_to", "2026-01-01"), ("status", "sent")]));
        let filter = asked.map(|a| a.filter).ok();
        let day = filter.and_then(|f| Some(f.date_to?.since(f.date_from?)));
        assert_eq!(day, Some(DAY));
    }

    #[test]
    fn every_bad_parameter_is_named() {
        let bad = [
            ("status", "gone"),
            ("limit", "0"),
            ("limit", "101"),
            ("recipient", "x"),
            ("cursor", "../"),
            ("event_id", "1.5"),
            ("date_from", "soon"),
            ("colour", "red"),
            ("count", "maybe"),
        ];
        for one in bad {
            assert!(asked(pairs(&[one])).is_err(), "{one:?}");
        }
    }

    #[test]
    fn a_query_holds_no_nul() {
        let read = |uri: &str| {
            let request = Request::builder().uri(uri).body(()).unwrap();
            query(&request.into_parts().0)
        };
        assert!(
            read("/api/emails?tag=a%20b").is_ok_and(|pairs| pairs == [("tag".to_owned(), "a b".to_owned())])
        );
        assert!(read("/api/emails?tag=a%00b").is_err());
        assert!(read("/api/emails?t%00=a").is_err());
    }
}
