use actix_web::test::TestRequest;

use crate::stage::Stage;

#[tokio::test]
async fn a_key_opens_the_pages_that_are_for_its_role() {
    let stage = Stage::new().await;
    for (path, key, status, says) in [
        ("/console/sign-in", "admin", 303, ""),
        ("/console/sign-in", "operator", 303, ""),
        ("/console/sign-in", "viewer", 303, ""),
        ("/console/sign-in", "publisher", 403, "This key only publishes events."),
        ("/console/sign-in", "tenant@acme", 403, "Sign in to the portal"),
        ("/console/sign-in", "viewer@acme", 403, "Sign in to the portal"),
        ("/portal/sign-in", "tenant@acme", 303, ""),
        ("/portal/sign-in", "viewer@acme", 303, ""),
        ("/portal/sign-in", "viewer", 403, "Sign in to the console"),
        ("/portal/sign-in", "publisher@acme", 403, "This key only publishes events."),
    ] {
        let answer = stage.sign_in(path, key).await;
        assert_eq!(answer.status, status, "{path} {key}");
        answer.says(says);
        assert_eq!(answer.cookie.is_empty(), status != 303, "{path} {key}");
    }
}

#[tokio::test]
async fn who_signs_in_goes_on_behind_the_same_door() {
    let stage = Stage::new().await;
    for (path, key, next, expect) in [
        ("/console/sign-in", "admin", "/console/deliveries?state=held", "/console/deliveries?state=held"),
        ("/console/sign-in", "admin", "/portal/deliveries", "/console"),
        ("/portal/sign-in", "tenant@acme", "/portal/deliveries", "/portal/deliveries"),
        ("/portal/sign-in", "tenant@acme", "/console", "/portal"),
    ] {
        let form = TestRequest::post().uri(path).set_payload(format!("key={key}&next={next}"));
        assert_eq!(stage.send(form).await.location, expect, "{path} {next}");
    }
}

#[tokio::test]
async fn a_link_takes_the_place_of_another_tenants_session_only_where_one_wants_that() {
    let stage = Stage::new().await;
    let enter = |token: &str| TestRequest::get().uri(&format!("/portal?token={token}"));
    let acme = stage.come(stage.send(enter("link@acme")).await);
    // The same tenant's begins a session anew.
    assert!(!acme.get("/portal?token=link@acme").await.cookie.is_empty());

    let question = acme.get("/portal?token=link@globex").await;
    assert_eq!((question.status.as_u16(), question.cookie.as_str()), (200, ""));
    question.says("the pages of <strong>acme</strong>, and this link opens those of <strong>globex</strong>");

    let forged = TestRequest::post().uri("/portal").set_payload("token=link@globex");
    assert!(stage.send(forged).await.cookie.is_empty());
    let changed = acme.post("/portal?token=link@globex", "/portal", "token=link@globex").await;
    let globex = stage.come(changed);
    globex.get("/portal/nothing").await.says(r#"<span class="own">globex</span>"#);
}

#[tokio::test]
async fn a_link_on_another_sites_page_is_opened_by_a_page_of_our_own() {
    let stage = Stage::new().await;
    let enter = |from| {
        let request = TestRequest::get().uri("/portal?token=link@acme");
        stage.send(request.insert_header(("sec-fetch-site", from)))
    };
    // Whether a session is open already cannot be seen yet.
    let hop = enter("cross-site").await;
    assert!(hop.cookie.is_empty());
    hop.says(r#"content="0; url=/portal?token=link@acme""#);
    assert!(!enter("same-origin").await.cookie.is_empty());
}

#[tokio::test]
async fn who_has_no_session_is_told_how_to_begin_one() {
    let stage = Stage::new().await;
    let portal = stage.send(TestRequest::get().uri("/portal/deliveries")).await;
    assert_eq!(portal.status, 401);
    portal.says("Ask for a new link");
    portal.says(r#"<a href="/portal/sign-in">"#);
    assert!(portal.cookie.is_empty(), "there is no session to end");
}

#[tokio::test]
async fn all_pages_ask_over_the_same_connections() {
    let stage = Stage::new().await;
    stage.set("GET /v1/topics", 200, crate::stage::list(&[]));
    for key in ["admin", "viewer", "operator"] {
        let visitor = stage.visitor(key).await;
        assert_eq!(visitor.get("/console/topics").await.status, 200);
    }
    assert_eq!(stage.asked("GET /v1/topics").len(), 3);
    let shown: Vec<_> = stage.asked("GET /v1/topics");
    let shown: Vec<_> = shown.iter().filter_map(|request| request.header("authorization")).collect();
    assert_eq!(shown, ["Bearer admin", "Bearer viewer", "Bearer operator"]);
    assert_eq!(stage.connections(), 1);
}
