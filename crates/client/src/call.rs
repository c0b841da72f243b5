use bytes::Bytes;
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use crate::{Client, ClientError, ListOptions, answer::Answer};

/// A request to one resource that is yet to be sent.
pub(crate) struct Call<'a> {
    client: &'a Client,
    url: Url,
}

/// What a request carries.
pub(crate) struct Body {
    pub(crate) content_type: HeaderValue,
    pub(crate) bytes: Bytes,
}

impl Body {
    pub(crate) fn json(value: &impl Serialize) -> Result<Self, ClientError> {
        let bytes = serde_json::to_vec(value).map_err(|source| ClientError::Encode { source })?.into();
        Ok(Self { content_type: HeaderValue::from_static("application/json"), bytes })
    }
}

impl<'a> Call<'a> {
    pub(crate) fn new(client: &'a Client, url: Url) -> Self {
        Self { client, url }
    }

    /// With a query parameter, if it has a value.
    pub(crate) fn query(mut self, name: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.url.query_pairs_mut().append_pair(name, &value.to_string());
        }
        self
    }

    /// With the parameters of a list.
    pub(crate) fn page(self, options: &ListOptions) -> Self {
        self.query("limit", options.limit).query("cursor", options.cursor.as_deref())
    }

    pub(crate) async fn get<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        self.send(Method::GET, None).await?.read()
    }

    pub(crate) async fn put<T: DeserializeOwned>(self, value: &impl Serialize) -> Result<T, ClientError> {
        self.send(Method::PUT, Some(Body::json(value)?)).await?.read()
    }

    pub(crate) async fn patch<T: DeserializeOwned>(self, value: &impl Serialize) -> Result<T, ClientError> {
        self.send(Method::PATCH, Some(Body::json(value)?)).await?.read()
    }

    pub(crate) async fn post<T: DeserializeOwned>(self, body: Option<Body>) -> Result<T, ClientError> {
        self.send(Method::POST, body).await?.read()
    }

    pub(crate) async fn delete(self) -> Result<(), ClientError> {
        self.send(Method::DELETE, None).await?.succeeded().map(drop)
    }

    /// Sends it, and takes whatever answer comes.
    pub(crate) async fn send(self, method: Method, body: Option<Body>) -> Result<Answer, ClientError> {
        let Self { client, url } = self;
        let request = client.http.request(method, url).timeout(client.timeout);
        let mut request = request.header(AUTHORIZATION, client.authorization.clone());
        if let Some(Body { content_type, bytes }) = body {
            request = request.header(CONTENT_TYPE, content_type).body(bytes);
        }
        let response = request.send().await.map_err(ClientError::exchange)?;
        Answer::receive(response).await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_arrives_as_it_is(cursor in ".*", limit in any::<u32>()) {
            let client = Client::new("http://localhost", "key").unwrap();
            let options = ListOptions { limit: Some(limit), cursor: Some(cursor.clone()) };
            let url = client.at(&["v1"]).page(&options).url;
            let pairs: Vec<_> = url.query_pairs().map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
            prop_assert_eq!(pairs, [("limit".to_owned(), limit.to_string()), ("cursor".to_owned(), cursor)]);
        }
    }
}
