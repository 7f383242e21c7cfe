//! The way into every page: who looks at it, and who changes something with which form.

use super::{Dashboard, result};
use crate::surfaces::http::form::Fields;
use crate::surfaces::web;
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::{Form, Visitor, escaped, redirect};
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts};
use axum::response::Response;
use http::request::Parts;
use http::{Method, Request, StatusCode};
use posthaste_model::refusal::Refusal;
use posthaste_model::user::{Language, Role};
use posthaste_store::{Actor, StoreError};
use std::str::FromStr;

/// Somebody who may see the dashboard, and what a page was asked for.
pub(super) struct Visit {
    pub visitor: Visitor,
    query: String,
}

impl FromRequestParts<Dashboard> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, dashboard: &Dashboard) -> Result<Self, Response> {
        let visitor = dashboard.enter(parts).await?;
        Ok(Self { visitor, query: parts.uri.query().unwrap_or_default().to_owned() })
    }
}

impl Visit {
    /// What the page was asked for.
    pub fn fields(&self) -> Fields<'_> {
        Fields::of_query(&self.query).unwrap_or_default()
    }

    /// The frame of a page in the menu.
    pub fn shell(&self, here: &'static str) -> Shell {
        Shell::of(&self.visitor, here)
    }

    /// The page, or why there is none.
    pub fn shown<T: askama::Template>(&self, page: Result<T, StoreError>) -> Response {
        match page {
            Ok(page) => self.visitor.finish(web::page(StatusCode::OK, &page)),
            Err(StoreError::NotFound) => self.visitor.refuse(StatusCode::NOT_FOUND, "not_found"),
            Err(error) => self.visitor.unavailable(&error),
        }
    }
}

/// Somebody who may change something, and the form that asks for it.
pub(super) struct Change {
    pub visitor: Visitor,
    form: Form,
}

impl FromRequest<Dashboard> for Change {
    type Rejection = Response;

    async fn from_request(request: Request<Body>, dashboard: &Dashboard) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let visitor = dashboard.enter(&parts).await?;
        if visitor.role() != Some(Role::Admin) {
            return Err(visitor.refuse(StatusCode::FORBIDDEN, "forbidden"));
        }
        let form = dashboard.visitors.form(&visitor, &parts, body).await?;
        Ok(Self { visitor, form })
    }
}

impl Change {
    /// The form's fields.
    pub fn fields(&self) -> Fields<'_> {
        self.form.fields().unwrap_or_default()
    }

    /// Who makes it, for the audit.
    pub fn actor(&self) -> Actor {
        self.visitor.actor()
    }

    /// Back to a page, or why it was refused.
    pub fn answer<T>(&self, outcome: Result<T, Refusal>, to: &str) -> Response {
        match outcome {
            Ok(_) => self.visitor.finish(redirect(to)),
            Err(refusal) => result::refused(&self.visitor, &refusal, to),
        }
    }
}

/// The id in a path; what is none names nothing.
pub(super) fn id_of<T: FromStr>(text: &str) -> Result<T, Refusal> {
    text.parse().map_err(|_| Refusal::NotFound)
}

impl Dashboard {
    /// Who may see the dashboard; everybody else is led to the login, or told no.
    pub(super) async fn enter(&self, parts: &Parts) -> Result<Visitor, Response> {
        let mut visitor = self.visitors.enter(parts).await?;
        match visitor.role() {
            Some(Role::Admin | Role::Viewer) => {}
            Some(Role::Eo) => return Err(visitor.refuse(StatusCode::FORBIDDEN, "forbidden")),
            None if visitor.wants_json() => {
                return Err(visitor.refuse(StatusCode::UNAUTHORIZED, "unauthenticated"));
            }
            None => {
                let asked = parts.uri.path_and_query().map_or("/admin", |path| path.as_str());
                let asked = if parts.method == Method::GET { asked } else { "/admin" };
                return Err(visitor.finish(redirect(&format!("/login?next={}", escaped(asked)))));
            }
        }
        // The dashboard speaks English.
        visitor.language = Language::En;
        Ok(visitor)
    }
}
