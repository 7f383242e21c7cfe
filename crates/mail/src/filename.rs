//! File names that are safe to show, to send and to save.
//!
//! A name from outside is never a path here: files are stored under their hash. But readers save
//! attachments under the name we send, so paths, control characters and invisible direction
//! marks (`invoice\u{202e}fdp.exe`) are taken out before.

/// What most file systems allow, in octets.
const MAX_NAME: usize = 255;
/// A longer one is not an extension, in octets, dot included.
const MAX_EXTENSION: usize = 32;
/// Names that Windows gives to devices, whatever the extension.
const DEVICES: [&str; 22] = [
    "CON", "PRN", "AUX", "NUL", "COM1", "COM2", "COM3", "COM4", "COM5", "COM6", "COM7", "COM8", "COM9",
    "LPT1", "LPT2", "LPT3", "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9",
];

/// Why a file name was refused. The text completes "the file name ...".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilenameError {
    /// Nothing is left of it.
    #[error("is empty")]
    Empty,
    /// CR, LF, NUL or another control character.
    #[error("contains a line break or control character")]
    ControlCharacter,
}

/// Makes a file name safe: the last part of a path, without direction marks and without dots,
/// spaces at its ends, at most 255 octets with the extension kept.
pub fn safe_filename(input: &str) -> Result<String, FilenameError> {
    if input.chars().any(is_control) {
        return Err(FilenameError::ControlCharacter);
    }
    let base = input.rsplit(['/', '\\']).next().unwrap_or(input);
    // `C:x` is a path too; elsewhere a colon opens an alternate data stream.
    let base = base.rsplit(':').next().unwrap_or(base);
    let visible: String = base.chars().filter(|&character| !is_invisible(character)).collect();
    let name = visible
        .trim_start_matches(char::is_whitespace)
        .trim_end_matches(|character: char| character == '.' || character.is_whitespace());
    if name.trim_start_matches('.').is_empty() {
        return Err(FilenameError::Empty);
    }
    let stem = name.split('.').next().unwrap_or(name);
    let is_device = DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device));
    let name = if is_device { format!("_{name}") } else { name.to_owned() };
    Ok(shorten(name))
}

/// The extension without its dot, lower-case.
pub fn extension(filename: &str) -> Option<String> {
    let (stem, extension) = filename.rsplit_once('.')?;
    let sound = !stem.is_empty()
        && !extension.is_empty()
        && extension.len() < MAX_EXTENSION
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    sound.then(|| extension.to_ascii_lowercase())
}

fn shorten(name: String) -> String {
    if name.len() <= MAX_NAME {
        return name;
    }
    let extension = match name.rfind('.') {
        Some(dot) if name.len() - dot <= MAX_EXTENSION => &name[dot..],
        _ => "",
    };
    let mut end = MAX_NAME - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", &name[..end])
}

fn is_control(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

/// Direction marks, embeddings and isolates, zero-width characters, byte order mark.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_names_are_made_safe_or_refused() {
        for (input, name) in [
            ("report.pdf", "report.pdf"),
            ("Jahresabschluß 2024.pdf", "Jahresabschluß 2024.pdf"),
            ("../../x", "x"),
            ("..\\x", "x"),
            ("C:\\dir\\x.txt", "x.txt"),
            ("C:x.txt", "x.txt"),
            ("/etc/passwd", "passwd"),
            ("a/b\\c", "c"),
            ("x.txt:evil.exe", "evil.exe"),
            ("invoice\u{202e}fdp.exe", "invoicefdp.exe"),
            ("a\u{200b}b\u{feff}.txt", "ab.txt"),
            (" a.txt. . ", "a.txt"),
            (".htaccess", ".htaccess"),
            ("nul.txt", "_nul.txt"),
            ("COM1", "_COM1"),
            ("\"; filename=\"x.exe", "\"; filename=\"x.exe"),
            ("a;b\"c'.pdf", "a;b\"c'.pdf"),
        ] {
            assert_eq!(safe_filename(input).as_deref(), Ok(name), "{input:?}");
        }
        for input in ["", "/", "..", ".", "...", "a/", "a\\", "C:", " ", "\u{202e}", "../.."] {
            assert_eq!(safe_filename(input), Err(FilenameError::Empty), "{input:?}");
        }
        for input in ["a\r\nb", "a\0.pdf", "a\n", "\u{7f}", "a\u{85}", "a\u{2028}b", "a\tb"] {
            assert_eq!(safe_filename(input), Err(FilenameError::ControlCharacter), "{input:?}");
        }
    }

    #[test]
    fn long_names_keep_their_extension() {
        let name = safe_filename(&format!("{}.pdf", "ü".repeat(1000))).expect("valid");
        assert!(name.len() <= 255 && name.ends_with("ü.pdf"), "{name}");
        let name = safe_filename(&format!("a.{}", "b".repeat(1000))).expect("valid");
        assert_eq!(name.len(), 255);
        assert_eq!(extension("A.PDF").as_deref(), Some("pdf"));
        assert_eq!(extension(".htaccess"), None);
        assert_eq!(extension("a.tar.gz").as_deref(), Some("gz"));
        assert_eq!(extension("a."), None);
    }

    proptest! {
        #[test]
        fn safe_names_stay_as_they_are(input in "\\PC{0,300}") {
            if let Ok(name) = safe_filename(&input) {
                prop_assert!(name.len() <= 255 && !name.is_empty());
                prop_assert!(!name.contains(['/', '\\', ':', '\0']));
                prop_assert!(name != "." && name != "..");
                // Cutting at 255 octets may leave a space at the end, never more.
                let again = safe_filename(&name).expect("still a name");
                prop_assert!(name.starts_with(&again) || name.len() == 255);
            }
        }
    }
}
