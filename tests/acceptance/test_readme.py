"""The README's own lines, run as they stand."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import WAYBILL, Stack, clean_environment

README = Path(__file__).parents[2] / "README.md"

pytestmark = pytest.mark.timeout(120)


def block(language: str) -> str:
    """The block of the section "Use it" in that language."""
    text = README.read_text()
    text = text[text.index("<!-- readme-use") : text.index("<!-- /readme-use -->")]
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found is not None, language
    return found.group(1)


def run(command: list[str], env: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=clean_environment(env), capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_lines_of_use_it(stack: Stack) -> None:
    env = {"API": stack.api_url, "KEY": stack.api_key}
    task_id, status, _ = run([sys.executable, "-c", block("python")], env).split(maxsplit=2)
    assert status == "COMPLETED"

    env["TASK"] = task_id
    # Each call's answer is one line of JSON; curl ends none of them with a line break.
    script = re.sub(r"^curl ", "echo; curl ", block("sh"), flags=re.MULTILINE)
    answers = [json.loads(line) for line in run(["bash", "-ec", script], env).splitlines() if line]
    receipt, history, killed, bulk_kill, submitted, health = answers
    assert receipt["task_id"] == task_id
    assert history["results"][-1]["to"] == "COMPLETED"
    assert "had ended before" in killed["message"]
    assert bulk_kill["task_type"] == "api_tasks_kill"
    assert bulk_kill["inputs"][-1] == "wrong size"
    assert submitted["succeeded_count"] == 1
    assert health["status"] == "OK"


@pytest.mark.timeout(300)
def test_the_demo_comes_to_its_receipt_its_clusters_and_its_kill(tmp_path: Path) -> None:
    done = subprocess.run(
        [WAYBILL, "demo", "--workers", "1"],
        env={**clean_environment(), "TMPDIR": str(tmp_path), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"status": "COMPLETED"' in done.stdout
    assert "the collection has 1,797 documents" in done.stdout
    (kmeans,) = [line for line in done.stdout.splitlines() if re.match("│ kmeans", line)]
    agreement = float(kmeans.split("│")[7])  # normalized mutual information with the true labels
    assert agreement >= 0.65
    assert len(list(tmp_path.glob("waybill-pictures-*/digits-*.svg"))) == 2
    chunks = re.findall(
        r"^│ api_buckets_batches_process\.chunk +│(.*)│$", done.stdout, re.MULTILINE
    )
    ((runs, failures, *lengths, rate),) = [line.split("│") for line in chunks]
    assert (int(runs), int(failures)) == (4, 0)  # 1,797 objects in chunks of 500
    assert all(float(each.replace(" s", "")) > 0 for each in (*lengths, rate.replace(",", "")))
    assert "is CANCELED after" in done.stdout
    told = done.stdout[done.stdout.index("Told by webhook") :]
    events = re.findall(r"^│ (\S+) .* ms +│$", told, re.MULTILINE)
    assert (events[0], events[-1]) == ("task.started", "task.canceled")
    assert events.count("cluster.execution.completed") == 2
    assert events.count("collection.documents.written") == 1
