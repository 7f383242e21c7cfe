//! Office formats: ZIP archives with certain names in them (ECMA-376 part 2, ODF 1.2 part 3).

use memchr::memmem;

/// Where the first names of an archive stand; the rest of it is not searched.
const HEAD: usize = 64 * 1024;
/// Where the directory at the end of an archive stands, in most archives as a whole.
const TAIL: usize = 128 * 1024;

/// What an archive must hold.
enum Container {
    /// An entry `mimetype`, stored first and uncompressed, with this type.
    Odf,
    /// An entry that begins with this, beside `[Content_Types].xml`.
    Ooxml(&'static [u8]),
    /// Nothing in particular.
    Any,
}

impl Container {
    fn of(declared: &str) -> Self {
        if declared.starts_with("application/vnd.oasis.opendocument.") {
            Self::Odf
        } else if declared.contains(".wordprocessingml.") {
            Self::Ooxml(b"word/")
        } else if declared.contains(".spreadsheetml.") {
            Self::Ooxml(b"xl/")
        } else if declared.contains(".presentationml.") {
            Self::Ooxml(b"ppt/")
        } else {
            Self::Any
        }
    }
}

/// Whether `content` is an archive that `declared` may stand for.
pub(super) fn fits_zip(declared: &str, content: &[u8]) -> bool {
    if !content.starts_with(b"PK\x03\x04") {
        // An archive without entries is an archive, but no document.
        return declared == "application/zip" && content.starts_with(b"PK\x05\x06");
    }
    match Container::of(declared) {
        Container::Any => true,
        Container::Odf => odf_type(content).is_some_and(|found| found == declared.as_bytes()),
        Container::Ooxml(folder) => has_name(content, b"[Content_Types].xml") && has_name(content, folder),
    }
}

/// The content of a first entry named `mimetype`.
fn odf_type(content: &[u8]) -> Option<&[u8]> {
    let name = content.get(30..38)?;
    if name != b"mimetype" {
        return None;
    }
    let size = u32::from_le_bytes(*content.get(22..26)?.first_chunk()?);
    let extra = u16::from_le_bytes(*content.get(28..30)?.first_chunk()?);
    let start = 38 + usize::from(extra);
    content.get(start..start.checked_add(usize::try_from(size).ok()?)?)
}

/// Whether a header of an entry, at the beginning or in the directory, names `name`.
fn has_name(content: &[u8], name: &[u8]) -> bool {
    let head = &content[..content.len().min(HEAD)];
    let tail = &content[content.len().saturating_sub(TAIL)..];
    has_entry(head, b"PK\x03\x04", 30, name) || has_entry(tail, b"PK\x01\x02", 46, name)
}

fn has_entry(part: &[u8], mark: &[u8], name_at: usize, name: &[u8]) -> bool {
    memmem::find_iter(part, mark)
        .any(|at| part.get(at + name_at..).is_some_and(|entry| entry.starts_with(name)))
}
