use std::{fmt, time::Duration};

use reqwest::header::HeaderValue;
use url::Url;

use crate::{ClientError, call::Call, connection};

/// How long a call may take where nothing else is said.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A Posthaste service, as seen by one of its callers.
///
/// Clones share their connections and are cheap. Each method makes one request and needs a tokio runtime; all of them fail
/// as [`ClientError`] tells.
#[derive(Clone)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) authorization: HeaderValue,
    pub(crate) timeout: Duration,
    base: Url,
}

impl Client {
    /// A client of the service at `base`, such as `http://127.0.0.1:7678`, that shows `key` with every request. A path in
    /// `base` goes before the paths of the API. An https service needs a certificate that the platform trusts.
    ///
    /// # Errors
    /// [`ClientError::InvalidBase`], [`ClientError::InvalidHeader`] when the key is not fit for a header, and
    /// [`ClientError::Setup`]. The service is not asked for anything.
    pub fn new(base: &str, key: &str) -> Result<Self, ClientError> {
        let base = parse_base(base)?;
        let authorization = bearer(key)?;
        let http = connection::open(&base, [])?;
        Ok(Self { http, authorization, timeout: DEFAULT_TIMEOUT, base })
    }

    /// A client of the same service that shows another key, over the same connections.
    ///
    /// # Errors
    /// [`ClientError::InvalidHeader`] when the key is not fit for a header.
    pub fn with_key(&self, key: &str) -> Result<Self, ClientError> {
        Ok(Self { authorization: bearer(key)?, ..self.clone() })
    }

    /// The same client, whose calls may each take so long: from their beginning to the last byte of the answer.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// A call to the resource at these path segments.
    pub(crate) fn at(&self, path: &[&str]) -> Call<'_> {
        Call::new(self, resource(&self.base, path))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// What shows a key (RFC 6750, section 2.1).
fn bearer(key: &str) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::try_from(format!("Bearer {key}"))
        .map_err(|source| ClientError::InvalidHeader { name: "authorization", source })?;
    value.set_sensitive(true);
    Ok(value)
}

fn parse_base(base: &str) -> Result<Url, ClientError> {
    let url = Url::parse(base).map_err(|source| ClientError::InvalidBase { source: Some(source) })?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if plain && matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err(ClientError::InvalidBase { source: None })
    }
}

fn resource(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    // Always so: http and https URLs have segments.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

#[cfg(test)]
mod tests {
    use posthaste_model::{EventId, TenantId, TopicName};
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(base: &str, expect: Option<&str>) {
        let url = parse_base(base).map(|base| resource(&base, &["v1", "topics"]).to_string());
        assert_eq!(url.ok().as_deref(), expect, "{base}");
    }

    #[test]
    fn bases() {
        check("http://localhost:7678", Some("http://localhost:7678/v1/topics"));
        check("http://localhost:7678/", Some("http://localhost:7678/v1/topics"));
        check("https://example.com/hooks", Some("https://example.com/hooks/v1/topics"));
        check("https://example.com/hooks/", Some("https://example.com/hooks/v1/topics"));
        for base in [
            "",
            "localhost:7678",
            "/v1",
            "ftp://example.com",
            "http://",
            "http://user@example.com",
            "http://:pass@example.com",
            "http://example.com?a=b",
            "http://example.com#a",
        ] {
            check(base, None);
        }
    }

    proptest! {
        #[test]
        fn every_name_is_one_segment_as_it_is(name in "[a-zA-Z0-9._:-]{1,12}") {
            let valid = name.parse::<TenantId>().is_ok()
                || name.parse::<EventId>().is_ok()
                || name.parse::<TopicName>().is_ok();
            prop_assume!(valid);
            let base = parse_base("http://localhost/a/").unwrap();
            let url = resource(&base, &["v1", &name, "b"]);
            prop_assert_eq!(url.path(), format!("/a/v1/{name}/b"));
        }
    }
}
