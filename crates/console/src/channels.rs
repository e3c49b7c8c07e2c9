//! Channels: the document, each of them as it is in force, and the states of accounts.

use axum::Json;
use axum::extract::State;
use domain::channel::{AccountState, Channel};
use domain::control::{Change, assemble};
use domain::id::{AccountId, ChannelId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Desk;
use crate::caller::{Known, Operator, Reader};
use crate::change::{At, Receipt};
use crate::extract::{Body, Document, Named};
use crate::policies::Written;
use crate::problem::{Kind, Problem};

pub(crate) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show_document, put_document))
        .routes(routes!(show))
        .routes(routes!(set_account, clear_account))
}

/// The channels in force: the document, with what was set by hand laid over it.
#[derive(Serialize, ToSchema)]
struct Listed {
    /// The revision they are of.
    revision: u64,
    /// The channels, as in the document.
    #[schema(value_type = Vec<Object>)]
    channels: Vec<Channel>,
}

/// The state of an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Account {
    /// `active`, `draining` (no new payments) or `suspended`.
    #[schema(value_type = String, example = "draining")]
    state: AccountState,
}

impl Desk {
    async fn in_force(&self) -> Result<(u64, Vec<Channel>), Problem> {
        let control = self.control().await?;
        let catalogue = self.editor.catalogue();
        let assembled =
            assemble(&control, &catalogue.providers()).map_err(domain::control::Refused::Invalid)?;
        let channels = assembled.configuration.channels.iter();
        Ok((
            control.revision,
            channels.map(|(_, channel)| channel.clone()).collect(),
        ))
    }
}

/// All channels
#[utoipa::path(get, path = "/channels", tag = "channels",
    responses((status = 200, body = Listed), (status = "default", body = Problem)))]
async fn list(_: Reader, State(desk): State<Desk>) -> Result<At<Json<Listed>>, Problem> {
    let (revision, channels) = desk.in_force().await?;
    Ok(At(revision, Json(Listed { revision, channels })))
}

/// One channel
#[utoipa::path(get, path = "/channels/{channel}", tag = "channels",
    params(("channel" = String, Path, description = "The channel's id")),
    responses((status = 200, body = Object), (status = "default", body = Problem)))]
async fn show(
    _: Reader,
    State(desk): State<Desk>,
    Named(id): Named<String>,
) -> Result<At<Json<Value>>, Problem> {
    let (revision, channels) = desk.in_force().await?;
    let channel = channels.into_iter().find(|channel| channel.id.as_str() == id);
    let channel = channel.ok_or_else(|| unknown(&id))?;
    Ok(At(
        revision,
        Json(serde_json::to_value(channel).unwrap_or_default()),
    ))
}

/// The channel document
#[utoipa::path(get, path = "/documents/channels", tag = "channels",
    responses((status = 200, body = Written), (status = "default", body = Problem)))]
async fn show_document(_: Reader, State(desk): State<Desk>) -> Result<At<Json<Written>>, Problem> {
    let control = desk.control().await?;
    Ok(At(control.revision, Json(Written::of(&control.channels))))
}

/// Replace the channel document
///
/// The body is YAML, as in `channels.yaml`. It is refused whole when anything in it is wrong, or when the active policy
/// does not fit it.
#[utoipa::path(put, path = "/documents/channels", tag = "channels",
    request_body(content = String, content_type = "application/yaml"),
    params(("If-Match" = Option<String>, Header, description = "The revision that the change is made for")),
    responses((status = 200, body = Receipt), (status = "default", body = Problem)))]
async fn put_document(
    operator: Operator,
    known: Known,
    State(desk): State<Desk>,
    Document(text): Document,
) -> Result<At<Json<Receipt>>, Problem> {
    desk.change(Change::PutChannels { text }, &operator, &known).await
}

/// Set the state of an account
#[utoipa::path(put, path = "/channels/{channel}/accounts/{account}", tag = "channels",
    params(("channel" = String, Path), ("account" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The revision that the change is made for")),
    request_body = Account,
    responses((status = 200, body = Receipt), (status = "default", body = Problem)))]
async fn set_account(
    operator: Operator,
    known: Known,
    State(desk): State<Desk>,
    Named((channel, account)): Named<(String, String)>,
    Body(body): Body<Account>,
) -> Result<At<Json<Receipt>>, Problem> {
    let change = account_change(&channel, &account, Some(body.state))?;
    desk.change(change, &operator, &known).await
}

/// Leave an account to the channel document again
#[utoipa::path(delete, path = "/channels/{channel}/accounts/{account}", tag = "channels",
    params(("channel" = String, Path), ("account" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The revision that the change is made for")),
    responses((status = 200, body = Receipt), (status = "default", body = Problem)))]
async fn clear_account(
    operator: Operator,
    known: Known,
    State(desk): State<Desk>,
    Named((channel, account)): Named<(String, String)>,
) -> Result<At<Json<Receipt>>, Problem> {
    let change = account_change(&channel, &account, None)?;
    desk.change(change, &operator, &known).await
}

fn account_change(channel: &str, account: &str, state: Option<AccountState>) -> Result<Change, Problem> {
    Ok(Change::SetAccount {
        channel: channel_id(channel)?,
        account: AccountId::new(account).map_err(|error| Problem::field("account", error.to_string()))?,
        state,
    })
}

/// The channel that a path names.
pub(crate) fn channel_id(id: &str) -> Result<ChannelId, Problem> {
    ChannelId::new(id).map_err(|error| Problem::field("channel", error.to_string()))
}

fn unknown(id: &str) -> Problem {
    Problem::new(Kind::NotFound, format!("channel `{id}` is not configured"))
}
