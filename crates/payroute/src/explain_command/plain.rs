//! Explanations for people, on a terminal.

use std::io::{self, Write};

use super::explanation::{
    CodeExplanation, Message, ProviderExplanation, ReasonExplanation, health, money, whose,
};
use super::next_steps::Step;
use super::search::Near;

/// Writes each code, with an empty line between two.
pub(super) fn write_codes(out: &mut impl Write, codes: &[CodeExplanation<'_>]) -> io::Result<()> {
    for (number, code) in codes.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        write_code(out, code)?;
    }
    Ok(())
}

fn write_code(out: &mut impl Write, code: &CodeExplanation<'_>) -> io::Result<()> {
    writeln!(out, "{} {}: {}", code.provider, code.code, code.meaning)?;
    if !code.aliases.is_empty() {
        line(out, "also", &code.aliases.join(", "))?;
    }
    line(out, "reason", code.reason)?;
    line(
        out,
        "money",
        &format!("{} ({})", money(code.certainty), code.certainty),
    )?;
    line(out, "side", &format!("{} ({})", whose(code.side), code.side))?;
    line(
        out,
        "health",
        &format!("{}; counts as {}", health(code.health_scope), code.counts_as),
    )?;
    let fixes = if code.customer_can_fix { "yes" } else { "no" };
    line(
        out,
        "customer",
        &format!("can make it work with the same card or account: {fixes}"),
    )?;
    for advice in &code.network {
        line(out, "network", advice)?;
    }
    writeln!(out, "  what the router does next")?;
    for step in &code.next {
        write_step(out, step)?;
    }
    writeln!(out, "  the customer reads")?;
    write_messages(out, &code.messages)?;
    line(out, "can call", &code.contact)?;
    line(out, "operator", &code.operator_note)?;
    if let Some(note) = code.note {
        line(out, "note", note)?;
    }
    line(
        out,
        "source",
        &format!("{}, confidence {}", code.source, code.confidence),
    )
}

fn line(out: &mut impl Write, name: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {name:<9} {text}")
}

fn write_step(out: &mut impl Write, step: &Step) -> io::Result<()> {
    writeln!(out, "    {}", step.situation)?;
    writeln!(out, "      {}: {}", step.action, step.how)
}

fn write_messages(out: &mut impl Write, messages: &[Message]) -> io::Result<()> {
    for message in messages {
        writeln!(out, "    {:<6} {}", message.locale, message.whole())?;
    }
    Ok(())
}

/// Writes what there is to say of a reason.
pub(super) fn write_reason(out: &mut impl Write, reason: &ReasonExplanation<'_>) -> io::Result<()> {
    writeln!(out, "{}: {}", reason.reason, reason.meaning)?;
    writeln!(out, "  the customer reads")?;
    write_messages(out, &reason.messages)?;
    let said = |flag: bool| if flag { "yes" } else { "no" };
    line(out, "contact", said(reason.show_contact))?;
    line(
        out,
        "again",
        &format!(
            "offer the same card once more: {}",
            said(reason.offer_retry_same_instrument)
        ),
    )?;
    line(
        out,
        "notice",
        &format!(
            "tell the customer afterwards: {}",
            said(reason.notify_customer_afterwards)
        ),
    )?;
    let total: usize = reason.codes.iter().map(|codes| codes.codes.len()).sum();
    writeln!(out, "  {total} codes")?;
    for codes in &reason.codes {
        writeln!(out, "    {:<16} {}", codes.provider, codes.codes.join(", "))?;
    }
    Ok(())
}

/// Writes the codes of a provider, a line each.
pub(super) fn write_provider(out: &mut impl Write, provider: &ProviderExplanation<'_>) -> io::Result<()> {
    writeln!(out, "{}: {} codes", provider.provider, provider.codes.len())?;
    for code in &provider.codes {
        let (name, meaning) = (code.code, code.meaning);
        writeln!(
            out,
            "  {name:<24} {:<24} {:<13} {meaning}",
            code.reason, code.certainty
        )?;
    }
    Ok(())
}

/// Writes what comes near to a name that means nothing, and what the router does with a code that is not listed.
pub(super) fn write_near(out: &mut impl Write, near: &Near<'_>) -> io::Result<()> {
    if !near.near.is_empty() {
        writeln!(out, "did you mean: {}", near.near.join(", "))?;
    }
    if let Some(provider) = near.provider {
        writeln!(
            out,
            "a code of {provider} that is not listed may have been charged: the result is asked for before anything else"
        )?;
    }
    Ok(())
}
