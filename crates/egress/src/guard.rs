use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use thiserror::Error;

use crate::embedding::embedded;
use crate::{PortPolicy, special};

/// What may be reached from here. The default is the public internet.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    /// Networks that are opened although they are not public; plain http may go to them and nowhere else.
    ///
    /// An IPv4 network covers the IPv4-mapped spelling of its addresses. An IPv6 network that embeds IPv4 addresses
    /// (NAT64, say) opens only those whose IPv4 address may be reached as well.
    pub allow: Vec<IpNet>,
    /// Where the service itself listens, as far as it is known: addresses of its machine and of what stands before it.
    ///
    /// Such an address and port is forbidden whatever `allow` says, and the whole address unless `allow` covers it. An
    /// unspecified address stands for every address of the machine; which those are is not known here, so its port is
    /// forbidden at loopback and at whatever only `allow` opens.
    pub own: Vec<SocketAddr>,
    /// The ports that may be named.
    pub ports: PortPolicy,
}

/// An address that must not be reached. The message is for customers, and the same for every reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the address is not publicly reachable")]
pub struct Forbidden {
    /// Why, for operators; not to be shown to customers.
    pub reason: &'static str,
}

/// The judge of every address before it is dialled. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Guard(Arc<EgressPolicy>);

impl Guard {
    /// A guard that applies `policy`.
    pub fn new(mut policy: EgressPolicy) -> Self {
        for own in &mut policy.own {
            own.set_ip(own.ip().to_canonical());
        }
        Self(Arc::new(policy))
    }

    /// Whether `ip` may be reached, whatever the port.
    ///
    /// # Errors
    /// It is special-purpose, embeds a forbidden IPv4 address, or is the service's own, and the policy does not allow it.
    pub fn judge(&self, ip: IpAddr) -> Result<(), Forbidden> {
        if self.allows(ip) {
            return Ok(());
        }
        if self.0.own.iter().any(|own| own.ip() == ip.to_canonical()) {
            return Err(Forbidden { reason: OWN });
        }
        if let Some(reason) = special::purpose(ip) {
            return Err(Forbidden { reason });
        }
        self.judge_embedded(ip)
    }

    /// Whether `address` may be dialled.
    ///
    /// # Errors
    /// As [`Guard::judge`]; also if it is one of the service's own listeners.
    pub fn judge_dial(&self, address: SocketAddr) -> Result<(), Forbidden> {
        let ip = address.ip().to_canonical();
        let is_own = |own: &SocketAddr| {
            own.port() == address.port()
                && (own.ip() == ip
                    || own.ip().is_unspecified()
                        && (ip.is_loopback() || ip.is_unspecified() || self.allows(ip)))
        };
        if self.0.own.iter().any(is_own) {
            return Err(Forbidden { reason: OWN });
        }
        self.judge(address.ip())
    }

    /// Whether `ip` is in a network that the policy opens, so that plain http may go to it.
    pub fn allows(&self, ip: IpAddr) -> bool {
        // A socket treats an IPv4-mapped address as the IPv4 address itself, so the policy does too.
        let ip = ip.to_canonical();
        self.0.allow.iter().any(|net| net.contains(&ip)) && self.judge_embedded(ip).is_ok()
    }

    /// Whether a target may name `port`.
    pub fn permits_port(&self, port: u16) -> bool {
        self.0.ports.permits(port)
    }

    /// Whether any network is opened that is not public.
    pub(crate) fn allows_any(&self) -> bool {
        !self.0.allow.is_empty()
    }

    fn judge_embedded(&self, ip: IpAddr) -> Result<(), Forbidden> {
        match ip {
            IpAddr::V4(_) => Ok(()),
            IpAddr::V6(ip) => embedded(ip).try_for_each(|ip| self.judge(ip.into())),
        }
    }
}

const OWN: &str = "the service's own listener";
