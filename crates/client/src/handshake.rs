use posthaste_model::{EndpointId, HandshakeKind, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Client, ClientError, Endpoint};

/// What an endpoint has to answer before it is sent anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewHandshake {
    /// Which kind of answer.
    #[serde(rename = "type")]
    pub kind: HandshakeKind,
}

/// What an endpoint has to answer, and whether it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointHandshake {
    /// Which kind of answer.
    #[serde(rename = "type")]
    pub kind: HandshakeKind,
    /// When it last gave that answer; none: not yet, and nothing else is sent until it does.
    pub verified_at: Option<Timestamp>,
    /// In the answer to a request that led to it: why it was not given, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl From<HandshakeKind> for NewHandshake {
    fn from(kind: HandshakeKind) -> Self {
        Self { kind }
    }
}

impl Client {
    /// Runs an endpoint's handshake and waits for what comes of it:
    /// `POST /v1/tenants/{tenant}/endpoints/{endpoint}/verify`. Once it is given, what was held goes out.
    ///
    /// It may take the endpoint's timeout and 5 seconds: up to 35, which is more than
    /// [`DEFAULT_TIMEOUT`](crate::DEFAULT_TIMEOUT).
    ///
    /// # Errors
    /// [`ProblemKind::HandshakeFailed`](crate::ProblemKind::HandshakeFailed) says what its answer lacks.
    pub async fn verify_endpoint(&self, tenant: &TenantId, id: EndpointId) -> Result<Endpoint, ClientError> {
        self.to_endpoint(tenant, id, "verify").post(None).await
    }
}
