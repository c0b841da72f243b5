//! Signing.

use std::fmt;
use std::sync::Arc;

use crate::format::Format;
use crate::key::Key;
use crate::message::Values;
use crate::{KeyError, Message, Profile, Secret, SignError};

/// A profile with the live secrets of one endpoint, made ready to sign.
///
/// Build it once for an endpoint and keep it: the schedules of HMAC keys are computed here and only copied for a
/// signature.
#[derive(Clone)]
pub struct Signer {
    format: Arc<Format>,
    /// Each with the scheme that it signs by, in the order in which signatures are sent.
    keys: Vec<(usize, Key)>,
}

impl Signer {
    /// Makes a profile ready to sign with secrets: the current one first, then those that are being rotated out.
    ///
    /// A profile that needs secrets of two kinds takes the first of each kind as the current one. Where a request carries
    /// one signature only, the current secret signs alone. Retiring secrets that the profile cannot use are left out: it
    /// may have changed since they were current.
    ///
    /// # Errors
    ///
    /// [`KeyError`] where a current secret is missing or cannot be used.
    pub fn new<'s>(
        profile: &Profile,
        secrets: impl IntoIterator<Item = &'s Secret>,
    ) -> Result<Self, KeyError> {
        let format = Arc::clone(profile.format());
        let secrets: Vec<&Secret> = secrets.into_iter().collect();
        let mut keys = Vec::new();
        for (index, scheme) in format.schemes.iter().enumerate() {
            let kind = scheme.algorithm.kind();
            let mut of_kind = secrets.iter().filter(|secret| secret.kind() == kind);
            let current = of_kind.next().ok_or(KeyError::Missing(kind))?;
            keys.push((index, scheme.algorithm.key(current)?));
            if format.separator.is_some() {
                keys.extend(of_kind.filter_map(|secret| Some((index, scheme.algorithm.key(secret).ok()?))));
            }
        }
        Ok(Self { format, keys })
    }

    /// The names of the headers, as they are sent, in the order of [`headers`](Self::headers).
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.format.headers.iter().map(|header| header.name.as_str())
    }

    /// The headers that a message is sent with: names and values.
    ///
    /// Every value is visible ASCII with single spaces at most where the profile puts them: its texts were checked when the
    /// profile was read, times, digests and signatures are digits and letters, and whatever else goes into a header is
    /// checked here. Nothing is escaped or left out.
    ///
    /// # Errors
    ///
    /// [`SignError`] where the message cannot be signed in this format. Ids without full stops, and ids, topics, methods
    /// and URLs of visible ASCII, always can.
    pub fn headers(&self, message: &Message<'_>) -> Result<Vec<(&str, String)>, SignError> {
        let format = &*self.format;
        let mut values = Values::of_message(format, message)?;
        let signatures = self.signatures(&values);
        values.set(format.signature_variable(), signatures);
        Ok(format.headers.iter().map(|header| (header.name.as_str(), values.render(&header.value))).collect())
    }

    /// All signatures, joined.
    fn signatures(&self, values: &Values<'_>) -> String {
        let parts = values.parts(&self.format.signed);
        let mut text = String::new();
        for (scheme, key) in &self.keys {
            if !text.is_empty() {
                text.push_str(self.format.separator.as_deref().unwrap_or_default());
            }
            self.format.schemes[*scheme].write(key, &parts, &mut text);
        }
        text
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} keys, ..)", self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKind;

    const SHARED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const PRIVATE: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
    const RAW: &str = "It's a Secret to Everybody";

    const MESSAGE: Message<'_> = Message {
        id: "evt_1",
        topic: "order.paid",
        time_ms: 1_614_265_330_000,
        method: "POST",
        url: "https://example.com/hooks",
        body: b"{}",
    };

    fn signer(profile: &str, secrets: &[&str]) -> Result<Signer, KeyError> {
        let secrets: Vec<Secret> = secrets.iter().map(|text| text.parse().unwrap()).collect();
        Signer::new(&Profile::parse(profile).unwrap(), &secrets)
    }

    /// How many signatures a message carries.
    #[track_caller]
    fn check(profile: &str, secrets: &[&str], expect: Result<usize, KeyError>) {
        assert_eq!(signer(profile, secrets).map(|signer| signer.keys.len()), expect);
    }

    #[test]
    fn every_live_secret_signs_where_a_request_can_carry_it() {
        let (standard, github) = (r#"{"profile": "standard"}"#, r#"{"profile": "github"}"#);
        let both = r#"{"profile": "standard", "versions": ["v1", "v1a"]}"#;
        check(standard, &[SHARED], Ok(1));
        check(standard, &[SHARED, OTHER], Ok(2));
        check(github, &[SHARED, OTHER], Ok(1));
        check(both, &[SHARED, PRIVATE], Ok(2));
        check(both, &[SHARED, PRIVATE, OTHER], Ok(3));
        // What was current under another profile is left out.
        check(standard, &[SHARED, RAW, PRIVATE], Ok(1));

        check(standard, &[], Err(KeyError::Missing(SecretKind::Shared)));
        check(standard, &[PRIVATE], Err(KeyError::Missing(SecretKind::Shared)));
        check(standard, &[RAW, SHARED], Err(KeyError::NotBase64));
        check(both, &[SHARED, OTHER], Err(KeyError::Missing(SecretKind::Ed25519)));
    }

    #[track_caller]
    fn check_refused(profile: &str, message: &Message<'_>, expect: Option<SignError>) {
        let signer = signer(profile, &[SHARED]).unwrap();
        assert_eq!(signer.headers(message).err(), expect);
    }

    #[test]
    fn what_cannot_be_sent_is_not_signed() {
        let (standard, github, stripe) =
            (r#"{"profile": "standard"}"#, r#"{"profile": "github"}"#, r#"{"profile": "stripe"}"#);
        let stop = Message { id: "evt.1", ..MESSAGE };
        check_refused(standard, &stop, Some(SignError::AmbiguousId));
        check_refused(github, &stop, None);
        for id in ["evt\r\nX-Evil: 1", "evt 1", "evt\t1", "événement"] {
            let message = Message { id, ..MESSAGE };
            check_refused(standard, &message, Some(SignError::NotVisible("id")));
            check_refused(github, &message, Some(SignError::NotVisible("id")));
            check_refused(stripe, &message, None);
        }
        let topic = Message { topic: "order\npaid", ..MESSAGE };
        check_refused(standard, &topic, None);
        check_refused(github, &topic, Some(SignError::NotVisible("topic")));
    }

    #[test]
    fn times_are_whole() {
        let profile = r#"{"profile": "custom", "signed": "{body}", "algorithm": "hmac-sha256", "encoding": "hex",
            "key": "raw", "headers": {"S": "{signature}", "T": "{ts} {ts_ms} {ts_rfc3339}"}}"#;
        let signer = signer(profile, &[SHARED]).unwrap();
        let times =
            |time_ms| signer.headers(&Message { time_ms, ..MESSAGE }).map(|headers| headers[1].1.clone());
        assert_eq!(times(1_614_265_330_999).unwrap(), "1614265330 1614265330999 2021-02-25T15:02:10Z");
        assert_eq!(times(0).unwrap(), "0 0 1970-01-01T00:00:00Z");
        assert_eq!(times(-1).unwrap(), "-1 -1 1969-12-31T23:59:59Z");
        assert_eq!(times(i64::MAX).unwrap_err(), SignError::TimeOutOfRange { time_ms: i64::MAX });
    }

    #[test]
    fn twilios_own_example() {
        // https://www.twilio.com/docs/usage/security#validating-requests, whose token is shorter than what is accepted.
        let profile = r#"{"profile": "custom", "signed": "{url}{form(body)}", "algorithm": "hmac-sha1",
            "encoding": "base64", "key": "raw", "headers": {"X-Twilio-Signature": "{signature}"}}"#;
        let secret = Secret::from_sealed(b"12345").unwrap();
        let signer = Signer::new(&Profile::parse(profile).unwrap(), [&secret]).unwrap();
        let message = Message {
            url: "https://mycompany.com/myapp.php?foo=1&bar=2",
            body: b"Digits=1234&To=%2B18005551212&From=%2B14158675309&Caller=%2B14158675309&\
                CallSid=CA1234567890ABCDE",
            ..MESSAGE
        };
        assert_eq!(signer.headers(&message).unwrap()[0].1, "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    }
}
