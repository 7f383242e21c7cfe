//! Columns of any table and the types they become.

use super::trouble::Trouble;
use posthaste_model::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

/// A column's value.
pub(super) fn at<'r, T: FromSql<'r>>(row: &'r Row, column: usize) -> Result<T, Trouble> {
    Ok(row.try_get(column)?)
}

/// An instant.
pub(super) fn instant_at(row: &Row, column: usize) -> Result<Timestamp, Trouble> {
    Ok(Timestamp::from_millis(row.try_get(column)?))
}

/// A number that is never negative.
pub(super) fn count_at(row: &Row, column: usize) -> Result<u64, Trouble> {
    Ok(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or(0))
}

/// A small number that is never negative.
pub(super) fn small_at(row: &Row, column: usize) -> Result<u32, Trouble> {
    Ok(u32::try_from(row.try_get::<_, i32>(column)?).unwrap_or(0))
}

/// The number of a closed set's word.
pub(super) fn code_at(row: &Row, column: usize) -> Result<i64, Trouble> {
    Ok(i64::from(row.try_get::<_, i16>(column)?))
}

/// The lowest id of an instant: ids of version 7 begin with their milliseconds.
pub(super) fn first_id(millis: i64) -> Uuid {
    let millis = u128::try_from(millis.clamp(0, (1 << 48) - 1)).unwrap_or(0);
    Uuid::from_u128(millis << 80)
}

/// The milliseconds an id begins with.
pub(super) fn millis_of(id: Uuid) -> i64 {
    i64::try_from(id.as_u128() >> 80).unwrap_or(i64::MAX)
}
