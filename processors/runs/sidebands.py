"""Sidebands in a run: spectra from the tensors, and the file that says what lies in them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from punzinet.analysis.folds import Folds
from punzinet.analysis.io.files import to_cells, write_json
from punzinet.analysis.io.tensor_events import read_tensor_events
from punzinet.analysis.limits.sidebands import FEWEST, Sidebands, Spectrum, close
from punzinet.analysis.manifest.sections import SidebandSettings
from punzinet.analysis.network import PunziNet
from punzinet.analysis.types import FloatArray
from punzinet.analysis.windows import Windows

SIGNIFICANT = 3.0  # sigmas of an excess that may be a signal in the sidebands of others


def read_spectra(
    tensors: Path, windows: Windows, folds: Folds, network: PunziNet, cut: float
) -> tuple[Spectrum, Spectrum]:
    """Simulated background behind a cut, of events that judge and of those that trained.

    Each is scaled to the whole sample. InputError if tensors cannot be read.
    """
    events = read_tensor_events(tensors, windows.search)
    events = events[~events.signal]
    judges, trains = events.fold == folds.judging, folds.rows(events.fold)[0]
    spectra = []
    for part in (events.standing_for_all(judges), events.standing_for_all(trains)):
        behind = network.logit_numpy(part.features) >= cut
        spectra.append(Spectrum.of(part.variable[behind], part.weight[behind]))
    judging, training = spectra
    return judging, training


def write_sidebands(
    path: Path,
    windows: Windows,
    settings: SidebandSettings,
    bands: Sidebands,
    spectra: tuple[Spectrum, Spectrum],
    *,
    about: Mapping[str, Any],
    significance: FloatArray | None = None,
) -> None:
    """Write what lies beside M windows, and how well simulation predicts itself there.

    Events that trained predict those that judge; `spectra` are of both, the latter first. The
    significance, (M,), is that of what is observed in the windows.
    """
    judging, training = spectra
    check = close(windows, settings, training, judging)
    pull, far = check.pull[np.isfinite(check.pull)], bands.outer[bands.outer > settings.outer]
    said = [f"Sidebands normalise the background at {bands.usable.sum()} of {len(windows)} masses."]
    if len(far):
        said.append(
            f"At {len(far)} of them fewer than {FEWEST:g} events are expected up to "
            f"{settings.outer:g} σ; they end farther out, at {far.max():g} σ at most."
        )
    if not bands.usable.all():
        masses = ", ".join(f"{mass:g}" for mass in windows.mass[~bands.usable])
        said.append(
            f"At {masses} GeV nothing is found in them, or too little expected: the simulation "
            "with `background_uncertainty` stays."
        )
    if len(pull):
        said.append(
            "Events that trained predict those that judge with a mean pull of "
            f"{round(pull.mean(), 2) + 0:.2f} and a width of {pull.std():.2f}."
        )
    if settings.masked:
        masses = ", ".join(f"{mass:g}" for mass in settings.masked)
        said.append(f"What is near {masses} GeV is left out of all sidebands.")
    if significance is not None and significance.max() >= SIGNIFICANT:
        best = int(significance.argmax())
        others = int(bands.holds[:, best].sum())
        mass, sigma = windows.mass[best], windows.sigma[best]
        masked = windows.search.centre(np.array(settings.masked)) - windows.centre[best]
        if others and not (np.abs(masked) < settings.inner * sigma).any():
            said.append(
                f"{mass:g} GeV with {significance[best]:.1f} σ lies in the sidebands of {others} "
                "other masses, where it raises the background expected; if it may be a signal, "
                f"leave it out there by `limits.sidebands.masked: [{mass:g}]`."
            )
    columns = {
        "mass": windows.mass, "outer": bands.outer, "expected": bands.expected,
        "count": bands.count, "factor": np.where(bands.usable, bands.factor, np.nan),
        "uncertainty": bands.uncertainty, **check._asdict(), "pull": check.pull,
    }  # fmt: skip
    cells = zip(*map(to_cells, columns.values()), strict=True)
    rows = [dict(zip(columns, row, strict=True)) for row in cells]
    write_json(path, {"provenance": dict(about), "said": said, "rows": rows})
