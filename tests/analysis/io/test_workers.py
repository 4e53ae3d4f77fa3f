"""Which signals are heard."""

import signal
from contextlib import nullcontext

import pytest

from punzinet.analysis.io import workers


@pytest.mark.parametrize(("repeats", "ends"), [(0.0, True), (60.0, False)])
def test_a_second_signal_ends_it_at_once_unless_it_repeats_the_first(monkeypatch, repeats, ends):
    monkeypatch.setattr(workers, "REPEATS", repeats)
    handle = workers.heard_once()
    for raises in (True, ends):
        with pytest.raises(KeyboardInterrupt) if raises else nullcontext():
            handle(signal.SIGINT, None)
