//! Card numbers are refused in whatever comes with a request, before anybody reads it: path, query, headers and body.
//! What holds one is named, and not repeated.

use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request};
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use domain::card_number::{self, REFUSED};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::problem::{Kind, Problem};
use crate::routes::BODY_BYTES;

/// Passes a request on that holds no card number.
pub(crate) async fn refuse(request: Request, next: Next) -> Response {
    match without(request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn without(request: Request) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let beside = in_uri(&parts.uri).or_else(|| in_headers(&parts.headers));
    if let Some(field) = beside {
        return Err(Problem::field(&field, REFUSED));
    }
    let bytes = to_bytes(body, BODY_BYTES).await.map_err(|_| {
        Problem::new(
            Kind::TooLarge,
            format!("the body could not be read, or has more than {BODY_BYTES} bytes"),
        )
    })?;
    // What is no text is refused by whoever reads it.
    if let Some(field) = std::str::from_utf8(&bytes).ok().and_then(in_body) {
        return Err(Problem::field(&field, REFUSED));
    }
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn in_uri(uri: &Uri) -> Option<String> {
    let path = percent_decode_str(uri.path()).decode_utf8_lossy();
    if card_number::find(&path).is_some() {
        return Some("the path".to_owned());
    }
    let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else {
        return None;
    };
    pairs.iter().find_map(|(name, value)| {
        if card_number::find(name).is_some() {
            return Some("a key of the query".to_owned());
        }
        card_number::find(value).map(|_| name.clone())
    })
}

fn in_headers(headers: &HeaderMap) -> Option<String> {
    headers.iter().find_map(|(name, value)| {
        card_number::in_header(
            "header",
            name.as_str(),
            &String::from_utf8_lossy(value.as_bytes()),
        )
    })
}

/// Bodies are JSON or a document of lines.
fn in_body(text: &str) -> Option<String> {
    match serde_json::from_str(text) {
        Ok(value) => in_value(&value, "the body"),
        Err(_) => text
            .lines()
            .position(|line| card_number::find(line).is_some())
            .map(|before| format!("line {} of the body", before.saturating_add(1))),
    }
}

/// Where in `value`, which is at `place`, a card number stands.
fn in_value(value: &Value, place: &str) -> Option<String> {
    match value {
        Value::Null | Value::Bool(_) => None,
        Value::Number(number) => card_number::find(&number.to_string()).map(|_| place.to_owned()),
        Value::String(text) => card_number::find(text).map(|_| place.to_owned()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| in_value(item, &format!("{place}[{index}]"))),
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            if card_number::find(name).is_some() {
                return Some(format!("a key of {place}"));
            }
            in_value(value, name)
        }),
    }
}
