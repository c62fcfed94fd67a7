"""The statuses of migrations, in our words and in those of the public client.

Every status of this API is one of `TaskStatusEnum`, migrations' too. The public client's models of
migrations have an enum of their own and refuse any other word, so it gets its own; so does nobody
else.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal, get_args

from fastapi import Depends, Request, Response

from app.http.public_client import VARY, is_public_client
from app.receipts.status import TaskStatusEnum

_S = TaskStatusEnum
PUBLIC_WORDS: Final = {
    _S.DRAFT: "draft",
    _S.PENDING: "pending",
    _S.SUSPENDED: "pending",
    _S.PROCESSING: "in_progress",
    _S.IN_PROGRESS: "in_progress",
    _S.COMPLETED: "completed",
    _S.SKIPPED: "completed",
    _S.FAILED: "failed",
    _S.UNKNOWN: "failed",
    _S.CANCELED: "cancelled",
}
# What a list may be asked for; there is no status for what lasts as long as one request.
PublicWord = Literal["draft", "pending", "in_progress", "completed", "failed", "cancelled"]
ASKED: Final[Mapping[PublicWord, tuple[TaskStatusEnum, ...]]] = {
    word: tuple(status for status, shown in PUBLIC_WORDS.items() if shown == word)
    for word in get_args(PublicWord)
}

Word = Callable[[TaskStatusEnum], str]


async def _word(request: Request, response: Response) -> Word:
    response.headers.update(VARY)
    if is_public_client(request):
        return lambda status: PUBLIC_WORDS[status]
    return lambda status: status.value


Worded = Annotated[Word, Depends(_word)]
