use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::AUTHORIZATION,
    middleware::Next,
    web::Data,
};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{
    problem::{Kind, Place, Problem},
    service::Service,
};

/// What is kept of a key: its SHA-256, from which the key cannot be had back.
#[derive(Debug, Clone)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of a key.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Whether it is this key's. Takes the same time wherever they differ.
    fn fits(&self, key: &str) -> bool {
        self.0.ct_eq(&Self::of(key).0).into()
    }
}

/// Lets a request pass that carries the admin key.
pub(crate) async fn authorize(
    service: Data<Service>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    check(&request, &service.settings.admin_key)?;
    next.call(request).await
}

fn check(request: &ServiceRequest, admin_key: &KeyDigest) -> Result<(), Problem> {
    let refused = |detail: &str| {
        Problem::new(Kind::Unauthorized, detail).at(Place::Header(AUTHORIZATION.as_str().to_owned()))
    };
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .ok_or_else(|| refused("the request carries no key: expected 'Authorization: Bearer <key>'"))?;
    let key = header
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key.trim())
        .ok_or_else(|| refused("expected 'Authorization: Bearer <key>'"))?;
    if admin_key.fits(key) { Ok(()) } else { Err(refused("the key is not valid")) }
}
