"""How every process of ours speaks to Celery's broker: one configuration for both sides."""

from typing import Any, Final

from kombu import Exchange, Queue

from app.settings import Settings, required

JOBS_QUEUE: Final = "waybill.jobs"
# What a namespace submits while it has many tasks waiting; `app/receipts/lane.py` says which.
BACKLOGS: Final = 16
BACKLOG_QUEUES: Final = tuple(f"{JOBS_QUEUE}.backlog.{number:02}" for number in range(BACKLOGS))
# Job workers take from it in turn with the jobs, so that a task whose children have ended does
# not wait behind the pieces of other tasks.
CONCLUSIONS_QUEUE: Final = "waybill.conclusions"
CONTROL_QUEUE: Final = "waybill.control"
WEBHOOKS_QUEUE: Final = "waybill.webhooks"
# Handlers of events in here: no endpoint out there keeps them waiting.
HANDLERS_QUEUE: Final = "waybill.handlers"
# What a worker takes from that names no queues, one message of each in turn.
JOB_QUEUES: Final = (JOBS_QUEUE, CONCLUSIONS_QUEUE, *BACKLOG_QUEUES)
QUEUES: Final = (*JOB_QUEUES, CONTROL_QUEUE, WEBHOOKS_QUEUE, HANDLERS_QUEUE)

# Bounds the wait on a broker that is down or frozen; well over the one second that a consumer
# blocks in BRPOP.
SOCKET_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 1.0


def celery_configuration(settings: Settings) -> dict[str, Any]:
    """Celery's settings, for producers and workers alike.

    Early acknowledgement: the claim in MongoDB decides who runs a task and the republisher
    brings lost messages back, so the broker's redelivery has nothing left to do. Results are
    ignored: the receipt is the result.
    """
    redis_url = required(settings.redis_url, "redis_url")
    return {
        "broker_url": redis_url,
        "result_backend": redis_url,
        "result_expires": settings.receipt_cache_ttl_s,
        "task_ignore_result": True,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_default_queue": JOBS_QUEUE,
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in JOB_QUEUES],
        "task_create_missing_queues": True,
        "task_acks_late": False,
        "task_send_sent_event": True,
        "worker_send_task_events": True,
        "worker_prefetch_multiplier": 1,
        "broker_connection_retry": True,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "socket_timeout": SOCKET_TIMEOUT_S,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            # Prefetched messages are remembered in the worker alone: two round trips less for each
            # job. One that is lost with its worker comes back as any other, by the republisher.
            "ack_emulation": False,
            # No message of ours has a priority: one key a queue, not four, in each BRPOP.
            "priority_steps": [0],
        },
        "enable_utc": True,
        "timezone": "UTC",
    }
