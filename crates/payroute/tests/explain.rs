//! `payroute explain`, as an operator runs it.

#![cfg(test)]

use std::process::{Command, Output};

fn explain(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_payroute"));
    command.env_clear().arg("explain").args(arguments);
    command.output().expect("payroute runs")
}

fn printed(arguments: &[&str]) -> String {
    let output = explain(arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn refused(arguments: &[&str]) -> (String, String) {
    let output = explain(arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(output.stdout), text(output.stderr))
}

#[test]
fn a_bare_code_is_explained_wherever_it_is_listed() {
    insta::assert_snapshot!(printed(&["51"]));
}

#[test]
fn an_unknown_outcome_is_queried_as_the_provider_wants_it() {
    insta::assert_snapshot!(printed(&["alipay", "ACQ.SYSTEM_ERROR"]));
}

#[test]
fn a_transient_fault_is_retried_once() {
    insta::assert_snapshot!(printed(&["wechatpay_v3", "ORDER_CLOSED"]));
}

#[test]
fn a_reason_is_explained_with_its_codes() {
    insta::assert_snapshot!(printed(&["insufficient_funds"]));
}

#[test]
fn a_code_is_explained_as_json() {
    insta::assert_snapshot!(printed(&["visa", "51", "--json"]));
}

#[test]
fn a_provider_is_listed() {
    let listed = printed(&["wechatpay_query"]);
    assert_eq!(listed.lines().next(), Some("wechatpay_query: 6 codes"));
    assert_eq!(listed.lines().count(), 7);
}

#[test]
fn case_does_not_matter_where_nothing_is_spelled_so() {
    assert!(printed(&["acq.system_error"]).starts_with("alipay ACQ.SYSTEM_ERROR: "));
}

#[test]
fn an_unknown_code_gets_its_neighbours_and_what_the_router_does_with_it() {
    let (out, err) = refused(&["alipay", "ACQ.SYSTEM_EROR"]);
    assert_eq!(
        out,
        "did you mean: ACQ.SYSTEM_ERROR\n\
         a code of alipay that is not listed may have been charged: the result is asked for before anything else\n"
    );
    assert_eq!(err, "payroute: alipay ACQ.SYSTEM_EROR is not in the catalogue\n");
    let (out, _) = refused(&["alypay", "ACQ.SYSTEM_ERROR"]);
    assert_eq!(out, "did you mean: alipay\n");
    let (out, _) = refused(&["insufficent_funds"]);
    assert!(out.starts_with("did you mean: insufficient_funds"), "{out}");
}

#[test]
fn a_document_of_ones_own_is_heeded_and_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("own.yaml");
    let file = path.to_str().expect("text");
    let own = "version: 1\ncodes:\n  - {provider: unionpay, code: '03', note: ask Lin}\n";
    std::fs::write(&path, own).expect("written");
    assert!(printed(&["unionpay", "03", "--catalogue", file]).contains("note      ask Lin"));
    std::fs::write(&path, own.replace("note: ask Lin", "advice: switch_channel")).expect("written");
    let (_, err) = refused(&["unionpay", "03", "--catalogue", file]);
    assert!(
        err.contains("own.yaml:3:5: codes[0]: advice `switch_channel` would charge twice"),
        "{err}"
    );
}
