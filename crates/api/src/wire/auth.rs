//! How the service shows a receiver who it is.

use posthaste_egress::TargetUrl;
use posthaste_model::{Auth, Credentials};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{origin, secret_field::SecretField, visible, word};
use crate::{problem::Problem, service::Service};

/// Most characters of a token.
const MAX_TOKEN: usize = 4_096;
/// Most characters of any other field.
const MAX_TEXT: usize = 1_000;

/// The names of the fields of [`AuthFields`].
pub(super) const NAMES: [&str; 9] =
    ["type", "token", "username", "password", "token_url", "client_id", "client_secret", "scope", "audience"];

/// How the service shows a receiver who it is. `true` stands for what is secret.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = EndpointAuth)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthFields {
    /// In which way.
    #[serde(rename = "type", deserialize_with = "word")]
    kind: AuthKind,
    /// `bearer`: the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    token: Option<SecretField>,
    /// `basic`: the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// `basic`: the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    password: Option<SecretField>,
    /// `oauth2`: where tokens are.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_url: Option<String>,
    /// `oauth2`: who asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// `oauth2`: what proves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    client_secret: Option<SecretField>,
    /// `oauth2`: what for. Left out: whatever there is by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// `oauth2`: whom tokens are for, where their server wants to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<String>,
}

/// The ways in which the service can show a receiver who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AuthKind {
    /// A token that is given.
    Bearer,
    /// A user and a password.
    Basic,
    /// A token that is fetched: client credentials.
    OAuth2,
}

impl AuthKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Basic => "basic",
            Self::OAuth2 => "oauth2",
        }
    }

    fn of(auth: &Auth) -> Self {
        match auth {
            Auth::Bearer => Self::Bearer,
            Auth::Basic { .. } => Self::Basic,
            Auth::OAuth2 { .. } => Self::OAuth2,
        }
    }
}

impl From<&Auth> for AuthFields {
    fn from(auth: &Auth) -> Self {
        let bare = Self::bare(AuthKind::of(auth));
        let secret = Some(SecretField::Kept);
        match auth.clone() {
            Auth::Bearer => Self { token: secret, ..bare },
            Auth::Basic { username } => Self { username: Some(username), password: secret, ..bare },
            Auth::OAuth2 { token_url, client_id, scope, audience } => Self {
                token_url: Some(token_url),
                client_id: Some(client_id),
                client_secret: secret,
                scope,
                audience,
                ..bare
            },
        }
    }
}

impl AuthFields {
    fn bare(kind: AuthKind) -> Self {
        Self {
            kind,
            token: None,
            username: None,
            password: None,
            token_url: None,
            client_id: None,
            client_secret: None,
            scope: None,
            audience: None,
        }
    }

    /// Whether its secret is the one that was there already.
    pub(super) fn keeps_secret(&self) -> bool {
        [&self.token, &self.password, &self.client_secret]
            .into_iter()
            .any(|secret| matches!(secret, Some(SecretField::Kept)))
    }

    /// Checks everything. What is secret goes to `credentials`, and may be what is `kept` there already for `before`.
    pub(super) fn judge(
        self,
        service: &Service,
        (before, kept): (Option<&Auth>, &Credentials),
        credentials: &mut Credentials,
    ) -> Result<Auth, Problem> {
        self.refuse_fields_of_others()?;
        let keeps_secret = self.keeps_secret();
        // Another kind's secret is another secret.
        let kept =
            kept.auth.as_ref().filter(|_| before.is_some_and(|before| AuthKind::of(before) == self.kind));
        let secret = |name: &str, field: Option<SecretField>, max: usize| {
            let pointer = format!("/auth/{name}");
            field.ok_or_else(|| missing(name))?.judge(&pointer, max, kept)
        };
        match self.kind {
            AuthKind::Bearer => {
                let token = secret("token", self.token, MAX_TOKEN)?;
                if token.contains(' ') {
                    return Err(Problem::field("/auth/token", "must not have spaces"));
                }
                credentials.auth = Some(token);
                Ok(Auth::Bearer)
            }
            AuthKind::Basic => {
                let username = text("username", self.username)?;
                if username.contains(':') {
                    // RFC 7617, section 2: a receiver would take what follows for the password.
                    return Err(Problem::field("/auth/username", "must not have a colon"));
                }
                credentials.auth = Some(secret("password", self.password, MAX_TEXT)?);
                Ok(Auth::Basic { username })
            }
            AuthKind::OAuth2 => {
                let token_url = self.token_url.ok_or_else(|| missing("token_url"))?;
                let before = match before {
                    Some(Auth::OAuth2 { token_url, .. }) => Some(token_url),
                    _ => None,
                };
                // One that is not changed is not judged here: it is whenever it is used.
                let token_url = if before == Some(&token_url) {
                    token_url
                } else {
                    let url = TargetUrl::parse(&token_url, &service.guard);
                    url.map_err(|e| Problem::field("/auth/token_url", e))?.as_str().to_owned()
                };
                // Whoever changes it need not know the secret that would go there.
                if keeps_secret && before.is_some_and(|before| origin(before) != origin(&token_url)) {
                    let detail = "the secret of 'auth' was given for another host: give it again, or null";
                    return Err(Problem::field("/auth/token_url", detail));
                }
                let client_id = text("client_id", self.client_id)?;
                let optional =
                    |name, field: Option<String>| field.map(|given| text(name, Some(given))).transpose();
                let scope = optional("scope", self.scope)?;
                let audience = optional("audience", self.audience)?;
                credentials.auth = Some(secret("client_secret", self.client_secret, MAX_TEXT)?);
                Ok(Auth::OAuth2 { token_url, client_id, scope, audience })
            }
        }
    }

    fn refuse_fields_of_others(&self) -> Result<(), Problem> {
        let fields = [
            ("token", self.token.is_some(), AuthKind::Bearer),
            ("username", self.username.is_some(), AuthKind::Basic),
            ("password", self.password.is_some(), AuthKind::Basic),
            ("token_url", self.token_url.is_some(), AuthKind::OAuth2),
            ("client_id", self.client_id.is_some(), AuthKind::OAuth2),
            ("client_secret", self.client_secret.is_some(), AuthKind::OAuth2),
            ("scope", self.scope.is_some(), AuthKind::OAuth2),
            ("audience", self.audience.is_some(), AuthKind::OAuth2),
        ];
        match fields.into_iter().find(|(_, given, kind)| *given && *kind != self.kind) {
            Some((name, ..)) => {
                let detail = format!("is no field of the type '{}'", self.kind.as_str());
                Err(Problem::field(format!("/auth/{name}"), detail))
            }
            None => Ok(()),
        }
    }
}

fn missing(name: &str) -> Problem {
    Problem::field(format!("/auth/{name}"), format!("missing field `{name}`"))
}

fn text(name: &str, field: Option<String>) -> Result<String, Problem> {
    let text = field.ok_or_else(|| missing(name))?;
    visible(&text, MAX_TEXT).map_err(|fault| Problem::field(format!("/auth/{name}"), fault))?;
    Ok(text)
}
