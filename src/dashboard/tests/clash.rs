//! The part of the Clash API that is served, as dashboards use it.

use super::*;

#[tokio::test]
async fn clash_dashboards_can_list_and_end_connections() {
    let stage = Stage::start().await;
    let (named, addressed) = (stage.begin("db.example:5432"), stage.begin("[2001:db8::1]:443"));
    named.opened();
    named.sent(10);
    named.received(30);
    let said = stage.get("/connections").await.json();
    assert_eq!((&said["uploadTotal"], &said["downloadTotal"]), (&10.into(), &30.into()));
    let [first, second] = [&said["connections"][0], &said["connections"][1]];
    assert_eq!((&first["upload"], &first["download"]), (&10.into(), &30.into()));
    assert_eq!(first["id"], named.id().to_string());
    let metadata = &first["metadata"];
    for (name, value) in [
        ("network", "tcp"),
        ("type", "Socks5"),
        ("sourceIP", "127.0.0.1"),
        ("sourcePort", "5000"),
        ("host", "db.example"),
        ("destinationIP", ""),
        ("destinationPort", "5432"),
        ("inboundUser", "ada"),
    ] {
        assert_eq!(metadata[name], value, "{name} of {metadata}");
    }
    assert_eq!(second["chains"], serde_json::json!(["(default)"]), "it waits");
    let begun = first["start"].as_str().expect("a text");
    assert!(humantime::parse_rfc3339(begun).is_ok(), "{begun}");
    let metadata = &second["metadata"];
    assert_eq!(
        (&metadata["host"], &metadata["destinationIP"]),
        (&"".into(), &"2001:db8::1".into())
    );

    let delete =
        async |path: &str| stage.ask(&format!("DELETE {path}"), &stage.bearer()).await.status;
    assert_eq!(delete(&format!("/connections/{}", named.id())).await, 204);
    named.killed().await;
    assert_eq!(delete("/connections/999").await, 404);
    assert_eq!(delete("/connections").await, 204);
    addressed.killed().await;
}

#[tokio::test]
async fn clash_dashboards_find_what_they_ask_for() {
    let stage = Stage::start().await;
    let version = stage.get("/version").await.json();
    assert!(version["version"].as_str().is_some_and(|text| text.starts_with("sockeye ")));
    assert_eq!(stage.get("/configs").await.json()["mode"], "Rule");
    let proxies = stage.get("/proxies").await.json();
    assert_eq!(proxies["proxies"]["GLOBAL"]["all"], serde_json::json!(["DIRECT", "REJECT"]));
    assert_eq!(stage.get("/proxies/DIRECT").await.json()["type"], "Direct");
    let rules = stage.get("/rules").await.json();
    assert_eq!(
        (&rules["rules"][0]["type"], &rules["rules"][0]["proxy"]),
        (&"Match".into(), &"DIRECT".into())
    );
    for path in ["/providers/proxies", "/providers/rules"] {
        assert_eq!(stage.get(path).await.json(), serde_json::json!({ "providers": {} }));
    }
    for (path, status) in [
        ("/proxies/none", 404),
        ("/proxies/none/delay?url=http://a.example", 404),
        ("/proxies/DIRECT/delay?url=http://a.example", 503),
        ("/storage/zashboard", 404),
        ("/logs?level=loud", 400),
        ("/ui/", 404),
    ] {
        assert_eq!(stage.get(path).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn web_sockets_need_the_token_or_the_own_page() {
    let stage = Stage::start().await;
    let tracked = stage.begin("db.example:5432");
    let (token, here) = (stage.keys.token.text().to_owned(), format!("http://{}", stage.address));
    let with = |path: &str| format!("{path}?interval=1000&level=debug&token={token}");
    let ours = ("origin", here.as_str());
    let told = stage.listen(&with("/connections"), ours).await.expect("let in");
    assert_eq!(told["connections"][0]["id"], tracked.id().to_string());
    for interval in ["0", "18446744073709551615"] {
        let hurried = with("/connections").replace("1000", interval);
        let told = stage.listen(&hurried, ours).await.expect("let in");
        assert_eq!(told["connections"][0]["id"], tracked.id().to_string(), "{interval}");
    }
    let told = stage.listen(&with("/traffic"), ours).await.expect("let in");
    assert_eq!(told, serde_json::json!({ "up": 0, "down": 0 }));
    let told = stage.listen(&with("/memory"), ours).await.expect("let in");
    assert_eq!(told["inuse"], 0, "the first is 0");

    let logs = with("/logs");
    let (told, ()) = tokio::join!(stage.listen(&logs, ours), async {
        // The stream reports any connection that ends after it was opened, so one of these is enough.
        for _ in 0..100 {
            drop(stage.begin("late.example:1"));
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let payload = told.expect("let in")["payload"].to_string();
    assert!(payload.contains("late.example:1"), "{payload}");

    let evil = ("origin", "http://evil.example");
    assert_eq!(stage.listen(&with("/connections"), evil).await, Err(403));
    assert_eq!(stage.listen("/connections", ours).await, Err(401));
    assert_eq!(stage.listen("/connections?token=wrong", ours).await, Err(401));
    let bearer = format!("Bearer {token}");
    stage.listen("/traffic", ("authorization", &bearer)).await.expect("a script");
}
