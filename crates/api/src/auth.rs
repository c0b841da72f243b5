use actix_web::{
    Error, HttpMessage as _,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{AUTHORIZATION, HeaderMap},
    middleware::Next,
    web::Data,
};
use posthaste_store::{KeyDigest, StoreError};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{
    api_keys,
    caller::Caller,
    permissions::{self, Route},
    portal,
    problem::{Kind, Place, Problem},
    service::Service,
};

/// What is kept of a key: its SHA-256 (FIPS 180-4), from which a key that nobody can guess cannot be had back.
pub fn key_digest(key: &str) -> KeyDigest {
    KeyDigest(Sha256::digest(key.as_bytes()).into())
}

/// Whether it is this key's digest. Takes the same time wherever they differ.
pub(crate) fn fits(digest: &KeyDigest, key: &str) -> bool {
    are_same(digest, &key_digest(key))
}

fn are_same(one: &KeyDigest, other: &KeyDigest) -> bool {
    one.0.ct_eq(&other.0).into()
}

/// What is said where nobody can tell whether a key is good.
const UNTOLD: &str = "the store is unavailable: whether the key is good cannot be told; try again";

/// Why a key is refused. `what` is what it is called.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is none such: it was not made by this service, or was deleted.
    Unknown,
    /// Its time is over.
    Expired { what: &'static str },
    /// Its tenant was deleted. Another one may have the same id by now.
    Orphaned { what: &'static str },
    /// Whether it is good cannot be told.
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown => refused("the key is not valid"),
            Refusal::Expired { what } => refused(&format!("the {what} has expired")),
            Refusal::Orphaned { what } => refused(&format!("the tenant of the {what} was deleted")),
            Refusal::Store(error) => Self::from(error).where_store_failed(UNTOLD),
        }
    }
}

/// Lets a request pass whose key is for it. Its extensions say whose it is, and which route it takes.
pub(crate) async fn authorize(
    service: Data<Service>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let caller = identify(&service, key(request.headers())?).await.map_err(Problem::from)?;
    // The path as the router has decoded it: what it fits there, it must fit here.
    let (method, path) = (request.method().as_str(), request.match_info().as_str());
    let route = Route::find(method, path);
    permissions::check(&caller, route, method, path)?;
    if let Some(route) = route {
        request.extensions_mut().insert(route);
    }
    request.extensions_mut().insert(caller);
    next.call(request).await
}

/// Whose key it is.
async fn identify(service: &Service, key: &str) -> Result<Caller, Refusal> {
    let digest = key_digest(key);
    if are_same(&service.settings.admin_key, &digest) {
        Ok(Caller::admin())
    } else if key.starts_with(api_keys::PREFIX) {
        api_keys::open(service, key, &digest).await
    } else {
        portal::open(service, key).await
    }
}

/// The key that a request carries.
pub(crate) fn key(headers: &HeaderMap) -> Result<&str, Problem> {
    let header = headers
        .get(AUTHORIZATION)
        .ok_or_else(|| refused("the request carries no key: expected 'Authorization: Bearer <key>'"))?;
    header
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key.trim())
        .ok_or_else(|| refused("expected 'Authorization: Bearer <key>'"))
}

pub(crate) fn refused(detail: &str) -> Problem {
    Problem::new(Kind::Unauthorized, detail).at(Place::Header(AUTHORIZATION.as_str().to_owned()))
}
