"""The paper's claims as numbers, each with its uncertainty and its target.

Ratios are of σ_min at the same mass; above 1 the Punzi-net is better. Averages of them over
masses are geometric: where few simulated events pass, ratios fluctuate by factors, up as often as
down, of which an arithmetic mean would make an improvement, whichever way round they are taken.
"best" cuts are chosen on training events, for each trained mass, and interpolated to all
others; those chosen on the very events that judge them (``_in_sample``), as in the paper, are
given beside them, but follow the fluctuations of a few background events.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import read_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.statistics import (
    Claim,
    Ensembles,
    Measured,
    Statistic,
    Statistics,
    is_met,
)
from punzinet.analysis.paper.studies import MAIN, UNBATCHED
from punzinet.analysis.types import BoolArray, FloatArray

#: Mass in GeV, σ_min of the cross-entropy network at its best cut for each mass, and of the
#: Punzi-net at one cut, both read off Fig. 7 of arXiv:2110.00810 in one arbitrary unit.
PUBLISHED = ((2.0, 5.4, 3.0), (4.0, 3.4, 2.8), (6.0, 3.8, 3.9), (8.0, 20.0, 21.0))
#: Regions of mass in GeV, what they are called, and what the mean ratio should be at least.
REGIONS: tuple[tuple[str, str, float, float, float], ...] = (
    ("below_1_gev", "below 1 GeV", 0.0, 1.0 - 1e-9, 0.95),
    ("1_to_4_gev", "from 1 to 4 GeV", 1.0 - 1e-9, 4.0 + 1e-9, 1.3),
    ("above_4_gev", "above 4 GeV", 4.0 + 1e-9, np.inf, 0.95),
)
#: Ends of claims' names, how their best cuts were chosen, and what these are called.
CHOSEN = (("", "best", ""), ("_in_sample", "best_in_sample", ", in-sample"))
#: Name, text, number or function that gives it, and the ends of the target.
Row = tuple[str, str, Statistic | Measured, float | None, float | None]


def make_claims(studies: Mapping[str, Judgement]) -> dict[str, Claim]:
    """Put all claims on the judged studies, `MAIN` among them, into numbers."""
    main = studies[MAIN]
    own = Statistics({MAIN: main})
    rows = [
        (own, rows)
        for rows in (_of_ratios(main), _of_single_cut(main), _of_others(main), _of_ensemble(main))
    ]
    if UNBATCHED in studies:
        both = Statistics({name: studies[name] for name in (MAIN, UNBATCHED)})
        rows.append((both, _of_batches(main)))
    rows += [(own, _of_convergence(studies)), (own, _of_smoothness(main))]
    return {
        name: Claim.of(
            text, number if isinstance(number, Measured) else statistics.measure(number), *target
        )
        for statistics, part in rows
        for name, text, number, *target in part
    }


def ratio(
    numerator: str,
    denominator: str,
    masses: BoolArray,
    reduce: Callable[[FloatArray], Any] | None = None,
    study: str = MAIN,
) -> Statistic:
    """Ratio of σ_min, of the inverse mean figures of merit, reduced over masses.

    Args:
        numerator: ``<loss>/<kind>``, of a study.
        denominator: ``<loss>/<kind>``, of the main study.
        masses: (H,) masses of the mean.
        reduce: What is made of the ratios; by default their geometric mean.
        study: Study of the numerator.
    """

    def statistic(ensembles: Ensembles) -> float:
        """Divide means over the networks."""
        above = ensembles[study][numerator][:, masses].mean(axis=0)
        below = ensembles[MAIN][denominator][:, masses].mean(axis=0)
        ratios = np.divide(below, above, out=np.full(below.shape, np.inf), where=above > 0)
        return float((reduce or _geometric_mean)(ratios)) if len(ratios) else float("nan")

    return statistic


def mean_sigma(curve: str, masses: BoolArray) -> Statistic:
    """Mean over masses of the inverse mean figure of merit, fb."""

    def statistic(ensembles: Ensembles) -> float:
        """Average networks, then masses."""
        fom = ensembles[MAIN][curve][:, masses].mean(axis=0)
        return float(np.mean(1 / fom)) if (fom > 0).all() else float("inf")

    return statistic


def common_scale(mass: FloatArray, bce: FloatArray, punzi: FloatArray) -> float:
    """The one factor that brings the published points closest to our curves.

    It is the geometric mean of ours over theirs, over all masses and both networks: the least
    squares of the logarithms.

    Args:
        mass: (H,) our masses in GeV, sorted.
        bce: (H,) our σ_min of the cross-entropy networks in fb.
        punzi: (H,) and of the Punzi-nets.

    Returns:
        fb for each published unit; NaN if no curve is finite at the published masses.
    """
    differences = [
        np.interp(at, mass, np.log(curve)) - np.log(published)
        for at, *both in PUBLISHED
        for curve, published in zip((bce, punzi), both, strict=True)
        if mass[0] <= at <= mass[-1]
    ]
    finite = np.array(differences)[np.isfinite(differences)]
    return float(np.exp(finite.mean())) if finite.size else float("nan")


def combine_claims(folders: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Average the claims of several output folders, such as of several simulation seeds.

    Returns:
        By claim: its text, target, the values by folder, their mean, its standard error from
        their spread, and whether the mean meets the target. A claim without a value in some
        folder has no mean.

    Raises:
        InputError: If a folder has no claims, or not the same ones as the first.
    """
    claims = {str(folder): _read(OutputFolder(folder).claims) for folder in folders}
    first = claims[str(folders[0])]
    for folder, content in claims.items():
        if content.keys() != first.keys():
            different = ", ".join(sorted(content.keys() ^ first.keys()))
            raise InputError(
                f"{folder} and {folders[0]} do not hold the same claims ({different}); make both "
                "with the same settings."
            )
    combined = {}
    for name, claim in first.items():
        values = {folder: content[name].value for folder, content in claims.items()}
        known = [value for value in values.values() if value is not None]
        mean = float(np.mean(known)) if len(known) == len(values) else None
        several = mean is not None and len(known) > 1
        combined[name] = {
            "text": claim.text,
            "values": values,
            "value": mean,
            "error": float(np.std(known, ddof=1) / np.sqrt(len(known))) if several else None,
            "target": claim.target,
            "met": is_met(mean, claim.at_least, claim.at_most),
        }
    return combined


_CLAIMS = TypeAdapter(dict[str, Claim])


def _read(path: Path) -> dict[str, Claim]:
    """Read the claims of a folder.

    Raises:
        InputError: If there are none, or they are damaged.
    """
    try:
        return _CLAIMS.validate_python(read_json(path, "punzinet paper"))
    except ValidationError as error:
        raise InputError(
            f"{path} does not hold claims; delete it and run `punzinet paper` again."
        ) from error


def _geometric_mean(ratios: FloatArray) -> float:
    """Exponential of the mean logarithm; 0 or infinite if one of the ratios is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.exp(np.mean(np.log(ratios))))


def _of_ratios(main: Judgement) -> Iterator[Row]:
    """Claims on the cross-entropy networks' best cuts against the Punzi-nets' one cut."""
    claim, punzi = "bce_best_over_punzi_single", "punzi/single"
    for suffix, kind, how in CHOSEN:
        for name, words, low, high, target in REGIONS:
            region = (main.mass > low) & (main.mass <= high)
            for role, masses in (("", region & main.training), ("un", region & ~main.training)):
                if masses.any():
                    yield (
                        f"{claim}_{name}{role and '_untrained'}{suffix}",
                        f"σ_min of BCE at its best cuts{how} over the Punzi-net at one cut, "
                        f"geometric mean over {role}trained masses {words}",
                        ratio(f"bce/{kind}", punzi, masses),
                        None if role else target,
                        None,
                    )
            if name == "1_to_4_gev" and (region & main.training).any():
                yield (
                    f"{claim}_worst_{name}{suffix}",
                    f"the same at the worst trained mass {words}{how}",
                    ratio(f"bce/{kind}", punzi, region & main.training, np.min),
                    1.0,
                    None,
                )
    for mass, bce_sigma, punzi_sigma in PUBLISHED:
        at = np.isclose(main.mass, mass)
        if at.any():
            yield (
                f"{claim}_at_{mass:g}_gev",
                f"the same at {mass:g} GeV; published: {bce_sigma / punzi_sigma:.2f}",
                ratio("bce/best", punzi, at),
                None,
                None,
            )


def _of_single_cut(main: Judgement) -> Iterator[Row]:
    """Claims on one cut against the best cuts of the same Punzi-nets."""
    for suffix, kind, how in CHOSEN:
        for name, reduce, words, limit in (
            ("mean", None, "geometric mean over trained masses", 1.05),
            ("worst", np.max, "at the worst trained mass", 1.15),
        ):
            yield (
                f"punzi_single_over_best_{name}{suffix}",
                f"σ_min of the Punzi-net at one cut over that at its best cuts{how}, {words}",
                ratio("punzi/single", f"punzi/{kind}", main.training, reduce),
                None,
                limit,
            )
    yield (
        "punzi_half_over_single_mean",
        "σ_min of the Punzi-net at an output of 0.5 over that at its best single cut, mean "
        "over trained masses",
        ratio("punzi/half", "punzi/single", main.training),
        None,
        None,
    )


def _of_others(main: Judgement) -> Iterator[Row]:
    """Claims on masses that were not trained on, against the trend of those that were."""
    trained = main.mass[main.training]
    inner = ~main.training & (main.mass > trained[0]) & (main.mass < trained[-1])
    if not inner.any():
        return
    for name, curve, words, limits in (
        ("punzi_single", "punzi/single", "the Punzi-net at one cut", (0.97, 1.03)),
        ("bce_best", "bce/best", "BCE at interpolated best cuts", (None, None)),
    ):
        yield (
            f"{name}_untrained_over_trend",
            f"σ_min of {words} at masses not trained on over the trend of the trained ones, "
            "geometric mean",
            _trend(curve, main, inner),
            *limits,
        )


def _trend(curve: str, main: Judgement, inner: BoolArray) -> Statistic:
    """Geometric mean of σ_min over what lies between the trained neighbours, logarithmically."""

    def statistic(ensembles: Ensembles) -> float:
        """Interpolate the logarithm between trained masses, and compare."""
        fom = ensembles[MAIN][curve].mean(axis=0)
        if not (fom > 0).all():
            return float("nan")
        sigma = -np.log(fom)
        trend = np.interp(main.mass[inner], main.mass[main.training], sigma[main.training])
        return float(np.exp(np.mean(sigma[inner] - trend)))

    return statistic


def _of_ensemble(main: Judgement) -> Iterator[Row]:
    """Mean σ_min and its spread over the networks."""
    curves = {"bce_best": "bce/best", "punzi_best": "punzi/best", "punzi_single": "punzi/single"}
    for claim, text, number in (
        ("sigma_min_fb", "σ_min in fb", mean_sigma),
        ("spread", "relative standard deviation over networks of the figure of merit", _spread),
    ):
        for name, curve in curves.items():
            at = f"{name.replace('_', ' at ')} cut, mean over trained masses"
            yield f"{name}_{claim}", f"{text}, {at}", number(curve, main.training), None, None

    def compare(ensembles: Ensembles) -> float:
        """Spread of BCE over that of the Punzi-nets."""
        bce, punzi = (_spread(c, main.training)(ensembles) for c in ("bce/best", "punzi/best"))
        return bce / punzi if punzi > 0 else float("nan")

    yield (
        "bce_over_punzi_spread",
        "spread over networks of BCE over that of the Punzi-nets, both at best cuts",
        compare,
        1.0,
        None,
    )


def _spread(curve: str, masses: BoolArray) -> Statistic:
    """Relative standard deviation over networks, mean over masses."""

    def statistic(ensembles: Ensembles) -> float:
        """Compare networks at each mass."""
        fom = ensembles[MAIN][curve][:, masses]
        if len(fom) < 2 or not (fom.mean(axis=0) > 0).all():
            return float("nan")
        return float(np.mean(fom.std(axis=0, ddof=1) / fom.mean(axis=0)))

    return statistic


def _of_batches(main: Judgement) -> Iterator[Row]:
    """Claims on training without batches."""
    for name, words, masses, target in (
        ("", "", main.training, 1.0),
        ("_below_4_gev", " up to 4 GeV", main.training & (main.mass <= 4), None),
        ("_above_4_gev", " above 4 GeV", main.training & (main.mass > 4), None),
    ):
        if masses.any():
            yield (
                f"unbatched_over_batched{name}",
                "σ_min of the Punzi-net trained without batches over that with batches, both "
                f"at best cuts, geometric mean over trained masses{words}",
                ratio("punzi/best", "punzi/best", masses, study=UNBATCHED),
                target,
                None,
            )


def _of_convergence(studies: Mapping[str, Judgement]) -> Iterator[Row]:
    """How many networks converge; all of them are in every average."""
    for name, study in studies.items():
        networks = float(len(study.converged))
        yield (
            "networks_converged" if name == MAIN else f"networks_converged_{name}",
            f"networks that converge of {networks:g}, study {name}; all are in the averages",
            Measured(float(study.converged.sum()), 0.0, 0.0),
            networks,
            networks,
        )


def _of_smoothness(main: Judgement) -> Iterator[Row]:
    """What interpolated and single cuts leave in the spectrum: 1 is as smooth as can be."""
    for process in ("signal", "background"):
        bce = main.arrays[f"bce/roughness/{process}/best"]
        punzi = main.arrays[f"punzi/roughness/{process}/single"]
        for name, values, words in (
            ("bce_best", bce, "interpolated best cuts, BCE"),
            ("punzi_single", punzi, "one cut, Punzi-net"),
        ):
            text = (
                f"roughness of the passing {process} fraction along the mass over what "
                f"statistics alone makes; {words}"
            )
            yield f"roughness_{process}_{name}", text, _over_networks(values), None, None
        yield (
            f"roughness_{process}_ratio",
            f"roughness of the passing {process} fraction with interpolated best cuts (BCE) "
            "over that with one cut (Punzi-net), geometric mean",
            _over_networks(np.log(bce / punzi), exponential=True),
            1.0,
            None,
        )
    background = main.arrays["punzi/single/background"][:, main.training]
    yield (
        "trained_masses_without_simulated_background",
        "trained masses in whose window no simulated background passes the single cut",
        _over_networks((background == 0).sum(axis=1).astype(np.float64)),
        None,
        None,
    )


def _over_networks(values: FloatArray, *, exponential: bool = False) -> Measured:
    """Mean of the networks' own values (N,) and its standard error; no error of the sample.

    They may be logarithms, of which the exponential is wanted.
    """
    if not np.isfinite(values).all():
        return Measured(float("nan"), float("nan"), float("nan"))
    mean = float(np.mean(values))
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.nan
    if exponential:
        mean = float(np.exp(mean))
        error *= mean
    return Measured(mean, error, float("nan"))
