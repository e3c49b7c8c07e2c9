-- Alerts and incidents: what is going on, what went on, and what people said about it.
--
-- Times are microseconds since 1970-01-01T00:00:00Z. Documents are text, not jsonb: they are read whole, by one program.

-- One row. Whoever changes what rules are evaluated against locks it first and raises the revision, so that a change is
-- made against what its maker has seen, or not at all.
create table alert_state (
    only_row boolean primary key check (only_row),
    revision bigint not null
);

insert into alert_state (only_row, revision) values (true, 0);

-- The alert rules, every version of them; never changed, never removed. The highest is in force.
create table alert_rules (
    version bigint primary key,
    text text not null,
    author text not null,
    note text not null,
    created_at_us bigint not null
);

-- What is known of one rule at one set of labels, for as long as it is not at rest: the clocks of `for` and of
-- `keep_firing_for`, how often it has fired and what was told last survive any restart here.
create table alert (
    fingerprint text collate "C" primary key,
    rule text not null,
    state text not null,
    since_us bigint not null,
    generation bigint not null,
    content text not null
);

-- What was told last of a group of alerts.
create table alert_group (
    group_key text collate "C" primary key,
    content text not null
);

create table incident (
    incident_id text collate "C" primary key,
    fingerprint text collate "C" not null,
    rule text collate "C" not null,
    severity text not null,
    labels text not null,
    title text not null,
    generation bigint not null,
    opened_at_us bigint not null,
    resolved_at_us bigint,
    resolution text,
    closed_at_us bigint,
    closed_by text,
    acknowledged_at_us bigint,
    acknowledged_by text,
    impact text not null,
    runbook text not null,
    cause text not null,
    lesson text not null,
    tags text not null,
    -- What people look for it by, in lower case.
    words text not null
);

-- What makes two evaluators at once open one incident.
create unique index incident_one_open on incident (fingerprint) where resolved_at_us is null;
create index incident_by_time on incident (opened_at_us desc, incident_id desc);
create index incident_by_rule on incident (rule, opened_at_us desc);

create table incident_entry (
    incident_id text collate "C" not null,
    -- The same for the same thing: noted twice, it is there once.
    entry_key text collate "C" not null,
    at_us bigint not null,
    kind text not null,
    actor text,
    text text not null,
    content text not null,
    primary key (incident_id, entry_key)
);

create index incident_entry_by_time on incident_entry (incident_id, at_us);

create table silence (
    silence_id text collate "C" primary key,
    matchers text not null,
    reason text not null,
    author text not null,
    created_at_us bigint not null,
    from_us bigint not null,
    until_us bigint not null,
    ended_at_us bigint,
    ended_by text
);

create index silence_by_end on silence (until_us);

-- Who evaluates: the others wait until its time is up. Correctness does not hang on it, only work.
create table alert_lease (
    name text collate "C" primary key,
    holder text not null,
    until_us bigint not null
);
