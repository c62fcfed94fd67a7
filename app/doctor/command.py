"""`waybill doctor`: what a person, or a script, asks of an examination."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from app.doctor.examination import examine
from app.doctor.finding import Finding, Verdict, fail
from app.doctor.installation import look_at_installation
from app.doctor.subject import Subject
from app.errors import SettingsError
from app.log import configure_logging
from app.settings import read_settings

UNWELL: Final = 1
BAD_SETTING: Final = 2


def doctor(
    ready_file: Annotated[
        Path | None,
        typer.Option(help="Look at the `waybill up` that wrote it; default: WAYBILL_…_URL."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check every dependency, version, index and setting, and say what to do.

    Exit code 0: nothing fails; 1: something does; 2: a setting or the ready file is wrong.
    """
    settings, flaws = read_settings()
    if settings is None or flaws:
        wrong = [fail("settings", flaw, "repair the variable, or unset it") for flaw in flaws]
        _print([*wrong, *look_at_installation()], as_json=as_json)
        raise typer.Exit(BAD_SETTING)
    configure_logging(settings)  # else a traceback would go to stdout, with the URLs in it
    try:
        subject = Subject.of(settings, ready_file)
    except SettingsError as exc:
        typer.echo(f"waybill doctor: {exc}", err=True)
        raise typer.Exit(BAD_SETTING) from exc
    findings = examine(subject)
    _print(findings, as_json=as_json)
    raise typer.Exit(UNWELL if worst(findings) is Verdict.FAIL else 0)


def worst(findings: Sequence[Finding]) -> Verdict:
    """The verdict on the whole."""
    order = list(Verdict)
    return max((finding.verdict for finding in findings), key=order.index, default=Verdict.OK)


def shown(findings: Sequence[Finding]) -> str:
    """One line a finding, what to do below it, and the sum at the end."""
    width = max(len(finding.check) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.verdict:<4}  {finding.check:<{width}}  {finding.detail}")
        if finding.advice is not None:
            lines.append(f"{'':4}  {'':{width}}  → {finding.advice}")
    counts = {each: sum(one.verdict is each for one in findings) for each in Verdict}
    lines.append(", ".join(f"{count} {each}" for each, count in counts.items() if count))
    return "\n".join(lines)


def _print(findings: Sequence[Finding], *, as_json: bool) -> None:
    if as_json:
        checks = [finding.to_json() for finding in findings]
        typer.echo(json.dumps({"verdict": worst(findings), "checks": checks}))
    else:
        typer.echo(shown(findings))
