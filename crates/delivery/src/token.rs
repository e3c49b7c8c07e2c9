//! WeChat's access token: fetched, kept while it is good, dropped when it is refused.

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::exchange::{Answer, Exchange};
use crate::judge::{self, Cause, Verdict};
use crate::receiver::{OfficialAccount, Vendor};
use crate::secret::Secret;
use crate::wire::Request;

/// Seconds before its end at which a token is no longer used, so that it does not end on the way.
const MARGIN_SECS: i64 = 300;

/// The token of one account.
#[derive(Debug, Default)]
pub(crate) struct TokenCache(Mutex<Option<Kept>>);

#[derive(Debug)]
struct Kept {
    token: Secret,
    until: Timestamp,
}

impl TokenCache {
    /// A token that is good at `now`, kept or new.
    ///
    /// By the `stable_token` call: it gives every worker the same token, where the older call would end the tokens
    /// of all others. It is never asked to force a new one, which is allowed twenty times a day.
    ///
    /// # Errors
    /// The verdict on the message that the token was for.
    pub(crate) async fn token(
        &self,
        account: &OfficialAccount,
        exchange: &Exchange,
        now: Timestamp,
    ) -> Result<Secret, Verdict> {
        if let Some(kept) = self.0.lock().as_ref().filter(|kept| kept.until > now) {
            return Ok(kept.token.clone());
        }
        let body = json!({
            "grant_type": "client_credential",
            "appid": account.app_id,
            "secret": account.app_secret.expose(),
        });
        let mut url = account.url.clone();
        url.set_path("/cgi-bin/stable_token");
        let answer = exchange.run(Request::json(url, &body)).await;
        let answer = answer.map_err(|error| judge::judge_error(&error))?;
        let Some(kept) = read(&answer, now) else {
            return Err(refused(&answer, now));
        };
        let token = kept.token.clone();
        *self.0.lock() = Some(kept);
        Ok(token)
    }

    /// Forgets `token`, which was refused; a newer one stays.
    pub(crate) fn forget(&self, token: &Secret) {
        let mut kept = self.0.lock();
        if kept.as_ref().is_some_and(|kept| kept.token == *token) {
            *kept = None;
        }
    }
}

fn read(answer: &Answer, now: Timestamp) -> Option<Kept> {
    if answer.status != http::StatusCode::OK {
        return None;
    }
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let token = body
        .get("access_token")?
        .as_str()
        .filter(|token| !token.is_empty())?;
    let good_secs = body.get("expires_in")?.as_i64()?;
    let good = SignedDuration::from_secs((good_secs - MARGIN_SECS).clamp(0, 86_400));
    Some(Kept {
        token: Secret::new(token),
        until: now.saturating_add(good).unwrap_or(now),
    })
}

/// The verdict where there is no token in the answer.
fn refused(answer: &Answer, now: Timestamp) -> Verdict {
    match judge::judge(Vendor::Wechat, answer, now) {
        Verdict::Delivered => Verdict::Retry {
            cause: Cause::NotTheVendor(answer.status.as_u16()),
            wait: None,
        },
        // Here these codes speak of the account's secret, which no retry makes right.
        Verdict::Retry {
            cause: cause @ Cause::AccessToken(_),
            ..
        } => Verdict::Refused(cause),
        verdict => verdict,
    }
}
