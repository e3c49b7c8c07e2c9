//! What is read from a request: bodies, queries and paths. What cannot be read is a problem that names the field.

use axum::Json;
use axum::extract::rejection::{JsonRejection, StringRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use domain::control::MAX_DOCUMENT_BYTES;
use serde::de::DeserializeOwned;

use crate::problem::{Kind, Problem};

/// What the path names.
pub(crate) struct Named<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(path)| Self(path))
            .map_err(|error| Problem::new(Kind::BadRequest, error.body_text()))
    }
}

/// What the query asks for.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(query)| Self(query))
            .map_err(|error| Problem::new(Kind::BadRequest, error.body_text()))
    }
}

/// A JSON body; what is wrong with it is a problem that names the field.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::JsonDataError(error)) => Err(Problem::new(Kind::Invalid, error.body_text())),
            Err(error) => Err(Problem::new(kind_of(error.status().as_u16()), error.body_text())),
        }
    }
}

/// A document as the body: YAML, as in a file.
pub(crate) struct Document(pub(crate) String);

impl<S: Send + Sync> FromRequest<S> for Document {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let text = String::from_request(request, state).await;
        let text = text.map_err(|error: StringRejection| {
            Problem::new(kind_of(error.status().as_u16()), error.body_text())
        })?;
        if text.len() > MAX_DOCUMENT_BYTES {
            let detail = format!(
                "the document has {} bytes, at most {MAX_DOCUMENT_BYTES} are allowed",
                text.len()
            );
            return Err(Problem::new(Kind::TooLarge, detail));
        }
        Ok(Self(text))
    }
}

const fn kind_of(status: u16) -> Kind {
    match status {
        413 => Kind::TooLarge,
        422 => Kind::Invalid,
        _ => Kind::BadRequest,
    }
}
