//! The bearer token of a caller.

use std::path::Path;

use anyhow::Context as _;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Status};

/// The token that `file` holds; none without a file.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read(file: Option<&Path>) -> anyhow::Result<Option<String>> {
    let read = |file: &Path| {
        let text = std::fs::read_to_string(file);
        text.with_context(|| format!("cannot read {}", file.display()))
    };
    Ok(file.map(read).transpose()?.map(|text| text.trim().to_owned()))
}

/// Carries the bearer token with every call, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// Carries `token`, or nothing.
    ///
    /// # Errors
    /// When it cannot stand in a header.
    pub(crate) fn of(token: Option<&str>) -> anyhow::Result<Self> {
        let Some(token) = token else {
            return Ok(Self(None));
        };
        let header = format!("Bearer {token}").parse();
        let mut header: MetadataValue<Ascii> = header.context("the token file does not hold a token")?;
        header.set_sensitive(true);
        Ok(Self(Some(header)))
    }
}

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}
