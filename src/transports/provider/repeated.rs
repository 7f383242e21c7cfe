//! What an answer repeats of our own credentials. Providers, and the proxies before them, quote the requests that they
//! refuse; their words are kept with the email, logged, and shown to whoever sent it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use url::form_urlencoded;

/// What stands in place of a credential.
const HIDDEN: &str = "****";
/// Bytes of the shortest that is looked for: a shorter one stands in ordinary words too.
const SHORTEST: usize = 8;
/// Bytes of the longest form that is looked through for a secret; a request for a token is short.
const FORM_MAX: usize = 16 * 1024;

/// The credentials of one call, in each shape in which it said them.
pub(super) struct Said(Vec<String>);

impl Said {
    /// Those in the header (`Authorization`, the session token of AWS) and in the form that asks for a token (RFC 6749,
    /// section 2.3.1).
    pub fn of(headers: &[(&'static str, String)], body: &[Bytes]) -> Self {
        let mut said = Vec::new();
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("authorization") {
                // Behind the name of the scheme (RFC 9110, section 11.4).
                let credentials =
                    value.split_once(' ').map_or(value.as_str(), |(_, credentials)| credentials);
                said.push(credentials.to_owned());
                said.extend(password(credentials));
            } else if name.eq_ignore_ascii_case("x-amz-security-token") {
                said.push(value.clone());
            }
        }
        if let [form] = body
            && form.len() <= FORM_MAX
        {
            let encoded =
                form.split(|byte| *byte == b'&').filter_map(|pair| pair.strip_prefix(b"client_secret="));
            said.extend(encoded.map(|secret| String::from_utf8_lossy(secret).into_owned()));
            let decoded = form_urlencoded::parse(form).filter(|(name, _)| name == "client_secret");
            said.extend(decoded.map(|(_, secret)| secret.into_owned()));
        }
        // As JSON may write them, too.
        let escaped: Vec<String> =
            said.iter().filter(|said| said.contains('/')).map(|said| said.replace('/', "\\/")).collect();
        said.extend(escaped);
        said.retain(|said| said.len() >= SHORTEST);
        // A longer one first: what is left of it without a part of it would be found no more.
        said.sort_unstable_by_key(|said| std::cmp::Reverse(said.len()));
        Self(said)
    }

    /// The answer without them.
    pub fn hidden_in(&self, answer: Bytes) -> Bytes {
        let text = String::from_utf8_lossy(&answer);
        let mut hidden = None;
        for said in &self.0 {
            let text: &str = hidden.as_deref().unwrap_or(&*text);
            if text.contains(said.as_str()) {
                hidden = Some(text.replace(said.as_str(), HIDDEN));
            }
        }
        hidden.map_or_else(|| answer.clone(), Bytes::from)
    }
}

/// The password of `Basic` (RFC 7617).
fn password(credentials: &str) -> Option<String> {
    let pair = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(headers: &[(&'static str, String)], form: &'static str, answer: &str) -> String {
        let said = Said::of(headers, &[Bytes::from_static(form.as_bytes())]);
        String::from_utf8(said.hidden_in(Bytes::from(answer.to_owned())).to_vec()).unwrap()
    }

    #[test]
    fn a_credential_is_hidden_in_every_shape_and_the_rest_stays() {
        let bearer = [("Authorization", "Bearer SG.secret-of-ours".to_owned())];
        assert_eq!(
            heard(&bearer, "{}", "{\"message\":\"Bearer SG.secret-of-ours is revoked\"}"),
            "{\"message\":\"Bearer **** is revoked\"}"
        );
        let basic = format!("Basic {}", STANDARD.encode("api:key-of/ours"));
        let answer = format!("{basic} means key-of/ours, or key-of\\/ours");
        assert_eq!(heard(&[("Authorization", basic)], "", &answer), "Basic **** means ****, or ****");
        let token = [("X-Amz-Security-Token", "session/token".to_owned())];
        assert_eq!(
            heard(&token, "", "the session/token included in the request"),
            "the **** included in the request"
        );
        let form = "client_id=app&client_secret=a%2Fsecret%7E1&scope=x";
        assert_eq!(heard(&[], form, "bad a%2Fsecret%7E1 = a/secret~1 for app"), "bad **** = **** for app");
    }

    #[test]
    fn an_answer_that_repeats_nothing_is_left_as_it_is() {
        let odd = Bytes::from_static(b"\xff{\"message\":\"no\"}");
        assert_eq!(Said::of(&[("Authorization", "Bearer no".to_owned())], &[]).hidden_in(odd.clone()), odd);
    }
}
