//! The wire contract as Rust, and the one place where wire becomes domain (and is validated) and back.
//!
//! Requests are read field by field by [`fields::Reader`], which collects every violation: a caller learns of all
//! its mistakes at once. What leaves this crate is valid by its types.

mod contact;
pub mod fields;
pub mod outcome;
pub mod outcome_event;
pub mod resolve;
pub mod route;
pub mod time;
pub mod violation;

/// The contract of `proto/payroute/v1`, generated.
#[expect(
    missing_docs,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated from the commented contract in proto/"
)]
pub mod v1 {
    tonic::include_proto!("payroute.v1");
}

/// What tokens, receipts and the outcome stream carry: not part of the contract, nobody else reads them.
#[expect(missing_docs, reason = "generated from the commented contract in proto/")]
pub mod claims {
    tonic::include_proto!("payroute.internal.v1");
}

/// The contract as a descriptor set, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/payroute.v1.bin"));
