-- The ledger of the embedded mode: what was decided, what came of it, and how that changed later.
--
-- Times are microseconds since 1970-01-01T00:00:00Z: whole numbers order and index exactly, and a Postgres
-- timestamptz holds just as much. Amounts are minor units of the currency. Words (state, reason, class ...) are the
-- snake-case names of the domain.

-- "PYRT": tells our file from any other SQLite file.
pragma application_id = 1348031060;

create table decision (
    decision_id text primary key not null,
    merchant_id text not null,
    payment_id text not null,
    attempt_no integer not null,
    action text not null,
    channel_id text,
    account_id text,
    policy_version text not null,
    matched_rule text,
    strategy text not null,
    exploration text not null,
    propensity real,
    panic integer not null,
    attributes text not null,
    excluded text not null,
    decided_at_us integer not null
) strict;

create index decision_by_payment on decision (merchant_id, payment_id);

create table attempt (
    seq integer primary key,
    merchant_id text not null,
    attempt_id text not null,
    payment_id text not null,
    attempt_no integer not null,
    decision_id text not null,
    channel_id text not null,
    account_id text,
    method text not null,
    issuer text,
    region text,
    -- Follows from amount and currency; kept so that reports in SQL need not know the bounds.
    band integer not null,
    amount_minor integer not null,
    currency text not null,
    result text not null,
    provider text not null,
    code text,
    sub_code text,
    http_status integer,
    transport_event text,
    message text,
    provider_reference text,
    network_advice_code text,
    reason text,
    certainty text not null,
    class text,
    state text not null,
    decided_at_us integer not null,
    trace_id text,
    started_at_us integer not null,
    received_at_us integer not null,
    latency_ms integer not null,
    digest blob not null,
    unique (merchant_id, attempt_id)
) strict;

create index attempt_by_payment on attempt (merchant_id, payment_id);

-- Serves the rebuild of the windows, which reads outcomes only.
create index attempt_by_received_at on attempt (received_at_us) where class is not null;

create table attempt_transition (
    seq integer primary key,
    merchant_id text not null,
    attempt_id text not null,
    from_state text not null,
    to_state text not null,
    source text not null,
    content text not null,
    changed_at_us integer not null
) strict;

create index attempt_transition_by_attempt on attempt_transition (merchant_id, attempt_id);
