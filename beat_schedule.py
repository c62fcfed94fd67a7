"""What Celery Beat ticks: entry → task name, interval in seconds, options. Plain data.

Each tick's work is a claim in MongoDB, so several Beats, or a tick that comes twice, are
harmless; `expires` drops the ticks that piled up while no control worker ran.
"""

CONTROL_QUEUE = "waybill.control"
WEBHOOKS_QUEUE = "waybill.webhooks"

# Well over what the clocks of two machines may differ by.
EXPIRES_S = 30.0


def _tick(task: str, every_s: float, *, queue: str = CONTROL_QUEUE) -> dict[str, object]:
    options = {"queue": queue, "expires": EXPIRES_S, "ignore_result": True}
    return {"task": task, "schedule": every_s, "options": options}


BEAT_SCHEDULE = {
    "heartbeat": _tick("waybill.heartbeat", 5.0),
    "reap-leases": _tick("waybill.reap_leases", 2.0),
    "republish": _tick("waybill.republish", 2.0),
    "settle": _tick("waybill.settle", 10.0),
    "follow-up": _tick("waybill.follow_up", 5.0),
    "conclude": _tick("waybill.conclude", 5.0),
    "dispatch-webhooks": _tick("waybill.dispatch_webhooks", 2.0, queue=WEBHOOKS_QUEUE),
}
