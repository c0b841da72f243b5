use crate::{
    http::{json, send},
    service::{KEY, Service, folder},
};

#[test]
fn a_method_that_does_not_exist_is_told_from_those_that_do() {
    let folder = folder();
    let service = Service::start(folder.path());
    for (method, path, allow) in [
        ("DELETE", "/v1/tenants/default/events", "get, head, post"),
        ("POST", "/v1/tenants/default", "get, head, put, patch, delete"),
        ("OPTIONS", "/v1/topics/order.paid", "get, head, put, delete"),
        ("HEAD", "/v1/tenants/default/endpoints/ep_1/secret/rotate", "post"),
        ("POST", "/v1/openapi.json", "get, head"),
        ("PUT", "/readyz", "get, head"),
    ] {
        let answer = json(service.address, method, path, "{}");
        assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
        assert!(answer.head.contains(&format!("\r\nallow: {allow}\r\n")), "{method} {path}: {}", answer.head);
    }
    assert!(!json(service.address, "GET", "/v1/nothing", "").head.contains("\r\nallow:"));
}

/// HEAD is GET without the content (RFC 9110, section 9.3.2).
#[test]
fn head_is_there_where_get_is() {
    let folder = folder();
    let service = Service::start(folder.path());
    let key = format!("Bearer {KEY}");
    let length = |head: &str| {
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        length.map(str::to_owned)
    };
    for path in ["/healthz", "/v1/openapi.json", "/v1/tenants/default", "/v1/tenants/nobody"] {
        let ask = |method: &str, headers: &[(&str, &str)]| send(service.address, method, path, headers, b"");
        let headers = [("Authorization", key.as_str())];
        let (get, head) = (ask("GET", &headers), ask("HEAD", &headers));
        assert_eq!((head.status, length(&head.head)), (get.status, length(&get.head)), "{path}");
        assert!(
            length(&get.head).is_some() && head.body.is_null() && !get.body.is_null(),
            "{path}: {head:?}"
        );
    }
    assert_eq!(send(service.address, "HEAD", "/v1/tenants", &[], b"").status, 401);
}
