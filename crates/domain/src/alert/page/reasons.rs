//! The reasons of failures in words for the people on call. What customers read is another text: it hides what they
//! must not learn, and says what they can do.

use super::Locale;
use crate::catalogue::Reason;

/// What `reason` means, in a few words.
#[must_use]
pub const fn in_words(reason: Reason, locale: Locale) -> &'static str {
    let (en, zh) = both(reason);
    match locale {
        Locale::En => en,
        Locale::ZhCn => zh,
    }
}

const fn both(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::ProviderUnavailable => ("the channel cannot take payments", "渠道不可用"),
        Reason::ProviderTimeout => ("no usable answer, may have charged", "渠道超时，可能已扣款"),
        Reason::IssuerUnavailable => ("the customer's bank does not answer", "发卡行无响应"),
        Reason::RateLimited => ("too many calls", "请求过于频繁"),
        Reason::PaymentInProgress => ("waits for the customer or the bank", "支付处理中"),
        Reason::InsufficientFunds => ("balance too low", "余额不足"),
        Reason::LimitExceeded => ("over a limit of the customer", "超出客户限额"),
        Reason::CreditUnavailable => ("no instalments or credit", "分期或信用支付不可用"),
        Reason::CardExpired => ("card expired", "卡已过期"),
        Reason::DetailsIncorrect => ("details do not match", "支付信息有误"),
        Reason::SecurityCodeIncorrect => ("wrong security code", "安全码错误"),
        Reason::PinIncorrect => ("wrong PIN or password", "密码错误"),
        Reason::AttemptsExceeded => ("too many tries, locked", "尝试次数过多，已锁定"),
        Reason::AuthenticationRequired => ("the bank wants the customer verified", "需要身份验证"),
        Reason::AuthenticationFailed => ("identity check not passed", "身份验证失败"),
        Reason::PaymentCodeExpired => ("payment code expired", "付款码已失效"),
        Reason::CustomerCancelled => ("cancelled by the customer", "客户取消"),
        Reason::CustomerTimeout => ("not paid in time", "客户未及时支付"),
        Reason::MethodNotSupported => ("method not usable here", "支付方式不支持"),
        Reason::AccountRestricted => ("card or account restricted", "账户或卡受限"),
        Reason::LostOrStolen => ("card lost or stolen", "卡已挂失"),
        Reason::RiskDeclined => ("refused by a risk check", "风控拒绝"),
        Reason::ComplianceRestricted => ("not allowed here", "合规限制"),
        Reason::DeclinedGeneric => ("refused without a reason", "拒绝，未说明原因"),
        Reason::AuthorisationRevoked => ("agreement ended", "签约已解除"),
        Reason::MerchantConfiguration => ("the merchant's account or keys are wrong", "商户配置有误"),
        Reason::MerchantLimitExceeded => ("over a limit of the merchant", "超出商户限额"),
        Reason::InvalidRequest => ("malformed request", "请求格式有误"),
        Reason::OrderConflict => ("order number used before", "订单号冲突"),
        Reason::AlreadyPaid => ("may already be paid", "订单可能已支付"),
        Reason::Unclassified => ("a code that is not listed", "未收录的错误码"),
    }
}
