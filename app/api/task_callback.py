"""What the URL was sent that a task's request named: read, and sent again."""

from fastapi import APIRouter

from app.api.shape import webhook as shape
from app.api.webhook_answer import whole_delivery_json
from app.http.answer import answers
from app.http.body import JsonObject
from app.http.caller import Reader, Writer
from app.http.idempotency import CREATES, IdempotentRoute
from app.stores import Held

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], route_class=IdempotentRoute)


@router.get("/{task_id}/callback", responses=answers(shape.WholeDelivery))
def get_callback(task_id: str, caller: Reader, stores: Held) -> JsonObject:
    """The event that the task's `webhook_url` is sent, with every attempt, once it has ended."""
    return whole_delivery_json(stores.post.log.callback(task_id, namespace_id=caller.namespace_id))


@router.post(
    "/{task_id}/callback/replay",
    openapi_extra=CREATES,
    responses=answers(shape.WholeDelivery, {409: "The log is full."}),
)
def replay_callback(task_id: str, caller: Writer, stores: Held) -> JsonObject:
    """Sends it again at once, under the same `webhook-id`; one that has not ended stays so."""
    delivery = stores.post.log.callback(task_id, namespace_id=caller.namespace_id)
    replayed = stores.post.replay.one(delivery)
    stores.ledger.cache.nudge()
    return whole_delivery_json(replayed)
