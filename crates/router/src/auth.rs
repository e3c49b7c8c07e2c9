//! Who may call: the guard as it stands before gRPC.

use access::{Guard, Refused, Scope};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::headers::refuse_card_numbers;

/// Lets a call pass that may [`Scope::Call`] and brings no card number beside it, and says who calls.
#[derive(Clone, Debug)]
pub(crate) struct Doorman(pub(crate) Guard);

impl Interceptor for Doorman {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        refuse_card_numbers(request.metadata())?;
        let header = request.metadata().get("authorization");
        let header = header.and_then(|header| header.to_str().ok());
        let caller = self
            .0
            .admit(header, Scope::Call)
            .map_err(|refused| match refused {
                Refused::Unknown => Status::unauthenticated(refused.to_string()),
                Refused::Scope(_) => Status::permission_denied(refused.to_string()),
            })?;
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use access::{Caller, Tokens};
    use tonic::Code;

    use super::*;

    fn call(scope: Scope, header: Option<&str>) -> Result<Option<Caller>, Code> {
        let tokens = Tokens::parse(&Tokens::line("checkout", "s3cret", &[scope])).unwrap();
        let mut request = Request::new(());
        if let Some(header) = header {
            let value = header.parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        Doorman(Guard::new(Some(tokens)))
            .call(request)
            .map(|request| request.extensions().get().cloned())
            .map_err(|status| status.code())
    }

    #[test]
    fn a_caller_passes_with_its_name() {
        let name = "checkout".into();
        assert_eq!(
            call(Scope::Call, Some("Bearer s3cret")),
            Ok(Some(Caller { name }))
        );
    }

    #[test]
    fn who_shows_no_token_is_unauthenticated_and_who_may_not_call_is_denied() {
        assert_eq!(call(Scope::Call, None), Err(Code::Unauthenticated));
        assert_eq!(
            call(Scope::Operate, Some("Bearer s3cret")),
            Err(Code::PermissionDenied)
        );
    }
}
