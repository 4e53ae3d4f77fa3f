"""Scan points and their windows; global p-values, upcrossings and signals in such windows."""

from dataclasses import replace

import numpy as np
import pytest
from experiments import experiment
from scipy.stats import norm
from small_data import windows_of

from punzinet.analysis.limits.model import UNSEEN, Background, interpolated
from punzinet.analysis.limits.observed import Sums
from punzinet.analysis.limits.scan import Cells, Scan, global_p_value, likeliest
from punzinet.analysis.limits.sidebands import Spectrum

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
    found = Scan.of(windows_of(MASS, widths(0.0))).windows.mass.tolist()
    for masses in ([1.0, 1.05, 1.1], [5.0, 5.025, 5.05], [7.0, 7.02, 7.04]):
        first = found.index(masses[0])
        assert found[first : first + 3] == masses


def test_what_is_known_stays_and_between_two_it_is_linear():
    scan = Scan.of(windows_of([1.0, 2.0, 3.0, 4.0], [1.0, 1.2, 2.0, 3.0]))
    found = scan.interpolate(np.array([1.0, 3.0, np.nan, 5.0]))
    expected = np.interp(scan.windows.mass, [1.0, 2.0, 3.0, 4.0], [1.0, 3.0, np.nan, 5.0])
    np.testing.assert_allclose(found, np.where(scan.windows.mass < 4, expected, 5.0))


def models_of(background, size=0.0, effective=1e9):
    return [experiment(float(b), effective, size) for b in background]


def filled(low, high, density, size=0.0):
    """Cells of windows, background in cells of a density, and experiments."""
    cells = Cells.of(low, high)
    background = density * np.diff(cells.edges)
    return cells, background, 1e-6 * background, models_of(cells.windows(background), size)


def p_value_of(models, cells, background, error, smallest):
    how = {"smallest": smallest, "number": 20_000, "seed": 1}
    return global_p_value(models, cells, background, error, **how)


def test_windows_are_sums_of_the_cells_between_their_edges():
    random = np.random.default_rng(3)
    low = np.sort(random.uniform(0, 10, 30))
    high = np.sort(low + random.uniform(0.1, 2, 30))
    events = random.uniform(-1, 13, 5000)
    cells = Cells.of(low, high)
    counts = cells.windows(np.histogram(events, cells.edges)[0])
    by_hand = ((low[:, None] < events) & (events < high[:, None])).sum(axis=1)
    np.testing.assert_array_equal(counts, by_hand)


ROW = np.arange(21.0)


@pytest.mark.parametrize(
    ("low", "high", "density", "size", "effective", "error", "surprise", "independent"),
    [
        *((ROW[:-1], ROW[1:], density, 0.0, 1e9, 1e-6, 0.01, 20) for density in (2.0, 500.0)),
        # Nine times the same window, or nine whose common uncertainty is all that matters.
        (np.zeros(9), np.ones(9), 20.0, 0.0, 1e9, 1e-6, 0.05, 1),
        (ROW[:9], ROW[1:10], 1e6, 0.5, 1e9, 1e-6, 0.05, 1),
        # Sixteen simulated events in each cell: windows fluctuate by 25 %, each by itself.
        (ROW[:10], ROW[1:11], 1e4, 0.0, 16.0, 0.25, 0.03, 10),
        # Of nearly all events that pass the total is known, better than their own number says.
        (ROW[:1], ROW[1:2], 200.0, 0.0, 400.0, 0.125, 0.01, 1),
    ],
)
def test_windows_multiply_that_fluctuate_each_by_itself(
    *, low, high, density, size, effective, error, surprise, independent
):
    cells = Cells.of(low, high)
    background = density * np.diff(cells.edges)
    models = models_of(cells.windows(background), size, effective)
    sums = Sums(models[0])
    local = sums.at_least(sums.threshold(surprise))
    found = p_value_of(models, cells, background, error * background, local)
    expected = 1 - (1 - local) ** independent
    assert found.p_value == pytest.approx(expected, abs=3 * found.error)
    assert found.error == pytest.approx(np.sqrt(expected * (1 - expected) / 20_000), rel=0.1)


@pytest.mark.parametrize("both", [(1.1, 1.05), (1.1, 0.98)])
def test_effects_that_are_not_the_same_both_ways_count_as_in_the_local_p_value(both):
    """Twenty windows that share an uncertainty: by random numbers."""
    smallest, toys = 0.003, 100_000
    cells, events, error, _ = filled(ROW[:-1], ROW[1:], 500.0)
    models = [experiment(500.0, 1e9, shared={"lopsided": {"tautau": both}})] * 20
    random = np.random.default_rng(2)
    factor = np.exp(interpolated(random.standard_normal(toys), np.array(both))[0])
    highest = random.poisson(500.0 * factor, (20, toys)).max(axis=0)
    expected = (highest >= Sums(models[0]).threshold(smallest)).mean()
    found = p_value_of(models, cells, events, error, smallest)
    assert expected > 2 * smallest
    assert found.p_value == pytest.approx(expected, abs=4 * found.error)


def test_windows_expect_what_their_experiments_do():
    """Background of another normalisation than the simulation's, and where none was simulated."""
    low, high = np.array([0.0, 0.5, 1.0, 3.0, 4.0]), np.array([1.0, 1.5, 2.0, 4.0, 5.0])
    cells = Cells.of(low, high)
    background = np.where(cells.edges[:-1] < 2, 10.0, 0.0) * np.diff(cells.edges)
    models = models_of(2 * cells.windows(background[: len(cells.edges) - 1]) + [0, 0, 0, 0.3, 0.4])
    for i, events in ((3, 0.3), (4, 0.4)):
        unseen = (Background(UNSEEN, events, 1.0),)
        models[i] = replace(models[i], backgrounds=unseen)
    error = 1e-4 * background
    for i in range(5):
        sums = Sums(models[i])
        local = sums.at_least(sums.threshold(0.3))
        alone = [model if j == i else None for j, model in enumerate(models)]
        found = p_value_of(alone, cells, background, error, local)
        assert found.p_value == pytest.approx(local, abs=4 * found.error)


def test_a_seed_gives_the_same_again_and_no_pseudo_experiment_an_upper_bound():
    cells, events, error, models = filled(ROW[:5], ROW[1:6], 5.0)
    arguments = {"smallest": 1e-9, "number": 1234, "seed": 5}
    first, again = (global_p_value(models, cells, events, error, **arguments) for _ in range(2))
    assert first == again
    assert (first.p_value, first.error) == (0, pytest.approx(1.148 / 1234))
    assert first.upcrossings.p_value == pytest.approx(0, abs=1e-6)
    nothing = global_p_value([None] * 5, cells, events, error, **arguments)
    assert (nothing.p_value, nothing.upcrossings.p_value) == (1, 1)
    everything = global_p_value(models, cells, events, error, **arguments | {"smallest": 1.0})
    assert (everything.p_value, everything.upcrossings.p_value) == (1, 1)


@pytest.mark.parametrize(("smallest", "number"), [(0.5, 3), (0.7, 5)])
def test_few_pseudo_experiments_do_not_undercut_the_local_p_value(smallest, number):
    """None of three has it, and two of five, where half and more of them should."""
    cells, events, error, models = filled(ROW[:1], ROW[1:2], 5.0)
    found = global_p_value(models, cells, events, error, smallest=smallest, number=number, seed=5)
    assert max(found.p_value, found.error) == smallest


def test_upcrossings_of_many_events_estimate_the_same():
    """Gross and Vitells, EPJC 70, 525: an upper bound, close to the truth far up."""
    low = np.arange(0, 40, 0.25)
    cells, events, error, models = filled(low, low + 1, 400.0)
    arguments = {"smallest": norm.sf(3), "number": 10_000, "seed": 2}
    found = global_p_value(models, cells, events, error, **arguments)
    assert found.p_value < found.upcrossings.p_value < 1.5 * found.p_value


def test_injected_signals_of_five_sigma_are_found_where_they_are():
    """A peak in windows of ±2 σ that overlap by half; its cross-section is (n − B) / signal."""
    low = np.arange(0, 30, 1.0)
    cells, background, _, models = filled(low, low + 2, 15.0, 0.05)
    sigma, centre, toys = 0.5, 16.0, 500
    index = int(np.flatnonzero(low + 1 == centre)[0])
    shape = np.diff(norm.cdf(cells.edges, centre, sigma))
    acceptance = float(cells.windows(shape)[index])
    wanted = Sums(models[index]).threshold(norm.sf(5)) - models[index].background
    random = np.random.default_rng(4)
    common = 1.05 ** random.standard_normal((toys, 1))
    counts = cells.windows(random.poisson(background * common + wanted / acceptance * shape))
    sums = [*map(Sums, models)]
    tables = [
        {n: one.at_least(n) for n in np.unique(column)}
        for one, column in zip(sums, counts.T.astype(int), strict=True)
    ]
    p_values = np.array([[tables[i][n] for i, n in enumerate(row)] for row in counts])
    best = low[p_values.argmin(axis=1)] + 1
    assert (np.abs(best - centre) < 2 * sigma + 0.01).mean() >= 0.95
    cross_section = (counts[:, index] - models[index].background) / models[index].signal
    assert cross_section.mean() == pytest.approx(wanted / models[index].signal, rel=0.03)


@pytest.mark.parametrize(
    "mass",
    [0.5, *(pytest.param(m, marks=pytest.mark.slow) for m in (0.1, 1.0, 1.5, 2.5, 4.0, 6.0, 8.7))],
)
def test_five_sigma_are_likeliest_within_the_resolution_of_their_mass(mass):
    """Widths as published, and a background that falls steeply, like that of the default data."""
    some = np.abs(MASS - mass) < 0.55
    windows = Scan.of(windows_of(MASS[some], widths(0.0)[some])).windows
    index = int(np.flatnonzero(windows.mass == mass)[0])
    centre, sigma = windows.centre[index], windows.sigma[index]
    cells = Cells.of(windows.low, windows.high)
    middle = (cells.edges[1:] + cells.edges[:-1]) / 2
    expected = (600 * np.exp(-middle / 0.55) + 3) * np.diff(cells.edges)
    sums = [*map(Sums, models_of(cells.windows(expected), 0.1))]
    signal = sums[index].threshold(norm.sf(5)) - float(cells.windows(expected)[index])
    random = np.random.default_rng(8)

    many = np.repeat(middle, random.poisson(10 * expected))
    simulation = Spectrum.of(many, np.full(len(many), 0.1))

    found = []
    for _ in range(40):
        more = random.normal(centre, sigma, random.poisson(signal))
        seen = Spectrum.of(np.append(np.repeat(middle, random.poisson(expected)), more))
        counts = seen.sums(windows.low, windows.high)[0].astype(int).tolist()
        best = np.argmin([one.at_least(count) for one, count in zip(sums, counts, strict=True)])
        found.append(likeliest(windows, cells, seen, simulation, int(best)))
    near = max(sigma, *np.sort(np.abs(windows.centre - centre))[1:3])  # or the next point
    assert (np.abs(windows.centre[found] - centre) <= near).mean() >= 0.95
