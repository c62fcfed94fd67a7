-- One row for each run of a processor, and one for each process that has runs in progress.

CREATE TABLE datastore.processing_events (
    processing_id  uuid PRIMARY KEY,
    -- Together with a time they fit the 2704 bytes that a row of an index may have.
    service_name   text NOT NULL CHECK (octet_length(service_name) BETWEEN 1 AND 255),
    processor_name text NOT NULL CHECK (octet_length(processor_name) BETWEEN 1 AND 255),
    reference      text NOT NULL CHECK (octet_length(reference) BETWEEN 1 AND 2048),
    event          jsonb NOT NULL CHECK (jsonb_typeof(event) = 'object'),
    status         text NOT NULL CHECK (status IN ('in-progress', 'success', 'failure')),
    status_note    text,
    input_rows     bigint CHECK (input_rows >= 0),
    output_rows    bigint CHECK (output_rows >= 0),
    -- Times that readers can hold, too: none is infinite, or of a year of five digits.
    started_at     timestamptz NOT NULL CHECK (started_at >= '1970-01-01 00:00Z'),
    ended_at       timestamptz CHECK (ended_at >= started_at),
    -- The process that has it in progress: see processing_owners.
    owner_id       text NOT NULL,
    -- Since when that owner has it. By the server's clock, like seen_at: an owner that was never
    -- seen is as old as its row.
    stored_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Which call of end_event has ended it: one whose answer was lost knows its own by it. Times do
    -- not tell: two calls may have the same one, and one before the start becomes the start's.
    end_id         uuid,
    -- Rows of Waybill's own workers name their namespace and task; anything may stand in others.
    namespace_id   text GENERATED ALWAYS AS (
        CASE WHEN octet_length(event ->> 'namespace_id') <= 255 THEN event ->> 'namespace_id' END
    ) STORED,
    task_id        text GENERATED ALWAYS AS (substring(reference FROM '^(tsk_[^/]+)/')) STORED,
    CHECK (greatest(started_at, ended_at) < '9999-01-01 00:00Z'),
    CHECK ((status = 'in-progress') = (ended_at IS NULL))
);

-- One reference is in progress at most once.
CREATE UNIQUE INDEX one_in_progress
    ON datastore.processing_events (service_name, processor_name, reference)
    WHERE status = 'in-progress';

-- The runs of a reference, the latest first. References hardly ever belong to two processors.
CREATE INDEX by_reference
    ON datastore.processing_events (reference, started_at DESC, processing_id DESC);

-- What a dead process left behind.
CREATE INDEX by_owner
    ON datastore.processing_events (owner_id)
    WHERE status = 'in-progress';

-- Pages, the newest first, as app/tracking/reading/run.py reads them: of all, of one service, processor,
-- namespace or task, of one processor in a namespace, and of those that did not succeed, which are
-- few. Other conditions are checked on the way.
CREATE INDEX by_start
    ON datastore.processing_events (started_at DESC, processing_id DESC);
CREATE INDEX by_service
    ON datastore.processing_events (service_name, started_at DESC, processing_id DESC);
CREATE INDEX by_processor
    ON datastore.processing_events (processor_name, started_at DESC, processing_id DESC);
CREATE INDEX by_namespace
    ON datastore.processing_events (namespace_id, started_at DESC, processing_id DESC);
CREATE INDEX by_namespace_and_processor
    ON datastore.processing_events
        (namespace_id, processor_name, started_at DESC, processing_id DESC);
CREATE INDEX by_task
    ON datastore.processing_events (task_id, started_at DESC, processing_id DESC)
    WHERE task_id IS NOT NULL;
CREATE INDEX by_trouble
    ON datastore.processing_events (started_at DESC, processing_id DESC)
    WHERE status <> 'success';

CREATE TABLE datastore.processing_owners (
    owner_id    text PRIMARY KEY,
    host        text NOT NULL,
    process_id  bigint NOT NULL,
    -- Without a gap: only who was heard for a while judges that others are silent.
    heard_since timestamptz NOT NULL,
    seen_at     timestamptz NOT NULL
);

-- Runs of tasks, to be joined to receipts by task_id. A reference is 'tsk_…/attempt', and
-- 'tsk_…/attempt/conclusion' where a task that was split ends.
CREATE VIEW datastore.task_runs AS
    SELECT
        processing_id, service_name, processor_name, reference, namespace_id, task_id,
        substring(reference FROM '^tsk_[^/]+/([0-9]{1,9})(?:/|$)')::integer AS attempt,
        reference LIKE '%/conclusion' AS is_conclusion,
        event, status, status_note, input_rows, output_rows, started_at, ended_at,
        extract(epoch FROM ended_at - started_at) AS duration_s
    FROM datastore.processing_events
    WHERE task_id IS NOT NULL;
