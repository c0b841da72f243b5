use actix_web::{HttpResponse, get, web::Data};
use utoipa::{
    PartialSchema as _, ToSchema as _,
    openapi::{
        ContentBuilder, Info, License, OpenApi, Ref, RefOr, ResponseBuilder,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use crate::problem::{Place, ProblemBody};

/// Where the specification is served.
pub(crate) const SPECIFICATION: &str = "/v1/openapi.json";

/// The specification, served as it is.
pub(crate) struct Specification(pub(crate) String);

#[get("/v1/openapi.json")]
pub(crate) async fn get_openapi(specification: Data<Specification>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(specification.0.clone())
}

/// Says once what holds for every operation: the key it needs, and what its errors look like.
pub(crate) fn complete(mut api: OpenApi) -> OpenApi {
    api.info = Info::new("Posthaste", env!("CARGO_PKG_VERSION"));
    api.info.description = Some("Outbound webhook delivery.".into());
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".into());
    api.info.license = Some(license);
    let components = api.components.get_or_insert_default();
    components.add_security_scheme("key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    components.schemas.insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    components.schemas.insert(Place::name().into_owned(), Place::schema());
    let problem = ResponseBuilder::new()
        .description("An error (RFC 9457)")
        .content(
            "application/problem+json",
            ContentBuilder::new()
                .schema(Some(RefOr::Ref(Ref::from_schema_name(ProblemBody::name()))))
                .build(),
        )
        .build();
    for (path, item) in &mut api.paths.paths {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            if path.starts_with("/v1/") {
                operation.security = Some(vec![SecurityRequirement::new("key", Vec::<String>::new())]);
                operation.responses.responses.insert("default".into(), RefOr::T(problem.clone()));
            }
        }
    }
    api
}
