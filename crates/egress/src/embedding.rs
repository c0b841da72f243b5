//! IPv4 addresses inside IPv6 ones.
//!
//! A gateway on the way may unwrap what is embedded, so that an IPv6 address is as dangerous as the IPv4 address in it.
//! A network's own NAT64 prefix (RFC 6052 section 3.1) cannot be known here.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Every IPv4 address that `ip` stands for, or that a gateway may make of it.
pub(crate) fn embedded(ip: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let s = ip.segments();
    let tail = Some(join(s[6], s[7]));
    let by_prefix = match s {
        // The unspecified and the loopback address are not IPv4-compatible ones (RFC 4291 section 2.5.5.1).
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None, None],
        // IPv4-compatible and IPv4-mapped (RFC 4291 section 2.5.5), IPv4-translated (RFC 2765), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            [tail, None]
        }
        // Local-use NAT64 (RFC 8215) translates with a /96 of its prefix, or with the whole /48, which keeps octet 8
        // zero (RFC 6052 section 2.2). Whichever is not in use reads as zero.
        [0x64, 0xff9b, 1, ..] => {
            [tail, Some(join(s[3], s[4] << 8 | s[5] >> 8))].map(|ip| ip.filter(|ip| !ip.is_unspecified()))
        }
        // 6to4 (RFC 3056 section 2).
        [0x2002, high, low, ..] => [Some(join(high, low)), None],
        // Teredo (RFC 4380 section 4): the server, and the client with its bits inverted.
        [0x2001, 0, high, low, ..] => [Some(join(high, low)), Some(join(!s[6], !s[7]))],
        _ => [None, None],
    };
    // ISATAP (RFC 5214 section 6.1) is told by its interface identifier, under any prefix.
    let isatap = if s[4] & !0x0200 == 0 && s[5] == 0x5efe { tail } else { None };
    by_prefix.into_iter().chain([isatap]).flatten()
}

fn join(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ip: &str, expect: &[&str]) {
        let found: Vec<String> = embedded(ip.parse().unwrap()).map(|ip| ip.to_string()).collect();
        assert_eq!(found, expect, "{ip}");
    }

    #[test]
    fn every_embedding_is_unwrapped() {
        check("::7f00:1", &["127.0.0.1"]);
        check("::ffff:7f00:1", &["127.0.0.1"]);
        check("::ffff:0:7f00:1", &["127.0.0.1"]);
        check("64:ff9b::a9fe:a9fe", &["169.254.169.254"]);
        check("64:ff9b:1::a9fe:a9fe", &["169.254.169.254"]);
        check("64:ff9b:1:a9fe:a9:fe00::", &["169.254.169.254"]);
        check("2002:a00:1::", &["10.0.0.1"]);
        // The example of RFC 4380 section 4.
        check("2001:0:4136:e378:8000:63bf:3fff:fdd2", &["65.54.227.120", "192.0.2.45"]);
        check("2600:1f18::5efe:a00:1", &["10.0.0.1"]);
        check("2600:1f18::200:5efe:a00:1", &["10.0.0.1"]);
    }

    #[test]
    fn ordinary_addresses_embed_nothing() {
        check("2606:4700:4700::1111", &[]);
        check("2001:4860:4860::8888", &[]);
        check("fe80::1", &[]);
        check("::", &[]);
        check("::1", &[]);
    }
}
