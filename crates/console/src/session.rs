//! Sessions: a cookie that holds the key, sealed, so that nothing of it is kept in the service.
//!
//! Attributes: RFC 6265, section 4.1, and `SameSite` as in its successor draft-ietf-httpbis-rfc6265bis.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use posthaste_client::Role;
use posthaste_model::{TenantId, Timestamp};
use posthaste_signing::Sealer;
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::door::Door;

/// How long a session is good.
pub(crate) const LIFETIME: Duration = Duration::from_secs(12 * 3_600);

/// Who somebody is, from one request to the next.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// What the API is shown.
    pub(crate) key: String,
    /// What forms have to carry, which no other site knows.
    pub(crate) csrf: String,
    /// When it is good no more.
    pub(crate) expires_at: Timestamp,
    /// What the key is for.
    pub(crate) role: Role,
    /// Whose people they are; none: operators.
    pub(crate) tenant: Option<Own>,
}

/// A tenant, as its own people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Own {
    pub(crate) id: TenantId,
    pub(crate) name: String,
}

impl Own {
    /// What it is called: its name, or its id where it has none.
    pub(crate) fn called(&self) -> &str {
        if self.name.is_empty() { self.id.as_str() } else { &self.name }
    }
}

impl Session {
    /// A new one, from now on.
    pub(crate) fn new(
        key: String,
        role: Role,
        tenant: Option<Own>,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let mut csrf = [0; 24];
        rng.fill_bytes(&mut csrf);
        Self { key, csrf: URL_SAFE_NO_PAD.encode(csrf), expires_at: now + LIFETIME, role, tenant }
    }

    /// What the cookie holds; none: it cannot be sealed.
    pub(crate) fn seal(
        &self,
        door: Door,
        sealer: &Sealer,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Option<String> {
        let text = serde_json::to_vec(self).ok()?;
        let sealed = sealer.seal(&text, door.record(), rng).ok()?;
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// What a cookie holds; none: it was not made by this service for this door, or is too old.
    pub(crate) fn open(cookie: &str, door: Door, sealer: &Sealer, now: Timestamp) -> Option<Self> {
        let sealed = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let text = sealer.open(&sealed, door.record()).ok()?;
        let session: Self = serde_json::from_slice(&text).ok()?;
        // Only operators look through the console, and only a tenant's people through the portal.
        (now < session.expires_at && session.tenant.is_some() == (door == Door::Portal)).then_some(session)
    }

    /// Whether a form was made for this session. Takes the same time wherever they differ.
    pub(crate) fn made(&self, csrf: &str) -> bool {
        self.csrf.as_bytes().ct_eq(csrf.as_bytes()).into()
    }
}

/// The `Set-Cookie` of a session. Browsers send it back with requests from our own pages alone, and no script reads it.
pub(crate) fn set_cookie(door: Door, value: &str, secure: bool) -> String {
    written(door, value, LIFETIME.as_secs(), secure)
}

/// The `Set-Cookie` that ends a session.
pub(crate) fn drop_cookie(door: Door, secure: bool) -> String {
    written(door, "", 0, secure)
}

fn written(door: Door, value: &str, age: u64, secure: bool) -> String {
    let (name, path) = (door.cookie(), door.prefix());
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; Path={path}; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
}

/// The value of a door's cookie among the `Cookie` headers of a request.
pub(crate) fn find_cookie<'a>(headers: impl Iterator<Item = &'a str>, door: Door) -> Option<&'a str> {
    headers
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == door.cookie()).then_some(value))
}

#[cfg(test)]
mod tests {
    use posthaste_signing::EncryptionKey;
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn sealer(seed: u64) -> Sealer {
        Sealer::new(EncryptionKey::generate(&mut StdRng::seed_from_u64(seed)))
    }

    fn own() -> Own {
        Own { id: "acme".parse().unwrap(), name: "Acme".into() }
    }

    #[test]
    fn a_session_opens_for_its_own_door_and_in_its_time() {
        let mut rng = StdRng::seed_from_u64(1);
        let now = at("2026-11-21T10:00:00Z");
        let session = Session::new("key".into(), Role::Viewer, None, now, &mut rng);
        let cookie = session.seal(Door::Console, &sealer(1), &mut rng).unwrap();
        let open = |door, of: u64, now| Session::open(&cookie, door, &sealer(of), at(now));
        assert!(open(Door::Console, 1, "2026-11-21T21:59:59Z").is_some_and(|opened| opened == session));
        assert!(open(Door::Console, 1, "2026-11-21T22:00:00Z").is_none(), "it is too old");
        assert!(open(Door::Portal, 1, "2026-11-21T10:00:00Z").is_none(), "it is another door's");
        assert!(open(Door::Console, 2, "2026-11-21T10:00:00Z").is_none(), "it was sealed with another key");
        for cookie in ["", "AAAA", "not base64", &cookie[1..], &format!("{cookie}A")] {
            assert!(Session::open(cookie, Door::Console, &sealer(1), now).is_none(), "{cookie}");
        }
    }

    #[test]
    fn who_looks_through_a_door_belongs_there() {
        let mut rng = StdRng::seed_from_u64(1);
        let now = at("2026-11-21T10:00:00Z");
        for (door, tenant, expect) in [
            (Door::Console, None, true),
            (Door::Console, Some(own()), false),
            (Door::Portal, Some(own()), true),
            (Door::Portal, None, false),
        ] {
            let session = Session::new("key".into(), Role::Operator, tenant, now, &mut rng);
            let cookie = session.seal(door, &sealer(1), &mut rng).unwrap();
            assert_eq!(Session::open(&cookie, door, &sealer(1), now).is_some(), expect, "{door:?}");
        }
    }

    #[test]
    fn a_tenant_without_a_name_is_called_by_its_id() {
        assert_eq!(own().called(), "Acme");
        assert_eq!(Own { name: String::new(), ..own() }.called(), "acme");
    }

    #[test]
    fn no_two_sessions_have_the_same_token() {
        let mut rng = StdRng::seed_from_u64(1);
        let now = at("2026-11-21T10:00:00Z");
        let [one, other] = [0, 1].map(|_| Session::new("key".into(), Role::Viewer, None, now, &mut rng));
        assert!(one.made(&one.csrf));
        assert!(!one.made(&other.csrf));
        assert!(!one.made(""));
        assert!(!one.made(&one.csrf[1..]));
    }

    #[test]
    fn a_cookie_is_for_our_own_pages_alone() {
        assert_eq!(
            set_cookie(Door::Console, "abc", true),
            "posthaste_console=abc; Path=/console; Max-Age=43200; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(
            drop_cookie(Door::Portal, false),
            "posthaste_portal=; Path=/portal; Max-Age=0; HttpOnly; SameSite=Strict"
        );
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let find = |headers: &[&'static str]| find_cookie(headers.iter().copied(), Door::Console);
        assert_eq!(find(&["posthaste_console=abc"]), Some("abc"));
        assert_eq!(find(&["a=b; posthaste_console=abc; c=d"]), Some("abc"));
        assert_eq!(find(&["a=b", "posthaste_console=abc"]), Some("abc"));
        assert_eq!(find(&["posthaste_portal=abc", "xposthaste_console=abc", "posthaste_console"]), None);
        assert_eq!(find(&[]), None);
    }
}
