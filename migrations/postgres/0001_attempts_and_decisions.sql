-- The ledger of many processes: what was decided, what came of it, how that changed later, and what is yet to be told
-- to the statistics.
--
-- Attempts, their history and decisions are partitioned by day (UTC), so that old days go without a row being deleted.
-- Their partitions are made by the program, ahead of time and for any day that turns up. Words (state, reason, class
-- ...) are the snake-case names of the domain. Names are compared byte by byte: quicker, and the same on every server.

-- Which releases may work on this database. A release knows the migrations up to a number; it refuses a database that
-- asks for more. A migration that older releases can live with leaves the number alone, which is what lets them run on
-- while a newer one is rolled out; one that they cannot live with raises it.
create table schema_compatibility (
    only_row boolean primary key default true check (only_row),
    least_known_version bigint not null
);

insert into schema_compatibility (least_known_version) values (1);

create sequence attempt_seq;

create table attempt (
    seq bigint not null,
    merchant_id text collate "C" not null,
    attempt_id text collate "C" not null,
    payment_id text collate "C" not null,
    attempt_no bigint not null,
    decision_id uuid not null,
    channel_id text collate "C" not null,
    account_id text collate "C",
    method text collate "C" not null,
    issuer text collate "C",
    region text,
    -- Follows from amount and currency; kept so that reports in SQL need not know the bounds.
    band bigint not null,
    amount_minor bigint not null,
    currency text not null,
    result text not null,
    provider text not null,
    code text,
    sub_code text,
    http_status bigint,
    transport_event text,
    message text,
    provider_reference text,
    network_advice_code text,
    reason text,
    certainty text not null,
    class text collate "C",
    state text collate "C" not null,
    decided_at timestamptz not null,
    trace_id text,
    started_at timestamptz not null,
    received_at timestamptz not null,
    latency_ms bigint not null,
    digest bytea not null,
    -- Serves the pages of outcomes and every span of time.
    primary key (received_at, seq)
) partition by range (received_at);

create index attempt_by_payment on attempt (merchant_id, payment_id);

-- Keeps a name unique over all days, which no index of a partitioned table can, and says where its attempt is.
create table attempt_name (
    merchant_id text collate "C" not null,
    attempt_id text collate "C" not null,
    received_at timestamptz not null,
    seq bigint not null,
    primary key (merchant_id, attempt_id)
);

create sequence attempt_transition_seq;

create table attempt_transition (
    seq bigint not null,
    merchant_id text collate "C" not null,
    attempt_id text collate "C" not null,
    -- The attempt's: a payment is read whole.
    payment_id text collate "C" not null,
    from_state text not null,
    to_state text not null,
    source text not null,
    -- As it was written: nobody searches in it.
    content json not null,
    changed_at timestamptz not null,
    primary key (changed_at, seq)
) partition by range (changed_at);

create index attempt_transition_by_payment on attempt_transition (merchant_id, payment_id);

create table decision (
    decision_id uuid not null,
    merchant_id text collate "C" not null,
    payment_id text collate "C" not null,
    attempt_no bigint not null,
    action text not null,
    channel_id text collate "C",
    account_id text collate "C",
    policy_version text not null,
    matched_rule text,
    strategy text not null,
    exploration text not null,
    propensity double precision,
    panic boolean not null,
    attributes json not null,
    excluded json not null,
    decided_at timestamptz not null,
    -- A decision that is handed in again comes with its time.
    primary key (decided_at, decision_id)
) partition by range (decided_at);

create index decision_by_payment on decision (merchant_id, payment_id);

-- Outcomes that the statistics are to be told of, one row for each transaction that brought some.
create table outbox (
    id bigint generated always as identity primary key,
    -- Of this server's clock, like the other: no router's clock decides what is overdue.
    created_at timestamptz not null default clock_timestamp(),
    relayed_at timestamptz,
    events bytea not null
-- Rows come, change once and go within minutes.
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

-- Compressing them would cost every router more than the disk gains in their quarter of an hour.
alter table outbox alter column events set storage external;

create index outbox_unrelayed on outbox (created_at) where relayed_at is null;
create index outbox_relayed on outbox (relayed_at) where relayed_at is not null;
