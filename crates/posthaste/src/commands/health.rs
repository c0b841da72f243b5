use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use anyhow::ensure;
use posthaste_client::{Client, ClientError, Readiness};

use crate::{
    cli::{SettingsArgs, complain, say},
    settings,
};

/// How long a service may take to answer: longer than it waits for its store.
const WITHIN: Duration = Duration::from_secs(3);

/// Asks the service of these settings whether it is ready: what a container is asked by whoever runs it.
pub(crate) async fn health(args: &SettingsArgs) -> anyhow::Result<ExitCode> {
    let settings = settings::load(args)?;
    ensure!(settings.listen.port() != 0, "listen: port 0 is another one at each start: it cannot be asked");
    let readiness = ask(settings.listen).await?;
    if readiness.is_ready() {
        say(readiness.status);
        return Ok(ExitCode::SUCCESS);
    }
    complain(format_args!("{}: {}", readiness.status, readiness.reason.unwrap_or_default()));
    Ok(ExitCode::FAILURE)
}

/// What whoever listens there says of itself.
pub(super) async fn ask(listen: SocketAddr) -> Result<Readiness, ClientError> {
    // Probes need no key.
    let client = Client::new(&format!("http://{}", reachable(listen)), "none")?;
    client.with_timeout(WITHIN).ready().await
}

/// Where a service that listens on every address is reached from here.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(listen: &str, expect: &str) {
        assert_eq!(reachable(listen.parse().unwrap()).to_string(), expect);
    }

    #[test]
    fn every_address_is_reached_by_loopback() {
        check("0.0.0.0:7678", "127.0.0.1:7678");
        check("[::]:7678", "[::1]:7678");
        check("127.0.0.1:1", "127.0.0.1:1");
        check("192.0.2.1:1", "192.0.2.1:1");
    }
}
