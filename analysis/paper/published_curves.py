"""The published σ_min curves beside those of networks that were trained on the default data."""

import numpy as np

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.sections import MASS_TOLERANCE
from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.statistics import Statistics, mean_sigma
from punzinet.analysis.paper.studies import MAIN
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.types import FloatArray

#: Mass in GeV, σ_min of the cross-entropy network at its best cut for each mass, and of the
#: Punzi-net at one cut, both read off Fig. 7 of arXiv:2110.00810 in one arbitrary unit.
PUBLISHED = ((2.0, 5.4, 3.0), (4.0, 3.4, 2.8), (6.0, 3.8, 3.9), (8.0, 20.0, 21.0))
#: Key, title, published value, ours, its error (both may be missing), note.
Row = tuple[str, str, float, float | None, float | None, str]

_KINDS = (
    ("bce", "trained with cross-entropy, best cut for each mass chosen on other events"),
    ("punzi", "Punzi-net, one cut"),
)


def common_scale(mass: FloatArray, bce: FloatArray, punzi: FloatArray) -> float:
    """The one factor, in fb, that brings the published points closest to our curves.

    It is the geometric mean of ours over theirs, over all masses and both networks. Ours are σ_min
    (H,) in fb of the cross-entropy networks and of the Punzi-nets at sorted masses (H,) in GeV. NaN
    if no curve is finite at the published masses.
    """
    differences = [
        np.interp(at, mass, np.log(curve)) - np.log(published)
        for at, *both in PUBLISHED
        for curve, published in zip((bce, punzi), both, strict=True)
        if mass[0] <= at <= mass[-1]
    ]
    finite = np.array(differences)[np.isfinite(differences)]
    return float(np.exp(finite.mean())) if finite.size else np.nan


def curve_rows(output: OutputFolder) -> list[Row]:
    """The smallest detectable cross-sections, up to one factor that is fitted to all of them.

    They are those of the ensemble that `punzinet paper` has trained, or else those of the first
    networks of `punzinet train`. There is one row for each kind of network and published mass; none
    without both kinds, or if no value of theirs is finite. InputError if a result is damaged.
    """
    if output.study(MAIN).judgement.exists():
        judgement = Judgement.read(output.study(MAIN).judgement)
        mass, curves = judgement.mass, _of_ensemble(judgement)
        whose = f"mean of {len(judgement.converged)} networks"
    elif output.sensitivity.exists():
        sensitivity = Sensitivity.read(output.sensitivity)
        mass, curves, whose = sensitivity.mass, _of_first_networks(sensitivity), "one network"
    else:
        return []
    if len(curves) < len(_KINDS):
        return []
    unit = common_scale(mass, *(sigma for sigma, _ in curves))
    if not np.isfinite(unit):
        return []
    note = f"{whose}; in the published unit, {unit:.4g} fb by a fit to both curves"
    rows: list[Row] = []
    for at, *published in PUBLISHED:
        i = int(np.argmin(np.abs(mass - at)))
        near = abs(mass[i] - at) < MASS_TOLERANCE
        for (kind, meaning), value, curve in zip(_KINDS, published, curves, strict=True):
            ours, error = (
                float(x[i]) / unit if near and np.isfinite(x[i]) else None for x in curve
            )
            name, title = f"sigma_min_{kind}_{at:g}_GeV", f"sigma_min at {at:g} GeV, {kind}"
            rows.append((name, title, value, ours, error, f"{meaning}; {note}"))
    return rows


def _of_ensemble(judgement: Judgement) -> list[tuple[FloatArray, FloatArray]]:
    """Inverse mean figures of merit, and errors from the networks and from the simulation."""
    statistics = Statistics({MAIN: judgement})
    masses = np.eye(len(judgement.mass), dtype=bool)
    curves = []
    for curve in ("bce/best", "punzi/single"):
        measured = np.array([statistics.measure(mean_sigma(curve, one)) for one in masses])
        curves.append((measured[:, 0], np.hypot(measured[:, 1], measured[:, 2])))
    return curves


def _of_first_networks(sensitivity: Sensitivity) -> list[tuple[FloatArray, FloatArray]]:
    """σ_min of the first network of each kind that there is, and errors from the simulation."""
    curves = []
    for kind, cut in (("bce", "optimal_in_training"), ("punzi", "single")):
        names = sorted(name for name in sensitivity.networks if name.startswith(kind))
        for name in names[:1]:
            selection = getattr(sensitivity.networks[name], cut)
            curves.append((selection.sigma_min, selection.sigma_min_error))
    return curves
