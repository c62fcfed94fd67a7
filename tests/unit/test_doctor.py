"""What the doctor makes of what it is told, and what it prints."""

import json
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from typer import Typer
from typer.testing import CliRunner

from app.doctor.command import doctor, shown, worst
from app.doctor.examination import side_by_side
from app.doctor.finding import Finding, Verdict, fail, ok, warn
from app.doctor.installation import packages
from app.doctor.mongodb import clock

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("requirement", "verdict", "said"),
    [
        ("pymongo>=4", Verdict.OK, "new enough"),
        ("pymongo>=400; extra == 'server'", Verdict.FAIL, ">=400 is needed"),
        ("no-such-package-here>=1; extra == 'server'", Verdict.FAIL, "is not installed"),
        ("no-such-package-here>=1; extra == 's3'", Verdict.OK, "new enough"),
        ("pymongo>=400; extra == 's3'", Verdict.WARN, ">=400 is needed"),
        ("pymongo>=400; extra == 'dev'", Verdict.OK, "new enough"),
        ("pymongo>=400; python_version < '3' and extra == 'server'", Verdict.OK, "new enough"),
    ],
)
def test_packages_are_held_against_their_bounds(
    requirement: str, verdict: Verdict, said: str
) -> None:
    (finding,) = packages([requirement])
    assert finding.verdict is verdict
    assert said in finding.detail


@pytest.mark.parametrize(
    ("apart_s", "verdict"), [(0, Verdict.OK), (-1.5, Verdict.OK), (9, Verdict.WARN), (-9, "WARN")]
)
def test_clocks_may_differ_a_little(apart_s: float, verdict: Verdict) -> None:
    theirs = NOW + timedelta(seconds=apart_s)
    assert clock("x.clock", theirs, before=NOW, after=NOW).verdict == verdict


def test_a_slow_answer_is_no_difference_of_clocks() -> None:
    theirs = NOW + timedelta(seconds=4)
    found = clock("x.clock", theirs, before=NOW, after=NOW + timedelta(seconds=8))
    assert found.verdict is Verdict.OK


def test_looks_that_hang_or_break_hold_up_no_others() -> None:
    never = Event()

    def hang() -> list[Finding]:
        never.wait()
        return []

    def stumble() -> list[Finding]:
        raise LookupError("mongodb://user:secret@host")

    looks = {"hanging": hang, "broken": stumble, "well": lambda: [ok("well", "it is")]}
    found = list(side_by_side(looks, within_s=3))  # far more than those take that come back
    never.set()
    assert [(each.check, each.verdict) for each in found] == [
        ("hanging", Verdict.FAIL),
        ("broken", Verdict.FAIL),
        ("well", Verdict.OK),
    ]
    assert "secret" not in str(found)


def test_looks_that_hang_share_one_limit() -> None:
    never = Event()

    def hang() -> list[Finding]:
        never.wait()
        return []

    def be_late() -> list[Finding]:
        never.wait(8)  # longer than all looks together may take, shorter than one after the other
        return [ok("late", "it is")]

    looks = {**{f"hanging {number}": hang for number in range(40)}, "late": be_late}
    found = list(side_by_side(looks, within_s=0.3))
    never.set()
    assert {each.verdict for each in found} == {Verdict.FAIL}


def test_the_worst_finding_decides() -> None:
    assert worst([ok("a", "")]) is Verdict.OK
    assert worst([warn("a", "", ""), ok("b", "")]) is Verdict.WARN
    assert worst([fail("a", "", ""), warn("b", "", "")]) is Verdict.FAIL


def test_what_to_do_stands_below_what_is_wrong() -> None:
    lines = shown([ok("a", "is well"), fail("b.long", "is not", "repair it")]).splitlines()
    assert lines == [
        "OK    a       is well",
        "FAIL  b.long  is not",
        "              → repair it",
        "1 OK, 1 FAIL",
    ]


def test_every_wrong_setting_is_told_and_no_secret() -> None:
    command = Typer()
    command.command()(doctor)
    env = {
        "WAYBILL_LEASE_S": "soon",
        "WAYBILL_MAX_ATTEMPTS": "0",
        "WAYBILL_OTEL_ENDPOINT": "ftp://user:secret@host",
    }
    result = CliRunner().invoke(command, ["--json"], env=env)
    assert result.exit_code == 2
    report = json.loads(result.stdout)
    assert report["verdict"] == "FAIL"
    wrong = [each["detail"] for each in report["checks"] if each["check"] == "settings"]
    assert len(wrong) == 3
    assert {detail.split(" ")[0].partition("=")[0] for detail in wrong} == set(env)
    assert "secret" not in result.stdout
