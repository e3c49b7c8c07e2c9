//! Answers of the service in words, for a terminal.

use std::io::{self, Write};

use domain::money::{Currency, Money};
use proto::v1;

/// A decision, and the commands that report what became of it.
pub(super) fn decision(out: &mut impl Write, answer: &v1::RouteResponse, token: &str) -> io::Result<()> {
    writeln!(
        out,
        "{}",
        answer.action().as_str_name().trim_start_matches("ACTION_")
    )?;
    if let Some(channel) = &answer.channel {
        let account = if channel.account.is_empty() {
            String::new()
        } else {
            format!(" ({})", channel.account)
        };
        writeln!(out, "  channel      {}{account}", channel.channel_id)?;
        writeln!(out, "  attempt key  {}", channel.attempt_key)?;
        writeln!(out, "  timeout      {} ms", channel.timeout_ms)?;
        writeln!(
            out,
            "  estimate     {:.1} % likely to succeed",
            channel.success_estimate * 100.0
        )?;
    }
    let rule = format!(
        "{} ({}), policy {}",
        answer.matched_rule, answer.strategy, answer.policy_version
    );
    writeln!(out, "  rule         {rule}")?;
    for fallback in answer
        .fallbacks
        .iter()
        .filter_map(|fallback| fallback.channel.as_ref())
    {
        writeln!(
            out,
            "  then         {} ({:.1} %)",
            fallback.channel_id,
            fallback.success_estimate * 100.0
        )?;
    }
    for offer in &answer.offer_methods {
        writeln!(out, "  offer        {}: {}", offer.method, offer.reason)?;
    }
    for excluded in &answer.excluded {
        writeln!(out, "  not          {}: {}", excluded.channel_id, excluded.reason)?;
    }
    if let Some(explanation) = &answer.explanation {
        for rule in explanation.rules.iter().filter(|rule| !rule.matched) {
            writeln!(out, "  skipped      {}: {}", rule.rule, rule.because)?;
        }
        writeln!(out, "  decided in   {} us", explanation.decided_in_us)?;
    }
    if let Some(channel) = &answer.channel {
        writeln!(out, "\nReport what became of it with one of:")?;
        for (result, code) in [
            ("succeeded", "OK"),
            ("declined", "INSUFFICIENT_FUNDS"),
            ("timed_out", "TIMEOUT"),
        ] {
            let channel = &channel.channel_id;
            writeln!(
                out,
                "  payroute ctl report --provider payroute --code {code} {token} {channel} {result}"
            )?;
        }
    }
    Ok(())
}

/// What an outcome means, and what to do now; with the command that settles it when it is open.
pub(super) fn outcome(
    out: &mut impl Write,
    answer: &v1::ReportOutcomeResponse,
    receipt: &str,
) -> io::Result<()> {
    let again = if answer.duplicate {
        " (reported before, counted once)"
    } else {
        ""
    };
    writeln!(out, "{}{again}", answer.state)?;
    if let Some(failure) = &answer.failure {
        writeln!(
            out,
            "  reason       {} ({}, {})",
            failure.reason, failure.certainty, failure.side
        )?;
    }
    next_step(out, answer.next.as_ref())?;
    customer(out, answer.customer_message.as_ref())?;
    if !answer.operator_note.is_empty() {
        writeln!(out, "  operator     {}", answer.operator_note)?;
    }
    let is_open = |next: &v1::NextStep| next.action() == v1::NextAction::QueryFirst;
    if answer.next.as_ref().is_some_and(is_open) {
        writeln!(out, "\nWhen the provider has told what became of it:")?;
        for known in ["succeeded", "not_processed"] {
            writeln!(out, "  payroute ctl resolve {receipt} {known}")?;
        }
    }
    Ok(())
}

/// What an attempt that was open has turned out to be.
pub(super) fn resolution(out: &mut impl Write, answer: &v1::ResolveAttemptResponse) -> io::Result<()> {
    let again = if answer.duplicate { " (nothing new)" } else { "" };
    writeln!(out, "{}{again}", answer.state)?;
    next_step(out, answer.next.as_ref())?;
    customer(out, answer.customer_message.as_ref())
}

fn next_step(out: &mut impl Write, next: Option<&v1::NextStep>) -> io::Result<()> {
    let Some(next) = next else { return Ok(()) };
    let action = next.action().as_str_name().trim_start_matches("NEXT_ACTION_");
    writeln!(out, "  next         {action} {}", next.channel)?;
    for at in next.query_at.iter().filter_map(proto::time::from_wire) {
        writeln!(out, "  query at     {at}")?;
    }
    Ok(())
}

fn customer(out: &mut impl Write, message: Option<&v1::CustomerMessage>) -> io::Result<()> {
    let Some(message) = message else { return Ok(()) };
    writeln!(
        out,
        "  customer     {} {} {}",
        message.what, message.todo, message.contact
    )
}

/// A payment whole.
pub(super) fn payment(out: &mut impl Write, answer: &v1::GetPaymentResponse) -> io::Result<()> {
    writeln!(out, "{} of {}", answer.payment_id, answer.merchant_id)?;
    for decision in &answer.decisions {
        let action = decision
            .action()
            .as_str_name()
            .trim_start_matches("ACTION_")
            .to_lowercase();
        let (at, rule) = (time(decision.decided_at.as_ref()), &decision.matched_rule);
        writeln!(
            out,
            "  {at}  attempt {}: {action} {} by {rule}",
            decision.attempt_no, decision.channel_id
        )?;
    }
    for attempt in &answer.attempts {
        let (at, amount) = (time(attempt.received_at.as_ref()), amount(attempt));
        let (channel, state, ms) = (&attempt.channel_id, &attempt.state, attempt.latency_ms);
        writeln!(
            out,
            "  {at}  {}: {amount} on {channel}, {state} after {ms} ms",
            attempt.attempt_id
        )?;
        if let Some(failure) = &attempt.failure {
            writeln!(
                out,
                "      {} {} -> {} ({})",
                attempt.provider, attempt.code, failure.reason, failure.certainty
            )?;
        }
        for change in attempt.changes.iter().skip(1) {
            writeln!(
                out,
                "      {}  {} -> {} ({})",
                time(change.at.as_ref()),
                change.from,
                change.to,
                change.source
            )?;
        }
        if let Some(message) = &attempt.customer_message {
            writeln!(out, "      customer: {} {}", message.what, message.todo)?;
        }
    }
    Ok(())
}

/// The health of every channel.
pub(super) fn health(out: &mut impl Write, answer: &v1::ListChannelHealthResponse) -> io::Result<()> {
    writeln!(
        out,
        "{:<16} {:<12} {:>8} {:>9} {:>9} {:>9}",
        "channel", "state", "last min", "technical", "success", "p95"
    )?;
    for channel in &answer.channels {
        let minute = channel
            .windows
            .iter()
            .find(|view| view.window_secs == 60)
            .cloned()
            .unwrap_or_default();
        writeln!(
            out,
            "{:<16} {:<12} {:>8} {:>9} {:>9} {:>9} {}",
            channel.channel_id,
            channel.breaker_state,
            minute.total,
            percent(minute.technical_success_bp),
            percent(minute.success_bp),
            minute
                .latency_ms_p95
                .map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0} ms")),
            channel.reason,
        )?;
    }
    Ok(())
}

fn percent(rate_bp: Option<u32>) -> String {
    rate_bp.map_or_else(|| "-".to_owned(), |bp| format!("{}.{:02} %", bp / 100, bp % 100))
}

fn time(at: Option<&prost_types::Timestamp>) -> String {
    at.and_then(proto::time::from_wire)
        .map_or_else(|| "-".to_owned(), |at| format!("{at:.3}"))
}

fn amount(attempt: &v1::AttemptRecord) -> String {
    let money = attempt
        .currency
        .parse::<Currency>()
        .ok()
        .and_then(|currency| Money::new(attempt.amount_minor, currency).ok());
    money.map_or_else(
        || format!("{} {}", attempt.amount_minor, attempt.currency),
        |money| money.to_string(),
    )
}
