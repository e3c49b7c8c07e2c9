-- What operators change while Payroute runs, and the log of every change.

-- Channels and policies, every version of them; never changed, never removed.
create table control_document (
    kind text not null,
    version integer not null,
    text text not null,
    author text not null,
    note text not null,
    created_at_us integer not null,
    primary key (kind, version)
) strict, without rowid;

-- One row. Revision 0 is before the first import; the rest is then empty.
create table control_state (
    only_row integer primary key check (only_row = 1),
    revision integer not null,
    channels_version integer not null,
    policy_version integer not null,
    settings text not null
) strict;

insert into control_state (only_row, revision, channels_version, policy_version, settings)
values (1, 0, 0, 0, '');

-- Each entry holds the digest of the one before it: what is changed or left out later shows.
create table audit_entry (
    seq integer primary key,
    at_us integer not null,
    actor text not null,
    action text not null,
    revision integer not null,
    before text not null,
    after text not null,
    previous blob not null,
    digest blob not null
) strict;

create trigger audit_entry_is_never_changed before update on audit_entry
begin
    select raise(abort, 'the audit log is never changed');
end;

create trigger audit_entry_is_never_removed before delete on audit_entry
begin
    select raise(abort, 'the audit log is never shortened');
end;
