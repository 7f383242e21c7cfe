//! Text fields of a `multipart/form-data` body (RFC 7578), as browsers send forms. Files are not taken: a part with a
//! file name is skipped.

use super::form::{Fields, FormError, checked};
use std::borrow::Cow;

/// Parts beyond this number are refused.
const MAX_PARTS: usize = 100;

/// The boundary that a `Content-Type` names, if it is this media type.
pub fn boundary_of(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    })?;
    (1..=70).contains(&boundary.len()).then_some(boundary)
}

/// Reads the fields.
pub fn parse(body: &[u8], boundary: &str) -> Result<Fields<'static>, FormError> {
    let delimiter = format!("--{boundary}");
    let finder = memchr::memmem::Finder::new(delimiter.as_bytes());
    let mut starts = finder.find_iter(body).map(|at| at + delimiter.len());
    let mut pairs = Vec::new();
    let Some(mut start) = starts.next() else { return Ok(Fields::of_pairs(pairs)) };
    for next in starts {
        if pairs.len() == MAX_PARTS {
            return Err(FormError::TooManyFields);
        }
        let part = body.get(start..next - delimiter.len()).unwrap_or_default();
        if let Some((name, value)) = field(part) {
            let text = |bytes: &[u8]| -> Result<String, FormError> {
                let text = std::str::from_utf8(bytes).map_err(|_| FormError::InvalidUtf8)?;
                checked(Cow::Borrowed(text)).map(Cow::into_owned)
            };
            pairs.push((text(name)?, text(value)?));
        }
        start = next;
    }
    Ok(Fields::of_pairs(pairs))
}

/// Name and value of a part; `None` for a file, and for what is no part.
fn field(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let part = part.strip_prefix(b"\r\n")?;
    let end = memchr::memmem::find(part, b"\r\n\r\n")?;
    let (head, value) = (&part[..end], &part[end + 4..]);
    let value = value.strip_suffix(b"\r\n").unwrap_or(value);
    let disposition = head.split(|byte| *byte == b'\n').find(|line| {
        line.get(..20).is_some_and(|begin| begin.eq_ignore_ascii_case(b"content-disposition:"))
    })?;
    if memchr::memmem::find(disposition, b"filename").is_some() {
        return None;
    }
    let at = memchr::memmem::find(disposition, b" name=\"")? + 7;
    let name = &disposition[at..];
    let end = memchr::memchr(b'"', name)?;
    Some((&name[..end], value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_fields_are_read_and_files_skipped() {
        let body = b"--B\r\nContent-Disposition: form-data; name=\"event_id\"\r\n\r\n12\r\n--B\r\n\
            content-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nx\r\n--B\r\n\
            Content-Disposition: form-data; name=\"subject\"\r\n\r\nS\xc3\xa9\r\nb\r\n--B--\r\n";
        let fields = parse(body, "B").unwrap();
        assert_eq!(fields.iter().collect::<Vec<_>>(), [("event_id", "12"), ("subject", "Sé\r\nb")]);
        assert_eq!(
            parse(b"--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\xff\r\n--B--", "B"),
            Err(FormError::InvalidUtf8)
        );
        assert_eq!(
            parse(b"--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\0y\r\n--B--", "B"),
            Err(FormError::Nul)
        );
    }

    #[test]
    fn the_boundary_is_found() {
        assert_eq!(boundary_of("multipart/form-data; boundary=\"a b\"").as_deref(), Some("a b"));
        assert_eq!(boundary_of("Multipart/Form-Data;charset=x; Boundary=xyz").as_deref(), Some("xyz"));
        for bad in
            ["text/plain", "multipart/form-data", "multipart/form-data; boundary=", "text/plain; boundary=x"]
        {
            assert_eq!(boundary_of(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "(--B|\r\n|name=\"|\"|:|a){0,40}") {
            let _ = parse(&bytes, "B");
            let _ = parse(text.as_bytes(), "B");
        }
    }
}
