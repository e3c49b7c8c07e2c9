//! Card numbers are refused in what comes beside a call, too: its metadata.

use domain::card_number;
use proto::violation::Violations;
use tonic::Status;
use tonic::metadata::{KeyAndValueRef, MetadataMap};

/// Refuses metadata that holds a card number, in a key or in a value. It is named by its key at most, never repeated.
pub(crate) fn refuse_card_numbers(metadata: &MetadataMap) -> Result<(), Status> {
    for pair in metadata.iter() {
        // Binary values are ours or tracing's, and no text.
        let KeyAndValueRef::Ascii(key, value) = pair else {
            continue;
        };
        let value = value.to_str().unwrap_or_default();
        if let Some(field) = card_number::in_header("metadata", key.as_str(), value) {
            return Err(Status::from(&Violations::one(&field, card_number::REFUSED)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f45_a_card_number_beside_a_call_is_refused_and_not_repeated() {
        let mut metadata = MetadataMap::new();
        metadata.insert("x-order", "4111 1111 1111 1111".parse().unwrap());
        let told = format!("{:?}", refuse_card_numbers(&metadata).unwrap_err());
        assert!(told.contains("x-order") && !told.contains("4111"), "{told}");
    }
}
