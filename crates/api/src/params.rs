//! How path and query parameters are read.

use std::{
    fmt::Display,
    future::{Ready, ready},
    ops::Deref,
    str::FromStr,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use posthaste_model::{ApiKeyId, DeliveryId, EndpointId, EventId, ReplayId, TenantId, TopicName};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// Something that a path can name.
pub(crate) trait PathName: FromStr<Err: Display> {
    /// The parameter that holds it in the patterns of our routes.
    const PARAMETER: &'static str;
}

macro_rules! path_names {
    ($($name:ty: $parameter:literal,)*) => {$(
        impl PathName for $name {
            const PARAMETER: &'static str = $parameter;
        }
    )*};
}

path_names! {
    TenantId: "tenant",
    TopicName: "topic",
    EndpointId: "endpoint",
    EventId: "event",
    DeliveryId: "delivery",
    ReplayId: "replay",
    ApiKeyId: "key",
}

fn named<T: PathName>(request: &HttpRequest) -> Result<T, Problem> {
    let text = request.match_info().get(T::PARAMETER).unwrap_or_default();
    text.parse().map_err(|error| Problem::parameter(T::PARAMETER, error))
}

/// What the path names.
pub(crate) struct InPath<T>(pub(crate) T);

/// Two things that the path names.
pub(crate) struct BothInPath<A, B>(pub(crate) A, pub(crate) B);

impl<T: PathName> FromRequest for InPath<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(named(request).map(Self))
    }
}

impl<A: PathName, B: PathName> FromRequest for BothInPath<A, B> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(named(request).and_then(|a| Ok(Self(a, named(request)?))))
    }
}

/// The query string, of which every name is known.
pub(crate) struct InQuery<T>(pub(crate) T);

impl<T> Deref for InQuery<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for InQuery<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request.query_string()).map(Self))
    }
}

/// Reads a query string, one parameter after the other, so that a wrong one can be named.
fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let whole = web::Query::<T>::from_query(query);
    whole.map(web::Query::into_inner).map_err(|error| {
        let message = error.to_string();
        let message = message.strip_prefix("Query deserialize error: ").unwrap_or(&message);
        let named = message.split('`').nth(1).filter(|_| message.contains("field `"));
        let wrong = named.map_or_else(|| wrong_parameter::<T>(query), |name| Some(name.to_owned()));
        let message = message
            .replace("unknown field", "unknown parameter")
            .replace("missing field", "missing parameter");
        Problem::parameter(wrong.unwrap_or_else(|| "query".into()), message)
    })
}

/// The first parameter that is refused when it stands alone.
fn wrong_parameter<T: DeserializeOwned>(query: &str) -> Option<String> {
    query
        .split('&')
        .find(|pair| {
            web::Query::<T>::from_query(pair).is_err_and(|error| !error.to_string().contains("missing field"))
        })
        .and_then(|pair| pair.split('=').next())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Query {
        limit: Option<u32>,
        state: Option<posthaste_model::DeliveryState>,
    }

    #[track_caller]
    fn check(query: &str, parameter: &str) {
        let shown = format!("{:?}", read::<Query>(query).unwrap_err());
        assert!(shown.contains(&format!("Parameter({parameter:?})")), "{query}: {shown}");
    }

    #[test]
    fn the_wrong_parameter_is_named() {
        check("limt=5", "limt");
        check("limit=5&state=lost", "state");
        check("limit=many", "limit");
        check("limit=1&limit=2", "limit");
        assert!(read::<Query>("").is_ok());
        assert!(read::<Query>("state=in_flight&limit=5").is_ok());
    }
}
