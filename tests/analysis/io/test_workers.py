"""Which signals are heard."""

import signal

import pytest

from punzinet.analysis.io import workers


@pytest.mark.parametrize(("repeats", "ends"), [(0.0, True), (60.0, False)])
def test_a_second_signal_ends_it_at_once_unless_it_repeats_the_first(monkeypatch, repeats, ends):
    monkeypatch.setattr(workers, "REPEATS", repeats)
    heard = []
    handle = workers.heard_once(lambda: heard.append("first"))
    handle(signal.SIGINT, None)
    if ends:
        with pytest.raises(KeyboardInterrupt):
            handle(signal.SIGINT, None)
    else:
        handle(signal.SIGINT, None)
    assert heard == ["first"]
