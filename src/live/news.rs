//! Announcements on their way between nodes: who tells, then a client and an email for each.

use super::Change;
use posthaste_model::{ClientId, EmailId};

/// Bytes of a node's number.
pub const NODE_LEN: usize = 8;
/// Announcements in one message at most.
pub const MOST: usize = 256;
/// Bytes of an id.
const ID_LEN: usize = 16;

/// The message of `node` about `changes`.
pub fn write(node: [u8; NODE_LEN], changes: impl Iterator<Item = Change>) -> Vec<u8> {
    let mut message = node.to_vec();
    for change in changes {
        message.extend_from_slice(change.client_id.as_bytes());
        message.extend_from_slice(change.email_id.as_bytes());
    }
    message
}

/// What another node than `own` tells; nothing for our own words and for what is no message.
pub fn read(message: &[u8], own: [u8; NODE_LEN]) -> impl Iterator<Item = Change> {
    let told = match message.split_at_checked(NODE_LEN) {
        Some((node, told)) if node != own.as_slice() => told,
        _ => &[],
    };
    told.chunks_exact(2 * ID_LEN).take(MOST).filter_map(|one| {
        let (client, email) = one.split_at(ID_LEN);
        Some(Change { client_id: ClientId::from_slice(client)?, email_id: EmailId::from_slice(email)? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_model::Timestamp;

    #[test]
    fn news_are_read_by_others_and_by_nobody_else() {
        let at = Timestamp::from_millis(1);
        let change =
            |n| Change { client_id: ClientId::new(at, [n; 10]), email_id: EmailId::new(at, [9; 10]) };
        let message = write([1; NODE_LEN], [change(1), change(2)].into_iter());
        assert_eq!(read(&message, [2; NODE_LEN]).collect::<Vec<_>>(), [change(1), change(2)]);
        assert_eq!(read(&message, [1; NODE_LEN]).count(), 0);
        for length in 0..message.len() {
            assert!(read(&message[..length], [2; NODE_LEN]).count() < 2);
        }
    }
}
