//! How an endpoint's requests are made.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroize;

use crate::EndpointId;

/// How an endpoint's requests are made, but for what is secret ([`Credentials`]).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wire {
    /// With which method.
    pub method: Method,
    /// What the body looks like.
    pub format: BodyFormat,
    /// How it is signed: a profile, as `posthaste-signing` reads it. None: the standard one.
    pub signature: Option<Value>,
    /// Headers beside those of the service, by their names as they were given. None: the value is secret.
    pub headers: BTreeMap<String, Option<String>>,
    /// Whether an event's metadata travel as headers, too.
    pub metadata_headers: bool,
    /// How the service shows the receiver who it is.
    pub auth: Option<Auth>,
    /// The certificate chain, in PEM, that the service shows the receiver.
    pub certificate: Option<String>,
    /// The certificates, in PEM, that the receiver's is signed by. None: the public ones.
    pub roots: Option<String>,
}

/// With which method a delivery is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
}

/// What the body of a delivery looks like. A body that was published raw is never put into an envelope of JSON, but for
/// that of CloudEvents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyFormat {
    /// The envelope of Standard Webhooks.
    #[default]
    Standard,
    /// The data alone.
    Raw,
    /// A CloudEvent 1.0 in structured mode: an envelope of JSON.
    #[serde(rename = "cloudevents")]
    CloudEvents,
    /// A CloudEvent 1.0 in binary mode: the data alone, and headers about it.
    #[serde(rename = "cloudevents-binary")]
    CloudEventsBinary,
}

/// How the service shows a receiver who it is, but for what is secret about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Auth {
    /// `Authorization: Bearer`, with a token that was given (RFC 6750).
    Bearer,
    /// `Authorization: Basic` (RFC 7617).
    Basic {
        /// The user.
        username: String,
    },
    /// `Authorization: Bearer`, with a token that is fetched: client credentials (RFC 6749 section 4.4).
    OAuth2 {
        /// Where tokens are.
        token_url: String,
        /// Who asks.
        client_id: String,
        /// For what; none: whatever there is by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
        /// Whom the token is for, where the server wants to know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audience: Option<String>,
    },
}

/// What is secret about an endpoint's requests, beside what signs them. It is kept sealed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The values of secret headers, by their names as they were given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The token, password or client secret that [`Wire::auth`] needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
    /// The key of [`Wire::certificate`], in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<String>,
}

impl Credentials {
    /// Names the record that an endpoint's sealed credentials are bound to.
    pub fn record(endpoint: EndpointId) -> String {
        format!("credentials:{endpoint}")
    }
}

impl Drop for Credentials {
    fn drop(&mut self) {
        self.headers.values_mut().for_each(Zeroize::zeroize);
        self.auth.zeroize();
        self.private_key.zeroize();
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}
