//! Forms that were sent.

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Bytes};
use futures_util::future::LocalBoxFuture;

use crate::{fault::Fault, fields::Fields, visitor::Visitor};

/// The name of the field that says for which session a form was made.
pub(crate) const CSRF: &str = "csrf";

/// A form that was made for the session that it came with: no other site can have made it.
pub(crate) struct Posted {
    pub(crate) visitor: Visitor,
    pub(crate) fields: Fields,
}

impl FromRequest for Posted {
    type Error = Fault;
    type Future = LocalBoxFuture<'static, Result<Self, Fault>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let visitor = Visitor::of(request);
        let body = Bytes::from_request(request, payload);
        Box::pin(async move {
            let visitor = visitor?;
            let body = body.await.map_err(|_| Fault::TooLong)?;
            let fields = Fields::read(&body);
            if !visitor.session.made(fields.get(CSRF)) {
                return Err(Fault::Forged);
            }
            Ok(Self { visitor, fields })
        })
    }
}
