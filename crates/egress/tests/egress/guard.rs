use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use posthaste_egress::{EgressPolicy, Guard};
use proptest::prelude::*;

use crate::setup::{guard, ip, local};

#[track_caller]
fn refused(guard: &Guard, addresses: &str) {
    for address in addresses.split_whitespace() {
        let error = guard.judge(ip(address)).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("the address is not publicly reachable"), "{address}");
    }
}

#[track_caller]
fn reachable(guard: &Guard, addresses: &str) {
    for address in addresses.split_whitespace() {
        assert_eq!(guard.judge(ip(address)), Ok(()), "{address}");
    }
}

#[test]
fn special_ipv4_is_refused_from_edge_to_edge() {
    refused(
        &guard(&[]),
        "\
         0.0.0.0 0.0.0.1 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.100.100.200 100.127.255.255 \
         127.0.0.1 127.0.0.53 127.255.255.255 168.63.129.16 169.254.0.0 169.254.169.254 169.254.170.2 \
         169.254.255.255 172.16.0.0 172.17.0.1 172.31.255.255 192.0.0.0 192.0.0.9 192.0.0.170 192.0.0.192 \
         192.0.0.255 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.88.99.2 192.168.0.0 \
         192.168.255.255 192.175.48.1 198.18.0.0 198.19.255.255 198.51.100.7 203.0.113.255 224.0.0.1 \
         239.255.255.250 240.0.0.1 254.255.255.255 255.255.255.255",
    );
}

#[test]
fn ipv4_next_to_special_ranges_is_reachable() {
    reachable(
        &guard(&[]),
        "\
         1.0.0.0 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 \
         128.0.0.0 168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 \
         191.255.255.255 192.0.1.0 192.0.3.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 \
         223.255.255.255",
    );
}

#[test]
fn special_ipv6_is_refused() {
    refused(
        &guard(&[]),
        "\
         :: ::1 ::2 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:169.254.169.254 \
         ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 ::ffff:0:8.8.8.8 64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe \
         64:ff9b::8.8.8.8 64:ff9b:1::1 64:ff9b:1:ffff::1 100::1 100:0:0:1::1 2001::1 \
         2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:1::1 2001:1::3 2001:2::1 2001:3::1 2001:4:112::1 \
         2001:10::1 2001:2f:ffff::1 2001:30::1 2001:1ff:ffff::1 2001:db8::1 2002:7f00:1:: 2002:808:808::1 \
         2620:4f:8000::1 3ffe::1 3fff::1 3fff:fff:ffff::1 4000::1 5f00::1 8000::1 fc00::1 fd00:ec2::254 \
         fd20:ce::254 fdff::1 fe80::1 fe80::a9fe:a9fe febf::1 fec0::1 feff::1 ff02::1 ff0e::1 \
         1fff:ffff::1",
    );
}

#[test]
fn global_unicast_ipv6_is_reachable() {
    reachable(
        &guard(&[]),
        "\
         2001:200::1 2001:4860:4860::8888 2001:db7:ffff::1 2001:db9::1 2003::1 2600::1 \
         2606:4700:4700::1111 2620:4f:7fff::1 2620:4f:8001::1 2a00:1450:4001::200e 3ffd::1 3fff:1000::1",
    );
}

#[test]
fn isatap_hides_a_private_address_in_a_public_prefix() {
    refused(&guard(&[]), "2600::5efe:10.0.0.1 2600::200:5efe:127.0.0.1");
    reachable(&guard(&[]), "2600::5efe:8.8.8.8");
}

#[test]
fn allow_opens_its_networks_and_no_other() {
    reachable(&local(), "127.0.0.1 127.255.255.255 ::ffff:127.0.0.1 ::1 8.8.8.8");
    refused(&local(), "10.0.0.1 ::127.0.0.1 64:ff9b::127.0.0.1 ::2");
}

#[test]
fn a_listener_of_our_own_is_refused() {
    let own: Vec<SocketAddr> = vec!["127.0.0.1:8080".parse().unwrap(), "[2600::5]:443".parse().unwrap()];
    let dial = |guard: &Guard, address: &str| guard.judge_dial(address.parse().unwrap()).is_ok();

    let closed = Guard::new(EgressPolicy { own: own.clone(), ..EgressPolicy::default() });
    refused(&closed, "2600::5");
    assert!(!dial(&closed, "[2600::5]:444"));

    let allow = vec!["127.0.0.0/8".parse().unwrap(), "2600::/16".parse().unwrap()];
    let open = Guard::new(EgressPolicy { own, allow, ..EgressPolicy::default() });
    assert!(!dial(&open, "127.0.0.1:8080"));
    assert!(!dial(&open, "[::ffff:127.0.0.1]:8080"));
    assert!(!dial(&open, "[2600::5]:443"));
    assert!(dial(&open, "127.0.0.1:8081"));
    assert!(dial(&open, "127.0.0.2:8080"));
    assert!(dial(&open, "[2600::5]:444"));
}

#[test]
fn a_listener_on_every_address_is_refused_wherever_the_machine_may_be() {
    let own = vec!["0.0.0.0:8080".parse().unwrap()];
    let allow =
        ["0.0.0.0/8", "127.0.0.0/8", "::1/128", "10.0.0.0/8"].map(|net| net.parse().unwrap()).to_vec();
    let guard = Guard::new(EgressPolicy { own, allow, ..EgressPolicy::default() });
    for address in ["127.0.0.1:8080", "127.9.9.9:8080", "[::1]:8080", "0.0.0.0:8080", "10.1.2.3:8080"] {
        assert!(guard.judge_dial(address.parse().unwrap()).is_err(), "{address}");
    }
    for address in ["127.0.0.1:8081", "10.1.2.3:8081", "8.8.8.8:8080"] {
        assert!(guard.judge_dial(address.parse().unwrap()).is_ok(), "{address}");
    }
}

#[test]
fn plain_http_may_go_to_allowed_networks_only() {
    for (address, allowed) in
        [("127.0.0.1", true), ("::ffff:127.0.0.1", true), ("::127.0.0.1", false), ("8.8.8.8", false)]
    {
        assert_eq!(local().allows(ip(address)), allowed, "{address}");
    }
}

/// Networks whose addresses embed IPv4 ones, and how.
fn embeddings(ip: Ipv4Addr) -> [(&'static str, Ipv6Addr); 8] {
    let [high, low] = [(ip.to_bits() >> 16) as u16, ip.to_bits() as u16];
    let v6 = |segments: [u16; 8]| Ipv6Addr::from(segments);
    [
        ("::/96", v6([0, 0, 0, 0, 0, 0, high, low])),
        ("::ffff:0:0/96", v6([0, 0, 0, 0, 0, 0xffff, high, low])),
        ("::ffff:0:0:0/96", v6([0, 0, 0, 0, 0xffff, 0, high, low])),
        ("64:ff9b::/96", v6([0x64, 0xff9b, 0, 0, 0, 0, high, low])),
        ("64:ff9b:1::/48", v6([0x64, 0xff9b, 1, 0, 0, 0, high, low])),
        ("2002::/16", v6([0x2002, high, low, 0, 0, 0, 0, 1])),
        ("2001::/32", v6([0x2001, 0, 0x0808, 0x0808, 0, 0, !high, !low])),
        ("2600::/16", v6([0x2600, 0, 0, 0, 0, 0x5efe, high, low])),
    ]
}

proptest! {
    #[test]
    fn forbidden_ipv4_is_forbidden_in_every_embedding(bits in special_ipv4()) {
        let inner = Ipv4Addr::from_bits(bits);
        prop_assert!(guard(&[]).judge(inner.into()).is_err());
        for (net, outer) in embeddings(inner) {
            prop_assert!(guard(&[]).judge(outer.into()).is_err(), "{outer}");
            // Those that are no embedding by their registry: `::`, `::1` and an empty local-use prefix.
            if bits > 1 {
                prop_assert!(guard(&[net]).judge(outer.into()).is_err(), "{outer} with {net} allowed");
            }
        }
    }

    #[test]
    fn allowing_an_embedding_opens_public_ipv4_in_it(bits: u32) {
        let inner = Ipv4Addr::from_bits(bits);
        prop_assume!(guard(&[]).judge(inner.into()).is_ok());
        for (net, outer) in embeddings(inner) {
            // A mapped address is judged as the IPv4 address it is, which another network has to open.
            if net != "::ffff:0:0/96" {
                prop_assert!(guard(&[net]).judge(outer.into()).is_ok(), "{outer} with {net} allowed");
            }
        }
    }

    #[test]
    fn nothing_outside_global_unicast_is_reachable(bits: u128) {
        let ip = Ipv6Addr::from_bits(bits);
        prop_assume!(bits >> 125 != 1);
        prop_assert!(guard(&[]).judge(IpAddr::V6(ip)).is_err());
    }
}

fn special_ipv4() -> impl Strategy<Value = u32> {
    let within = |base: [u8; 4], prefix: u32| {
        let base = u32::from_be_bytes(base);
        (0..1u64 << (32 - prefix)).prop_map(move |host| base + host as u32)
    };
    prop_oneof![
        within([0, 0, 0, 0], 8),
        within([10, 0, 0, 0], 8),
        within([100, 64, 0, 0], 10),
        within([127, 0, 0, 0], 8),
        within([169, 254, 0, 0], 16),
        within([172, 16, 0, 0], 12),
        within([192, 168, 0, 0], 16),
        within([198, 18, 0, 0], 15),
        within([224, 0, 0, 0], 3),
    ]
}
