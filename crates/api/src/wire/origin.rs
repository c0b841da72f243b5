/// The origin of a URL (RFC 6454): its scheme, its host, and its port where that is not the scheme's usual one. The URL is one
/// that was [judged](posthaste_egress::TargetUrl), and is written as it was normalised then: another spelling is another origin.
pub(crate) fn origin(url: &str) -> &str {
    let path = url.match_indices('/').nth(2);
    path.map_or(url, |(end, _)| &url[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_all_before_the_path() {
        for (url, expect) in [
            ("https://example.com/", "https://example.com"),
            ("https://example.com/a/b?c=//d", "https://example.com"),
            ("https://example.com:8443/a", "https://example.com:8443"),
            ("http://[2001:db8::1]:8080/", "http://[2001:db8::1]:8080"),
            ("https://example.com", "https://example.com"),
        ] {
            assert_eq!(origin(url), expect);
        }
    }
}
