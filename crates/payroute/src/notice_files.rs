//! The file `notices.yaml`: which customers are told what, and by which receiver.

use std::path::Path;

use alerter::receivers::Receivers;
use anyhow::Context as _;
use delivery::receiver::Vendor;
use domain::notice::{Rules, Way};

/// The rules of the file in `folder`; `None` without such a file: nobody is told anything. The receivers it names are
/// looked up in `receivers` where these are known, as they are not to a router that sends nothing itself.
///
/// # Errors
/// When the file cannot be read, or something in it is wrong; with every place.
pub(crate) fn load(folder: &Path, receivers: Option<&Receivers>) -> anyhow::Result<Option<Rules>> {
    let path = folder.join("notices.yaml");
    if !path.exists() {
        return Ok(None);
    }
    let name = path.display().to_string();
    let text = std::fs::read_to_string(&path).with_context(|| name.clone())?;
    let fits = |way: Way, receiver: &str| receivers.map_or(Ok(()), |known| fits(known, way, receiver));
    let rules = Rules::load_for(&text, &name, &fits).map_err(|wrong| {
        let lines: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        anyhow::anyhow!(lines.join("\n"))
    })?;
    Ok(Some(rules))
}

/// Whether `receiver` is there and sends by `way`.
fn fits(receivers: &Receivers, way: Way, receiver: &str) -> Result<(), String> {
    let sender = receivers
        .sender(receiver)
        .ok_or_else(|| format!("there is no receiver `{receiver}`"))?;
    let wanted = match way {
        Way::Webhook => Vendor::Webhook,
        Way::Sms => Vendor::AliyunSms,
        Way::Wechat => Vendor::Wechat,
    };
    if sender.receiver().target.vendor() == wanted {
        Ok(())
    } else {
        Err(format!("receiver `{receiver}` does not send by `{way}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Files;

    const RECEIVERS: &str = "receivers:
  - {name: hook, to: {webhook: {url: 'https://shop.example/notices', keys: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}}}
";
    const RULES: &str = "version: 1
timezone: UTC
receivers: {webhook: hook}
rules: [{name: failed, events: [failed], send: [webhook], template: failed}]
templates: {failed: {webhook: {en: {fields: {text: '{what}'}}}}}
";

    fn loaded(rules: &str) -> Result<Option<Rules>, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("receivers.yaml"), RECEIVERS).unwrap();
        std::fs::write(folder.path().join("notices.yaml"), rules).unwrap();
        let receivers = crate::receiver_files::load(folder.path(), &Files::default()).unwrap();
        load(folder.path(), Some(&receivers)).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_file_nobody_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(load(folder.path(), None).unwrap().is_none());
        assert!(loaded(RULES).unwrap().is_some());
    }

    #[test]
    fn a_receiver_that_is_not_there_or_of_another_kind_is_named_with_its_line() {
        let wrong = loaded(&RULES.replace("webhook: hook", "webhook: hok")).unwrap_err();
        assert!(
            wrong.contains("notices.yaml:3:") && wrong.contains("there is no receiver `hok`"),
            "{wrong}"
        );
        let wrong = loaded(&RULES.replace("webhook: hook", "webhook: hook, sms: hook")).unwrap_err();
        assert!(
            wrong.contains("receivers.sms") && wrong.contains("does not send by `sms`"),
            "{wrong}"
        );
    }
}
