//! Which characters may stand in addresses and names.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// RFC 5322, 3.2.3 `atext`, ASCII only.
pub(super) fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// Characters that end lines, steer terminals or cannot be seen.
pub(super) fn is_refused(character: char) -> bool {
    character.is_control()
        || (character.is_whitespace() && character != ' ')
        || matches!(character,
            // soft hyphen, Arabic letter mark, zero width and direction marks, embeddings
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            // word joiner to isolates, byte order mark, interlinear marks, replacement character
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffd}'
            // tags
            | '\u{e0000}'..='\u{e007f}')
}

/// What IDNA or NFKC would turn into `@` or `.`: full-width, small and ideographic forms.
pub(super) fn is_look_alike(character: char) -> bool {
    matches!(
        character,
        '\u{ff20}' | '\u{fe6b}' | '\u{ff0e}' | '\u{3002}' | '\u{ff61}' | '\u{fe52}' | '\u{2024}'
    )
}

/// Whether a display name may hold `character`.
pub(super) fn is_name_character(character: char) -> bool {
    !character.is_control() && !matches!(character, '\u{2028}' | '\u{2029}')
}

/// Unicode normal form C, so that composed and decomposed spellings are the same address.
pub(super) fn to_nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}
