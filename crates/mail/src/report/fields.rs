//! The fields of a report: groups like header sections (RFC 3464, 2.1), folded lines joined.

/// Groups read at most, and fields of one.
const MOST_GROUPS: usize = 101;
const MOST_FIELDS: usize = 200;
/// The longest value that is kept, in bytes.
const LONGEST_VALUE: usize = 2048;

/// Groups of fields; names in lower case.
pub(super) struct Groups(Vec<Vec<(String, String)>>);

impl Groups {
    /// Reads the groups of a text. Lines that are no fields are passed over.
    pub fn read(text: &str) -> Self {
        let mut groups: Vec<Vec<(String, String)>> = Vec::new();
        let mut is_open = false;
        for line in text.lines() {
            if line.trim().is_empty() {
                is_open = false;
            } else if line.starts_with([' ', '\t']) {
                if is_open && let Some((_, value)) = groups.last_mut().and_then(|group| group.last_mut()) {
                    push(value, line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                if !is_open {
                    if groups.len() >= MOST_GROUPS {
                        break;
                    }
                    groups.push(Vec::new());
                    is_open = true;
                }
                if let Some(group) = groups.last_mut().filter(|group| group.len() < MOST_FIELDS) {
                    let mut kept = String::new();
                    push(&mut kept, value.trim());
                    group.push((name.trim().to_ascii_lowercase(), kept));
                }
            }
        }
        Self(groups)
    }

    /// The groups in their order.
    pub fn iter(&self) -> impl Iterator<Item = &[(String, String)]> {
        self.0.iter().map(Vec::as_slice)
    }
}

/// Adds a line's text, with a blank before it, as far as there is room.
fn push(value: &mut String, text: &str) {
    if !value.is_empty() {
        value.push(' ');
    }
    let room = LONGEST_VALUE.saturating_sub(value.len());
    value.extend(text.chars().filter(|c| !c.is_control()).take(room));
}

/// The first field of this name.
pub(super) fn first<'g>(group: &'g [(String, String)], name: &str) -> Option<&'g str> {
    group.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}
