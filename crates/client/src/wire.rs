use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::SecretText;

/// The value of a secret field: a text when it is given. The service shows `true` instead, which in a patch keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SecretField {
    /// A text that is given.
    Given(SecretText),
    /// The text that is there.
    Kept(bool),
}

/// The value of a header that an endpoint asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HeaderField {
    /// Everybody may see it.
    Shown(String),
    /// Nobody may see it again.
    Secret {
        /// The value.
        secret: SecretField,
    },
}

/// How the service shows an endpoint's receiver who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum EndpointAuth {
    /// A token that is given.
    Bearer {
        /// The token.
        token: SecretField,
    },
    /// A user and a password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: SecretField,
    },
    /// A token that is fetched: OAuth 2.0 client credentials.
    OAuth2 {
        /// Where tokens are.
        token_url: String,
        /// Who asks.
        client_id: String,
        /// What proves it.
        client_secret: SecretField,
        /// What for; none: whatever there is by default.
        #[serde(skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
        /// Whom tokens are for, where their server wants to know.
        #[serde(skip_serializing_if = "Option::is_none")]
        audience: Option<String>,
    },
}

/// Who the service is to an endpoint's receiver, and whom it takes the receiver for. All texts are PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointTls {
    /// The certificate that the receiver is shown. Only with `private_key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<SecretField>,
    /// The certificates that the receiver's has to be signed by; none: the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

/// What a signature profile sends, by way of example: signed with a secret that everybody knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureSample {
    /// The headers that it sets.
    pub headers: BTreeMap<String, String>,
    /// The text that was signed.
    pub signed: String,
}

impl From<SecretText> for SecretField {
    fn from(text: SecretText) -> Self {
        Self::Given(text)
    }
}

impl From<SecretText> for HeaderField {
    fn from(text: SecretText) -> Self {
        Self::Secret { secret: text.into() }
    }
}

impl From<&str> for HeaderField {
    fn from(value: &str) -> Self {
        Self::Shown(value.to_owned())
    }
}
