use std::time::Duration;

use bytes::Bytes;
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde::de::DeserializeOwned;

use crate::{ClientError, Problem};

/// Bytes of an unexpected body that are kept for people to look at.
const SHOWN: usize = 1_000;

/// What the service said, before it is judged.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    is_problem: bool,
    retry_after: Option<Duration>,
    body: Bytes,
}

impl Answer {
    /// Waits for the rest of it.
    pub(crate) async fn receive(response: Response) -> Result<Self, ClientError> {
        let status = response.status();
        let is_problem = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok()?.split(';').next())
            .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/problem+json"));
        // The service says it in seconds; a date (RFC 9110, section 10.2.3) comes from somebody else.
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let body = response.bytes().await.map_err(ClientError::exchange)?;
        Ok(Self { status, is_problem, retry_after, body })
    }

    /// Itself, unless it tells of an error.
    pub(crate) fn succeeded(self) -> Result<Self, ClientError> {
        if self.status.is_success() {
            return Ok(self);
        }
        if self.is_problem
            && let Ok(problem) = self.parse::<Problem>()
        {
            return Err(ClientError::Problem(Problem { retry_after: self.retry_after, ..problem }));
        }
        let beginning = &self.body[..self.body.len().min(SHOWN)];
        let body = String::from_utf8_lossy(beginning).into_owned();
        Err(ClientError::Unexpected { status: self.status.as_u16(), body })
    }

    /// What it tells if it does not tell of an error.
    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let answer = self.succeeded()?;
        answer.parse().map_err(|source| ClientError::Unreadable { status: answer.status.as_u16(), source })
    }

    /// Its body, whatever its status.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}
