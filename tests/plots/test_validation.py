"""Figures of the validation."""

import numpy as np
from matplotlib.text import Text
from small_data import make_manifest

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.simulation.published import PublishedNumber
from punzinet.analysis.simulation.pythia import OBSERVABLES, PythiaComparison, fill
from punzinet.plots import validation
from punzinet.plots.validation import LABELS, ratios_figure, spectra_figure


def comparisons() -> list[PublishedNumber]:
    """Every second one agrees, and the last has no value."""
    values = [*np.resize([13.0, 11.0], len(LABELS) - 1), None]
    return [PublishedNumber(k, k, 10.0, v, 0.1) for k, v in zip(LABELS, values, strict=True)]


def spectra() -> PythiaComparison:
    rng = np.random.default_rng(1)
    drawn = {}
    for name, (_, edges) in OBSERVABLES.items():
        ours, theirs = rng.uniform(edges[0], edges[-1], (2, 9000))
        drawn[name] = fill(edges, ours, np.ones(9000), theirs)
    return PythiaComparison("mumugamma", 1.1, 1.0, drawn)


def test_a_ratio_without_a_value_is_not_drawn(check):
    rows = comparisons()
    figure = ratios_figure(rows)
    check(figure)
    lines = [line for line in figure.axes[0].get_lines() if line.get_marker() in {"o", "D"}]
    drawn = sorted(np.concatenate([line.get_xdata() for line in lines]))
    assert len(drawn) == len(rows) - 1
    assert drawn == sorted(row.ratio for row in rows if row.ratio is not None)


def test_widths_show_all_hypotheses_and_ratios_where_published(make):
    upper, lower = validation.widths_validation_figure(make.windows(), {0.9: 0.296, 9.9: 0.1}).axes
    assert max(len(line.get_xdata()) for line in upper.get_lines()) == 87
    points = [line for line in lower.get_lines() if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in points] == [1]


def test_spectra_say_what_they_are():
    figure = spectra_figure(spectra(), "muon pairs")
    said = " ".join(text.get_text() for text in figure.findobj(Text))
    assert all(words in said for words in ("Pythia 8", "muon pairs", "GeV", "ratio"))


def test_all_figures_are_written(tmp_path, make):
    output = OutputFolder(tmp_path)
    make.windows().write(output.windows, {})
    manifest = make_manifest({"signal": "s.root", "tautau": "t.root"})
    written = validation.make_validation_plots(output, manifest, comparisons(), [spectra()])
    names = {f"validation_{name}" for name in ("widths", "ratios", "mumugamma")}
    assert {path.stem for path in written} == names
    assert {path.parent for path in written} == {output.simulation}
    assert all(path.stat().st_size > 1000 for path in written)
