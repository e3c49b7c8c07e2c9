//! `payroute token`: bearer tokens for callers.

use std::io::Write;

use access::{Scope, Tokens};
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng;
use rand::rngs::SysRng;

use crate::cli::TokenCommand;

/// Bytes of randomness in a token.
const STRENGTH: usize = 32;

/// Runs a command of `token`.
///
/// # Errors
/// When the operating system gives no randomness, or `out` cannot be written.
pub(crate) fn run(command: TokenCommand, out: &mut impl Write) -> anyhow::Result<()> {
    let TokenCommand::New { name, scopes } = command;
    let scopes = scopes.split(',').map(scope).collect::<Result<Vec<_>, _>>()?;
    anyhow::ensure!(
        !name.contains(char::is_whitespace),
        "the name must not hold white space"
    );
    let mut secret = [0; STRENGTH];
    SysRng
        .try_fill_bytes(&mut secret)
        .context("no randomness for a token")?;
    // The prefix lets scanners of leaked secrets recognise it.
    let token = format!("prt_{}", URL_SAFE_NO_PAD.encode(secret));
    writeln!(out, "token, shown this once:        {token}")?;
    writeln!(
        out,
        "line for auth.tokens_file:     {}",
        Tokens::line(&name, &token, &scopes)
    )?;
    Ok(())
}

fn scope(name: &str) -> anyhow::Result<Scope> {
    Scope::from_name(name)
        .with_context(|| format!("`{name}` is not a scope; there are call, read and operate"))
}
