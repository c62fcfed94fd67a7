"""What the shell is offered on TAB."""

from typing import Final

from waybill.client import Client
from waybill.error import ClientError

OWN_TYPES: Final = ("api_buckets_batches_process", "api_tasks_kill")
PATIENCE_S: Final = 2.0
ROWS: Final = 200


def task_types(incomplete: str) -> list[str]:
    """Types of the newest tasks; those of the product where the server does not answer soon."""
    found = set(OWN_TYPES)
    try:
        with Client(timeout_s=PATIENCE_S) as client:
            found |= {task["task_type"] for task in client.tasks.page(page_size=ROWS)["results"]}
    except ClientError:
        pass
    return sorted(name for name in found if name.startswith(incomplete))


def processors(incomplete: str) -> list[str]:
    """Processors that ran lately; none where the server does not answer soon."""
    try:
        with Client(timeout_s=PATIENCE_S) as client:
            found = {day["processor_name"] for day in client.runs.stats()["results"]}
    except ClientError:
        return []
    return sorted(name for name in found if name.startswith(incomplete))
