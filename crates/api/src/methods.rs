//! Which methods a path has.

use std::collections::BTreeMap;

use actix_web::{
    Error, HttpRequest, HttpResponse, ResponseError as _,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{ALLOW, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use utoipa::openapi::{OpenApi, PathItem};

use crate::{
    openapi::SPECIFICATION,
    problem::{Kind, Problem},
};

/// The methods of each path, by its pattern: what `Allow` says (RFC 9110, section 10.2.1).
pub(crate) struct Methods(BTreeMap<String, String>);

impl Methods {
    pub(crate) fn of(api: &OpenApi) -> Self {
        let paths = api.paths.paths.iter().map(|(path, item)| (path.clone(), methods(item)));
        // The specification does not describe itself.
        let itself = (SPECIFICATION.to_owned(), "GET, HEAD".to_owned());
        Self(paths.chain([itself]).collect())
    }
}

fn methods(item: &PathItem) -> String {
    let PathItem { get, post, put, patch, delete, .. } = item;
    let there = [("GET, HEAD", get), ("POST", post), ("PUT", put), ("PATCH", patch), ("DELETE", delete)];
    let there: Vec<_> =
        there.into_iter().filter(|(_, operation)| operation.is_some()).map(|(name, _)| name).collect();
    there.join(", ")
}

/// Takes HEAD for GET (RFC 9110, section 9.3.2): the same answer, of which the server leaves out the content.
pub(crate) async fn head_as_get(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, Error> {
    if request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

/// Answers where no route fits.
pub(crate) async fn nowhere(request: HttpRequest, methods: Data<Methods>) -> HttpResponse {
    let Some(pattern) = request.match_pattern() else {
        let detail = format!("there is nothing at {}", request.path());
        return Problem::new(Kind::NotFound, detail).error_response();
    };
    // The path fits a route, and the method does not.
    let detail = format!("{} does not exist for {}", request.method(), request.path());
    let mut response = Problem::new(Kind::MethodNotAllowed, detail).error_response();
    if let Some(allow) = methods.0.get(&pattern).and_then(|methods| HeaderValue::from_str(methods).ok()) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}
