"""Scan points: their windows and what is interpolated between hypotheses."""

import numpy as np
import pytest
from small_data import windows_of

from punzinet.analysis.limits.scan import Scan

RNG = np.random.default_rng(2)
MASS = np.arange(0.1, 8.75, 0.1).round(9)


def widths(scatter):
    """As published, each wrong by some share, hence not smooth."""
    published = [0.234, 0.296, 0.304, 0.302, 0.297, 0.271, 0.257, 0.223, 0.177, 0.139, 0.097]
    sigma = np.interp(MASS, np.linspace(0.1, 8.1, 11), published)
    return sigma * (1 + scatter * RNG.uniform(-1, 1, len(MASS)))


@pytest.mark.parametrize(
    ("mass", "sigma", "between"),
    [
        ([1.0, 2.0, 3.0, 6.0], [1.0, 1.2, 2.0, 3.0], [1.5, 2.5]),  # the last one lies apart
        ([1.0, 2.0], [0.75, 0.75], []),  # they touch, and no event lies in both
        ([2.0], [1.0], []),
        (MASS, widths(0.0), (MASS[:49] + 0.05).round(9)),
        (MASS, widths(0.005), None),
    ],
)
def test_between_hypotheses_points_lie_where_every_event_is_in_a_window(mass, sigma, between):
    windows = windows_of(mass, sigma)
    scan = Scan.of(windows)
    for name in ("mass", "sigma", "low", "high"):
        column = getattr(scan.windows, name)[scan.hypothesis]
        np.testing.assert_array_equal(column, getattr(windows, name))
    others = np.setdiff1d(np.arange(len(scan.mass)), scan.hypothesis)
    if between is not None:
        np.testing.assert_array_equal(scan.mass[others], between)
    low, high = scan.windows.low[others], scan.windows.high[others]
    for value in np.linspace(low + 1e-9, high - 1e-9, 101):
        start, stop = windows.assign(value)
        assert (start < stop).all()


def test_what_is_known_stays_and_what_is_between_two_is_their_mean():
    scan = Scan.of(windows_of([1.0, 2.0, 3.0, 4.0], [1.0, 1.2, 2.0, 3.0]))
    found = scan.interpolate(np.array([1.0, 3.0, np.nan, 5.0]))
    np.testing.assert_array_equal(found, [1, 2, 3, np.nan, np.nan, np.nan, 5])
