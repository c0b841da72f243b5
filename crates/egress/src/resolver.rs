use std::io;
use std::net::IpAddr;

use async_trait::async_trait;

/// What turns host names into addresses.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// The addresses of `host`, which never is an address itself.
    ///
    /// # Errors
    /// The name is unknown, or could not be asked for.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The operating system's resolver.
///
/// It keeps a thread busy for as long as a name server keeps it waiting, beyond the time we wait for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}
