//! A value on its way between two engines, and the sum by which two tables are compared.

use crate::StoreError;
use posthaste_model::email::BlobHash;

/// What a column of the target holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A number of 2 bytes.
    Small,
    /// A number of 4 bytes.
    Int,
    /// A number of 8 bytes.
    Big,
    /// Yes or no, which is 1 or 0 in SQLite.
    Bool,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// An id, which is 16 bytes in SQLite.
    Id,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Nothing.
    Null,
    /// A number, yes or no.
    Number(i64),
    /// Text.
    Text(String),
    /// Bytes, an id.
    Bytes(Vec<u8>),
}

impl Cell {
    /// The text, for what is computed from a row.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Null | Self::Number(_) => &[],
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    fn write(&self, into: &mut Vec<u8>) {
        let (tag, bytes): (u8, &[u8]) = match self {
            Self::Null => (0, &[]),
            Self::Number(number) => {
                into.push(1);
                into.extend_from_slice(&number.to_be_bytes());
                return;
            }
            Self::Text(text) => (2, text.as_bytes()),
            Self::Bytes(bytes) => (3, bytes),
        };
        into.push(tag);
        into.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        into.extend_from_slice(bytes);
    }
}

/// Number and checksum of rows: the sum of their digests, so that their order does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest {
    pub rows: u64,
    sum: u128,
}

impl Digest {
    /// Adds a row.
    pub(crate) fn add(&mut self, row: &[Cell]) {
        let mut bytes = Vec::new();
        for cell in row {
            cell.write(&mut bytes);
        }
        let BlobHash(hash) = BlobHash::of(&bytes);
        let first = hash.iter().take(16).fold(0, |number: u128, byte| number << 8 | u128::from(*byte));
        self.sum = self.sum.wrapping_add(first);
        self.rows += 1;
    }

    /// The checksum as it is shown.
    pub(crate) fn checksum(self) -> String {
        format!("{:032x}", self.sum)
    }

    /// Whether two tables are the same; else which is not.
    pub(crate) fn compare(self, target: Self, table: &str) -> Result<(), StoreError> {
        if self == target {
            return Ok(());
        }
        Err(StoreError::Corrupt(format!(
            "{table} arrived with {} rows (checksum {}) of {} ({})",
            target.rows,
            target.checksum(),
            self.rows,
            self.checksum()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_every_value_does() {
        let rows = [[Cell::Number(1), Cell::Text("a".into())], [Cell::Null, Cell::Bytes(b"a".to_vec())]];
        let sum = |rows: &[&[Cell; 2]]| {
            let mut digest = Digest::default();
            for row in rows {
                digest.add(*row);
            }
            digest
        };
        let both = sum(&[&rows[0], &rows[1]]);
        assert_eq!(both, sum(&[&rows[1], &rows[0]]));
        assert!(both.compare(sum(&[&rows[0], &rows[0]]), "t").is_err());
        assert!(both.compare(sum(&[&rows[0]]), "t").is_err());
        assert_ne!(sum(&[&[Cell::Null, Cell::Null]]), sum(&[&[Cell::Text(String::new()), Cell::Null]]));
    }
}
