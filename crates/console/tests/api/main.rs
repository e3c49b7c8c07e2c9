//! The control plane as its callers meet it: the real routes on a real ledger.

#![cfg(test)]

mod silent;

use std::sync::Arc;

use access::{Guard, Scope, Tokens};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use domain::brain::{Brain, Params};
use domain::catalogue::{Catalogue, Shared};
use domain::clock::ManualClock;
use domain::snapshot::HealthSnapshot;
use domain::window::Windows;
use jiff::Timestamp;
use ledger::alert::{Advance, Advanced, AlertStore, Incident, Run};
use ledger::control::{ControlStore, Editor};
use ledger::{Ledger, ObservationSource, SqliteLedger, SqliteSettings};
use payroute_console::{Kind, Parts, openapi, routes};
use serde_json::{Value, json};
use stats::live::Live;
use tempfile::TempDir;
use tower::ServiceExt as _;

const CHANNELS: &str = include_str!("../../../../config/channels.yaml");
const POLICY: &str = include_str!("../../../../config/policy.yaml");
const NOW: &str = "2026-05-02T12:00:00Z";

/// The API on a ledger of its own, for an operator, a reader and whoever else.
struct Plane {
    api: Router,
    alerts: Arc<dyn AlertStore>,
    _data: TempDir,
}

struct Answer {
    status: StatusCode,
    etag: Option<String>,
    kind: String,
    body: Value,
}

impl Plane {
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let settings = SqliteSettings {
            path: data.path().join("ledger.db"),
            max_bytes: None,
        };
        let ledger = Arc::new(SqliteLedger::open(&settings).await.unwrap());
        let now: Timestamp = NOW.parse().unwrap();
        let catalogue = Shared::new(Catalogue::built_in().unwrap());
        let clock = Arc::new(ManualClock::at(now));
        let control = Arc::clone(&ledger) as Arc<dyn ControlStore>;
        let editor = Editor::new(Arc::clone(&control), catalogue.clone(), clock.clone());
        editor.import(CHANNELS, POLICY).await.unwrap();
        let tokens = [
            ("olga", "op", &[Scope::Read, Scope::Operate][..]),
            ("rita", "rd", &[Scope::Read]),
        ];
        let tokens = tokens.map(|(name, token, scopes)| Tokens::line(name, token, scopes));
        let snapshot = HealthSnapshot::take(1, now, &Windows::default(), []);
        let alerts = Arc::clone(&ledger) as Arc<dyn AlertStore>;
        let parts = Parts {
            control,
            deliveries: Arc::clone(&ledger) as _,
            receivers: Arc::from(["chat".to_owned()]),
            herald: Arc::new(silent::Silent),
            observations: Arc::clone(&ledger) as Arc<dyn ObservationSource>,
            cases: Arc::clone(&ledger) as _,
            alerts: Arc::clone(&alerts),
            ledger: ledger as Arc<dyn Ledger>,
            live: Arc::new(Live::new(Brain::new(Params::default()), snapshot)),
            catalogue,
            clock,
            guard: Guard::new(Some(Tokens::parse(&tokens.join("\n")).unwrap())),
        };
        Self {
            api: routes(parts),
            alerts,
            _data: data,
        }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.api.clone().oneshot(request).await.unwrap();
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        let (etag, kind) = (header("etag"), header("content-type").unwrap_or_default());
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer {
            status,
            etag,
            kind,
            body,
        }
    }

    async fn call(&self, token: &str, method: &str, path: &str, body: impl Into<String>) -> Answer {
        let body: String = body.into();
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Body::from(body));
        self.send(request.unwrap()).await
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.call("rd", "GET", path, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        answer.body
    }

    /// Makes a change, which must be taken.
    async fn change(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.call("op", method, path, body.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        answer.body
    }
}

/// Every method and path of the description, with something in place of its parameters.
fn described() -> Vec<(String, String)> {
    let description = serde_json::to_value(openapi()).unwrap();
    let mut all = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "delete"] {
            if item.get(method).is_some() {
                let path = path.replace("{version}", "1").replace("{id}", "1");
                let path = path.replace(['{', '}'], "");
                all.push((method.to_uppercase(), path));
            }
        }
    }
    all
}

#[tokio::test]
async fn every_described_operation_is_there_and_asks_for_a_token() {
    let plane = Plane::new().await;
    let described = described();
    assert!(described.len() > 20, "{described:?}");
    for (method, path) in described {
        let request = Request::builder().method(&*method).uri(&path).body(Body::empty());
        let answer = plane.send(request.unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert_eq!(answer.kind, "application/problem+json");
    }
}

#[tokio::test]
async fn a_reader_changes_nothing() {
    let plane = Plane::new().await;
    for (method, path) in described().into_iter().filter(|(method, _)| method != "GET") {
        let path = path.trim_start_matches("/api/v1");
        let answer = plane.call("rd", &method, path, "{}").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
    }
    assert_eq!(plane.get("/audit").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn every_answer_has_the_shape_that_is_described() {
    let plane = Plane::new().await;
    let description = serde_json::to_value(openapi()).unwrap();
    assert_eq!(description["openapi"], "3.1.0");
    plane
        .change(
            "POST",
            "/suspensions",
            json!({"scope": {"channel": "icbc_direct"}, "reason": "test", "for_secs": 60}),
        )
        .await;
    for (method, path) in described().into_iter().filter(|(method, _)| method == "GET") {
        let short = path.trim_start_matches("/api/v1");
        if short.contains("/channel") && short != "/channels"
            || short.contains("payments")
            || short.contains("/compensation/")
            || short.contains("/incidents/")
        {
            continue;
        }
        let body = plane.get(short).await;
        let template = path.replace("/policies/1", "/policies/{version}");
        let operation = &description["paths"][&template][method.to_lowercase()];
        let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        check(&description, schema, &body, short);
    }
}

/// Whether `value` has every required property of `schema`, and none that is not described.
fn check(description: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let schema = &description["components"]["schemas"][name.rsplit('/').next().unwrap()];
        return check(description, schema, value, at);
    }
    if let Some(items) = schema.get("items") {
        for item in value
            .as_array()
            .unwrap_or_else(|| panic!("{at}: no list: {value}"))
        {
            check(description, items, item, at);
        }
    }
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("{at}: no object: {value}"));
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(
            object.contains_key(name.as_str().unwrap()),
            "{at}: {name} is missing in {value}"
        );
    }
    for (name, part) in object {
        let property = properties
            .get(name)
            .unwrap_or_else(|| panic!("{at}: {name} is not described"));
        if !part.is_null() {
            check(description, property, part, &format!("{at}.{name}"));
        }
    }
}

#[tokio::test]
async fn a_suspension_is_decided_seen_and_lifted() {
    let plane = Plane::new().await;
    let body = json!({"scope": {"channel": "icbc_direct", "issuer": "boc"}, "reason": "gateway moves", "for_secs": 3_600});
    let suspended = plane.change("POST", "/suspensions", body).await;
    assert_eq!(
        (&suspended["holds"], &suspended["author"]),
        (&json!(true), &json!("olga"))
    );
    assert_eq!(suspended["until"], "2026-05-02T13:00:00Z");
    let id = suspended["id"].as_u64().unwrap();
    plane
        .change("DELETE", &format!("/suspensions/{id}"), Value::Null)
        .await;
    let listed = plane.get("/suspensions").await;
    assert_eq!(
        (&listed[0]["holds"], &listed[0]["lifted_by"]),
        (&json!(false), &json!("olga"))
    );
    let again = plane
        .call("op", "DELETE", &format!("/suspensions/{id}"), "")
        .await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let unknown = plane.call("op", "DELETE", "/suspensions/99", "").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_policy_is_checked_stored_compared_activated_and_rolled_back() {
    let plane = Plane::new().await;
    let next = format!("# A new line.\n{POLICY}");
    assert_eq!(
        plane
            .call("op", "POST", "/policies/validate", next.clone())
            .await
            .body["valid"],
        true
    );
    let added = plane.call("op", "POST", "/policies?note=spring", next).await.body;
    assert_eq!(added["version"], 2);
    let diff = plane.get("/policies/2/diff").await;
    assert!(
        diff["unified"].as_str().unwrap().contains("+# A new line."),
        "{diff}"
    );
    plane.change("POST", "/policies/2/activate", Value::Null).await;
    assert_eq!(plane.get("/policies").await["active"], 2);
    plane.change("POST", "/policies/rollback", Value::Null).await;
    let policies = plane.get("/policies").await;
    assert_eq!(
        (&policies["active"], &policies["versions"][0]["note"]),
        (&json!(1), &json!("spring"))
    );
}

#[tokio::test]
async fn a_bad_document_is_refused_whole_with_its_lines() {
    let plane = Plane::new().await;
    let broken = POLICY.replacen("wechat_direct", "wechat_drect", 1);
    let refused = plane.call("op", "POST", "/policies", broken).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let wrong = &refused.body["errors"][0];
    assert!(wrong["line"].as_u64().unwrap() > 1, "{wrong}");
    assert!(
        wrong["message"].as_str().unwrap().contains("wechat_direct"),
        "{wrong}"
    );
    assert_eq!(
        plane.get("/policies").await["versions"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn a_change_for_another_revision_is_refused() {
    let plane = Plane::new().await;
    let listed = plane.call("rd", "GET", "/limits", "").await;
    assert_eq!(listed.etag.as_deref(), Some("\"1\""));
    let change = |revision: &str| {
        Request::builder()
            .method("PUT")
            .uri("/api/v1/limits/customer_velocity")
            .header("authorization", "Bearer op")
            .header("content-type", "application/json")
            .header("if-match", format!("\"{revision}\""))
            .body(Body::from(json!({"most": 5}).to_string()))
            .unwrap()
    };
    let changed = plane.send(change("1")).await;
    assert_eq!(
        (changed.status, changed.etag.as_deref()),
        (StatusCode::OK, Some("\"2\""))
    );
    let stale = plane.send(change("1")).await;
    assert_eq!(
        (stale.status, &stale.body["revision"]),
        (StatusCode::PRECONDITION_FAILED, &json!(2))
    );
    assert_eq!(plane.get("/limits").await[0]["rule"]["most"], 5);
}

#[tokio::test]
async fn breakers_accounts_and_limits_are_set_and_left_alone_again() {
    let plane = Plane::new().await;
    let force = json!({"forced": "out", "reason": "maintenance", "for_secs": 600});
    plane.change("PUT", "/breakers/icbc_direct", force).await;
    plane.change("DELETE", "/breakers/icbc_direct", Value::Null).await;
    plane
        .change(
            "PUT",
            "/channels/adyen_cards/accounts/ShopCN_ECOM",
            json!({"state": "draining"}),
        )
        .await;
    let account = &plane.get("/channels/adyen_cards").await["accounts"][0];
    assert_eq!(account["state"], "draining");
    plane
        .change(
            "DELETE",
            "/channels/adyen_cards/accounts/ShopCN_ECOM",
            Value::Null,
        )
        .await;
    let rule = json!({"rule": {"measure": "count", "most": 3, "window_secs": 60}});
    plane.change("PUT", "/limits/few", rule).await;
    plane.change("DELETE", "/limits/few", Value::Null).await;
    let audit = plane.get("/audit").await;
    let actions: Vec<_> = audit
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].clone())
        .collect();
    assert_eq!(
        actions,
        [
            "clear_limit",
            "set_limit",
            "set_account",
            "set_account",
            "release_breaker",
            "force_breaker",
            "import"
        ]
    );
    assert_eq!(plane.get("/audit/verify").await["whole"], true);
}

#[tokio::test]
async fn what_cannot_be_read_names_the_field() {
    let plane = Plane::new().await;
    let refused = plane
        .call(
            "op",
            "PUT",
            "/breakers/icbc_direct",
            r#"{"forced":"away","reason":"x"}"#,
        )
        .await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        refused.body["detail"].as_str().unwrap().contains("forced"),
        "{}",
        refused.body
    );
    let refused = plane
        .call("op", "POST", "/suspensions", r#"{"scope":{},"reason":"x"}"#)
        .await;
    assert_eq!(refused.body["errors"][0]["field"], "scope");
    let refused = plane.call("op", "POST", "/suspensions", "{").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let huge = plane
        .call("op", "PUT", "/documents/channels", "#".repeat(2 << 20))
        .await;
    assert_eq!(huge.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(huge.kind, "application/problem+json");
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let plane = Plane::new().await;
    for (method, path, status) in [
        ("GET", "/nothing", StatusCode::NOT_FOUND),
        ("POST", "/health", StatusCode::METHOD_NOT_ALLOWED),
        ("GET", "/policies/7", StatusCode::NOT_FOUND),
        ("GET", "/policies/seven", StatusCode::BAD_REQUEST),
        ("GET", "/audit?after=3", StatusCode::BAD_REQUEST),
        ("GET", "/channels/nowhere", StatusCode::NOT_FOUND),
        ("GET", "/payments/shop/nothing", StatusCode::NOT_FOUND),
    ] {
        let answer = plane.call("op", method, path, "").await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert_eq!(answer.kind, "application/problem+json", "{path}");
    }
}

#[test]
fn every_kind_of_problem_is_documented() {
    let page = include_str!("../../../../docs/errors.md");
    for kind in Kind::ALL {
        let (status, name, _) = kind.classify();
        let row = format!("| `{name}` | {} |", status.as_u16());
        assert!(page.contains(&row), "{row}");
    }
}

#[tokio::test]
async fn f45_a_card_number_is_refused_wherever_it_comes_in_and_not_repeated() {
    const NUMBER: &str = "4111 1111 1111 1111";
    let plane = Plane::new().await;
    let refused = |answer: &Answer, field: &str| {
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert_eq!(answer.body["errors"][0]["field"], field, "{}", answer.body);
        assert!(!answer.body.to_string().contains("1111"), "{}", answer.body);
    };
    for (method, path) in described().into_iter().filter(|(method, _)| method != "GET") {
        let path = path.trim_start_matches("/api/v1");
        for (body, field) in [
            (json!({"reason": NUMBER}), "reason"),
            (json!({"reason": 4_111_111_111_111_111_u64}), "reason"),
            (json!({"scope": {"tags": ["vip", NUMBER]}}), "tags[1]"),
            (json!({"scope": {NUMBER: "x"}}), "a key of scope"),
        ] {
            let answer = plane.call("op", &method, path, body.to_string()).await;
            refused(&answer, field);
        }
        let document = format!("version: 1\nname: {NUMBER}\n");
        refused(
            &plane.call("op", &method, path, document).await,
            "line 2 of the body",
        );
        let query = format!("{path}?note=%34111111111111111");
        refused(&plane.call("op", &method, &query, "").await, "note");
    }
    let answer = plane
        .call("op", "GET", "/payments/shop/%34111111111111111", "")
        .await;
    refused(&answer, "the path");
    let beside = Request::builder()
        .uri("/api/v1/limits")
        .header("authorization", "Bearer rd")
        .header("x-order", NUMBER)
        .body(Body::empty());
    refused(&plane.send(beside.unwrap()).await, "header `x-order`");
    assert_eq!(plane.get("/audit").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn runbooks_are_put_into_force_by_version_and_a_wrong_one_is_refused_with_its_line() {
    let plane = Plane::new().await;
    let before = plane.get("/runbooks").await;
    assert_eq!((&before["version"], &before["text"]), (&json!(0), &json!("")));
    let good = "version: 1\nrunbooks:\n  - {name: tell, on: [Down], run: automatically, steps: [{notify: [chat], text: look}]}\n";
    assert_eq!(plane.call("rd", "PUT", "/runbooks", good).await.status, 403);
    let put = plane.call("op", "PUT", "/runbooks?note=first", good).await;
    assert_eq!((put.status.as_u16(), &put.body["version"]), (200, &json!(1)));
    let wrong = plane
        .call("op", "PUT", "/runbooks", good.replace("chat", "chart"))
        .await;
    assert_eq!(wrong.status, 422);
    let told = wrong.body.to_string();
    assert!(told.contains("chart") && told.contains("runbooks.yaml"), "{told}");
    let checked = plane.call("op", "POST", "/runbooks/validate", good).await;
    assert_eq!(checked.body["version"], 1, "nothing is changed by a check");
    let in_force = plane.get("/runbooks").await;
    assert_eq!(
        (&in_force["text"], &in_force["author"], &in_force["note"]),
        (&json!(good), &json!("olga"), &json!("first"))
    );
    assert_eq!(
        plane.call("rd", "GET", "/runbooks?version=2", "").await.status,
        404
    );
    let audit = plane.get("/audit").await;
    assert_eq!(audit[0]["action"], "activate_runbooks");
}

/// Opens an incident with a runbook that waits for somebody's word.
async fn offer(plane: &Plane) -> uuid::Uuid {
    let text = "version: 1
runbooks:
  - name: leave
    on: [Down]
    run: on_approval
    steps:
      - {suspend: {channel: '{channel}', issuer: boc}, for: 30m}
      - {activate_policy: standby, for: 2h}
";
    let runbooks = domain::runbook::Runbooks::load(text, "runbooks.yaml", None).unwrap();
    let labels = [("channel".into(), "icbc_direct".into())].into();
    let itself = domain::control::Actor::new("runbook leave").unwrap();
    let course = domain::runbook::Course::begin(&runbooks.list[0], &labels, &itself);
    let incident = Incident {
        id: uuid::Uuid::from_u128(7),
        fingerprint: "f".to_owned(),
        rule: "Down".to_owned(),
        severity: "critical".to_owned(),
        labels: [("channel".to_owned(), "icbc_direct".to_owned())].into(),
        title: "icbc_direct is down".to_owned(),
        generation: 1,
        opened_at: NOW.parse().unwrap(),
        resolved: None,
        acknowledged: None,
        closed: None,
        impact: json!({}),
        cause: String::new(),
        lesson: String::new(),
        tags: Vec::new(),
    };
    let id = incident.id;
    let advance = Advance {
        opened: vec![incident],
        runs: vec![Run {
            incident: id,
            runbook: "leave".to_owned(),
            is_over: false,
            content: serde_json::to_value(course).unwrap(),
        }],
        ..Advance::default()
    };
    let done = plane.alerts.advance(&advance).await.unwrap();
    assert_eq!(done, Advanced::Done { revision: 1 });
    id
}

#[tokio::test]
async fn a_runbook_that_is_offered_is_let_go_once_and_taken_back_once() {
    let plane = Plane::new().await;
    let id = offer(&plane).await;
    let at_work = plane.get(&format!("/incidents/{id}/plans")).await;
    let offered = &at_work[0];
    assert_eq!(offered["state"], "offered");
    assert_eq!(
        offered["steps"],
        json!([
            {"state": "waiting", "text": "suspend channel icbc_direct, issuer boc", "ends_at": null},
            {"state": "waiting", "text": "would not be done: no stored policy is called `standby`", "ends_at": null},
        ])
    );
    let apply = format!("/incidents/{id}/plans/leave/apply");
    assert_eq!(plane.call("rd", "POST", &apply, "").await.status, 403);
    let applied = plane.call("op", "POST", &apply, "").await;
    assert_eq!(
        (
            applied.status.as_u16(),
            &applied.body["state"],
            &applied.body["applied_by"]
        ),
        (200, &json!("applied"), &json!("olga"))
    );
    assert_eq!(plane.call("op", "POST", &apply, "").await.status, 409);
    let revert = format!("/incidents/{id}/plans/leave/revert");
    let reverted = plane.call("op", "POST", &revert, "").await;
    assert_eq!(reverted.body["state"], "reverted");
    assert_eq!(plane.call("op", "POST", &revert, "").await.status, 409);
    let unknown = format!("/incidents/{id}/plans/other/apply");
    assert_eq!(plane.call("op", "POST", &unknown, "").await.status, 404);
    let audit = plane.get("/audit").await;
    assert_eq!(
        (&audit[0]["action"], &audit[1]["action"], &audit[1]["actor"]),
        (&json!("revert_runbook"), &json!("apply_runbook"), &json!("olga"))
    );
}
