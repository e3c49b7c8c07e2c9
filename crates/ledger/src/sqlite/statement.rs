//! Reads columns into domain types; every failure names its table and column.

use std::fmt::Display;

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};

use crate::error::LedgerError;

/// Numbers of rows in one statement. Not more than 64, because longer ones get slow, measured past about a hundred; and
/// few, so that each statement is prepared once and stays in the connection's cache. Powers of two, because every
/// further statement of a transaction is a round trip to the connection's thread.
const STATEMENT_ROWS: [usize; 7] = [64, 32, 16, 8, 4, 2, 1];

/// Cuts `rows` into pieces of those sizes, one piece for each statement.
pub(super) fn statements<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = STATEMENT_ROWS.into_iter().find(|size| *size <= rows.len())?;
        let (piece, rest) = rows.split_at_checked(size)?;
        rows = rest;
        Some(piece)
    })
}

/// Cuts `rows` into as few pieces as can be, for statements to which a row twice does no harm: the last piece is filled
/// up to one of those sizes by repeating its last row.
pub(super) fn filled_statements<T>(mut rows: &[T]) -> impl Iterator<Item = Vec<&T>> {
    std::iter::from_fn(move || {
        let fits = STATEMENT_ROWS.into_iter().rev().find(|size| *size >= rows.len());
        let size = fits.or(STATEMENT_ROWS.first().copied())?;
        let (piece, rest) = rows.split_at_checked(size).unwrap_or((rows, &[]));
        rows = rest;
        let last = piece.last()?;
        Some(piece.iter().chain(std::iter::repeat(last)).take(size).collect())
    })
}

/// A row of a known table.
pub(super) struct Columns<'r> {
    table: &'static str,
    row: &'r SqliteRow,
}

impl<'r> Columns<'r> {
    /// The columns of `row`, which comes from `table`.
    pub(super) fn of(table: &'static str, row: &'r SqliteRow) -> Self {
        Self { table, row }
    }

    /// The value of column `field` as SQLite's type.
    pub(super) fn get<T>(&self, field: &'static str) -> Result<T, LedgerError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.row
            .try_get(field)
            .map_err(|error| self.corrupt(field, error))
    }

    /// The value of column `field`, passed through `convert`.
    pub(super) fn map<T, U, E: Display>(
        &self,
        field: &'static str,
        convert: impl FnOnce(T) -> Result<U, E>,
    ) -> Result<U, LedgerError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        convert(self.get(field)?).map_err(|error| self.corrupt(field, error))
    }

    /// The text in column `field`, passed through `convert`.
    pub(super) fn parse<U, E: Display>(
        &self,
        field: &'static str,
        convert: impl FnOnce(&'r str) -> Result<U, E>,
    ) -> Result<U, LedgerError> {
        self.map(field, convert)
    }

    /// The text in column `field`, passed through `convert` when there is one.
    pub(super) fn parse_some<U, E: Display>(
        &self,
        field: &'static str,
        convert: impl FnOnce(&'r str) -> Result<U, E>,
    ) -> Result<Option<U>, LedgerError> {
        self.get::<Option<&'r str>>(field)?
            .map(convert)
            .transpose()
            .map_err(|error| self.corrupt(field, error))
    }

    /// The time in column `field`, which holds microseconds.
    pub(super) fn time(&self, field: &'static str) -> Result<Timestamp, LedgerError> {
        self.map(field, Timestamp::from_microsecond)
    }

    /// The error that column `field` holds something else than it should.
    pub(super) fn corrupt(&self, field: &'static str, problem: impl Display) -> LedgerError {
        LedgerError::Corrupt {
            table: self.table,
            field,
            problem: problem.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn statements_hold_every_row_once_and_in_order(count in 0_usize..400) {
            let rows: Vec<usize> = (0..count).collect();
            let pieces: Vec<&[usize]> = statements(&rows).collect();
            prop_assert!(pieces.iter().all(|piece| STATEMENT_ROWS.contains(&piece.len())));
            prop_assert_eq!(pieces.concat(), rows);
        }

        #[test]
        fn filled_statements_hold_every_row_and_are_as_few_as_can_be(count in 0_usize..400) {
            let rows: Vec<usize> = (0..count).collect();
            let pieces: Vec<Vec<&usize>> = filled_statements(&rows).collect();
            prop_assert!(pieces.iter().all(|piece| STATEMENT_ROWS.contains(&piece.len())));
            prop_assert_eq!(pieces.len(), count.div_ceil(64));
            let mut held: Vec<usize> = pieces.concat().into_iter().copied().collect();
            held.dedup();
            prop_assert_eq!(held, rows);
        }
    }
}
