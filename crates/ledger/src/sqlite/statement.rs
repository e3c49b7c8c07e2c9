//! How many rows go into one statement, and how a row of its answer is read.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::row::Cells;

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

impl Cells for SqliteRow {
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
        self.try_get(field)
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
