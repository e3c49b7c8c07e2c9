-- What operators change while Payroute runs, and the log of every change.

-- Channels and policies, every version of them; never changed, never removed.
create table control_document (
    kind text not null,
    version bigint not null,
    text text not null,
    author text not null,
    note text not null,
    created_at_us bigint not null,
    primary key (kind, version)
);

-- One row. Revision 0 is before the first import; the rest is then empty. A change locks it first, so that changes
-- come one after the other.
create table control_state (
    only_row boolean primary key check (only_row),
    revision bigint not null,
    channels_version bigint not null,
    policy_version bigint not null,
    -- Not jsonb: it is read whole, by one program.
    settings text not null
);

insert into control_state (only_row, revision, channels_version, policy_version, settings)
values (true, 0, 0, 0, '');

-- Each entry holds the digest of the one before it: what is changed or left out later shows.
create table audit_entry (
    seq bigint primary key,
    at_us bigint not null,
    actor text not null,
    action text not null,
    revision bigint not null,
    -- Not jsonb, which would write it anew: the digest is over these bytes.
    before text not null,
    after text not null,
    previous bytea not null,
    digest bytea not null
);

create function refuse_to_change_the_audit_log() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is never changed or shortened';
end
$$;

create trigger audit_entry_is_never_changed before update or delete or truncate on audit_entry
    for each statement execute function refuse_to_change_the_audit_log();
