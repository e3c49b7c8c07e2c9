//! Card numbers are refused in what comes beside a call, too: its metadata ends up in traces and in the logs of others.

use domain::card_number;
use proto::violation::Violations;
use tonic::Status;
use tonic::metadata::{KeyAndValueRef, MetadataMap};

/// What is not looked at: secrets, which nobody reads, and what tracing makes of random numbers.
const EXEMPT: [&str; 4] = ["authorization", "traceparent", "tracestate", "baggage"];

/// Refuses metadata that holds a card number, in a key or in a value. It is named by its key at most, never repeated.
pub(crate) fn refuse_card_numbers(metadata: &MetadataMap) -> Result<(), Status> {
    for pair in metadata.iter() {
        // Binary values are ours or tracing's, and no text.
        let KeyAndValueRef::Ascii(key, value) = pair else {
            continue;
        };
        if EXEMPT.contains(&key.as_str()) {
            continue;
        }
        let field = if card_number::find(key.as_str()).is_some() {
            "a metadata key".to_owned()
        } else if value.to_str().is_ok_and(|text| card_number::find(text).is_some()) {
            format!("metadata `{key}`")
        } else {
            continue;
        };
        let problem = "holds what looks like a card number; card numbers are not accepted";
        return Err(Status::from(&Violations::one(&field, problem)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(key: &'static str, value: &str) -> Option<String> {
        let mut metadata = MetadataMap::new();
        metadata.insert(key, value.parse().unwrap());
        refuse_card_numbers(&metadata)
            .err()
            .map(|status| format!("{status:?}"))
    }

    #[test]
    fn f45_a_card_number_beside_a_call_is_refused_and_not_repeated() {
        let told = refused("x-order", "4111 1111 1111 1111").unwrap();
        assert!(told.contains("x-order") && !told.contains("4111"), "{told}");
        let told = refused("x-4111111111111111", "1").unwrap();
        assert!(!told.contains("4111"), "{told}");
    }

    #[test]
    fn other_metadata_passes() {
        assert_eq!(refused("x-order", "ord_2026_0001"), None);
        assert_eq!(refused("authorization", "Bearer 4111111111111111"), None);
        let parent = "00-41111111111111110000000000000000-00f067aa0ba902b7-01";
        assert_eq!(refused("traceparent", parent), None);
    }
}
