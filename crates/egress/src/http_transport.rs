use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;
use http::header::{self, HeaderName};
use posthaste_model::{ErrorClass, Outcome};
use reqwest::{Client, Response};
use tokio::time::{Instant, timeout_at};

use crate::dial::{self, Address, Taken, dialling};
use crate::failure::{failed, is_unsent, outcome_of};
use crate::pool::Pool;
use crate::reply;
use crate::vetting::Vetting;
use crate::{EgressError, Exchange, Guard, Request, Resolver, SystemResolver, Transport, TransportSettings};

/// The transport for real traffic: HTTP/1.1 over pooled connections, with TLS by the platform's root certificates
/// unless a request has others.
pub struct HttpTransport {
    guard: Guard,
    settings: TransportSettings,
    pool: Pool,
}

impl HttpTransport {
    /// A transport that resolves names with the operating system.
    ///
    /// # Errors
    /// The extra roots or the proxy are not valid, or there is no root certificate to trust.
    pub fn new(guard: Guard, settings: TransportSettings) -> Result<Self, EgressError> {
        Self::with_resolver(guard, settings, Arc::new(SystemResolver))
    }

    /// A transport that resolves names with `resolver`.
    ///
    /// # Errors
    /// As [`HttpTransport::new`].
    pub fn with_resolver(
        guard: Guard,
        settings: TransportSettings,
        resolver: Arc<dyn Resolver>,
    ) -> Result<Self, EgressError> {
        let vetting = Vetting::new(guard.clone(), resolver, settings.resolve_timeout);
        Ok(Self { guard, pool: Pool::new(settings.clone(), vetting)?, settings })
    }

    /// Whether the request may be sent at all; what is not known before a name is resolved is judged then.
    fn admit(&self, request: &Request) -> Result<(), Outcome> {
        let target = &request.target;
        target.judge(&self.guard).map_err(|invalid| failed(ErrorClass::Blocked, invalid.to_string()))?;
        if self.settings.proxy.is_some() && target.is_plain() && target.is_name() {
            return Err(failed(ErrorClass::Blocked, "the URL must begin with https://"));
        }
        // The client speaks TLS to such a proxy in the same way as to the receiver behind it.
        let tls_proxy = || self.settings.proxy.as_ref().is_some_and(|proxy| proxy.scheme() == "https");
        if request.identity.is_some() && tls_proxy() {
            tracing::error!(host = target.host(), "no TLS identity can be used through an https proxy");
            return Err(failed(ErrorClass::Internal, "the request could not be sent"));
        }
        Ok(())
    }

    async fn exchange(
        &self,
        request: Request,
        deadline: Instant,
        head_arrived: impl FnOnce(),
    ) -> Result<Outcome, Outcome> {
        self.admit(&request)?;
        let client = self.pool.client(request.identity.as_ref()).map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "no HTTP client");
            failed(ErrorClass::Internal, "the request could not be sent")
        })?;
        let Request { method, target, mut headers, body, identity, .. } = request;
        drop_framing(&mut headers);
        let mut sent = reqwest::Request::new(method.into(), target.url().clone());
        *sent.headers_mut() = headers;
        *sent.body_mut() = Some(body.into());

        let reply = async {
            let response = execute(&client, sent).await?;
            head_arrived();
            reply::read(response, &self.settings, deadline).await
        };
        reply.await.map(Outcome::Replied).map_err(|error: reqwest::Error| {
            let error = error.without_url();
            tracing::debug!(host = target.host(), error = ?error, "exchange failed");
            outcome_of(&error, identity.as_deref(), dial::was_asked())
        })
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: Request) -> Exchange {
        let begun = Instant::now();
        let deadline = begun + request.deadline;
        dialling(Address::of(&request.target), async {
            let mut first_byte = None;
            let exchange = self.exchange(request, deadline, || first_byte = Some(begun.elapsed()));
            let outcome = match timeout_at(deadline, exchange).await {
                Ok(Ok(outcome) | Err(outcome)) => outcome,
                Err(_) => failed(ErrorClass::Timeout, "no complete answer in time"),
            };
            let Taken { dns, connect, tls } = dial::taken(first_byte.is_some());
            Exchange { outcome, dns, connect, tls, first_byte, total: begun.elapsed() }
        })
        .await
    }
}

/// How often a request is sent anew that was not sent at all.
const MOST_ANEW: u32 = 2;

/// Sends a request. In TLS 1.3 a receiver says that it refuses us when we take the connection for made. Heard between that
/// and the request, it ends the connection, and why is lost: nothing was written, so that asking again is safe.
async fn execute(client: &Client, request: reqwest::Request) -> reqwest::Result<Response> {
    let mut request = request;
    for _ in 0..MOST_ANEW {
        let again = if request.url().scheme() == "https" { request.try_clone() } else { None };
        let answer = client.execute(request).await;
        match (answer, again) {
            (Err(error), Some(again)) if dial::was_asked() && is_unsent(&error) => request = again,
            (answer, _) => return answer,
        }
    }
    client.execute(request).await
}

/// Headers that frame the message or belong to its connection (RFC 9110 section 7.6.1): no caller may forge them.
const FRAMING: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

fn drop_framing(headers: &mut HeaderMap) {
    for name in &FRAMING {
        headers.remove(name);
    }
}
