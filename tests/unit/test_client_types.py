"""The signatures that a type checker sees; mypy checks this file with all others."""

from collections.abc import AsyncIterator, Coroutine, Iterator
from importlib import import_module
from inspect import signature
from pkgutil import iter_modules
from typing import Any, Final, assert_type, is_typeddict

from pydantic import BaseModel

from app.api import shape
from waybill import AsyncClient, Client, types
from waybill.types import (
    Batch,
    Health,
    JsonObject,
    NewKey,
    Page,
    Partial,
    StoredObject,
    Task,
    TaskEvent,
    Transition,
)

URL, KEY = "http://127.0.0.1:9", "sk_test"

# Where the two call it differently.
NAMES: Final = {
    "Blob": "StoredBlob",
    "Group": "DocumentGroup",
    "Health": "HealthReport",
    "KeyAnswer": "RevokedKey",
    "PartialFailure": "Failure",
}
# What only some answers of a kind have.
BEYOND: Final = {"Page": {"total_count"}, "StoredObject": {"object_index"}}


def blocking(client: Client) -> None:
    """Never runs: what a blocking client gives."""
    assert_type(client.tasks.get(task_id="tsk_1"), Task)
    assert_type(client.tasks.submit("type", [1], idempotency_key="k"), Task)
    assert_type(client.tasks.submit_many([{"task_type": "type"}]), Partial[Task])
    assert_type(client.tasks.list(status="FAILED"), Iterator[Task])
    assert_type(client.tasks.page(cursor="c"), Page[Task])
    assert_type(client.tasks.history("tsk_1"), list[Transition])
    assert_type(client.tasks.wait("tsk_1", timeout_s=1), Task)
    assert_type(client.tasks.stream("tsk_1"), Iterator[TaskEvent])
    assert_type(client.objects.create_many("b", [{}]), Partial[StoredObject])
    assert_type(client.batches.get("btch_1"), Batch)
    assert_type(client.keys.create("ci", "write"), NewKey)
    assert_type(client.documents.count("c"), int)
    assert_type(client.health(), Health)
    assert_type(client.request("GET", "/v1/health"), JsonObject)
    client.tasks.get(1)  # type: ignore[arg-type]
    client.tasks.list("FAILED")  # type: ignore[call-arg]
    client.keys.create("ci", "everything")  # type: ignore[arg-type]


async def asynchronous(client: AsyncClient) -> None:
    """Never runs: what an asynchronous client gives."""
    await assert_type(client.tasks.get(task_id="tsk_1"), Coroutine[Any, Any, Task])
    assert_type(await client.tasks.submit("type"), Task)
    assert_type(client.tasks.list(), AsyncIterator[Task])
    assert_type(await client.tasks.page(), Page[Task])
    assert_type(client.tasks.stream("tsk_1"), AsyncIterator[TaskEvent])
    assert_type(await client.health(), Health)
    await client.tasks.get(task="tsk_1")  # type: ignore[call-arg]


def test_the_types_have_the_fields_of_the_servers_answers() -> None:
    shapes, compared = _shapes(), 0
    for name in types.__all__:
        ours = getattr(types, name)
        theirs = shapes.get(NAMES.get(name, name))
        if is_typeddict(ours) and theirs is not None:
            beyond = BEYOND.get(name, set())
            assert set(ours.__annotations__) - beyond == _fields(theirs), name
            compared += 1
    assert compared >= 20


def test_both_clients_show_the_signature_and_the_words_of_the_one_declaration() -> None:
    with Client(URL, KEY) as client:
        mine, theirs = client.tasks.submit, AsyncClient(URL, KEY).tasks.submit
        assert list(signature(mine).parameters)[1:] == list(signature(theirs).parameters)[1:]
        assert mine.__name__ == theirs.__name__ == "submit"
        assert mine.__doc__ == theirs.__doc__
        assert "idempotency_key" in str(mine.__doc__)


def _shapes() -> dict[str, type[BaseModel]]:
    """The models of the server's answers, by name."""
    modules = [
        import_module(found.name) for found in iter_modules(shape.__path__, f"{shape.__name__}.")
    ]
    return {
        name: found
        for module in modules
        for name, found in vars(module).items()
        if isinstance(found, type) and issubclass(found, BaseModel)
    }


def _fields(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}
