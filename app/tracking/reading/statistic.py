"""How the runs of each processor went, day by day: computed in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from app.tracking.reading.run import SECONDS, TABLE, RunQuery, Statement, conditions_of

MAX_STATISTICS: Final = 10_000  # of one answer: 90 days of a hundred processors


@dataclass(frozen=True, slots=True)
class Statistic:
    """The runs of one processor that started on one day (UTC).

    Rates and durations are of those that have ended, and None where none has. `rows_per_second` is
    over the runs that said how many rows they had: their input, else their output.
    """

    service_name: str
    processor_name: str
    day: date
    runs: int
    in_progress: int
    successes: int
    failures: int
    failure_rate: float | None
    p50_s: float | None
    p95_s: float | None
    max_s: float | None
    input_rows: int | None
    output_rows: int | None
    rows_per_second: float | None


def statistic_statement(query: RunQuery) -> Statement:
    """The newest day first, and in it by service and processor; one more than there may be."""
    conditions, values = conditions_of(query)
    text = f"""
        SELECT
            service_name, processor_name, day, count(*),
            count(*) FILTER (WHERE status = 'in-progress'),
            count(*) FILTER (WHERE status = 'success'),
            count(*) FILTER (WHERE status = 'failure'),
            avg((status = 'failure')::integer) FILTER (WHERE status <> 'in-progress')::float8,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_s),
            percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_s),
            max(duration_s),
            sum(input_rows), sum(output_rows),
            sum(rows) / nullif(sum(duration_s) FILTER (WHERE rows IS NOT NULL), 0)
        FROM (
            SELECT
                service_name, processor_name, status, input_rows, output_rows,
                (started_at AT TIME ZONE 'UTC')::date AS day,
                {SECONDS} AS duration_s,
                CASE WHEN ended_at IS NOT NULL
                    THEN coalesce(input_rows, output_rows)::float8 END AS rows
            FROM {TABLE} WHERE {conditions}
        ) AS asked
        GROUP BY service_name, processor_name, day
        ORDER BY day DESC, service_name, processor_name
        LIMIT {MAX_STATISTICS + 1}
    """
    return Statement(text, values)


def statistic_of(row: Sequence[Any]) -> Statistic:
    """A row of `statistic_statement`, whose sums of integers are decimals."""
    values: list[Any] = [int(each) if isinstance(each, Decimal) else each for each in row]
    return Statistic(*values)
