//! Where the guard meets the HTTP client: names are resolved here, for a dial, and every address is judged.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use tokio::time::Instant;

use crate::dial::{self, Address};
use crate::{Forbidden, Guard, Resolver};

/// The resolver as the HTTP client sees it: it answers with addresses that may be dialled, all of them, or not at all.
#[derive(Clone)]
pub(crate) struct Vetting {
    guard: Guard,
    resolver: Arc<dyn Resolver>,
    timeout: Duration,
}

/// Why a name yields nothing to dial.
#[derive(Debug, Error)]
pub(crate) enum Unresolved {
    #[error("an address of the name is forbidden")]
    Forbidden(#[from] Forbidden),
    #[error("the name was not resolved in time")]
    Timeout,
    #[error("the name could not be resolved")]
    Failed(#[source] io::Error),
    #[error("the name has no address")]
    Empty,
    #[error("the name was asked for outside an exchange")]
    Astray,
}

impl Vetting {
    pub(crate) fn new(guard: Guard, resolver: Arc<dyn Resolver>, timeout: Duration) -> Self {
        Self { guard, resolver, timeout }
    }

    async fn vetted(self, name: Name, dialled: Option<Address>) -> Result<Vec<SocketAddr>, Unresolved> {
        let Address { port, plain } = dialled.ok_or(Unresolved::Astray)?;
        let ips = tokio::time::timeout(self.timeout, self.resolver.resolve(name.as_str()))
            .await
            .map_err(|_| Unresolved::Timeout)?
            .map_err(Unresolved::Failed)?;
        if ips.is_empty() {
            return Err(Unresolved::Empty);
        }
        let addresses: Vec<_> = ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        for address in &addresses {
            if plain && !self.guard.allows(address.ip()) {
                return Err(Forbidden { reason: "plain http outside the allowed networks" }.into());
            }
            self.guard.judge_dial(*address)?;
        }
        Ok(addresses)
    }
}

impl Resolve for Vetting {
    fn resolve(&self, name: Name) -> Resolving {
        // Read now: the client may finish a dial on another task, but begins it on the one that sends.
        let vetted = self.clone().vetted(name, dial::address());
        Box::pin(async move {
            let begun = Instant::now();
            let addresses = vetted.await;
            dial::note_resolved(begun.elapsed());
            Ok(Box::new(addresses?.into_iter()) as Addrs)
        })
    }
}
