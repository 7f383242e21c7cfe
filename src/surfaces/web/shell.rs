//! What stands around every page for people: who they are, where they may go, in their language.

use super::visitor::Visitor;
use posthaste_model::user::{Language, Role};

/// The frame of a page.
pub struct Shell {
    language: Language,
    role: Option<Role>,
    /// Who is logged in.
    pub who: String,
    /// The token that forms carry.
    pub form_token: String,
    /// What the page was asked for, as the beginning of a query to ask for it in another language.
    pub asked: String,
    /// The page's place in the menu.
    pub here: &'static str,
}

/// A place in the menu: its word, its address, English and Indonesian.
pub struct Place {
    /// Its word.
    pub word: &'static str,
    /// Where it leads.
    pub path: &'static str,
    /// What it is called.
    pub title: &'static str,
}

/// The menu of those who see the dashboard.
const DASHBOARD: [(&str, &str, &str, &str); 10] = [
    ("overview", "/admin", "Overview", "Ikhtisar"),
    ("emails", "/admin/emails", "Emails", "Email"),
    ("clients", "/admin/clients", "Clients", "Klien"),
    ("templates", "/admin/templates", "Templates", "Templat"),
    ("domains", "/admin/domains", "Domains", "Domain"),
    ("webhooks", "/admin/webhooks", "Webhooks", "Webhook"),
    ("suppressions", "/admin/suppressions", "Suppressions", "Supresi"),
    ("people", "/admin/people", "People", "Orang"),
    ("audit", "/admin/audit", "Audit", "Audit"),
    ("system", "/admin/system", "System", "Sistem"),
];

impl Shell {
    /// The frame of a visitor's page.
    pub fn of(visitor: &Visitor, here: &'static str) -> Self {
        let user = visitor.signed_in.as_ref().map(|who| &who.user);
        Self {
            language: visitor.language,
            role: visitor.role(),
            who: user.map(|user| user.name.clone().unwrap_or_else(|| user.email.clone())).unwrap_or_default(),
            form_token: visitor.form_token.clone(),
            asked: visitor.asked.clone(),
            here,
        }
    }

    /// A frame without anybody in it.
    pub fn bare(language: Language) -> Self {
        let (who, form_token, asked) = (String::new(), String::new(), String::new());
        Self { language, role: None, who, form_token, asked, here: "" }
    }

    /// The language's code.
    pub fn language(&self) -> &'static str {
        self.language.as_str()
    }

    /// The other language's code.
    pub fn other_language(&self) -> &'static str {
        if self.language == Language::Id { "en" } else { "id" }
    }

    /// What is said in the page's language.
    pub fn say<'a>(&self, english: &'a str, indonesian: &'a str) -> &'a str {
        if self.language == Language::Id { indonesian } else { english }
    }

    /// Whether the page is there in both languages; the dashboard speaks English.
    pub fn has_languages(&self) -> bool {
        matches!(self.here, "" | "reports")
    }

    /// Whether somebody is logged in.
    pub fn is_signed_in(&self) -> bool {
        self.role.is_some()
    }

    /// Whether changes may be made here.
    pub fn is_admin(&self) -> bool {
        self.role == Some(Role::Admin)
    }

    /// Where a role begins.
    pub fn home(&self) -> &'static str {
        home_of(self.role)
    }

    /// The menu.
    pub fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        let mut add =
            |(word, path, english, indonesian): (&'static str, &'static str, &'static str, &'static str)| {
                places.push(Place { word, path, title: self.say(english, indonesian) });
            };
        if matches!(self.role, Some(Role::Admin | Role::Viewer)) {
            DASHBOARD.into_iter().for_each(&mut add);
        }
        if matches!(self.role, Some(Role::Admin | Role::Eo)) {
            add(("reports", "/eo/email-reports", "Reports", "Laporan"));
        }
        if self.role == Some(Role::Admin) {
            add(("inbox", "/inbox", "Inbox", "Kotak masuk"));
        }
        places
    }
}

/// Where a role begins.
pub fn home_of(role: Option<Role>) -> &'static str {
    match role {
        Some(Role::Admin | Role::Viewer) => "/admin",
        Some(Role::Eo) => "/eo/email-reports",
        None => "/login",
    }
}
