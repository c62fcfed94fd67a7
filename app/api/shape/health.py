"""Health as answers have it."""

from app.health import Health
from app.http.answer import Answer
from app.http.example import example


class Component(Answer):
    """One part's state, and a sentence on it."""

    model_config = example({"status": "OK", "detail": "the last tick was 3 s ago"})

    status: Health
    detail: str


class HealthReport(Answer):
    """OK when every part answers; the parts by name."""

    model_config = example(
        {
            "status": "OK",
            "components": {
                "mongodb": {"status": "OK", "detail": "answers, with a primary"},
                "redis": {"status": "OK", "detail": "answers"},
                "workers": {"status": "OK", "detail": "2 heard lately"},
            },
        }
    )

    status: Health
    components: dict[str, Component]
