"""The bounds within which the protocol is searched: each small, each about one thing."""

from typing import Final

from tests.protocol.protocol import Protocol

KILLS: Final = Protocol("kills and faults", kills=True)
RETRIES: Final = Protocol("retries", kills=True, stumbles=True, loses_answers=True, steps=0)
HANGS: Final = Protocol("a job that never looks", kills=True, hangs=True, steps=0)
EFFECTS: Final = Protocol("effects of two steps", steps=2, stumbles=True, loses_answers=True)
PAUSES: Final = Protocol("pauses", max_returns=1, max_attempts=1, loses_answers=True)
RETURNS: Final = Protocol("returns beside attempts", max_returns=1, steps=0)
PAUSED_KILLS: Final = Protocol(
    "pauses and kills", max_returns=1, max_attempts=1, kills=True, steps=0
)
MESSAGES: Final = Protocol("doubled messages", most_messages=2, max_attempts=1, kills=True, steps=0)

BOUNDS: Final = (
    *(KILLS, RETRIES, HANGS, EFFECTS),
    *(PAUSES, RETURNS, PAUSED_KILLS, MESSAGES),
)
