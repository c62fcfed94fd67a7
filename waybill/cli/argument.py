"""Arguments that many commands take."""

from typing import Annotated, TypeAlias

import typer


def identifier(text: str) -> str:
    """An id or a name as it was typed; an empty one is refused."""
    if not text.strip() or text in (".", ".."):
        raise typer.BadParameter("an id or a name is needed")
    return text


TaskId: TypeAlias = Annotated[
    str, typer.Argument(metavar="TASK_ID", help="Id of the task, tsk_….", parser=identifier)
]
BatchId: TypeAlias = Annotated[
    str, typer.Argument(metavar="BATCH_ID", help="Id of the batch, btch_….", parser=identifier)
]
BucketName: TypeAlias = Annotated[
    str, typer.Argument(metavar="BUCKET", help="Name or id of the bucket.", parser=identifier)
]
CollectionName: TypeAlias = Annotated[
    str,
    typer.Argument(metavar="COLLECTION", help="Name or id of the collection.", parser=identifier),
]
ClusterName: TypeAlias = Annotated[
    str, typer.Argument(metavar="CLUSTER", help="Name or id of the cluster.", parser=identifier)
]
NamespaceName: TypeAlias = Annotated[
    str,
    typer.Argument(metavar="NAMESPACE", help="Name or id of the namespace.", parser=identifier),
]
KeyId: TypeAlias = Annotated[
    str, typer.Argument(metavar="KEY_ID", help="Id of the key, key_….", parser=identifier)
]
Reason: TypeAlias = Annotated[
    str | None, typer.Option("--reason", help="Why; the receipt keeps it.")
]
CallbackUrl: TypeAlias = Annotated[
    str | None,
    typer.Option("--webhook-url", metavar="URL", help="Is sent one signed event at the end."),
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
