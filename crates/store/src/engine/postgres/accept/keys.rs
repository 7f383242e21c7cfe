//! Idempotency keys: the first transaction to write a key's row has it, on whichever node; others wait for its end and
//! find the row, or, if it was undone, write it themselves.

use super::{Waiting, found_in};
use crate::accept::{AcceptResult, IdempotencyClaim, ReplayFound};
use crate::engine::postgres::rows::uuid_of;
use crate::engine::postgres::session::Session;
use crate::engine::postgres::trouble::Trouble;
use posthaste_model::Timestamp;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// A key at a time.
pub(super) const LOOK_UP: &str = "SELECT fingerprint, answer FROM idempotency
    WHERE client_id = $1 AND endpoint = $2 AND key = $3 AND keep_until > $4";

/// What a key's row is found by.
pub(super) type Key = (Uuid, &'static str, String);

pub(super) fn key_of(claim: &IdempotencyClaim) -> Key {
    (uuid_of!(claim.client_id), claim.endpoint, claim.key.clone())
}

/// Writes the keys of a group, each of which it names once; those that it got.
pub(super) async fn write(
    db: &Session,
    group: &[Waiting],
    now: Timestamp,
) -> Result<HashSet<(Uuid, String, String)>, Trouble> {
    let mut claims: Vec<&IdempotencyClaim> =
        group.iter().filter_map(|waiting| waiting.idempotency.as_ref()).collect();
    if claims.is_empty() {
        return Ok(HashSet::new());
    }
    // In one order everywhere: two groups that share keys then cannot wait for each other in a ring.
    claims.sort_unstable_by_key(|claim| (claim.client_id, claim.endpoint, claim.key.as_str()));
    let client_ids: Vec<Uuid> = claims.iter().map(|claim| uuid_of!(claim.client_id)).collect();
    let endpoints: Vec<&str> = claims.iter().map(|claim| claim.endpoint).collect();
    let keys: Vec<&str> = claims.iter().map(|claim| claim.key.as_str()).collect();
    let fingerprints: Vec<&[u8]> = claims.iter().map(|claim| claim.fingerprint.as_slice()).collect();
    let answers: Vec<&[u8]> = claims.iter().map(|claim| claim.answer.as_slice()).collect();
    let keep_until: Vec<i64> = claims.iter().map(|claim| claim.keep_until.millis()).collect();
    let rows = db
        .rows(
            "INSERT INTO idempotency AS i (client_id, endpoint, key, fingerprint, answer, keep_until)
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::int8[])
             ON CONFLICT (client_id, endpoint, key) DO UPDATE SET fingerprint = excluded.fingerprint,
                answer = excluded.answer, keep_until = excluded.keep_until
             WHERE i.keep_until <= $7
             RETURNING client_id, endpoint, key",
            &[&client_ids, &endpoints, &keys, &fingerprints, &answers, &keep_until, &now.millis()],
        )
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).collect()
}

/// The answers of requests whose key another one has; `None` for one whose key went away meanwhile, to be tried anew.
pub(super) async fn answers(
    db: &Session,
    lost: &[&IdempotencyClaim],
    now: Timestamp,
) -> Result<HashMap<Key, AcceptResult>, Trouble> {
    let mut answers = HashMap::new();
    for claim in lost {
        let client = uuid_of!(claim.client_id);
        let found = db.maybe(LOOK_UP, &[&client, &claim.endpoint, &claim.key, &now.millis()]).await?;
        if let Some(row) = found {
            let answer = match found_in(&row, &claim.fingerprint)? {
                ReplayFound::Answer(answer) => AcceptResult::Replayed(answer),
                ReplayFound::Reused => AcceptResult::KeyReused,
            };
            answers.insert(key_of(claim), answer);
        }
    }
    Ok(answers)
}
