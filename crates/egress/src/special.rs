//! The addresses that are not the public internet.
//!
//! Source: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, as of November 2026), the multicast
//! registries, and a few ranges that are special without being listed there. Ranges that the registries call globally
//! reachable (AS112, AMT, anycast of protocols) are refused too: no webhook lives there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const IPV4: &[(Ipv4Net, &str)] = &[
    (v4([0, 0, 0, 0], 8), "this network (RFC 791)"),
    (v4([10, 0, 0, 0], 8), "private use (RFC 1918)"),
    (v4([100, 64, 0, 0], 10), "shared address space, CGNAT (RFC 6598)"),
    (v4([127, 0, 0, 0], 8), "loopback (RFC 1122)"),
    (v4([168, 63, 129, 16], 32), "Azure's metadata and health service"),
    (v4([169, 254, 0, 0], 16), "link-local, cloud metadata (RFC 3927)"),
    (v4([172, 16, 0, 0], 12), "private use (RFC 1918)"),
    (v4([192, 0, 0, 0], 24), "IETF protocol assignments (RFC 6890)"),
    (v4([192, 0, 2, 0], 24), "documentation (RFC 5737)"),
    (v4([192, 31, 196, 0], 24), "AS112 (RFC 7535)"),
    (v4([192, 52, 193, 0], 24), "AMT (RFC 7450)"),
    (v4([192, 88, 99, 0], 24), "6to4 relay anycast (RFC 7526)"),
    (v4([192, 168, 0, 0], 16), "private use (RFC 1918)"),
    (v4([192, 175, 48, 0], 24), "direct delegation AS112 (RFC 7534)"),
    (v4([198, 18, 0, 0], 15), "benchmarking (RFC 2544)"),
    (v4([198, 51, 100, 0], 24), "documentation (RFC 5737)"),
    (v4([203, 0, 113, 0], 24), "documentation (RFC 5737)"),
    (v4([224, 0, 0, 0], 4), "multicast (RFC 5771)"),
    (v4([240, 0, 0, 0], 4), "reserved, and the limited broadcast (RFC 1112, RFC 8190)"),
];

/// The only part of IPv6 that is assigned as global unicast (RFC 4291 section 2.4).
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

// The first match names the reason, so a range stands before the one around it.
const IPV6: &[(Ipv6Net, &str)] = &[
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "unspecified (RFC 4291)"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback (RFC 4291)"),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), "IPv4-compatible (RFC 4291)"),
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), "IPv4-mapped (RFC 4291)"),
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), "IPv4-translated (RFC 2765)"),
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), "NAT64 (RFC 6052)"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "local-use NAT64 (RFC 8215)"),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "discard-only (RFC 6666)"),
    (v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64), "dummy prefix (RFC 9780)"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), "Teredo (RFC 4380)"),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), "benchmarking (RFC 5180)"),
    (v6([0x2001, 3, 0, 0, 0, 0, 0, 0], 32), "AMT (RFC 7450)"),
    (v6([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48), "AS112 (RFC 7535)"),
    (v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28), "ORCHID (RFC 4843)"),
    (v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28), "ORCHIDv2 (RFC 7343)"),
    (v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28), "drone remote identification (RFC 9374)"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "IETF protocol assignments (RFC 2928)"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "documentation (RFC 3849)"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "6to4 (RFC 3056)"),
    (v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), "direct delegation AS112 (RFC 7534)"),
    (v6([0x3ffe, 0, 0, 0, 0, 0, 0, 0], 16), "6bone, returned (RFC 3701)"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "documentation (RFC 9637)"),
    (v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16), "segment routing (RFC 9602)"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "unique local, cloud metadata (RFC 4193)"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local (RFC 4291)"),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), "site-local (RFC 3879)"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast (RFC 4291)"),
];

/// Why an address is not part of the public internet; none: it is.
pub(crate) fn purpose(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => IPV4.iter().find(|(net, _)| net.contains(&ip)).map(|(_, purpose)| *purpose),
        IpAddr::V6(ip) => IPV6
            .iter()
            .find(|(net, _)| net.contains(&ip))
            .map(|(_, purpose)| *purpose)
            .or((!GLOBAL_UNICAST.contains(&ip)).then_some("outside global unicast (RFC 4291)")),
    }
}

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}
