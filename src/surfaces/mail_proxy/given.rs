//! The JSON object of a request. Unknown fields are passed over, as the original does; one of another type is a fault.

use super::MailProxy;
use super::errors::MailProxyError;
use crate::surfaces::http::json::{Json, Member};
use crate::surfaces::http::media;
use axum::body::Body;
use http::request::Parts;
use posthaste_model::refusal::FaultCode;

/// The largest body of an administrator's call, in bytes.
const SMALL_BODY: usize = 64 * 1024;

/// Why a field cannot be read.
pub(super) struct WrongType(pub String);

impl From<WrongType> for MailProxyError {
    fn from(wrong: WrongType) -> Self {
        Self::request(wrong.0)
    }
}

impl WrongType {
    fn new(name: &str, wanted: &str, found: &Json<'_>) -> Self {
        Self(format!("{name} must be {wanted}, not {}", found.type_name()))
    }

    /// The same as intake's kind of fault.
    pub const CODE: FaultCode = FaultCode::InvalidType;
}

/// The fields of an object.
pub(super) struct Given<'j, 'a>(&'j Json<'a>);

impl<'j, 'a> Given<'j, 'a> {
    /// The object that `json` is.
    pub fn new(json: &'j Json<'a>) -> Result<Self, WrongType> {
        match json {
            Json::Object(_) => Ok(Self(json)),
            other => Err(WrongType::new("the body", "an object", other)),
        }
    }

    /// A member that is there and not `null`.
    fn member(&self, name: &str) -> Option<&'j Json<'a>> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn typed<T>(
        &self,
        name: &str,
        wanted: &str,
        take: impl FnOnce(&'j Json<'a>) -> Option<T>,
    ) -> Result<Option<T>, WrongType> {
        let Some(value) = self.member(name) else { return Ok(None) };
        take(value).map(Some).ok_or_else(|| WrongType::new(name, wanted, value))
    }

    /// A string.
    pub fn text(&self, name: &str) -> Result<Option<&'j str>, WrongType> {
        self.typed(name, "a string", Json::as_str)
    }

    /// A boolean.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, WrongType> {
        self.typed(name, "a boolean", Json::as_bool)
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, WrongType> {
        self.typed(name, "a whole number", Json::as_i64)
    }

    /// A list.
    pub fn list(&self, name: &str) -> Result<Option<&'j [Json<'a>]>, WrongType> {
        self.typed(name, "a list", Json::as_array)
    }

    /// An object whose names are data.
    pub fn map(&self, name: &str) -> Result<Option<&'j [Member<'a>]>, WrongType> {
        self.typed(name, "an object", Json::as_object)
    }

    /// A string that must be there and say something.
    pub fn required(&self, name: &str) -> Result<&'j str, MailProxyError> {
        let text = self.text(name)?.filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| MailProxyError::missing(name))
    }
}

impl MailProxy {
    /// Reads the small JSON body of an administrator's call.
    pub(super) async fn small_body(
        &self,
        parts: &Parts,
        body: Body,
    ) -> Result<crate::surfaces::http::body::HeldBody, MailProxyError> {
        media::require_json(&parts.headers)?;
        Ok(self.bodies.read_up_to(parts, body, SMALL_BODY).await?)
    }
}
