"""How every process of ours speaks to Celery's broker: one configuration for both sides."""

from typing import Any, Final

from app.settings import Settings, required

JOBS_QUEUE: Final = "waybill.jobs"
# Job workers take from it in turn with the jobs, so that a task whose children have ended does
# not wait behind the pieces of other tasks.
CONCLUSIONS_QUEUE: Final = "waybill.conclusions"
CONTROL_QUEUE: Final = "waybill.control"
WEBHOOKS_QUEUE: Final = "waybill.webhooks"
QUEUES: Final = (JOBS_QUEUE, CONCLUSIONS_QUEUE, CONTROL_QUEUE, WEBHOOKS_QUEUE)

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
        },
        "enable_utc": True,
        "timezone": "UTC",
    }
