"""What stands in a migration's way, or is worth knowing before it starts; pure values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from app.migrations.resource import Resource, ResourceType
from app.receipts.receipt import JsonObject


class Severity(StrEnum):
    """Whether the migration may start all the same."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found; `error_code` is for programs, the message for people."""

    error_code: str
    message: str
    resource_id: str | None = None
    resource_type: ResourceType | None = None
    severity: Severity = Severity.ERROR

    def to_json(self) -> JsonObject:
        return {
            "error_code": self.error_code,
            "message": self.message,
            "resource_id": self.resource_id,
            "resource_type": self.resource_type,
            "severity": self.severity.value,
        }


@dataclass(frozen=True, slots=True)
class Validation:
    """What an examination found: findings, what would migrate in its order, and how much it is."""

    findings: Sequence[Finding]
    resources: Sequence[Resource] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def errors(self) -> list[Finding]:
        """What keeps it from starting."""
        return [each for each in self.findings if each.severity is Severity.ERROR]

    @property
    def warnings(self) -> list[Finding]:
        return [each for each in self.findings if each.severity is Severity.WARNING]

    def to_json(self) -> JsonObject:
        return {
            "valid": not self.errors,
            "errors": [each.to_json() for each in self.errors],
            "warnings": [each.to_json() for each in self.warnings],
            "estimated_resources": dict(self.counts),
            "estimated_duration_seconds": None,
        }

    def graph_json(self) -> JsonObject:
        """The dependency graph; `execution_order` has what others build on first."""
        return {
            "nodes": [each.to_json() for each in self.resources],
            "execution_order": [each.resource_id for each in self.resources],
        }
