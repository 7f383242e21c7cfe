//! What a request gives, as JSON or as a form: names and texts, read the same way from both.

use super::errors::OauthError;
use crate::surfaces::http::form::Fields;
use crate::surfaces::http::json::{self, Json, fingerprint, to_map};
use crate::surfaces::http::media::{self, Media};
use http::HeaderMap;
use serde_json::{Map, Value};

/// A request's fields.
pub(super) enum Given<'a> {
    /// An object.
    Json(Json<'a>),
    /// A form, no name of which stands twice (RFC 6749, section 3.2).
    Form(Fields<'a>),
}

impl<'a> Given<'a> {
    /// Reads the body by its `Content-Type`.
    pub fn read(headers: &HeaderMap, body: &'a [u8]) -> Result<Self, OauthError> {
        match media::of(headers)? {
            Media::Json => {
                let json = json::parse(body)?;
                if json.as_object().is_none() {
                    return Err(OauthError::request("the body must be a JSON object"));
                }
                Ok(Self::Json(json))
            }
            Media::Form => {
                let fields = Fields::parse_with_nuls(body);
                let fields = fields.map_err(|error| OauthError::request(error.to_string()))?;
                if let Some(name) = fields.repeated() {
                    return Err(OauthError::request(format!("{name} stands more than once")));
                }
                Ok(Self::Form(fields))
            }
        }
    }

    /// The text of a field; `null` and an empty one count as absent (RFC 6749, section 3.2): that is what clients send for
    /// what they do not have. Another type and a NUL are the fault.
    fn text(&self, name: &str) -> Result<Option<&str>, String> {
        let text: Option<&str> = match self {
            Self::Form(fields) => fields.get(name),
            Self::Json(json) => match json.get(name) {
                None | Some(Json::Null) => None,
                Some(Json::String(text)) => Some(text),
                Some(other) => return Err(format!("{name} must be a string, not {}", other.type_name())),
            },
        };
        match text.filter(|text| !text.is_empty()) {
            Some(text) if text.contains('\0') => Err(format!("{name} contains NUL")),
            found => Ok(found),
        }
    }

    /// The text of a field of a login; a fault of it makes the request malformed.
    pub fn parameter(&self, name: &str) -> Result<Option<&str>, OauthError> {
        self.text(name).map_err(OauthError::request)
    }

    /// The text of a field of an email; a fault of it is bad input.
    pub fn field(&self, name: &str) -> Result<Option<&str>, OauthError> {
        self.text(name).map_err(|message| OauthError::input(name, message))
    }

    /// An object; in a form it is written as JSON.
    pub fn object(&self, name: &str) -> Result<Option<Map<String, Value>>, OauthError> {
        let wrong = || OauthError::input(name, format!("{name} must be an object"));
        match self {
            Self::Json(json) => match json.get(name) {
                None | Some(Json::Null) => Ok(None),
                Some(Json::Object(members)) => Ok(Some(to_map(members))),
                Some(_) => Err(wrong()),
            },
            Self::Form(fields) => match fields.get(name).filter(|text| !text.is_empty()) {
                None => Ok(None),
                Some(text) => {
                    let json = json::parse(text.as_bytes())
                        .map_err(|error| OauthError::input(name, format!("{name}: {error}")))?;
                    json.as_object().map(|members| Some(to_map(members))).ok_or_else(wrong)
                }
            },
        }
    }

    /// What makes two requests the same.
    pub fn fingerprint(&self) -> fingerprint::Fingerprint {
        match self {
            Self::Json(json) => fingerprint::of_json(json),
            Self::Form(fields) => {
                fingerprint::of_fields(fields.iter().map(|(name, value)| (name, value.as_bytes())))
            }
        }
    }
}
