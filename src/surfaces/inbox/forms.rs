//! The token by which the inbox's own forms are known, the same as on every other page: it is bound to what the browser
//! keeps in its cookie. Where nobody needs to log in the cookie opens nothing, and still a page of another site, which can
//! make the browser send it, has no token that fits.

use super::access::Who;
use super::visit::Visit;
use crate::surfaces::http::body::HeldBody;
use crate::surfaces::http::exchange;
use crate::surfaces::http::form::Fields;
use crate::surfaces::http::problem::{Kind, Problem};
use crate::surfaces::web::cookies::{keep_session, session_cookie};
use crate::surfaces::web::visitor::{FORM_TOKEN, token_of_header};
use axum::body::Body;
use axum::response::Response;

/// A form has no more bytes.
pub(super) const FORM_BYTES: usize = 64 * 1024;
/// Only pages answer so; programs send no forms.
const MISMATCH: Kind = Kind {
    code: "csrf_token_mismatch",
    status: 419,
    title: "The page was too old",
    meaning: "The form does not carry the token of the browser's cookie.",
};

/// What a page gives to its forms.
pub(super) struct FormToken {
    /// The field's value.
    pub(super) value: String,
    /// What the browser is to keep, when it has nothing yet.
    new: Option<String>,
}

impl Visit {
    /// The token for the forms of the page that is shown.
    pub(super) fn form_token(&self) -> FormToken {
        let auth = &self.inbox.access.auth;
        let Some(kept) = session_cookie(&self.parts.headers) else {
            let new = auth.new_browser_token();
            return FormToken { value: auth.form_token(&new), new: Some(new) };
        };
        FormToken { value: auth.form_token(&kept), new: None }
    }

    /// The form of a request, once its token was found to be this browser's. A key in a header is proof enough: no page
    /// of another site can send one.
    pub(super) async fn form(&self, body: Body) -> Result<HeldBody, Problem> {
        let held = self.inbox.releases.bodies.read_up_to(&self.parts, body, FORM_BYTES).await?;
        if matches!(self.guest.who, Who::Key(_)) {
            return Ok(held);
        }
        let given = token_of_header(&self.parts.headers).or_else(|| {
            let fields = Fields::parse(&held).ok()?;
            fields.get(FORM_TOKEN).map(str::to_owned)
        });
        let kept = session_cookie(&self.parts.headers);
        match (kept, given) {
            (Some(kept), Some(given)) if self.inbox.access.auth.is_form_token(&kept, &given) => Ok(held),
            _ => Err(Problem::new(MISMATCH, "Go back, load the page again and try once more.")),
        }
    }
}

impl FormToken {
    /// Lets the browser keep what the token is bound to.
    pub(super) fn put_on(&self, visit: &Visit, mut response: Response) -> Response {
        if let Some(new) = &self.new {
            keep_session(&mut response, &exchange::of(&visit.parts), new);
        }
        response
    }
}
