-- The guard: at most one attempt of a payment can be in a state that may charge, over all routers.

-- Which submit of a guarded attempt it was, and the caller's fingerprint of the credential; null for the others.
alter table attempt add column submit text;
alter table attempt add column credential text collate "C";

create index attempt_by_credential on attempt (merchant_id, credential, received_at) where credential is not null;

-- One row for each guarded payment. Its lock is the guard: whoever registers or settles an attempt takes it first.
create table guarded_payment (
    merchant_id text collate "C" not null,
    payment_id text collate "C" not null,
    amount_minor bigint not null,
    currency text not null,
    -- Whether the order still wants money.
    order_state text not null,
    -- The attempt that satisfied it first; both null while none has.
    satisfied_by_no bigint,
    satisfied_by_submit text,
    registered_at timestamptz not null,
    primary key (merchant_id, payment_id)
-- Each is locked and changed a few times: with room on its page a change needs no new entry in an index.
) with (fillfactor = 80);

-- Serves the housekeeping. Never changed afterwards.
create index guarded_payment_by_registered_at on guarded_payment (registered_at);

-- One row for each submit that was registered, before its first byte left.
create table guarded_attempt (
    merchant_id text collate "C" not null,
    payment_id text collate "C" not null,
    attempt_no bigint not null,
    submit text collate "C" not null,
    channel_id text collate "C" not null,
    state text collate "C" not null,
    -- Whose registration it is: only who asks by the same name is given it again.
    request_id text collate "C",
    -- What the decision's token says, to be sealed again.
    decision bytea not null,
    registered_at timestamptz not null,
    -- When it should have been reported.
    due_at timestamptz not null,
    primary key (merchant_id, payment_id, attempt_no, submit)
);

create index guarded_attempt_unreported on guarded_attempt (due_at) where state = 'submitted';
