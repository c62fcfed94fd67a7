"""What is answered to the deletion of something that holds much."""

from typing import Literal

from app.api.shape.task import EXAMPLE, Task
from app.http.answer import Answer
from app.http.example import example


class Removed(Answer):
    """It is out of sight; the task deletes what was in it."""

    model_config = example(
        {
            "success": True,
            "message": "The bucket 'goods' is deleted; task "
            "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77 deletes what was in it",
            "task_id": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77",
            "task": EXAMPLE,
        }
    )

    success: Literal[True]
    message: str
    task_id: str
    task: Task
