use crate::service::{folder, output, posthaste};

#[test]
fn demo_once_delivers_and_verifies_everything() {
    let folder = folder();
    let mut demo = posthaste(folder.path());
    // The demo has a store, a key and a receiver of its own, whatever the settings say.
    demo.env_clear().args(["demo", "--once"]);
    let output = output(&mut demo);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("all 10 deliveries arrived, every signature verified"), "{said}");
    assert_eq!(said.matches("fails on purpose").count(), 10, "each event is refused twice at first: {said}");
}

#[test]
fn settings_are_printed_as_they_can_be_read() {
    let folder = folder();
    let printed = output(posthaste(folder.path()).arg("settings"));
    assert!(printed.status.success());
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.contains(r#"allow = ["127.0.0.0/8"]"#), "{printed}");
    assert!(!printed.contains(crate::service::KEY), "a key is not shown");
    assert!(printed.starts_with("# admin_key is set, and not shown\n"), "{printed}");
    let file = folder.path().join("posthaste.toml");
    std::fs::write(&file, &printed).unwrap();
    let again = output(posthaste(folder.path()).env_clear().args(["settings", "--config"]).arg(&file));
    assert_eq!(
        format!("# admin_key is set, and not shown\n{}", String::from_utf8(again.stdout).unwrap()),
        printed
    );
}

#[test]
fn the_specification_that_is_printed_is_the_one_that_is_served() {
    let folder = folder();
    let printed = output(posthaste(folder.path()).arg("openapi"));
    let printed: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();
    let service = crate::service::Service::start(folder.path());
    let served = crate::http::send(service.address, "GET", "/v1/openapi.json", &[], b"");
    assert_eq!(served.status, 200);
    assert_eq!(served.body, printed);
}
