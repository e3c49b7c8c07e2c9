//! The bearer token of a caller.

use std::path::Path;

use anyhow::Context as _;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Status};

/// Carries the bearer token with every call, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// The token that `file` holds; none without a file.
    ///
    /// # Errors
    /// When the file cannot be read, or holds what is no token.
    pub(crate) fn from_file(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = file else {
            return Ok(Self(None));
        };
        let token =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let header = format!("Bearer {}", token.trim());
        let mut header: MetadataValue<Ascii> = header
            .parse()
            .with_context(|| format!("{} does not hold a token", file.display()))?;
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
