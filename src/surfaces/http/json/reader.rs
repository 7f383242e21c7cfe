//! Reads the fields of a JSON object and collects every fault at once, each with its JSON pointer (RFC 6901), so
//! that a client mends a request in one round. A field nobody asked for is a fault of its own.

use super::{Json, Member};
use serde::Serialize;
use std::borrow::Cow;
use std::ops::RangeInclusive;

/// Faults kept for one request; a hostile request could produce one for each of its bytes.
const MAX_FAULTS: usize = 100;

/// One thing wrong with a request, in the words of RFC 9457's `errors`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where: a JSON pointer such as `/to/1`; empty for the request as a whole.
    pub field: String,
    /// What, as a stable word.
    pub code: &'static str,
    /// What would be right, for people.
    pub message: String,
}

/// The faults of one request, in the order they were found; at most a hundred are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// No faults yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fault.
    pub fn push(&mut self, field: impl Into<String>, code: &'static str, message: impl Into<String>) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(FieldError { field: field.into(), code, message: message.into() });
        }
    }

    /// Whether nothing was wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The faults.
    pub fn into_vec(self) -> Vec<FieldError> {
        self.0
    }

    /// The faults.
    pub fn as_slice(&self) -> &[FieldError] {
        &self.0
    }
}

/// Reads the members of one object. `null` counts as absent, except for [`Self::value`]. Every read of a name makes
/// it known; [`Self::finish`] then names the members that nobody asked for.
pub struct ObjectReader<'j, 'a, 'f> {
    members: &'j [Member<'a>],
    pointer: String,
    known: Vec<bool>,
    errors: &'f mut FieldErrors,
}

impl<'j, 'a, 'f> ObjectReader<'j, 'a, 'f> {
    /// Reads `value`, which stands at `pointer` (empty for the whole body). When it is no object, that is the fault,
    /// and there is nothing to read.
    pub fn new(value: &'j Json<'a>, pointer: impl Into<String>, errors: &'f mut FieldErrors) -> Option<Self> {
        let pointer = pointer.into();
        match value {
            Json::Object(members) => {
                Some(Self { members, pointer, known: vec![false; members.len()], errors })
            }
            other => {
                errors.push(pointer, "invalid_type", format!("must be an object, not {}", other.type_name()));
                None
            }
        }
    }

    /// The JSON pointer of a member.
    pub fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, escape(name))
    }

    /// Whether the member stands there, `null` included.
    pub fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(key, _)| key == name)
    }

    /// Adds a fault of the member `name`.
    pub fn fault(&mut self, name: &str, code: &'static str, message: impl Into<String>) {
        let pointer = self.pointer(name);
        self.errors.push(pointer, code, message);
    }

    /// The member as it stands, of any type, `null` included.
    pub fn value(&mut self, name: &str) -> Option<&'j Json<'a>> {
        let at = self.members.iter().position(|(key, _)| key == name)?;
        self.known[at] = true;
        Some(&self.members[at].1)
    }

    /// A string.
    pub fn text(&mut self, name: &str) -> Option<&'j str> {
        self.typed(name, "a string", Json::as_str)
    }

    /// A string that must stand there.
    pub fn required_text(&mut self, name: &str) -> Option<&'j str> {
        self.required(name);
        self.text(name)
    }

    /// An integer.
    pub fn integer(&mut self, name: &str) -> Option<i64> {
        self.typed(name, "an integer", Json::as_i64)
    }

    /// An integer within `range`; outside it is a fault `out_of_range`.
    pub fn integer_in(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let number = self.integer(name)?;
        if range.contains(&number) {
            return Some(number);
        }
        self.fault(name, "out_of_range", format!("must be {} to {}", range.start(), range.end()));
        None
    }

    /// A boolean.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        self.typed(name, "a boolean", Json::as_bool)
    }

    /// An array.
    pub fn array(&mut self, name: &str) -> Option<&'j [Json<'a>]> {
        self.typed(name, "an array", Json::as_array)
    }

    /// An array that must stand there.
    pub fn required_array(&mut self, name: &str) -> Option<&'j [Json<'a>]> {
        self.required(name);
        self.array(name)
    }

    /// An object's members, for maps whose names are data (`variables`, `metadata`).
    pub fn map(&mut self, name: &str) -> Option<&'j [Member<'a>]> {
        self.typed(name, "an object", Json::as_object)
    }

    /// An object with fields of its own.
    pub fn object(&mut self, name: &str) -> Option<ObjectReader<'j, 'a, '_>> {
        let members = self.map(name)?;
        let pointer = self.pointer(name);
        Some(ObjectReader { members, pointer, known: vec![false; members.len()], errors: self.errors })
    }

    /// The element `index` of the array `name` as an object with fields of its own, for arrays of mixed types.
    pub fn object_at(
        &mut self,
        name: &str,
        index: usize,
        element: &'j Json<'a>,
    ) -> Option<ObjectReader<'j, 'a, '_>> {
        let pointer = format!("{}/{index}", self.pointer(name));
        ObjectReader::new(element, pointer, self.errors)
    }

    /// Adds a fault of the element `index` of the array `name`.
    pub fn fault_at(&mut self, name: &str, index: usize, code: &'static str, message: impl Into<String>) {
        let pointer = format!("{}/{index}", self.pointer(name));
        self.errors.push(pointer, code, message);
    }

    /// Adds a fault of the element `index` of the array `name`, which is of another type than `wanted`.
    pub fn wrong_element(&mut self, name: &str, index: usize, wanted: &str, element: &Json<'_>) {
        self.fault_below(name, &index.to_string(), wanted, element);
    }

    /// An array whose elements are objects with fields of their own; `read` is called for each.
    pub fn objects(&mut self, name: &str, mut read: impl FnMut(usize, ObjectReader<'j, 'a, '_>)) {
        for (index, element) in self.array(name).unwrap_or_default().iter().enumerate() {
            let pointer = format!("{}/{index}", self.pointer(name));
            if let Some(reader) = ObjectReader::new(element, pointer, self.errors) {
                read(index, reader);
            }
        }
    }

    /// An array of strings; an element of another type is a fault of its own.
    pub fn text_list(&mut self, name: &str) -> Option<Vec<&'j str>> {
        let elements = self.array(name)?;
        let mut texts = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            match element.as_str() {
                Some(text) => texts.push(text),
                None => self.fault_below(name, &index.to_string(), "a string", element),
            }
        }
        Some(texts)
    }

    /// An object whose values are strings, in the order given.
    pub fn text_map(&mut self, name: &str) -> Option<Vec<(&'j str, &'j str)>> {
        let members = self.map(name)?;
        let mut texts = Vec::with_capacity(members.len());
        for (key, value) in members {
            match value.as_str() {
                Some(text) => texts.push((key.as_ref(), text)),
                None => self.fault_below(name, key, "a string", value),
            }
        }
        Some(texts)
    }

    /// The end: every member nobody asked for is a fault `unknown_field`.
    pub fn finish(self) {
        for ((name, _), known) in self.members.iter().zip(&self.known) {
            if !known {
                let pointer = format!("{}/{}", self.pointer, escape(name));
                self.errors.push(pointer, "unknown_field", "is not a field of this request");
            }
        }
    }

    fn required(&mut self, name: &str) {
        if self.members.iter().any(|(key, value)| key == name && !value.is_null()) {
            return;
        }
        self.fault(name, "required", "is required");
    }

    fn typed<T>(
        &mut self,
        name: &str,
        type_name: &str,
        take: impl FnOnce(&'j Json<'a>) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(name).filter(|value| !value.is_null())?;
        let taken = take(value);
        if taken.is_none() {
            self.fault(name, "invalid_type", wrong_type(type_name, value));
        }
        taken
    }

    fn fault_below(&mut self, name: &str, token: &str, type_name: &str, value: &Json<'_>) {
        let pointer = format!("{}/{}", self.pointer(name), escape(token));
        self.errors.push(pointer, "invalid_type", wrong_type(type_name, value));
    }
}

fn wrong_type(wanted: &str, value: &Json<'_>) -> String {
    match value {
        Json::Number(number) if wanted == "an integer" && number.as_i64().is_none() => {
            "must be an integer of at most 64 bits".into()
        }
        other => format!("must be {wanted}, not {}", other.type_name()),
    }
}

/// Escapes a name for a JSON pointer (RFC 6901, section 3); an absurdly long one is cut.
pub fn escape(name: &str) -> Cow<'_, str> {
    const SHOWN_CHARS: usize = 100;
    let cut = match name.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => &name[..end],
        None => name,
    };
    if cut.contains(['~', '/']) {
        Cow::Owned(cut.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(cut)
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn faults(errors: &FieldErrors) -> Vec<(&str, &str)> {
        errors.as_slice().iter().map(|e| (e.field.as_str(), e.code)).collect()
    }

    #[test]
    fn every_fault_is_found_at_once() {
        let text = r#"{"subject":7,"priority":9,"to":["a@b.c",1,{"email":2,"nick":"x"}],"tags":["a",null],
            "metadata":{"a/b":"x","n":1},"html":null,"count":1.5,"extra":1,"a~b/c":2}"#;
        let value = parse(text.as_bytes()).unwrap();
        let mut errors = FieldErrors::new();
        let mut reader = ObjectReader::new(&value, "", &mut errors).unwrap();
        assert_eq!(reader.required_text("subject"), None);
        assert_eq!(reader.required_text("html"), None);
        assert_eq!(reader.required_text("from"), None);
        assert_eq!(reader.integer_in("priority", 1..=5), None);
        assert_eq!(reader.integer("count"), None);
        assert_eq!(reader.text_list("tags"), Some(vec!["a"]));
        assert_eq!(reader.text_map("metadata"), Some(vec![("a/b", "x")]));
        reader.objects("to", |index, mut to| {
            assert_eq!((index, to.text("email")), (2, None));
            to.finish();
        });
        reader.finish();
        assert_eq!(
            faults(&errors),
            [
                ("/subject", "invalid_type"),
                ("/html", "required"),
                ("/from", "required"),
                ("/priority", "out_of_range"),
                ("/count", "invalid_type"),
                ("/tags/1", "invalid_type"),
                ("/metadata/n", "invalid_type"),
                ("/to/0", "invalid_type"),
                ("/to/1", "invalid_type"),
                ("/to/2/email", "invalid_type"),
                ("/to/2/nick", "unknown_field"),
                ("/extra", "unknown_field"),
                ("/a~0b~1c", "unknown_field"),
            ]
        );
        assert_eq!(errors.as_slice()[0].message, "must be a string, not a number");
    }

    #[test]
    fn nested_objects_carry_their_pointer() {
        let value = parse(br#"{"body":{"variables":{"n":1},"on":true,"x":0}}"#).unwrap();
        let mut errors = FieldErrors::new();
        let mut reader = ObjectReader::new(&value, "/emails/3", &mut errors).unwrap();
        assert!(reader.has("body") && !reader.has("n"));
        let mut body = reader.object("body").unwrap();
        assert_eq!(body.boolean("on"), Some(true));
        assert_eq!(body.map("variables").map(<[_]>::len), Some(1));
        body.finish();
        reader.finish();
        assert_eq!(faults(&errors), [("/emails/3/body/x", "unknown_field")]);
        let mut errors = FieldErrors::new();
        assert!(ObjectReader::new(&parse(b"[]").unwrap(), "", &mut errors).is_none());
        assert_eq!(faults(&errors), [("", "invalid_type")]);
    }

    #[test]
    fn faults_are_bounded() {
        let members: Vec<String> = (0..5_000).map(|n| format!("\"k{n}\":{n}")).collect();
        let text = format!("{{{}}}", members.join(","));
        let value = parse(text.as_bytes()).unwrap();
        let mut errors = FieldErrors::new();
        ObjectReader::new(&value, "", &mut errors).unwrap().finish();
        assert_eq!(errors.into_vec().len(), MAX_FAULTS);
    }
}
