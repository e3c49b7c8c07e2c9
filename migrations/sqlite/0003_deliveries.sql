-- Messages on their way to receivers: pages, tickets, events and customer notices.

-- A transaction that has something to tell leaves a row here; workers send it.
create table delivery (
    -- The order in which deliveries were written; a replayed one gets a new number.
    seq integer primary key autoincrement,
    -- The id that the receiver sees, the same on every try.
    delivery_id text not null unique,
    receiver text not null,
    -- Deliveries with the same key go to the same receiver strictly one after the other.
    order_key text not null,
    dedup_key text not null,
    class text not null,
    -- Whether it ends what earlier ones of its order key began, as a resolve does.
    ends integer not null,
    -- Empty once a customer notice is finished.
    message text,
    state text not null,
    created_at_us integer not null,
    -- Since when it is to be tried: the time of a replay, else when it was first due.
    queued_at_us integer not null,
    -- When it may be claimed: by its schedule, or, while it is leased, when the lease runs out.
    due_at_us integer not null,
    lease_token text,
    attempt_count integer not null default 0,
    -- Whether the receiver may have it, although no answer said so.
    uncertain integer not null default 0,
    last_status integer,
    last_error text,
    credential text,
    fallback_of text,
    finished_at_us integer,
    unique (receiver, dedup_key)
) strict;

create index delivery_due on delivery (receiver, due_at_us) where state in ('ready', 'leased');
create index delivery_unfinished on delivery (receiver, order_key, seq) where state in ('ready', 'leased');
create index delivery_by_order_key on delivery (order_key, receiver, seq);
create index delivery_dead on delivery (receiver) where state = 'dead';
create index delivery_finished on delivery (finished_at_us) where finished_at_us is not null;

-- What was sent to each receiver lately, so that its limits survive a restart. Written by compare-and-set.
create table delivery_pace (
    receiver text primary key not null,
    version integer not null,
    content text not null
) strict;
