use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::{Client, ClientError};

/// The answer of a service that is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `alive`.
    pub status: String,
}

/// Whether the service can do its work, and what an acknowledgement is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// `ready` or `unavailable`.
    pub status: String,
    /// `volatile`, `buffered`, `disk` or `replicated`: which accident an accepted event survives.
    pub durability: String,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Readiness {
    /// Whether the service can do its work.
    pub fn is_ready(&self) -> bool {
        self.status == "ready"
    }
}

impl Client {
    /// Asks whether the process is alive: `GET /healthz`. Needs no valid key.
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.at(&["healthz"]).get().await
    }

    /// Asks whether events can be accepted and delivered: `GET /readyz`. Needs no valid key.
    ///
    /// That they cannot is an answer and not an error; [`Readiness::is_ready`] tells.
    pub async fn ready(&self) -> Result<Readiness, ClientError> {
        let answer = self.at(&["readyz"]).send(Method::GET, None).await?;
        if answer.status == StatusCode::SERVICE_UNAVAILABLE
            && let Ok(readiness) = answer.parse()
        {
            return Ok(readiness);
        }
        answer.read()
    }
}
