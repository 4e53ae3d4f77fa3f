"""Figures of the validation."""

import numpy as np
from outputs import draft
from small_data import make_manifest

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.simulation.published import PublishedNumber
from punzinet.analysis.simulation.pythia import OBSERVABLES, PythiaComparison, fill
from punzinet.plots import style, validation
from punzinet.plots.validation import LABELS

#: Every second one agrees, and the last has no value.
NUMBERS = [
    PublishedNumber(name, name, 10.0, value, 0.1)
    for name, value in zip(LABELS, [*np.resize([13.0, 11.0], len(LABELS) - 1), None], strict=True)
]


def test_a_ratio_without_a_value_is_not_drawn(check):
    figure = validation.ratios_figure(NUMBERS)
    check(figure)
    lines = [line for line in figure.axes[0].get_lines() if line.get_marker() in {"o", "D"}]
    drawn = sorted(np.concatenate([line.get_xdata() for line in lines]))
    assert len(drawn) == len(NUMBERS) - 1
    assert drawn == sorted(row.ratio for row in NUMBERS if row.ratio is not None)


def test_all_figures_are_written_and_spectra_say_what_they_are(tmp_path, make, check, monkeypatch):
    monkeypatch.setattr(style, "save", draft)
    output, rng, drawn = OutputFolder(tmp_path), np.random.default_rng(1), {}
    make.windows().write(output.windows, {})
    for name, (_, edges) in OBSERVABLES.items():
        ours, theirs = rng.uniform(edges[0], edges[-1], (2, 9000))
        drawn[name] = fill(edges, ours, np.ones(9000), theirs)
    check(validation.spectra_figure(PythiaComparison("tautau", 1.1, 1.0, drawn), "of what"))
    spectra = [PythiaComparison("mumugamma", 1.1, 1.0, drawn)]
    manifest = make_manifest({"signal": "s.root", "tautau": "t.root"})
    written = validation.make_validation_plots(output, NUMBERS)
    written += validation.make_spectra_plots(output, manifest, spectra)
    names = ("widths", "ratios", "mumugamma")
    assert written == [output.simulation / f"validation_{name}.txt" for name in names]
    said = written[-1].read_text()
    process = manifest.processes["mumugamma"]
    assert all(words in said for words in ("Pythia 8", process, "GeV", "ours / Pythia"))
