"""How the command line shows a migration to people."""

from typing import cast

from waybill.cli.migration import readable
from waybill.types.migration import Migration

LATE = {"count": 1, "ids": ["obj_1"], "deleted": 0, "complete": True, "resource_ids": []}


def test_stages_and_late_changes_have_lines_of_their_own() -> None:
    stage = {"stage": "finalization", "status": "PROCESSING"}
    stages = [{**stage, "items_completed": 1_200, "items_total": 5_000}]
    running = {"migration_id": "mig_1", "progress": {"stages": stages}, "result": None}
    shown = readable(cast(Migration, running))
    assert shown["finalization"] == "PROCESSING, 1,200 of 5,000"
    assert "progress" not in shown
    assert "late_changes" not in shown
    ended = {**running, "result": {"late_changes": LATE}}
    assert readable(cast(Migration, ended))["late_changes"] == LATE
