"""The published σ_min curves beside those of networks that were trained on the default data."""

from collections.abc import Callable

import numpy as np

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.hypotheses import MASS_TOLERANCE
from punzinet.analysis.paper.claims import PUBLISHED, common_scale
from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.statistics import Ensembles, Statistics
from punzinet.analysis.paper.studies import MAIN
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.types import FloatArray

#: Masses (H,), and σ_min of the cross-entropy networks at best cuts and of the Punzi-nets at one
#: cut, each with its error, (H,) in fb.
Curves = tuple[FloatArray, tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]
#: Key, title, published value, ours, its error (both may be missing), note.
Row = tuple[str, str, float, float | None, float | None, str]

_MEANINGS = {
    "bce": "trained with cross-entropy, best cut for each mass chosen on other events",
    "punzi": "Punzi-net, one cut",
}


def curve_rows(output: OutputFolder) -> list[Row]:
    """The smallest detectable cross-sections, up to one factor that is fitted to all of them.

    They are those of the ensemble that `punzinet paper` has trained, or else those of the first
    networks of `punzinet train`.

    Returns:
        One row for each kind of network and published mass; none without both kinds of networks,
        or if no value of theirs is finite.

    Raises:
        InputError: If a result is damaged.
    """
    if output.study(MAIN).judgement.exists():
        judgement = Judgement.read(output.study(MAIN).judgement)
        curves, whose = of_ensemble(judgement), f"mean of {len(judgement.converged)} networks"
    elif output.sensitivity.exists():
        found = of_one_network(Sensitivity.read(output.sensitivity))
        if found is None:
            return []
        curves, whose = found, "one network"
    else:
        return []
    mass, bce, punzi = curves
    unit = common_scale(mass, bce[0], punzi[0])
    if not np.isfinite(unit):
        return []
    rows: list[Row] = []
    for at, *values in PUBLISHED:
        i = int(np.argmin(np.abs(mass - at)))
        for (kind, meaning), (sigma, error), value in zip(
            _MEANINGS.items(), (bce, punzi), values, strict=True
        ):
            there = abs(mass[i] - at) < MASS_TOLERANCE and np.isfinite(sigma[i])
            known = bool(there and np.isfinite(error[i]))
            rows.append(
                (
                    f"sigma_min_{kind}_{at:g}_GeV",
                    f"sigma_min at {at:g} GeV, {kind}",
                    value,
                    float(sigma[i]) / unit if there else None,
                    float(error[i]) / unit if known else None,
                    f"{meaning}; {whose}; in the published unit, {unit:.4g} fb by a fit to both "
                    "curves",
                )
            )
    return rows


def of_ensemble(judgement: Judgement) -> Curves:
    """Inverse mean figures of merit, with errors from the networks and from the simulation."""
    statistics = Statistics({MAIN: judgement})

    def curve(name: str) -> tuple[FloatArray, FloatArray]:
        """σ_min of all masses, and its error."""
        measured = [statistics.measure(_at(name, i)) for i in range(len(judgement.mass))]
        errors = [np.hypot(m.error, m.error_sample) for m in measured]
        return np.array([m.value for m in measured]), np.array(errors)

    return judgement.mass, curve("bce/best"), curve("punzi/single")


def _at(curve: str, index: int) -> Callable[[Ensembles], float]:
    """The statistic σ_min, infinite if no network finds anything, at one mass."""

    def statistic(ensembles: Ensembles) -> float:
        """Average the networks of the study."""
        fom = float(ensembles[MAIN][curve][:, index].mean())
        return 1 / fom if fom > 0 else float("inf")

    return statistic


def of_one_network(sensitivity: Sensitivity) -> Curves | None:
    """Those of the first network of each kind, with errors from the simulation; None without."""
    curves = []
    for kind, cut in (("bce", "optimal_in_training"), ("punzi", "single")):
        names = sorted(name for name in sensitivity.networks if name.startswith(kind))
        if not names:
            return None
        selection = getattr(sensitivity.networks[names[0]], cut)
        curves.append((selection.sigma_min, selection.sigma_min_error))
    return sensitivity.mass, curves[0], curves[1]
