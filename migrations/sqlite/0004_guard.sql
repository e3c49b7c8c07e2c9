-- The guard: at most one attempt of a payment can be in a state that may charge.

-- Which submit of a guarded attempt it was, and the caller's fingerprint of the credential; null for the others.
alter table attempt add column submit text;
alter table attempt add column credential text;

create index attempt_by_credential on attempt (merchant_id, credential, received_at_us) where credential is not null;

-- One row for each guarded payment.
create table guarded_payment (
    merchant_id text not null,
    payment_id text not null,
    amount_minor integer not null,
    currency text not null,
    -- Whether the order still wants money.
    order_state text not null,
    -- The attempt that satisfied it first; both null while none has.
    satisfied_by_no integer,
    satisfied_by_submit text,
    registered_at_us integer not null,
    primary key (merchant_id, payment_id)
) strict, without rowid;

-- One row for each submit that was registered, before its first byte left.
create table guarded_attempt (
    merchant_id text not null,
    payment_id text not null,
    attempt_no integer not null,
    submit text not null,
    channel_id text not null,
    state text not null,
    -- Whose registration it is: only who asks by the same name is given it again.
    request_id text,
    -- What the decision's token says, to be sealed again.
    decision blob not null,
    registered_at_us integer not null,
    -- When it should have been reported.
    due_at_us integer not null,
    primary key (merchant_id, payment_id, attempt_no, submit)
) strict, without rowid;

create index guarded_attempt_unreported on guarded_attempt (due_at_us) where state = 'submitted';
