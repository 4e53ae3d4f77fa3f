"""Figures of the validation."""

import numpy as np
from matplotlib.text import Text
from pictures import check_figure

from punzinet.analysis.simulation.published import PublishedNumber
from punzinet.analysis.simulation.pythia import BINS, fill
from punzinet.plots import validation
from punzinet.plots.validation import LABELS

#: Every second one agrees, and the last has no value.
NUMBERS = [
    PublishedNumber(name, name, 10.0, value, 0.1)
    for name, value in zip(LABELS, [*np.resize([13.0, 11.0], len(LABELS) - 1), None], strict=True)
]


def test_a_ratio_without_a_value_is_not_drawn():
    figure = validation.ratios_figure(NUMBERS)
    check_figure(figure)
    lines = [line for line in figure.axes[0].get_lines() if line.get_marker() in {"o", "D"}]
    drawn = sorted(np.concatenate([line.get_xdata() for line in lines]))
    assert len(drawn) == len(NUMBERS) - 1
    assert drawn == sorted(row.ratio for row in NUMBERS if row.ratio is not None)


def test_spectra_say_what_they_are():
    rng, drawn = np.random.default_rng(1), {}
    for name, edges in BINS.items():
        ours, theirs = rng.uniform(edges[0], edges[-1], (2, 9000))
        drawn[name] = fill(edges, ours, np.ones(9000), theirs)
    figure = validation.spectra_figure(drawn, "of what")
    check_figure(figure)
    words = [text.get_text() for text in figure.findobj(Text)]
    assert {"Pythia 8", "of what", "ours / Pythia"} <= set(words)
