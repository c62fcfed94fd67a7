"""What a verification found: the breaches, bounded, and how much was looked at."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.audit.violation import Rule, Violation


@dataclass(frozen=True, slots=True)
class Report:
    """`checked` counts what was read, by kind; `broken` the breaches of each broken rule.

    `violations` are in the order of the rules, at most a fixed number of each.
    """

    checked: Mapping[str, int]
    broken: Mapping[Rule, int]
    violations: tuple[Violation, ...]

    @property
    def is_clean(self) -> bool:
        return not self.broken

    def to_json(self) -> dict[str, object]:
        """`checked` and `broken` as counts by name, `violations` as `rule`, `subject_id`,
        `detail`."""
        return {
            "checked": dict(self.checked),
            "broken": {rule.value: count for rule, count in self.broken.items()},
            "violations": [
                {"rule": one.rule.value, "subject_id": one.subject_id, "detail": one.detail}
                for one in self.violations
            ],
        }


@dataclass(slots=True)
class Findings:
    """Gathers one run's breaches; keeps the first `listed` of each rule and counts the rest."""

    listed: int
    checked: Counter[str]
    _kept: dict[Rule, dict[str, Violation]] = field(default_factory=dict)
    _more: Counter[Rule] = field(default_factory=Counter)

    def add(self, rule: Rule, subject_id: str, detail: str | None) -> None:
        """Takes a breach, or nothing where there is no detail; a subject counts once a rule."""
        if detail is None:
            return
        kept = self._kept.setdefault(rule, {})
        if subject_id in kept:
            return
        if len(kept) < self.listed:
            kept[subject_id] = Violation(rule, subject_id, detail)
        else:
            self._more[rule] += 1

    def report(self) -> Report:
        """All that was found so far."""
        rules = [rule for rule in Rule if rule in self._kept]
        return Report(
            checked=dict(self.checked),
            broken={rule: len(self._kept[rule]) + self._more[rule] for rule in rules},
            violations=tuple(one for rule in rules for one in self._kept[rule].values()),
        )
