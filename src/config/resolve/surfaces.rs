//! What the surfaces need beside the listener.

use super::Resolver;
use crate::base::chance::Chance;
use crate::base::vault::Vault;
use crate::config::settings::{
    AegisSettings, EoSettings, MailProxySettings, OauthSettings, SecretSettings, StoreSettings,
};
use crate::config::value::TimeZoneName;
use posthaste_model::Secret;

impl Resolver<'_> {
    pub(super) fn eo(&mut self) -> EoSettings {
        EoSettings {
            attention_after: self.value("eo.attention_after"),
            time_zone: self.value::<TimeZoneName>("eo.time_zone").0,
            locale: self.choice("eo.locale").unwrap_or("id").to_owned(),
        }
    }

    pub(super) fn oauth(&mut self) -> OauthSettings {
        OauthSettings {
            token_lifetime: self.wait("oauth.token_lifetime"),
            default_template: self.written("oauth.default_template"),
            login_attempts: self.value("oauth.login_attempts"),
        }
    }

    pub(super) fn aegis(&mut self) -> AegisSettings {
        AegisSettings { api_key: self.written("aegis.api_key") }
    }

    pub(super) fn secrets(&mut self, store: &StoreSettings) -> SecretSettings {
        let path = "secrets.encryption_key";
        let key: Option<Secret> = self.written(path);
        if let Some(Err(error)) = key.as_ref().map(|key| Vault::new(key, Chance::new())) {
            self.fault(path, format!("the value {error}"));
        }
        self.shared_by_nodes(path, "ENCRYPTION_KEY", store);
        SecretSettings { encryption_key: key }
    }

    pub(super) fn mail_proxy(&mut self, store: &StoreSettings) -> MailProxySettings {
        self.shared_by_nodes("mail_proxy.jwt_secret", "JWT_SECRET", store);
        MailProxySettings {
            jwt_secret: self.written("mail_proxy.jwt_secret"),
            org_domains: self.value("mail_proxy.org_domains"),
            jwt_leeway: self.value("mail_proxy.jwt_leeway"),
            batch: self.value("mail_proxy.batch"),
        }
    }

    /// With one database for many nodes, a secret made by each of them would be another on every node.
    fn shared_by_nodes(&mut self, path: &str, variable: &str, store: &StoreSettings) {
        let shared = matches!(store, StoreSettings::Postgres(_));
        self.ensure(
            !shared || !self.is_default(path),
            path,
            &format!("must be given with PostgreSQL, the same on every node; set {variable}"),
        );
    }
}
