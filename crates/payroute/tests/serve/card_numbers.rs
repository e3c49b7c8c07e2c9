//! Card numbers: refused wherever they come in, named by their field, and nowhere to be found afterwards.

use std::path::Path;

use proto::v1;
use tonic::{Code, Request, Status};

use crate::support::{self, Server};

const NUMBER: &str = "4111111111111111";

/// Puts a text into one field.
type Put<T> = (&'static str, fn(&mut T, String));

const ROUTE: [Put<v1::RouteRequest>; 17] = [
    ("merchant_id", |to, text| to.merchant_id = text),
    ("payment_id", |to, text| to.payment_id = text),
    ("method", |to, text| to.method = text),
    ("presentment", |to, text| to.presentment = text),
    ("issuer", |to, text| to.issuer = text),
    ("region", |to, text| to.region = text),
    ("locale", |to, text| to.locale = text),
    ("request_id", |to, text| to.request_id = text),
    ("credential_fingerprint", |to, text| {
        to.credential_fingerprint = text;
    }),
    ("candidates[0]", |to, text| to.candidates = vec![text]),
    ("exclude_channels[0]", |to, text| to.exclude_channels = vec![text]),
    ("portable_to[0]", |to, text| to.portable_to = vec![text]),
    ("card.bin", |to, text| to.card.get_or_insert_default().bin = text),
    ("customer.reference", |to, text| {
        to.customer.get_or_insert_default().reference = text;
    }),
    ("customer.segments[0]", |to, text| {
        to.customer.get_or_insert_default().segments = vec![text];
    }),
    ("metadata[\"note\"]", |to, text| {
        to.metadata.insert("note".to_owned(), text);
    }),
    ("metadata key", |to, text| {
        to.metadata.insert(text, "note".to_owned());
    }),
];

const REPORT: [Put<v1::ReportOutcomeRequest>; 7] = [
    ("attempt_id", |to, text| to.attempt_id = text),
    ("channel_id", |to, text| to.channel_id = text),
    ("code", |to, text| to.code = text),
    ("sub_code", |to, text| to.sub_code = text),
    ("message", |to, text| {
        to.message = format!("card {text} was refused");
    }),
    ("provider_reference", |to, text| to.provider_reference = text),
    ("network_advice_code", |to, text| to.network_advice_code = text),
];

fn refused(field: &str, status: &Status) {
    assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status:?}");
    let told = format!("{status:?}");
    assert!(status.message().contains(field), "{field}: {told}");
    assert!(!told.contains(NUMBER), "{field}: {told}");
}

/// Looks for the number in every file below `folder`.
fn nowhere_below(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            nowhere_below(&path);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(NUMBER.len()).any(|part| part == NUMBER.as_bytes());
        assert!(!found, "{} holds it", path.display());
    }
}

#[tokio::test]
async fn f45_a_card_number_is_refused_in_any_field_and_left_nowhere() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.routing().await;
    for (field, put) in ROUTE {
        for guard in [false, true] {
            let mut request = support::route_request("ord_1");
            request.guard = guard;
            put(&mut request, NUMBER.to_owned());
            refused(field, &client.route(request).await.unwrap_err());
        }
    }
    let decision = client.route(support::route_request("ord_1")).await.unwrap();
    let decision = decision.into_inner();
    for (field, put) in REPORT {
        let mut report = support::report(&decision, "ord_1-1", v1::Result::Failed);
        put(&mut report, NUMBER.to_owned());
        refused(field, &client.report_outcome(report).await.unwrap_err());
    }
    let mut beside = Request::new(support::route_request("ord_2"));
    beside.metadata_mut().insert("x-order", NUMBER.parse().unwrap());
    refused("x-order", &client.route(beside).await.unwrap_err());
    // What was taken is there, and nothing else.
    let paid = support::report(&decision, "ord_1-1", v1::Result::Succeeded);
    client.report_outcome(paid).await.unwrap();
    assert!(!server.get("/metrics").contains(NUMBER));
    server.terminate();
    assert!(server.wait().success());
    nowhere_below(data.path());
}
