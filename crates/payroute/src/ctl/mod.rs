//! `payroute ctl`: a payment by hand, call by call.

pub(crate) mod plane;
mod show;

use std::io::Write;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use proto::v1;
use proto::v1::channel_health_service_client::ChannelHealthServiceClient;
use proto::v1::routing_service_client::RoutingServiceClient;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use crate::bearer::{self, Bearer};
use crate::cli::{Ctl, CtlCommand, KnownNow, ReportArgs, ReportedResult, ResolveArgs, RouteArgs};
use plane::Plane;

/// Runs one command against the service, and prints what it answers to `out`.
///
/// # Errors
/// When the service cannot be reached or refuses.
pub(crate) async fn run(ctl: Ctl, out: &mut impl Write) -> anyhow::Result<()> {
    let token = bearer::read(ctl.token_file.as_deref())?;
    if let CtlCommand::Plane(command) = ctl.command {
        return Plane::new(&ctl.console, token)?.run(command, out).await;
    }
    let bearer = Bearer::of(token.as_deref())?;
    let endpoint = Endpoint::from_shared(format!("http://{}", ctl.addr))?;
    let unreachable = || format!("no service answers at {}; is `payroute serve` running?", ctl.addr);
    let connection: Channel = endpoint.connect().await.with_context(unreachable)?;
    let mut routing = RoutingServiceClient::with_interceptor(connection.clone(), bearer.clone());
    match ctl.command {
        CtlCommand::Route(args) => {
            let answer = routing
                .route(route_request(args))
                .await
                .map_err(refused)?
                .into_inner();
            show::decision(out, &answer, &BASE64.encode(&answer.decision_token))?;
        }
        CtlCommand::Report(args) => {
            let answer = routing
                .report_outcome(report_request(args)?)
                .await
                .map_err(refused)?
                .into_inner();
            show::outcome(out, &answer, &BASE64.encode(&answer.receipt))?;
        }
        CtlCommand::Resolve(args) => {
            let request = resolve_request(args)?;
            let answer = routing.resolve_attempt(request).await.map_err(refused)?;
            show::resolution(out, &answer.into_inner())?;
        }
        CtlCommand::Payment { payment, merchant } => {
            let request = v1::GetPaymentRequest {
                merchant_id: merchant,
                payment_id: payment,
            };
            show::payment(
                out,
                &routing.get_payment(request).await.map_err(refused)?.into_inner(),
            )?;
        }
        CtlCommand::Health => {
            let mut health = ChannelHealthServiceClient::with_interceptor(connection, bearer);
            let request = v1::ListChannelHealthRequest::default();
            show::health(
                out,
                &health
                    .list_channel_health(request)
                    .await
                    .map_err(refused)?
                    .into_inner(),
            )?;
        }
        CtlCommand::Plane(_) => {}
    }
    Ok(())
}

/// The service's own words: its message names every field that is wrong.
#[expect(
    clippy::needless_pass_by_value,
    reason = "used as a function on the error of a result"
)]
fn refused(status: Status) -> anyhow::Error {
    anyhow::anyhow!("{:?}: {}", status.code(), status.message())
}

fn route_request(args: RouteArgs) -> v1::RouteRequest {
    v1::RouteRequest {
        merchant_id: args.merchant,
        payment_id: args.payment,
        attempt_no: args.attempt,
        amount_minor: args.amount,
        currency: args.currency,
        method: args.method,
        issuer: args.issuer,
        exclude_channels: args.exclude,
        country: "CN".to_owned(),
        locale: "en".to_owned(),
        customer: Some(v1::Customer {
            is_new: args.new_customer,
            ..v1::Customer::default()
        }),
        device: Some(v1::Device {
            os: args.os,
            ..v1::Device::default()
        }),
        explain: true,
        ..v1::RouteRequest::default()
    }
}

fn report_request(args: ReportArgs) -> anyhow::Result<v1::ReportOutcomeRequest> {
    let decision_token = BASE64
        .decode(&args.token)
        .context("the token is not what `ctl route` printed")?;
    let result = match args.result {
        ReportedResult::Succeeded => v1::Result::Succeeded,
        ReportedResult::Declined => v1::Result::Declined,
        ReportedResult::Failed => v1::Result::Failed,
        ReportedResult::TimedOut => v1::Result::TimedOut,
        ReportedResult::AwaitingCustomer => v1::Result::AwaitingCustomer,
    };
    // The tag of a token is different for every decision, so the same report made twice is one report.
    let tag: String = args.token.chars().skip(4).take(16).collect();
    Ok(v1::ReportOutcomeRequest {
        decision_token,
        attempt_id: args.attempt_id.unwrap_or_else(|| format!("ctl-{tag}")),
        channel_id: args.channel,
        result: result.into(),
        provider: args.provider,
        code: args.code,
        latency_ms: args.latency_ms,
        locale: args.locale,
        ..v1::ReportOutcomeRequest::default()
    })
}

fn resolve_request(args: ResolveArgs) -> anyhow::Result<v1::ResolveAttemptRequest> {
    let receipt = BASE64
        .decode(&args.receipt)
        .context("the receipt is not what `ctl report` printed")?;
    let resolution = match args.resolution {
        KnownNow::Succeeded => v1::Resolution::Succeeded,
        KnownNow::Declined => v1::Resolution::Declined,
        KnownNow::NotProcessed => v1::Resolution::NotProcessed,
        KnownNow::Reversed => v1::Resolution::Reversed,
        KnownNow::Closed => v1::Resolution::Closed,
        KnownNow::StillUnknown => v1::Resolution::StillUnknown,
    };
    Ok(v1::ResolveAttemptRequest {
        receipt,
        resolution: resolution.into(),
        source: v1::ResolutionSource::Query.into(),
        locale: args.locale,
        ..v1::ResolveAttemptRequest::default()
    })
}
