-- Messages on their way to receivers: pages, tickets, events and customer notices.

-- A transaction that has something to tell leaves a row here; workers send it. Times are of this server's clock, except
-- `created_at`, which is its writer's.
create table delivery (
    -- The order in which deliveries were written; a replayed one gets a new number.
    seq bigint generated always as identity,
    -- The id that the receiver sees, the same on every try.
    delivery_id uuid primary key,
    receiver text collate "C" not null,
    -- Deliveries with the same key go to the same receiver strictly one after the other.
    order_key text collate "C" not null,
    dedup_key text collate "C" not null,
    class text collate "C" not null,
    -- Whether it ends what earlier ones of its order key began, as a resolve does.
    ends boolean not null,
    -- Not jsonb: it is read whole, by one program. Empty once a customer notice is finished.
    message text,
    state text collate "C" not null,
    created_at timestamptz not null,
    -- Since when it is to be tried: the time of a replay, else when it was first due.
    queued_at timestamptz not null,
    -- When it may be claimed: by its schedule, or, while it is leased, when the lease runs out.
    due_at timestamptz not null,
    lease_token uuid,
    attempt_count bigint not null default 0,
    -- Whether the receiver may have it, although no answer said so.
    uncertain boolean not null default false,
    last_status bigint,
    last_error text,
    credential text,
    fallback_of uuid,
    finished_at timestamptz,
    unique (receiver, dedup_key)
-- Rows come and change a few times within seconds.
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

create index delivery_due on delivery (receiver, due_at) where state in ('ready', 'leased');
create index delivery_unfinished on delivery (receiver, order_key, seq) where state in ('ready', 'leased');
create index delivery_by_order_key on delivery (order_key, receiver, seq);
create index delivery_by_seq on delivery (seq);
create index delivery_dead on delivery (receiver) where state = 'dead';
create index delivery_finished on delivery (finished_at) where finished_at is not null;

-- What was sent to each receiver lately, so that all workers together keep its limits. Written by compare-and-set.
create table delivery_pace (
    receiver text collate "C" primary key,
    version bigint not null,
    content text not null
);
