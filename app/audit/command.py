"""`waybill audit`: what a person, or a script, asks of a verification."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from app.audit.allowance import DEFAULT, Allowance
from app.audit.report import Report
from app.audit.source import settings_of, verified
from app.audit.verify import LISTED
from app.audit.violation import PROMISES
from app.errors import SettingsError, UnavailableError

BROKEN: Final = 1
NOT_READ: Final = 2

audit = typer.Typer(help="Look for broken rules in what the stores hold.", no_args_is_help=True)


@audit.command()
def rules() -> None:
    """Print what is verified: each rule by its name, and what it promises."""
    width = max(map(len, PROMISES))
    for rule, promise in PROMISES.items():
        typer.echo(f"{rule.value:<{width}}  {promise}")


@audit.command(name="verify")
def verify_command(
    ready_file: Annotated[
        Path | None,
        typer.Option(help="Look at the `waybill up` that wrote it; default: WAYBILL_…_URL."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    margin_s: Annotated[
        float, typer.Option(min=0, help="How long something may wait for a sweep (seconds).")
    ] = DEFAULT.margin.total_seconds(),
    clocks_s: Annotated[
        float, typer.Option(min=0, help="What clocks of machines may differ (seconds).")
    ] = DEFAULT.clocks.total_seconds(),
    listed: Annotated[
        int, typer.Option(min=1, help="How many breaches of each rule are printed.")
    ] = LISTED,
) -> None:
    """Hold receipts, histories, documents and copies against the rules; changes nothing.

    Exit code 0: no broken rule; 1: some are broken; 2: the stores could not be read.
    """
    try:
        settings = settings_of(ready_file)
        # A receipt's life may be set below a day.
        kept = min(DEFAULT.kept, timedelta(days=settings.receipt_retention_days))
        allowance = Allowance(
            margin=timedelta(seconds=margin_s), clocks=timedelta(seconds=clocks_s), kept=kept
        )
        report = verified(settings, allowance, listed=listed)
    except (SettingsError, UnavailableError) as exc:
        typer.echo(f"waybill audit verify: {exc}", err=True)
        raise typer.Exit(NOT_READ) from exc
    typer.echo(json.dumps(report.to_json()) if as_json else _shown(report))
    raise typer.Exit(0 if report.is_clean else BROKEN)


def _shown(report: Report) -> str:
    """What was checked, then each broken rule with its breaches."""
    counts = [f"{count:,} {kind.replace('_', ' ')}" for kind, count in report.checked.items()]
    lines = [f"Checked {', '.join(counts)}."]
    if report.is_clean:
        return f"{lines[0]}\nNo broken rule."
    for rule, count in report.broken.items():
        listed = [one for one in report.violations if one.rule is rule]
        lines += ["", f"{rule.value}: {count:,} broken. {PROMISES[rule]}"]
        lines += [f"  {one.subject_id}  {one.detail}" for one in listed]
        if count > len(listed):
            lines.append(f"  and {count - len(listed):,} more")
    return "\n".join(lines)
