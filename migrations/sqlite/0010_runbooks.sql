-- Runbooks: every version of the document, and what they do about incidents.

-- Never changed, never removed. The highest version is in force.
create table runbooks (
    version integer primary key,
    text text not null,
    author text not null,
    note text not null,
    created_at_us integer not null
) strict;

-- One runbook at work on one incident: begun in the transaction that opens the incident, so it runs once, whoever
-- evaluates. It may outlast its incident, because what it did ends at its own time.
create table runbook_run (
    incident_id text not null,
    runbook text not null,
    -- 1 when nothing of it is left to be done or to be ended.
    is_over integer not null,
    content text not null,
    primary key (incident_id, runbook)
) strict, without rowid;

create index runbook_run_going_on on runbook_run (incident_id, runbook) where is_over = 0;

-- Runs have their own table.
alter table incident drop column runbook;
