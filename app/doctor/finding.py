"""What one look found."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """OK: nothing to do. WARN: it works, but not for long or not well. FAIL: it does not work."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence on one thing, and what to do; neither has a secret or a host in it."""

    check: str
    verdict: Verdict
    detail: str
    advice: str | None = None

    def to_json(self) -> dict[str, str | None]:
        return {
            "check": self.check,
            "verdict": self.verdict.value,
            "detail": self.detail,
            "advice": self.advice,
        }


def ok(check: str, detail: str) -> Finding:
    return Finding(check, Verdict.OK, detail)


def warn(check: str, detail: str, advice: str) -> Finding:
    return Finding(check, Verdict.WARN, detail, advice)


def fail(check: str, detail: str, advice: str) -> Finding:
    return Finding(check, Verdict.FAIL, detail, advice)
