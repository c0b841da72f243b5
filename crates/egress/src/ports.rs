/// Which ports a target may name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PortPolicy {
    /// Every port but those of well-known protocols other than HTTP, which a request could be made to speak to: the
    /// "bad ports" of the Fetch standard (section 2.9, port blocking) and port 0.
    #[default]
    Web,
    /// These and no others.
    Only(Vec<u16>),
}

impl PortPolicy {
    /// Whether a target may name `port`.
    pub fn permits(&self, port: u16) -> bool {
        match self {
            Self::Web => BAD_PORTS.binary_search(&port).is_err(),
            Self::Only(ports) => ports.contains(&port),
        }
    }
}

// Sorted, for the binary search.
const BAD_PORTS: &[u16] = &[
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103,
    104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514,
    515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723,
    2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(BAD_PORTS.is_sorted());
    }

    #[test]
    fn only_means_only() {
        let policy = PortPolicy::Only(vec![443, 8443]);
        assert!(policy.permits(443) && policy.permits(8443));
        assert!(!policy.permits(80) && !policy.permits(444));
    }
}
