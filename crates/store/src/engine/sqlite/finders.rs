//! The index behind the lists: which emails have this recipient, domain, tag, template, event, word. It is built behind
//! the hot path, when the writer is idle or far ahead, in batches sorted by key; what it does not hold yet is looked
//! through directly, so that a list never misses anything.

use super::Sqlite;
use super::trouble::Trouble;
use super::tx::Tx;
use crate::StoreError;
use crate::record::{RecipientIn, damaged, mailbox};
use rusqlite::{Connection, params};
use serde::Deserialize;
use std::borrow::Cow;

/// Emails indexed in one step when the writer is idle: a few milliseconds.
pub(super) const STEP: usize = 512;
/// Rows written between two looks at how far the index is behind, under load.
pub(super) const FORCED_EVERY: usize = 4096;
/// Emails indexed in one step under load: the more at once, the fewer pages are written for each.
const FORCED_STEP: usize = 2048;
/// So many emails may be looked through directly (some tens of milliseconds) before the index is brought nearer even
/// under load.
const FAR: i64 = 16_384;
/// More words of a subject than any subject has that is meant to be read.
const MAX_WORDS: usize = 64;
/// Longer words are cut.
const MAX_WORD_CHARACTERS: usize = 64;

impl Sqlite {
    pub(crate) async fn catch_up(&self) -> Result<(), StoreError> {
        while self.write_alone(|tx| index_step(tx)).await? == STEP {}
        Ok(())
    }
}

/// By what emails are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Every = 0,
    Recipient = 1,
    Domain = 2,
    Tag = 3,
    Template = 4,
    Event = 5,
    Word = 6,
}

/// The part of an email's head by which it is found.
#[derive(Deserialize)]
pub(super) struct FinderHead<'a> {
    to: Vec<RecipientIn>,
    #[serde(borrow)]
    subject: Cow<'a, str>,
    #[serde(borrow)]
    domain: Cow<'a, str>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    #[serde(default)]
    template: Option<String>,
    #[serde(default)]
    event: Option<i64>,
}

impl<'a> FinderHead<'a> {
    /// Reads it from the `head` column.
    pub(super) fn read(head: &'a [u8]) -> Result<Self, Trouble> {
        Ok(serde_json::from_slice(head).map_err(|_| damaged("head of an email"))?)
    }

    /// Whether the email is found under this key; the same as looking for it among `keys`, but cheaper.
    pub(super) fn has(&self, kind: Kind, value: &str) -> bool {
        match kind {
            Kind::Every => true,
            Kind::Recipient => self.to.iter().any(|RecipientIn(_, text, _)| is_mailbox_of(text, value)),
            Kind::Domain => self.domain == value,
            Kind::Tag => self.tags.iter().any(|tag| tag == value),
            Kind::Template => self.template.as_deref() == Some(value),
            Kind::Event => self.event.is_some_and(|event| event.to_string() == value),
            Kind::Word => words(&self.subject).binary_search_by(|word| word.as_str().cmp(value)).is_ok(),
        }
    }

    /// All keys under which the email is found.
    pub(super) fn keys(&self) -> Result<Vec<(Kind, Cow<'_, str>)>, Trouble> {
        let mut keys = vec![(Kind::Every, Cow::from("")), (Kind::Domain, Cow::from(&*self.domain))];
        for RecipientIn(_, text, _) in &self.to {
            keys.push((Kind::Recipient, mailbox(text)?.address.canonical().to_owned().into()));
        }
        keys.extend(self.tags.iter().map(|tag| (Kind::Tag, tag.into())));
        keys.extend(self.template.iter().map(|code| (Kind::Template, code.into())));
        keys.extend(self.event.iter().map(|event| (Kind::Event, event.to_string().into())));
        keys.extend(words(&self.subject).into_iter().map(|word| (Kind::Word, word.into())));
        Ok(keys)
    }
}

/// Whether a mailbox has this canonical address.
fn is_mailbox_of(text: &str, canonical: &str) -> bool {
    // Most are told apart without reading them: the domain is the same in both forms.
    let domain = canonical.rsplit_once('@').map_or(canonical, |(_, domain)| domain);
    let bare = text.strip_suffix('>').unwrap_or(text);
    bare.ends_with(domain) && mailbox(text).is_ok_and(|mailbox| mailbox.address.canonical() == canonical)
}

/// The words of a text, in lower case, each once: runs of letters and digits.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(MAX_WORDS)
        .map(|word| word.chars().flat_map(char::to_lowercase).take(MAX_WORD_CHARACTERS).collect())
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// Up to which email the index is complete.
pub(super) fn indexed_up_to(connection: &Connection) -> Result<i64, Trouble> {
    let sql = "SELECT indexed_up_to FROM installation";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// Indexes the next emails; how many.
pub(super) fn index_step(tx: &Tx<'_>) -> Result<usize, Trouble> {
    index(tx, STEP)
}

fn index(tx: &Tx<'_>, limit: usize) -> Result<usize, Trouble> {
    let from = indexed_up_to(tx.connection)?;
    let mut statement = tx.connection.prepare_cached(
        "SELECT e.n, e.client, b.head FROM emails e JOIN bodies b ON b.n = e.n
         WHERE e.n > ?1 ORDER BY e.n LIMIT ?2",
    )?;
    let mut rows = statement.query(params![from, limit])?;
    let (mut entries, mut count, mut last) = (Vec::new(), 0, from);
    while let Some(row) = rows.next()? {
        let (n, client): (i64, i64) = (row.get(0)?, row.get(1)?);
        let head = row.get_ref(2)?.as_blob().map_err(|_| damaged("head of an email"))?;
        for (kind, value) in FinderHead::read(head)?.keys()? {
            entries.push((client, kind, value.into_owned(), n));
        }
        (count, last) = (count + 1, n);
    }
    if count > 0 {
        // Sorted, neighbours fall on the same page.
        entries.sort_unstable();
        for (client, kind, value, n) in entries {
            insert(tx.connection, client, kind, &value, n)?;
        }
        tx.connection.prepare_cached("UPDATE installation SET indexed_up_to = ?1")?.execute([last])?;
    }
    Ok(count)
}

/// Indexes a step when too much would have to be looked through directly.
pub(super) fn index_when_far_behind(tx: &Tx<'_>) -> Result<(), Trouble> {
    let newest: Option<i64> =
        tx.connection.prepare_cached("SELECT max(n) FROM emails")?.query_row([], |row| row.get(0))?;
    if newest.unwrap_or(0) - indexed_up_to(tx.connection)? > FAR {
        index(tx, FORCED_STEP)?;
    }
    Ok(())
}

fn insert(connection: &Connection, client: i64, kind: Kind, value: &str, n: i64) -> Result<(), Trouble> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO finders (client, kind, value, n) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![client, kind as i64, value, n])?;
    Ok(())
}

/// Writes the entries of an email that changed, if the index has come so far.
pub(super) fn add(connection: &Connection, client: i64, n: i64, head: &[u8]) -> Result<(), Trouble> {
    if n <= indexed_up_to(connection)? {
        for (kind, value) in FinderHead::read(head)?.keys()? {
            insert(connection, client, kind, &value, n)?;
        }
    }
    Ok(())
}

/// Removes an email's entries.
pub(super) fn remove(connection: &Connection, client: i64, n: i64, head: &[u8]) -> Result<(), Trouble> {
    let mut delete = connection
        .prepare_cached("DELETE FROM finders WHERE client = ?1 AND kind = ?2 AND value = ?3 AND n = ?4")?;
    for (kind, value) in FinderHead::read(head)?.keys()? {
        delete.execute(params![client, kind as i64, value, n])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_has_its_keys_and_no_others() {
        let head = br#"{"to":[["to","Ann <Ann@b.example>"],["bcc","x@y.example"]],"subject":"Order 42",
            "domain":"b.example","tags":["t"],"template":"w","event":7}"#;
        let head = FinderHead::read(head).unwrap();
        let keys = head.keys().unwrap();
        assert_eq!(keys.len(), 9);
        assert!(keys.iter().all(|(kind, value)| head.has(*kind, value)), "{keys:?}");
        for (kind, value) in [
            (Kind::Recipient, "nn@b.example"),
            (Kind::Recipient, "b.example"),
            (Kind::Domain, "example"),
            (Kind::Tag, ""),
            (Kind::Template, "x"),
            (Kind::Event, "8"),
            (Kind::Word, "orde"),
        ] {
            assert!(!head.has(kind, value), "{kind:?} {value}");
        }
    }

    #[test]
    fn words_are_runs_of_letters_and_digits_in_lower_case() {
        assert_eq!(words("Selamat datang, ANDI! (Order #42)"), ["42", "andi", "datang", "order", "selamat"]);
        assert_eq!(words("Grüße GRÜSSE naïve"), ["grüsse", "grüße", "naïve"]);
        assert!(words(" -- !").is_empty());
        assert_eq!(words(&"x".repeat(1000))[0].len(), 64);
    }
}
