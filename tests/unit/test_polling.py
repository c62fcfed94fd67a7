"""The pauses between polls are the seed's."""

from itertools import islice

from app.receipts.status import TERMINAL as TERMINAL_STATUSES
from waybill.flow.polling import JITTER, TERMINAL, delays, spread


def test_the_delays_are_the_seeds() -> None:
    first = list(islice(delays(), 12))
    assert first[:4] == [1.0, 1.5, 2.25, 3.375]
    assert first[-3:] == [30.0] * 3
    assert {status.value for status in TERMINAL_STATUSES} == TERMINAL


def test_the_jitter_is_small_and_never_passes_the_cap() -> None:
    for delay_s in islice(delays(), 20):
        shortest_s, longest_s = spread(delay_s)
        assert shortest_s == delay_s * (1 - JITTER)
        assert longest_s == min(delay_s * (1 + JITTER), 30.0)
