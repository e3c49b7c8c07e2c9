-- Attempts whose money is not settled: what is done about each, and when it is next looked at.

-- One row for an attempt from when it is open until it is settled and that was told. A case keeps its attempt's day.
create table compensation_case (
    merchant_id text collate "C" not null,
    attempt_id text collate "C" not null,
    payment_id text collate "C" not null,
    channel_id text collate "C" not null,
    -- The attempt's.
    received_at timestamptz not null,
    cause text not null,
    state text collate "C" not null,
    opened_at timestamptz not null,
    -- Since when the attempt has been in its state.
    since_at timestamptz not null,
    -- What was asked for last in this state, how often, and when.
    asked text,
    asked_times bigint not null default 0,
    asked_at timestamptz,
    told boolean not null default false,
    -- How often anything was asked for.
    ask_count bigint not null default 0,
    -- When to look at it; empty while it waits for a person.
    due_at timestamptz,
    -- The request that is out; its name stays the same however often it is handed out.
    request_id uuid,
    -- Until when somebody who listens has it.
    handed_until timestamptz,
    leased_by uuid,
    leased_until timestamptz,
    primary key (merchant_id, attempt_id)
-- Rows come, change some times and go.
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

create index compensation_case_due on compensation_case (due_at) where due_at is not null;
create index compensation_case_requested on compensation_case (asked_at) where request_id is not null;
create index compensation_case_by_age on compensation_case (opened_at, merchant_id, attempt_id);

-- Finds an open attempt that has no case, as an earlier release leaves it.
create index attempt_open on attempt (received_at)
    where state in ('awaiting_customer', 'unknown', 'reversal_pending', 'needs_review', 'late_success',
        'refund_pending', 'refund_needs_review');
