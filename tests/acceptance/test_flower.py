"""What people who watch Flower see of a task, and that nobody else does."""

import httpx
import pytest

from tests.acceptance.shop import Shop, text_object
from tests.polling import poll
from tests.stack import Stack

pytestmark = pytest.mark.timeout(120)


def test_flower_shows_names_states_and_receipts(shop: Shop, stack: Stack) -> None:
    _, receipt = shop.process(shop.add([text_object("seen in Flower")]))
    credentials = (stack.flower_user, stack.flower_password)

    def shown() -> dict[str, object] | None:
        answer = httpx.get(f"{stack.flower_url}/api/tasks", auth=credentials, timeout=10)
        answer.raise_for_status()
        tasks: list[dict[str, object]] = list(answer.json().values())
        mine = [task for task in tasks if receipt["task_id"] in str(task["args"])]
        return next((task for task in mine if task["state"] == "SUCCESS"), None)

    task = poll(shown, description="Flower shows the task", within_s=30)
    assert task["name"] == receipt["task_type"]


@pytest.mark.parametrize("path", ["/", "/tasks", "/api/tasks", "/workers"])
def test_flower_is_closed_to_others(stack: Stack, path: str) -> None:
    assert httpx.get(stack.flower_url + path).status_code == 401
    wrong = (stack.flower_user, "guess")
    assert httpx.get(stack.flower_url + path, auth=wrong).status_code == 401
