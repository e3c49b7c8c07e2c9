//! What of our values Postgres takes otherwise than the driver would send it.

use std::borrow::Cow;

use jiff::Timestamp;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgRow, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Row, Type};

use crate::row::Cells;

/// 2000-01-01T00:00:00Z, from which the server counts, in microseconds since the Unix epoch.
const EPOCH: i64 = 946_684_800_000_000;

/// The types `timestamptz` and `timestamptz[]`, whose numbers never change.
const TIMESTAMPTZ: Oid = Oid(1184);
const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);

/// Year 1, before which the server has other rules for dates than we do, in microseconds since the Unix epoch.
const EARLIEST: i64 = -62_135_596_800_000_000;

/// A point in time, in microseconds since the Unix epoch, as the server's `timestamptz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Micros(pub(super) i64);

impl From<Timestamp> for Micros {
    /// A time before the year 1, which only a broken clock can tell, becomes its beginning: one attempt with a silly
    /// time must not keep its whole batch from being written.
    fn from(at: Timestamp) -> Self {
        Self(at.as_microsecond().max(EARLIEST))
    }
}

impl Type<Postgres> for Micros {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl PgHasArrayType for Micros {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ_ARRAY)
    }
}

impl Encode<'_, Postgres> for Micros {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode(self.0.saturating_sub(EPOCH), buffer)
    }
}

impl Decode<'_, Postgres> for Micros {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => {
                let micros = <[u8; 8]>::try_from(value.as_bytes()?)?;
                Ok(Self(i64::from_be_bytes(micros).saturating_add(EPOCH)))
            }
            PgValueFormat::Text => Err("a time was not asked for as a prepared statement".into()),
        }
    }
}

/// `text` as the server can keep it: it knows no zero character, and a message that holds one must not keep the batch
/// that it is in from being written.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The same for a text that may be missing.
pub(super) fn text_some(some: Option<&String>) -> Option<Cow<'_, str>> {
    some.map(|some| text(some))
}

impl Cells for PgRow {
    fn text(&self, field: &'static str) -> Result<Option<&str>, sqlx::Error> {
        self.try_get(field)
    }

    fn whole(&self, field: &'static str) -> Result<Option<i64>, sqlx::Error> {
        self.try_get(field)
    }

    fn real(&self, field: &'static str) -> Result<Option<f64>, sqlx::Error> {
        self.try_get(field)
    }

    fn truth(&self, field: &'static str) -> Result<Option<bool>, sqlx::Error> {
        self.try_get(field)
    }

    fn bytes(&self, field: &'static str) -> Result<Option<&[u8]>, sqlx::Error> {
        self.try_get(field)
    }

    fn micros(&self, field: &'static str) -> Result<Option<i64>, sqlx::Error> {
        Ok(self.try_get::<Option<Micros>, _>(field)?.map(|micros| micros.0))
    }
}
