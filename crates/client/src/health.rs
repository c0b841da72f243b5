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
    /// What the store stands on, the good and the bad. At most a second old; empty where it could not be looked at.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// Something that is to be known about what the store stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at, in a word: `durability`, `eviction`, `memory`.
    pub check: String,
    /// How bad it is.
    pub level: Level,
    /// What was found, for people.
    pub found: String,
    /// What to do about it; none: nothing.
    pub remedy: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Level {
    /// As it should be.
    Fine,
    /// It works, and will hurt one day.
    Warning,
    /// Acknowledged events are at risk.
    Danger,
    /// One that is newer than this client.
    #[serde(untagged)]
    Other(String),
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
