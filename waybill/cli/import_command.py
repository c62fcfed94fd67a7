"""`waybill import`: files become objects, and, where that is wanted, documents."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from platformdirs import user_state_path

from waybill.cli.argument import identifier
from waybill.cli.exit_code import ExitCode, of_status
from waybill.cli.following import Following, ended
from waybill.cli.importing.batching import Batching
from waybill.cli.importing.delivery import Delivery, key_mark
from waybill.cli.importing.format import Manner, source_of
from waybill.cli.importing.journal import Journal, journal_path
from waybill.cli.importing.option import Course, Reading, Sequel
from waybill.cli.importing.position import START, JsonObject
from waybill.cli.importing.report import Report, write_errors
from waybill.cli.importing.rule import Schema, flaw
from waybill.cli.importing.run import Summary, check, run
from waybill.cli.importing.source import Source
from waybill.cli.option import Connection, Showing
from waybill.cli.output import Output
from waybill.cli.spread import spread
from waybill.client import Client
from waybill.connection import find
from waybill.flow.path import path_to
from waybill.types import Task


@dataclass(frozen=True, slots=True)
class Target:
    """The bucket that is imported into."""

    client: Client
    bucket_id: str
    schema: Schema

    def post(self, objects: Sequence[JsonObject], request_key: str) -> JsonObject:
        """Sends one chunk; the same key gives the same answer for 24 hours."""
        path = path_to("buckets", self.bucket_id, "objects", "batch")
        body = {"objects": objects}
        return self.client.request("POST", path, body, idempotency_key=request_key)


@spread
def import_command(
    path: Annotated[Path, typer.Argument(help="A folder, or a JSONL, CSV, TSV or Parquet file.")],
    bucket: Annotated[
        str, typer.Option("--bucket", "-b", help="Name or id of the bucket.", parser=identifier)
    ],
    *,
    reading: Reading,
    course: Course,
    sequel: Sequel,
    connection: Connection,
    showing: Showing,
) -> None:
    """Import a file or a folder into a bucket; the same command again goes on where it stopped."""
    path, shown = path.expanduser().resolve(), showing.output()
    manner = reading.manner(path)
    with connection.client() as client:
        found = client.buckets.get(bucket)
        target = Target(client, found["bucket_id"], Schema.read(found["bucket_schema"]))
        source = source_of(path, manner, target.schema)
        sequel = sequel.resolved(client)
        if course.dry_run:
            code = _dry_run(source, target, shown)
        else:
            mark = key_mark(find(connection.url, connection.key).api_key)
            with _journal(target, path, manner, course) as journal:
                delivery = Delivery(journal, target.post, mark, course.after_loss)
                code = Import(source, delivery, target, course, sequel, shown).run()
    raise typer.Exit(code)


@contextmanager
def _journal(target: Target, path: Path, manner: Manner, course: Course) -> Iterator[Journal]:
    folder = user_state_path("waybill") / "imports"
    place = journal_path(folder, target.bucket_id, path)
    journal = Journal.open(place, manner.to_json(), restart=course.restart)
    try:
        yield journal
    finally:
        journal.close()


@dataclass(frozen=True, slots=True)
class Import:
    """One run, from the source's next line to the exit code."""

    source: Source
    delivery: Delivery
    target: Target
    course: Course
    sequel: Sequel
    shown: Output

    def run(self) -> ExitCode:
        summary = self._stored()
        task = self._submitted() if summary.is_whole and summary.stored else None
        if self.shown.is_plain:
            _tell(summary, task, self.shown)
        if task is not None and self.sequel.wait:
            task = self._ended(task["task_id"])
        if not self.shown.is_plain:
            _print(summary, task, self.shown)
        if task is not None and (code := of_status(task["status"])):
            return code
        return ExitCode.OK if summary.is_whole and not summary.bad else ExitCode.FAILED

    def _stored(self) -> Summary:
        """Sends what is left; the bad lines are written to their file whatever ends this."""
        journal, errors, stopped_at = self.delivery.journal, self.course.errors, None
        begin = journal.standing.position
        if begin != START:
            unit = self.source.unit
            self.shown.said(f"{begin.number:,} {unit} were done before; going on after them.")
        if errors is not None:
            write_errors(errors, ())  # where it cannot be written, nothing is begun
        try:
            with Report(self.source, self.shown, begin) as report:
                summary = run(self.source, self.delivery, report, max_bad=self.course.max_bad)
            stopped_at = summary.stopped_at
        except KeyboardInterrupt:
            self.shown.said("Stopped; the same command goes on from there.")
            raise
        finally:
            if errors is not None:
                last = (stopped_at,) if stopped_at else ()
                write_errors(errors, chain(journal.bad_entries(), last))
        return summary

    def _submitted(self) -> Task | None:
        if not self.sequel.is_wanted:
            return None
        client, bucket_id = self.target.client, self.target.bucket_id
        collections = self.sequel.collections
        return Batching(client, self.delivery.journal, bucket_id, collections).submit()

    def _ended(self, task_id: str) -> Task:
        if self.shown.is_plain:
            return Following(self.target.client, self.shown).to_the_end(task_id)
        return ended(self.target.client, task_id)


def _tell(summary: Summary, task: Task | None, shown: Output) -> None:
    """For people."""
    state = "Imported" if summary.is_whole else "Stopped at a bad line after"
    earlier = f", {summary.stored_before:,} of them before" if summary.stored_before else ""
    bad = f"; {summary.bad:,} were bad" if summary.bad else ""
    shown.line(f"{state} {summary.stored:,} objects{earlier}{bad}.")
    if task is not None:
        shown.line(f"Submitted: task {task['task_id']}.")


def _print(summary: Summary, task: Task | None, shown: Output) -> None:
    """For scripts: with --quiet the id of the task, if there is one."""
    if shown.as_json:
        said = {"task_id": task["task_id"], "task_status": task["status"]} if task else {}
        shown.event({**summary.to_json(), "task_id": None, "task_status": None, **said})
    elif task is not None:
        shown.line(task["task_id"])


def _dry_run(source: Source, target: Target, shown: Output) -> ExitCode:
    with Report(source, shown, START) as report:
        good, bad = check(source, lambda found: flaw(target.schema, found), report)
    if shown.as_json:
        shown.event({"good": good, "bad": bad})
    else:
        shown.line(f"{good:,} are in order, {bad:,} are not; nothing was sent.")
    return ExitCode.FAILED if bad else ExitCode.OK
