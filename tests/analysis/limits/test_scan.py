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
    ("mass", "sigma"),
    [
        ([1.0, 2.0, 3.0, 6.0], [1.0, 1.2, 2.0, 3.0]),
        ([1.0, 2.0], [0.75, 0.75]),
        ([1.0, 2.0], [0.1, 0.05]),
        ([2.0], [1.0]),
        (MASS, widths(0.0)),
        (MASS, widths(0.005)),
    ],
)
def test_the_windows_of_a_scan_leave_no_mass_out_and_overlap_by_half(mass, sigma):
    windows = windows_of(mass, sigma)
    scan = Scan.of(windows)
    tested = scan.windows.training
    for name in ("mass", "sigma", "low", "high"):
        np.testing.assert_array_equal(getattr(scan.windows, name)[tested], getattr(windows, name))
    between = np.diff(np.flatnonzero(tested)) - 1
    assert (between >= 1).all()
    shared = scan.windows.high[:-1] - scan.windows.low[1:]
    assert (shared > 0.45 * (scan.windows.high - scan.windows.low)[1:]).all()


def test_points_between_have_short_masses():
    found = Scan.of(windows_of(MASS, widths(0.0))).mass.tolist()
    for masses in ([1.0, 1.05, 1.1], [5.0, 5.025, 5.05], [7.0, 7.02, 7.04]):
        first = found.index(masses[0])
        assert found[first : first + 3] == masses


def test_what_is_known_stays_and_between_two_it_is_linear():
    scan = Scan.of(windows_of([1.0, 2.0, 3.0, 4.0], [1.0, 1.2, 2.0, 3.0]))
    found = scan.interpolate(np.array([1.0, 3.0, np.nan, 5.0]))
    expected = np.interp(scan.mass, [1.0, 2.0, 3.0, 4.0], [1.0, 3.0, np.nan, 5.0])
    np.testing.assert_allclose(found, np.where(scan.mass < 4, expected, 5.0))
