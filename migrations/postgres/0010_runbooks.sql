-- Runbooks: every version of the document, and what they do about incidents.

-- Never changed, never removed. The highest version is in force.
create table runbooks (
    version bigint primary key,
    text text not null,
    author text not null,
    note text not null,
    created_at_us bigint not null
);

-- One runbook at work on one incident: begun in the transaction that opens the incident, so it runs once, whoever
-- evaluates. It may outlast its incident, because what it did ends at its own time.
create table runbook_run (
    incident_id text collate "C" not null,
    runbook text collate "C" not null,
    -- 1 when nothing of it is left to be done or to be ended.
    is_over bigint not null,
    content text not null,
    primary key (incident_id, runbook)
);

create index runbook_run_going_on on runbook_run (incident_id, runbook) where is_over = 0;

-- Runs have their own table. The release before still writes the column; the next one drops it.
alter table incident alter column runbook set default 'null';
