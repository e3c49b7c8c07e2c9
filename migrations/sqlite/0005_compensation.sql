-- Attempts whose money is not settled: what is done about each, and when it is next looked at.

-- One row for an attempt from when it is open until it is settled and that was told.
create table compensation_case (
    merchant_id text not null,
    attempt_id text not null,
    payment_id text not null,
    channel_id text not null,
    -- The attempt's.
    received_at_us integer not null,
    cause text not null,
    state text not null,
    opened_at_us integer not null,
    -- Since when the attempt has been in its state.
    since_at_us integer not null,
    -- What was asked for last in this state, how often, and when.
    asked text,
    asked_times integer not null default 0,
    asked_at_us integer,
    told integer not null default 0,
    -- How often anything was asked for.
    ask_count integer not null default 0,
    -- When to look at it; empty while it waits for a person.
    due_at_us integer,
    -- The request that is out; its name stays the same however often it is handed out.
    request_id text,
    -- Until when somebody who listens has it.
    handed_until_us integer,
    leased_by text,
    leased_until_us integer,
    primary key (merchant_id, attempt_id)
) strict, without rowid;

create index compensation_case_due on compensation_case (due_at_us) where due_at_us is not null;
create index compensation_case_requested on compensation_case (asked_at_us) where request_id is not null;
create index compensation_case_by_age on compensation_case (opened_at_us, merchant_id, attempt_id);

-- Finds an open attempt that has no case, as an earlier release leaves it.
create index attempt_open on attempt (received_at_us)
    where state in ('awaiting_customer', 'unknown', 'reversal_pending', 'needs_review', 'late_success',
        'refund_pending', 'refund_needs_review');
