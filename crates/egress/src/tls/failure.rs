//! What an error that has to do with TLS means, in words fit for customers: they speak of certificates, which are
//! public, and of nobody's network.

use rustls::{AlertDescription, CertificateError, Error};

use super::TlsIdentity;

/// What `error` means for an exchange under `identity`.
pub(crate) fn describe(error: &Error, identity: Option<&TlsIdentity>) -> &'static str {
    match error {
        Error::InvalidCertificate(certificate) => {
            let own_roots = identity.is_some_and(|identity| identity.roots().is_some());
            describe_certificate(certificate, own_roots)
        }
        Error::AlertReceived(alert) => {
            if shows(identity) {
                describe_refusal(*alert)
            } else {
                describe_refusal_of_strangers(*alert)
            }
        }
        _ => FAILED,
    }
}

/// What it means that a connection was lost on which the receiver had asked who we are. It need not be a refusal.
pub(crate) fn describe_loss(identity: Option<&TlsIdentity>) -> &'static str {
    if shows(identity) {
        "the connection was lost after the receiver was shown the client certificate"
    } else {
        "the connection was lost after the receiver asked for a client certificate"
    }
}

fn shows(identity: Option<&TlsIdentity>) -> bool {
    identity.is_some_and(|identity| identity.client().is_some())
}

/// Why we do not believe the receiver.
fn describe_certificate(error: &CertificateError, own_roots: bool) -> &'static str {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext, Other, Revoked, UnknownIssuer,
    };
    match error {
        Expired | ExpiredContext { .. } => "the receiver's certificate has expired",
        NotValidYet | NotValidYetContext { .. } => "the receiver's certificate is not valid yet",
        NotValidForName | NotValidForNameContext { .. } => {
            "the receiver's certificate is not valid for the host name"
        }
        // The latter if the issuer merely bears a trusted one's name.
        UnknownIssuer | BadSignature if own_roots => {
            "the receiver's certificate is not signed by an authority that the endpoint names"
        }
        UnknownIssuer | BadSignature => "the receiver's certificate is not signed by a trusted authority",
        Revoked => "the receiver's certificate has been revoked",
        // Its type is not within reach to be asked. It is what becomes of a certificate that signed itself as an
        // authority, and is sent by a server and named as its own root.
        Other(other) if other.to_string().ends_with("CaUsedAsEndEntity") => {
            "the receiver's certificate is one for an authority, not for a server"
        }
        _ => "the receiver's certificate is not valid",
    }
}

/// Why the receiver does not believe us, though we showed a certificate if we were asked (RFC 8446 section 6.2).
fn describe_refusal(alert: AlertDescription) -> &'static str {
    use AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked,
        CertificateUnknown, DecryptError, UnknownCA, UnsupportedCertificate,
    };
    match alert {
        UnknownCA => "the receiver does not trust the authority of the client certificate",
        CertificateExpired => "the receiver takes the client certificate for expired",
        CertificateRevoked => "the receiver takes the client certificate for revoked",
        // It is not shown if the receiver cannot verify signatures of its key.
        CertificateRequired | UnsupportedCertificate => {
            "the receiver wants another kind of client certificate"
        }
        BadCertificate | CertificateUnknown | AccessDenied | DecryptError => {
            "the receiver refused the client certificate"
        }
        _ => REFUSED,
    }
}

/// Why the receiver does not believe us, who had no certificate to show.
fn describe_refusal_of_strangers(alert: AlertDescription) -> &'static str {
    match alert {
        // The latter from receivers that speak TLS 1.2, which has no word for the former.
        AlertDescription::CertificateRequired | AlertDescription::BadCertificate => {
            "the receiver requires a client certificate"
        }
        _ => REFUSED,
    }
}

const FAILED: &str = "the TLS handshake failed";
const REFUSED: &str = "the receiver refused the TLS handshake";
