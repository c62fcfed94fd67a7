"""The `waybill` command as people and scripts use it."""

import json
import signal
from unittest.mock import ANY

import pytest

from tests.acceptance.command import Command
from tests.acceptance.shop import Shop, text_object
from tests.polling import poll
from tests.stack import Stack, clean_environment
from waybill import Client

pytestmark = pytest.mark.timeout(180)


def test_json_is_the_server_s(command: Command, client: Client, shop: Shop) -> None:
    batch, task = shop.process(shop.add([text_object("a"), text_object("b")]))
    task_id, batch_id = task["task_id"], batch["batch_id"]
    poll(
        lambda: client.collections.get("text-vectors")["last_schema_sync"],
        description="the schema has the documents, and stays as it is",
        within_s=60,
    )
    singles: dict[tuple[str, ...], object] = {
        ("tasks", "get", task_id): client.tasks.get(task_id),
        ("batches", "get", batch_id): client.batches.get(batch_id),
        ("buckets", "get", "texts"): client.buckets.get("texts"),
        ("collections", "get", "text-vectors"): client.collections.get("text-vectors"),
    }
    for arguments, expected in singles.items():
        assert command.ok(*arguments, "--json").row == expected
    lists: dict[tuple[str, ...], object] = {
        ("tasks", "list"): list(client.tasks.list()),
        ("tasks", "history", task_id): client.tasks.history(task_id),
        ("batches", "list", "--bucket", "texts"): list(client.batches.list("texts")),
        ("buckets", "list"): list(client.buckets.list()),
        ("collections", "list"): list(client.collections.list()),
        ("collections", "documents", "text-vectors"): list(client.documents.list("text-vectors")),
    }
    for arguments, found in lists.items():
        rows = command.ok(*arguments, "--json").rows
        assert rows == json.loads(json.dumps(found))
        assert rows
    assert command.ok("tasks", "list", "-q", "--status", "completed").out == f"{task_id}\n"
    assert command.ok("tasks", "list", "-q", "--filter", "attempt>5").out == ""
    events = command.ok("tasks", "watch", task_id, "--json").rows
    assert [event["data"]["to"] for event in events[:-1] if event["event"] == "transition"] == [
        "PENDING",
        "PROCESSING",
        "COMPLETED",
    ]
    assert events[-1]["event"] == "end"


def test_how_a_task_ends_is_the_exit_code(command: Command, client: Client) -> None:
    failed = command.run("tasks", "submit", "test_hopeless", "--wait", "--json")
    assert (failed.code, failed.row["status"]) == (1, "FAILED")
    assert command.run("tasks", "watch", failed.row["task_id"]).code == 1

    slow = command.ok("tasks", "submit", "test_slow", "6000", "--quiet").out.strip()
    late = command.run("tasks", "wait", slow, "--timeout", "1s")
    assert late.code == 7
    assert late.err.count("\n") == 1
    killed = command.ok("tasks", "kill", slow, "--reason", "enough", "--wait")
    assert "asked to end" in killed.out
    assert client.tasks.get(slow)["status"] == "CANCELED"
    assert command.run("tasks", "wait", slow, "--quiet").code == 3


def test_a_task_is_set_aside_and_goes_on(command: Command, client: Client) -> None:
    task_id = command.ok("tasks", "submit", "test_stepping", "100", "-q").out.strip()
    poll(lambda: client.tasks.get(task_id)["progress"], description="it steps", within_s=60)
    command.ok("tasks", "suspend", task_id, "--reason", "lunch")
    poll(
        lambda: client.tasks.get(task_id)["status"] == "SUSPENDED",
        description="the task is set aside",
        within_s=60,
    )
    assert command.ok("tasks", "resume", task_id, "--json").row["status"] == "PENDING"
    assert command.ok("tasks", "wait", task_id, "--json").row["status"] == "COMPLETED"


def test_ctrl_c_ends_the_watching_and_not_the_task(command: Command, client: Client) -> None:
    task_id = command.ok("tasks", "submit", "test_slow", "6000", "--quiet").out.strip()
    with command.running(["tasks", "watch", task_id]) as watching:
        assert watching.stderr is not None
        assert watching.stderr.readline() == "PENDING\n"
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=60)
    assert watching.returncode == 130
    assert f"`waybill tasks kill {task_id}` ends it" in said
    assert client.tasks.get(task_id)["status"] in ("PENDING", "PROCESSING")
    client.tasks.kill(task_id)


def test_many_are_killed_only_with_a_yes(command: Command, client: Client) -> None:
    ids = [client.tasks.submit("test_slow", [6_000])["task_id"] for _ in range(3)]
    refused = command.run("tasks", "kill", "--type", "test_slow")
    assert refused.code == 2
    assert "say --yes" in refused.err
    assert all(client.tasks.get(task_id)["cancellation"] is None for task_id in ids)
    some = command.run("tasks", "kill", ids[0], "tsk_none", "--json")
    assert (some.code, some.row["task_id"]) == (1, ids[0])
    assert some.err == "tsk_none: There is no task 'tsk_none'.\n"
    command.ok("tasks", "kill", "--type", "test_slow", "--yes", "--wait")
    for task_id in ids:
        assert command.run("tasks", "wait", task_id, "--quiet").code == 3


@pytest.mark.parametrize(
    ("code", "arguments", "settings"),
    [
        (2, ["tasks", "list", "--status", "gone"], {}),
        (2, ["tasks", "list", "--since", "yesterday"], {}),
        (2, ["tasks", "list", "--filter", "colour=red"], {}),
        (2, ["tasks", "get", ""], {}),
        (2, ["tasks", "list", "--url", "nowhere"], {}),
        (2, ["import", "none.xls", "--bucket", "b"], {}),
        (4, ["buckets", "get", "none"], {}),
        (4, ["tasks", "list", "-n", "none"], {}),
        (5, ["tasks", "list"], {"WAYBILL_API_KEY": "sk_wrong"}),
        (6, ["tasks", "list"], {"WAYBILL_URL": "http://127.0.0.1:1"}),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_an_exit_code(
    command: Command, code: int, arguments: list[str], settings: dict[str, str]
) -> None:
    (command.folder / "none.xls").touch()
    ran = command.run(*arguments, **settings)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("waybill")
    assert ran.err.count("\n") == 1


def test_a_key_is_revoked(command: Command) -> None:
    made = command.ok("keys", "create", "brief", "--permission", "read", "--json").row
    key_id = str(made["key_id"])
    assert command.ok("keys", "revoke", key_id, "--yes", "--quiet").out == f"{key_id}\n"
    again = command.ok("keys", "revoke", key_id, "--yes")
    assert again.out == "The key 'brief' had been revoked before.\n"
    assert command.ok("keys", "revoke", key_id, "--yes", "--json").row["key"] == {
        **{name: value for name, value in made.items() if name != "secret"},
        "status": "ARCHIVED",
        "revoked_by": "key:admin",
        "revoked_at": ANY,
    }


def test_a_running_stack_is_found_by_its_note(stack: Stack, command: Command) -> None:
    note = stack.data_dir / "run" / "connection.json"
    assert note.stat().st_mode & 0o077 == 0
    bare = Command(clean_environment({"WAYBILL_DATA_DIR": str(stack.data_dir)}), command.folder)
    assert bare.ok("health", "--quiet").out == "OK\n"
    assert "default" in bare.ok("namespaces", "list", "--limit", "0").out
    lost = Command(clean_environment({"WAYBILL_DATA_DIR": str(command.folder)}), command.folder)
    assert "start one with `waybill up`" in lost.run("tasks", "list").err


def test_the_shell_completes_commands_statuses_and_types(command: Command) -> None:
    def completed(words: str) -> set[str]:
        given = words.split(" ")
        ran = command.run(
            _WAYBILL_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(len(given) - 1)
        )
        return set(ran.out.split())

    assert completed("waybill tas") == {"tasks"}
    assert {"get", "list", "watch"} <= completed("waybill tasks ")
    assert completed("waybill tasks list --status COM") == {"COMPLETED"}
    assert "api_buckets_batches_process" in completed("waybill tasks list --type api_b")
    assert "complete -o default -F" in command.run(_WAYBILL_COMPLETE="source_bash").out
