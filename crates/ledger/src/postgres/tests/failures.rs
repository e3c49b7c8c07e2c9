//! Which of the server's answers mean what.

use sqlx::AssertSqlSafe;

use super::*;

/// What the ledger makes of an error with the server's code `code`.
async fn setback(ledger: &PostgresLedger, code: &str) -> Setback {
    let raise = format!("do $$ begin raise exception using errcode = '{code}', message = 'as asked'; end $$");
    let error = sqlx::raw_sql(AssertSqlSafe(raise))
        .execute(&ledger.pool)
        .await
        .unwrap_err();
    ledger.failure.setback("be tested", error)
}

#[tokio::test]
async fn a_lost_race_and_a_missing_day_are_tried_again() {
    let ledger = open(&database().await).await;
    for code in ["40001", "40P01", "23514"] {
        let setback = setback(&ledger, code).await;
        assert!(matches!(setback, Setback::Again(_)), "{code}: {setback:?}");
    }
}

#[tokio::test]
async fn a_store_in_trouble_is_told_from_a_batch_that_cannot_be_stored() {
    let ledger = open(&database().await).await;
    for (code, failing) in [
        ("08006", true),
        ("25006", true),
        ("28P01", true),
        ("42P01", true),
        ("53100", true),
        ("53300", true),
        ("55P03", true),
        ("57014", true),
        ("57P01", true),
        ("58030", true),
        ("22021", false),
        ("22008", false),
        ("23502", false),
        ("23505", false),
    ] {
        let Setback::Final(error) = setback(&ledger, code).await else {
            panic!("{code} is not tried again");
        };
        assert_eq!(error.is_failing_store(), failing, "{code}: {error:?}");
        assert_eq!(
            code == "53100",
            matches!(error, LedgerError::Full { .. }),
            "{code}"
        );
    }
}
