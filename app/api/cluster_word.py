"""The statuses of executions, in our words and in those of the public client.

Every status of this API is one of `TaskStatusEnum`, executions' too. The public client's model of
an execution has an enum of its own and refuses any other word, so it gets its own; so does nobody
else.
"""

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Depends, Request, Response

from app.http.public_client import VARY, is_public_client
from app.receipts.status import TaskStatusEnum

_S = TaskStatusEnum
PUBLIC_WORDS: Final = {
    _S.PENDING: "pending",
    _S.SUSPENDED: "pending",
    _S.PROCESSING: "processing",
    _S.IN_PROGRESS: "processing",
    _S.COMPLETED: "completed",
    _S.SKIPPED: "completed",
    _S.FAILED: "failed",
    _S.UNKNOWN: "failed",
    _S.CANCELED: "canceled",
}

Word = Callable[[TaskStatusEnum], str]


async def _word(request: Request, response: Response) -> Word:
    response.headers.update(VARY)
    if is_public_client(request):
        return lambda status: PUBLIC_WORDS[status]
    return lambda status: status.value


Worded = Annotated[Word, Depends(_word)]
