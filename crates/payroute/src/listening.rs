//! Who may be listened to, as the settings have it.

use access::{Guard, Tokens};
use anyhow::Context as _;
use telemetry::listen::Access;

use crate::settings::Settings;

/// What may be listened on: anything with tokens or when the operator insists, else loopback.
pub(crate) fn access(settings: &Settings) -> Access {
    if !settings.auth.tokens_file.as_os_str().is_empty() {
        Access::Tokens
    } else if settings.listen.insecure {
        Access::Insecure
    } else {
        Access::Local
    }
}

/// Who may call.
///
/// # Errors
/// When the tokens file cannot be used.
pub(crate) fn guard(settings: &Settings) -> anyhow::Result<Guard> {
    let file = &settings.auth.tokens_file;
    if file.as_os_str().is_empty() {
        return Ok(Guard::new(None));
    }
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("auth.tokens_file: cannot read {}", file.display()))?;
    let tokens = Tokens::parse(&text).with_context(|| format!("auth.tokens_file: {}", file.display()))?;
    Ok(Guard::new(Some(tokens)))
}
