use std::{borrow::Cow, fmt};

use anyhow::ensure;
use serde::{Deserialize, Serialize, Serializer};

/// Names the store. It may hold a password, and is shown without.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct StoreUrl(String);

/// The one parameter that is shown.
const CA_FILE: &str = "?ca_file=";

impl StoreUrl {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The URL as it was given.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether something is left out where it is shown.
    pub(crate) fn conceals(&self) -> bool {
        self.shown() != self.0
    }

    /// Refuses a login that whoever reads the URL would take for something else, and might print.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let login = self.rest().and_then(|rest| rest.rsplit_once('@')).map_or("", |(login, _)| login);
        ensure!(
            !login.contains(['/', '?', '#', '@']),
            "store: '/', '?', '#' and '@' in its user or password have to be percent-encoded"
        );
        Ok(())
    }

    /// What comes after the scheme of a URL, but for its CA file.
    fn rest(&self) -> Option<&str> {
        let (scheme, rest) = self.0.split_once("://")?;
        (!scheme.starts_with("sqlite")).then(|| rest.rfind(CA_FILE).map_or(rest, |at| &rest[..at]))
    }

    /// The URL without its password, however badly it is written.
    fn shown(&self) -> Cow<'_, str> {
        let scheme = match self.0.split_once(':') {
            Some((scheme, _)) if scheme != "sqlite" => scheme,
            _ => return Cow::Borrowed(&self.0),
        };
        let Some(place) = self.rest() else { return format!("{scheme}:…").into() };
        let ca_file = self.0.rfind(CA_FILE).map_or("", |at| &self.0[at..]);
        // A password may have any character, an unescaped one, too: it ends with the last '@'.
        let (login, place) = place.rsplit_once('@').unwrap_or(("", place));
        let user = login.split(':').next().unwrap_or_default();
        let at = if user.is_empty() { "" } else { "@" };
        let place = place.split('?').next().unwrap_or_default();
        format!("{scheme}://{user}{at}{place}{ca_file}").into()
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Serialize for StoreUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, shown: &str) {
        let url = StoreUrl::new(url);
        assert_eq!(url.to_string(), shown);
        assert_eq!(format!("{url:?}"), shown);
        assert_eq!(url.conceals(), url.expose() != shown);
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        check("sqlite:/data/a@b:c.db", "sqlite:/data/a@b:c.db");
        check("redis://h:6379/1", "redis://h:6379/1");
        check("redis://:secret@h:6379", "redis://h:6379");
        check("redis://user:secret@h", "redis://user@h");
        check("redis+cluster://u:secret@a:1,b:2", "redis+cluster://u@a:1,b:2");
        check("redis+sentinel://u:secret@a:1,b:2/main/3", "redis+sentinel://u@a:1,b:2/main/3");
        check("rediss://u:secret@h?ca_file=/etc/a@b.pem", "rediss://u@h?ca_file=/etc/a@b.pem");
    }

    #[test]
    fn a_password_that_is_badly_written_does_not_show() {
        for url in [
            "redis://u:sec/ret@h",
            "redis://u:sec@ret@h",
            "redis://u:sec?ret@h",
            "redis://u:sec:ret@h",
            "redis://u:sec#ret@h",
        ] {
            check(url, "redis://u@h");
            let refused = StoreUrl::new(url).check().err().map(|error| error.to_string());
            assert_eq!(refused.is_some(), url != "redis://u:sec:ret@h", "{url}");
        }
        assert!(StoreUrl::new("rediss://u:secret@h/1?ca_file=/etc/a@b.pem").check().is_ok());
        assert!(StoreUrl::new("sqlite:/data/a@b/c?d").check().is_ok());
        check("redis://h?password=secret", "redis://h");
        check("redis:u:secret@h", "redis:…");
        check("posthaste.db", "posthaste.db");
    }
}
