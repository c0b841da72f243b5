//! Who the service is to a receiver, and whom it takes the receiver for.

use posthaste_egress::{ClientIdentity, InvalidIdentity, TrustedRoots};
use posthaste_model::{Credentials, Wire};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::secret_field::SecretField;
use crate::problem::Problem;

/// The names of the fields of [`TlsFields`].
pub(super) const NAMES: [&str; 3] = ["certificate", "private_key", "ca"];

/// Who the service is to a receiver, and whom it takes the receiver for. All texts are PEM.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = EndpointTls)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsFields {
    /// The certificate that a receiver is shown, and those that lead from it to an authority. Only with `private_key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    /// Its private key. `true` stands for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    private_key: Option<SecretField>,
    /// The certificates that the receiver's has to be signed by, instead of the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
}

impl TlsFields {
    /// What an endpoint has; none: nothing.
    pub(super) fn of(wire: &Wire) -> Option<Self> {
        let Wire { certificate, roots, .. } = wire;
        let private_key = certificate.as_ref().map(|_| SecretField::Kept);
        let fields = Self { certificate: certificate.clone(), private_key, ca: roots.clone() };
        (certificate.is_some() || roots.is_some()).then_some(fields)
    }

    /// Asserts that requests to a URL go over TLS: what is said here would be heeded nowhere else.
    pub(crate) fn suits(&self, url: &str) -> Result<(), Problem> {
        let given = [self.certificate.is_some(), self.private_key.is_some(), self.ca.is_some()];
        let first = NAMES.into_iter().zip(given).find(|(_, given)| *given);
        let scheme = url.split_once(':').map_or(url, |(scheme, _)| scheme);
        match first {
            Some((name, _)) if scheme.eq_ignore_ascii_case("http") => {
                let detail = "is for https, and the endpoint's URL begins with http://";
                Err(Problem::field(format!("/tls/{name}"), detail))
            }
            _ => Ok(()),
        }
    }

    /// Checks everything, and writes it. The key goes to `credentials`, and may be what is `kept` there already.
    pub(super) fn judge(
        self,
        wire: &mut Wire,
        kept: &Credentials,
        credentials: &mut Credentials,
    ) -> Result<(), Problem> {
        let field = |name: &str, detail: String| Problem::field(format!("/tls/{name}"), detail);
        match (self.certificate, self.private_key) {
            (None, None) => {}
            (Some(_), None) => {
                return Err(field("private_key", "is missing: it goes with the certificate".into()));
            }
            (None, Some(_)) => {
                return Err(field("certificate", "is missing: it goes with the private key".into()));
            }
            (Some(certificate), Some(key)) => {
                let key = key.text("/tls/private_key", kept.private_key.as_ref())?;
                let key = credentials.private_key.insert(key);
                ClientIdentity::from_pem(&certificate, key).map_err(|wrong| match wrong {
                    InvalidIdentity::Certificates(wrong) => field("certificate", wrong.to_string()),
                    InvalidIdentity::Key(_) | InvalidIdentity::Mismatch => {
                        field("private_key", wrong.to_string())
                    }
                })?;
                wire.certificate = Some(certificate);
            }
        }
        if let Some(ca) = self.ca {
            TrustedRoots::from_pem(&ca).map_err(|wrong| field("ca", wrong.to_string()))?;
            wire.roots = Some(ca);
        }
        Ok(())
    }
}
