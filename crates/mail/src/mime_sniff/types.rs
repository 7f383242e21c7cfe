//! The types that are known: the whitelist, their extensions, how each is recognized.

use crate::filename::extension;

/// How content of a type is recognized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Has no magic number but must be text.
    Text,
    /// Has a magic number of its own.
    Magic,
    /// A ZIP archive, maybe with certain names in it.
    Zip,
    /// An OLE compound file.
    Cfb,
    /// Not known here.
    Unknown,
}

/// Type, how it is recognized, extensions.
type Row = (&'static str, Family, &'static [&'static str]);

/// The default whitelist (01-emails-api, Attachments).
const TYPES: [Row; 27] = [
    ("application/pdf", Family::Magic, &["pdf"]),
    ("text/plain", Family::Text, &["txt", "text", "log", "md"]),
    ("text/csv", Family::Text, &["csv"]),
    ("text/calendar", Family::Text, &["ics", "ical", "ifb"]),
    ("text/html", Family::Text, &["html", "htm"]),
    ("application/json", Family::Text, &["json"]),
    ("application/xml", Family::Text, &["xml"]),
    ("text/xml", Family::Text, &["xml"]),
    ("image/png", Family::Magic, &["png"]),
    ("image/jpeg", Family::Magic, &["jpg", "jpeg", "jpe"]),
    ("image/gif", Family::Magic, &["gif"]),
    ("image/webp", Family::Magic, &["webp"]),
    ("application/zip", Family::Zip, &["zip"]),
    ("message/rfc822", Family::Text, &["eml"]),
    ("application/msword", Family::Cfb, &["doc", "dot"]),
    ("application/vnd.ms-excel", Family::Cfb, &["xls", "xlt"]),
    ("application/vnd.ms-powerpoint", Family::Cfb, &["ppt", "pps", "pot"]),
    ("application/vnd.ms-outlook", Family::Cfb, &["msg"]),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", Family::Zip, &["docx"]),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.template", Family::Zip, &["dotx"]),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Family::Zip, &["xlsx"]),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", Family::Zip, &["pptx"]),
    ("application/vnd.openxmlformats-officedocument.presentationml.slideshow", Family::Zip, &["ppsx"]),
    ("application/vnd.oasis.opendocument.text", Family::Zip, &["odt"]),
    ("application/vnd.oasis.opendocument.spreadsheet", Family::Zip, &["ods"]),
    ("application/vnd.oasis.opendocument.presentation", Family::Zip, &["odp"]),
    ("application/vnd.oasis.opendocument.graphics", Family::Zip, &["odg"]),
];

const NAMES: [&str; TYPES.len()] = {
    let mut names = [""; TYPES.len()];
    let mut index = 0;
    while index < TYPES.len() {
        names[index] = TYPES[index].0;
        index += 1;
    }
    names
};

/// The types that attachments may have unless configured otherwise.
pub fn default_allowed_types() -> &'static [&'static str] {
    &NAMES
}

/// The type that the extension of `filename` says, if it is one of the whitelist.
pub fn type_from_name(filename: &str) -> Option<&'static str> {
    let extension = extension(filename)?;
    TYPES.iter().find(|(_, _, extensions)| extensions.contains(&extension.as_str())).map(|&(name, _, _)| name)
}

/// Whether the extension of `filename` may go with `declared` (parameters are ignored): it is one
/// of the type's, or neither the type nor the extension is known, or there is none. Text types
/// go with each other's extensions.
pub fn extension_matches(declared: &str, filename: &str) -> bool {
    let declared = crate::message::essence(declared).to_ascii_lowercase();
    let Some(named) = type_from_name(filename) else {
        return true;
    };
    let family = family_of(&declared);
    let row = TYPES.iter().find(|(name, _, _)| *name == declared);
    let is_own = row.is_some_and(|(_, _, extensions)| {
        extension(filename).is_some_and(|extension| extensions.contains(&extension.as_str()))
    });
    is_own
        || (family == Family::Text && family_of(named) == Family::Text)
        || (family == Family::Unknown && !declared.starts_with("text/"))
}

pub(super) fn family_of(name: &str) -> Family {
    match TYPES.iter().find(|(known, _, _)| *known == name) {
        Some(&(_, family, _)) => family,
        None if name.starts_with("text/") => Family::Text,
        None => Family::Unknown,
    }
}
