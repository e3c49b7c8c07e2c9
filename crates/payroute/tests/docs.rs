//! The documentation against the program: tables that the program knows better, commands, and links.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use domain::catalogue::{Catalogue, Certainty, Reason};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn payroute(arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_payroute"));
    command
        .env_clear()
        .current_dir(root())
        .args(arguments)
        .output()
        .unwrap()
}

fn stdout(arguments: &[&str]) -> String {
    let output = payroute(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The rows of the table under `head` on a page, without their trailing newline.
fn rows<'p>(page: &'p str, head: &str) -> Vec<&'p str> {
    let after = page
        .split_once(head)
        .unwrap_or_else(|| panic!("no table has the head {head}"))
        .1;
    after
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect()
}

fn assert_rows(page: &str, head: &str, expected: &[String]) {
    let text = read(page);
    let shown = rows(&text, head);
    assert!(
        shown.iter().copied().eq(expected.iter().map(String::as_str)),
        "the table in {page} should be:\n{head}\n{}",
        expected.join("\n")
    );
}

/// A setting as `payroute config keys` lists it.
struct Setting {
    path: String,
    default: String,
    about: String,
    variable: String,
    flag: String,
}

fn settings() -> Vec<Setting> {
    let listed = stdout(&["config", "keys"]);
    let lines: Vec<&str> = listed.lines().map(str::trim).collect();
    let setting = |three: &[&str]| {
        let (path, default) = three[0].split_once(" (default ").unwrap();
        let (variable, flag) = three[2].split_once(", ").unwrap();
        Setting {
            path: path.to_owned(),
            default: default.trim_end_matches(')').to_owned(),
            about: three[1].to_owned(),
            variable: variable.to_owned(),
            flag: flag.to_owned(),
        }
    };
    lines.chunks_exact(3).map(setting).collect()
}

#[test]
fn the_table_of_settings_is_the_list_of_the_program() {
    let row = |setting: &Setting| {
        let Setting {
            path,
            default,
            about,
            variable,
            flag,
        } = setting;
        format!("| `{path}` | `{default}` | {about} | `{variable}` | `{flag}` |")
    };
    let head = "| key | default | what it is | environment | flag |";
    let expected: Vec<String> = settings().iter().map(row).collect();
    assert!(expected.len() >= 14, "{expected:?}");
    assert_rows("docs/configuration.md", head, &expected);
}

#[test]
fn the_settings_file_holds_every_key_with_its_default() {
    let file: serde_json::Value = serde_saphyr::from_str(&read("config/payroute.yaml")).unwrap();
    for setting in settings() {
        let pointer = format!("/{}", setting.path.replace('.', "/"));
        let given = file.pointer(&pointer).map(ToString::to_string);
        assert_eq!(
            given.as_deref(),
            Some(setting.default.as_str()),
            "{}",
            setting.path
        );
    }
}

/// Documents with one unknown key in every table, which the loaders answer with the keys they know.
const CHANNELS: &str = "\
zzzzzzzz: 0
channels:
  - zzzzzzzz: 0
    id: a
    provider: alipay
    methods: [alipay]
    currencies: [CNY]
    timeout_ms: 1000
    cost: {zzzzzzzz: 0}
    capabilities: {zzzzzzzz: 0}
    accounts: [{zzzzzzzz: 0, id: main}]
suspensions: [{zzzzzzzz: 0}]
limits: [{zzzzzzzz: 0, id: l, count: 1, window_secs: 60}, {id: m, sum_minor: {zzzzzzzz: 0}, window_secs: 60}]
";
const POLICY: &str = "\
zzzzzzzz: 0
version: 1
name: n
timezone: UTC
rules:
  - zzzzzzzz: 0
    name: r
    when:
      zzzzzzzz: 0
      bin: {zzzzzzzz: 0}
      amount_minor: {zzzzzzzz: 0}
      risk_score: {zzzzzzzz: 0}
      segments: {zzzzzzzz: 0}
      time: {zzzzzzzz: 0}
    then: {zzzzzzzz: 0, adaptive: {zzzzzzzz: 0}, offer: [{zzzzzzzz: 0}]}
default: {adaptive: {}}
breaker: {zzzzzzzz: 0, timeouts: {zzzzzzzz: 0}, error_rate: {zzzzzzzz: 0}, codes: {zzzzzzzz: 0}}
tests: [{zzzzzzzz: 0, payment: {zzzzzzzz: 0}, expect: {zzzzzzzz: 0}}]
";

/// The keys that `payroute config check` knows in the tables of these documents.
fn known_keys(channels: &str, policy: &str) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("payroute.yaml"), "").unwrap();
    fs::write(folder.path().join("channels.yaml"), channels).unwrap();
    fs::write(folder.path().join("policy.yaml"), policy).unwrap();
    let output = payroute(&["config", "check", "--config", folder.path().to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    let unknown = channels.matches("zzzzzzzz").count() + policy.matches("zzzzzzzz").count();
    assert_eq!(said.matches("expected one of: ").count(), unknown, "{said}");
    said.lines()
        .filter_map(|line| line.split_once("expected one of: "))
        .flat_map(|(_, keys)| keys.split(", ").map(str::to_owned))
        .collect()
}

#[test]
fn every_key_of_channels_and_policy_is_documented() {
    let good_channels = CHANNELS
        .replace("zzzzzzzz: 0, ", "")
        .replace("{zzzzzzzz: 0}", "{}");
    let good_channels: String = good_channels
        .replace("- zzzzzzzz: 0\n    id", "- id")
        .lines()
        .filter(|line| {
            !line.starts_with("zzzz") && !line.starts_with("limits") && !line.starts_with("suspensions")
        })
        .fold(String::new(), |text, line| text + line + "\n");
    let mut known = known_keys(CHANNELS, "");
    known.extend(known_keys(&good_channels, POLICY));
    assert!(known.len() > 80, "{known:?}");
    let pages = read("docs/configuration.md") + &read("docs/policy.md");
    let missing: Vec<_> = known
        .iter()
        .filter(|key| !pages.contains(&format!("`{key}`")) && !pages.contains(&format!(".{key}`")))
        .collect();
    assert!(missing.is_empty(), "not in docs/: {missing:?}");
}

#[test]
fn the_policies_of_the_policy_page_are_good() {
    let page = read("docs/policy.md");
    let documents = page.split("```yaml\n").skip(1);
    let documents: Vec<&str> = documents
        .map(|rest| rest.split("```").next().unwrap())
        .filter(|text| text.starts_with("version:"))
        .collect();
    assert!(!documents.is_empty());
    for document in documents {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("payroute.yaml"), "").unwrap();
        fs::copy(
            root().join("config/channels.yaml"),
            folder.path().join("channels.yaml"),
        )
        .unwrap();
        fs::write(folder.path().join("policy.yaml"), document).unwrap();
        stdout(&["config", "check", "--config", folder.path().to_str().unwrap()]);
    }
}

#[test]
fn the_rules_of_the_page_of_alerts_are_good_and_its_tests_pass() {
    let page = read("docs/alerts.md");
    let documents = page.split("```yaml\n").skip(1);
    let documents: Vec<&str> = documents.map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(documents.len(), 3);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts.yaml");
    for document in documents {
        fs::write(&file, document).unwrap();
        let file = file.to_str().unwrap();
        stdout(&["alerts", "check", file]);
        if document.contains("\ntests:") {
            stdout(&["alerts", "test", file]);
        }
    }
}

#[test]
fn the_table_of_reasons_is_that_of_the_catalogue() {
    let catalogue = Catalogue::built_in().unwrap();
    let row = |reason: Reason| {
        let certainty = if reason.speaks_of_an_open_result() {
            Certainty::Unknown
        } else {
            Certainty::Declined
        };
        let (what, todo) = catalogue.text(reason, certainty, "en");
        let codes = catalogue
            .codes()
            .iter()
            .filter(|code| code.reason == reason)
            .count();
        format!("| `{}` | {codes} | {what} | {todo} |", reason.as_str())
    };
    let head = "| reason | codes | the customer reads | and is told to |";
    assert_rows("docs/failures.md", head, &Reason::ALL.map(row));
}

#[test]
fn the_providers_on_the_page_of_failures_are_those_of_the_catalogue() {
    let catalogue = Catalogue::built_in().unwrap();
    let providers: BTreeSet<&str> = catalogue.codes().iter().map(|code| &*code.provider).collect();
    let page = read("docs/failures.md");
    let shown: BTreeSet<&str> = rows(&page, "| provider | whose codes |")
        .iter()
        .filter_map(|row| row.split('`').nth(1))
        .collect();
    assert_eq!(shown, providers);
}

#[test]
fn the_documents_of_the_page_of_failures_are_good() {
    let page = read("docs/failures.md");
    let documents = page.split("```yaml\n").skip(1);
    let documents: Vec<&str> = documents.map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!documents.is_empty());
    for document in documents {
        let folder = tempfile::tempdir().unwrap();
        for file in ["payroute.yaml", "channels.yaml", "policy.yaml"] {
            fs::copy(root().join("config").join(file), folder.path().join(file)).unwrap();
        }
        fs::create_dir(folder.path().join("catalogue")).unwrap();
        fs::write(folder.path().join("catalogue/own.yaml"), document).unwrap();
        stdout(&["config", "check", "--config", folder.path().to_str().unwrap()]);
    }
}

#[test]
fn the_page_of_codes_is_what_the_program_prints() {
    let printed = stdout(&["explain", "--markdown"]);
    assert!(
        printed == read("docs/codes.md"),
        "docs/codes.md is out of date: payroute explain --markdown > docs/codes.md"
    );
}

/// The pages that show commands.
const PAGES: [&str; 8] = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/configuration.md",
    "docs/failures.md",
    "docs/alerts.md",
    "docs/runbooks.md",
    "docs/policy.md",
];

/// Every `payroute ...` command of a page, from the code blocks and from the text, without its first word.
fn commands(page: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut add = |text: &str| {
        let text = text.replace("cargo run --release --", "payroute");
        let words: Vec<&str> = text.split_whitespace().collect();
        if let [first, rest @ ..] = words.as_slice()
            && (*first == "payroute" || first.ends_with("/payroute"))
            && !rest.is_empty()
        {
            let to_pipe = rest.iter().take_while(|word| !["|", ">", "&"].contains(*word));
            found.push(to_pipe.map(|word| (*word).to_owned()).collect());
        }
    };
    for (number, block) in page.split("```").enumerate() {
        if number % 2 == 1 {
            let joined = block.replace("\\\n", " ");
            joined
                .lines()
                .filter_map(|line| line.strip_prefix("$ "))
                .for_each(&mut add);
        } else {
            block.split('`').skip(1).step_by(2).for_each(&mut add);
        }
    }
    found
}

#[test]
fn the_commands_on_the_pages_exist_with_their_flags() {
    let mut seen = 0;
    for page in PAGES {
        for command in commands(&read(page)) {
            let named = command.iter().take_while(|word| {
                word.starts_with(|c: char| c.is_ascii_lowercase()) && !word.contains(['_', '.', '/'])
            });
            // Up to two words are commands, the rest are arguments; a first word that takes none is enough.
            let named: Vec<&str> = named.map(String::as_str).take(2).collect();
            let help = |words: &[&str]| {
                let output = payroute(&[words, &["--help"]].concat());
                output
                    .status
                    .success()
                    .then(|| String::from_utf8(output.stdout).unwrap())
            };
            let help = help(&named).unwrap_or_else(|| panic!("{page}: payroute {}", command.join(" ")));
            for flag in command.iter().filter(|word| word.starts_with("--")) {
                let flag = flag.split('=').next().unwrap();
                assert!(
                    help.contains(flag) || help.contains("[aliases: --insecure]") && flag == "--insecure",
                    "{page}: {flag} of payroute {}",
                    command.join(" ")
                );
            }
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} commands were found");
}

/// A heading as the anchor that GitHub gives it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().replace(' ', "-")
}

#[test]
fn the_links_between_pages_lead_somewhere() {
    for page in PAGES.into_iter().chain([
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "docs/codes.md",
        "docs/errors.md",
    ]) {
        let folder = root().join(page).parent().unwrap().to_owned();
        let text = read(page);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http")) {
            let (file, place) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() {
                root().join(page)
            } else {
                folder.join(file)
            };
            assert!(file.exists(), "{page}: {target}");
            if !place.is_empty() {
                let linked = fs::read_to_string(file).unwrap();
                let headings = linked.lines().filter(|line| line.starts_with('#'));
                assert!(
                    headings.map(anchor).any(|found| found == place),
                    "{page}: {target}"
                );
            }
        }
    }
}
