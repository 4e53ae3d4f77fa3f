"""The paper's claims as numbers, each with its uncertainty and its target.

Ratios are of σ_min at the same mass; above 1 the Punzi-net is better. Averages of them over
masses are geometric: where few simulated events pass, ratios fluctuate by factors, up as often as
down, of which an arithmetic mean would make an improvement, whichever way round they are taken.
"best" cuts are chosen on training events, for each trained mass, and interpolated to all
others; those chosen on the very events that judge them (``_in_sample``), as in the paper, are
given beside them, but follow the fluctuations of a few background events.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from punzinet.analysis.paper.claim import Claim
from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.published import PUBLISHED
from punzinet.analysis.paper.statistics import Ensembles, Measured, Statistic, Statistics
from punzinet.analysis.paper.studies import MAIN, UNBATCHED
from punzinet.analysis.types import BoolArray, FloatArray

#: Regions of mass in GeV, what they are called, and what the mean ratio should be at least.
REGIONS: tuple[tuple[str, str, float, float, float], ...] = (
    ("below_1_gev", "below 1 GeV", 0.0, 1.0 - 1e-9, 0.95),
    ("1_to_4_gev", "from 1 to 4 GeV", 1.0 - 1e-9, 4.0 + 1e-9, 1.3),
    ("above_4_gev", "above 4 GeV", 4.0 + 1e-9, np.inf, 0.95),
)
IN_SAMPLE = "_in_sample"


def make_claims(studies: Mapping[str, Judgement]) -> dict[str, Claim]:
    """Put all claims into numbers.

    Args:
        studies: The judged studies by name, `MAIN` among them.

    Returns:
        The claims by name.
    """
    main = studies[MAIN]
    main_only = Statistics({MAIN: main})
    claims = dict(_of_ratios(main, main_only))
    claims |= dict(_of_single_cut(main, main_only))
    claims |= dict(_of_generalisation(main, main_only))
    claims |= dict(_of_ensemble(main, main_only))
    if UNBATCHED in studies:
        both = Statistics({name: studies[name] for name in (MAIN, UNBATCHED)})
        claims |= dict(_of_batches(main, both))
    claims |= dict(_of_convergence(studies))
    claims |= dict(_of_smoothness(main))
    return claims


def ratio(numerator: str, denominator: str, masses: BoolArray, study: str = MAIN) -> Statistic:
    """Geometric mean ratio of σ_min over masses.

    Args:
        numerator: ``<loss>/<kind>``, of the main study.
        denominator: ``<loss>/<kind>``.
        masses: (H,) masses of the mean.
        study: Study of the numerator.
    """
    return reduced_ratio(numerator, denominator, masses, geometric_mean, study)


def geometric_mean(ratios: FloatArray) -> float:
    """Exponential of the mean logarithm; 0 or infinite if one of the ratios is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.exp(np.mean(np.log(ratios))))


def reduced_ratio(
    numerator: str,
    denominator: str,
    masses: BoolArray,
    reduce: Callable[[FloatArray], Any],
    study: str = MAIN,
) -> Statistic:
    """Ratio of σ_min, reduced over masses; arguments as of `ratio`."""

    def statistic(ensembles: Ensembles) -> float:
        """Ratio of the inverse mean figures of merit."""
        above = ensembles[study][numerator][:, masses].mean(axis=0)
        below = ensembles[MAIN][denominator][:, masses].mean(axis=0)
        ratios = np.divide(below, above, out=np.full(below.shape, np.inf), where=above > 0)
        return float(reduce(ratios)) if len(ratios) else float("nan")

    return statistic


def _of_ratios(main: Judgement, statistics: Statistics) -> Iterator[tuple[str, Claim]]:
    """Claims on the cross-entropy networks' best cuts against the Punzi-nets' one cut."""
    for kind, suffix, how in (("best", "", ""), ("best_in_sample", IN_SAMPLE, ", in-sample")):
        for name, words, low, high, target in REGIONS:
            region = (main.mass > low) & (main.mass <= high)
            for role, masses in (("", main.training), ("_untrained", ~main.training)):
                if not (region & masses).any():
                    continue
                yield (
                    f"bce_best_over_punzi_single_{name}{role}{suffix}",
                    Claim.of(
                        f"σ_min of BCE at its best cuts{how} over the Punzi-net at one cut, "
                        f"geometric mean over {'un' if role else ''}trained masses {words}",
                        statistics.measure(ratio(f"bce/{kind}", "punzi/single", region & masses)),
                        None if role else target,
                    ),
                )
            if name == "1_to_4_gev" and (region & main.training).any():
                worst = reduced_ratio(f"bce/{kind}", "punzi/single", region & main.training, np.min)
                yield (
                    f"bce_best_over_punzi_single_worst_{name}{suffix}",
                    Claim.of(
                        f"the same at the worst trained mass {words}{how}",
                        statistics.measure(worst),
                        1.0,
                    ),
                )
    for mass, bce, punzi in PUBLISHED:
        at = np.isclose(main.mass, mass)
        if at.any():
            yield (
                f"bce_best_over_punzi_single_at_{mass:g}_gev",
                Claim.of(
                    f"the same at {mass:g} GeV; published: {bce / punzi:.2f}",
                    statistics.measure(ratio("bce/best", "punzi/single", at)),
                ),
            )


def _of_single_cut(main: Judgement, statistics: Statistics) -> Iterator[tuple[str, Claim]]:
    """Claims on one cut against the best cuts of the same Punzi-nets."""
    for kind, suffix, how in (("best", "", ""), ("best_in_sample", IN_SAMPLE, ", in-sample")):
        for name, reduce, words, limit in (
            ("mean", geometric_mean, "geometric mean over trained masses", 1.05),
            ("worst", np.max, "at the worst trained mass", 1.15),
        ):
            yield (
                f"punzi_single_over_best_{name}{suffix}",
                Claim.of(
                    f"σ_min of the Punzi-net at one cut over that at its best cuts{how}, {words}",
                    statistics.measure(
                        reduced_ratio("punzi/single", f"punzi/{kind}", main.training, reduce)
                    ),
                    at_most=limit,
                ),
            )
    yield (
        "punzi_half_over_single_mean",
        Claim.of(
            "σ_min of the Punzi-net at an output of 0.5 over that at its best single cut, mean "
            "over trained masses",
            statistics.measure(ratio("punzi/half", "punzi/single", main.training)),
        ),
    )


def _of_generalisation(main: Judgement, statistics: Statistics) -> Iterator[tuple[str, Claim]]:
    """Claims on masses that were not trained on, against the trend of those that were."""
    inner = ~main.training
    inner &= (main.mass > main.mass[main.training][0]) & (main.mass < main.mass[main.training][-1])
    if not inner.any():
        return
    for name, curve, words, limits in (
        ("punzi_single", "punzi/single", "the Punzi-net at one cut", (0.97, 1.03)),
        ("bce_best", "bce/best", "BCE at interpolated best cuts", (None, None)),
    ):
        yield (
            f"{name}_untrained_over_trend",
            Claim.of(
                f"σ_min of {words} at masses not trained on over the trend of the trained ones, "
                "geometric mean",
                statistics.measure(_trend(curve, main, inner)),
                *limits,
            ),
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


def _of_ensemble(main: Judgement, statistics: Statistics) -> Iterator[tuple[str, Claim]]:
    """Mean σ_min and its spread over the networks."""
    curves = {"bce_best": "bce/best", "punzi_best": "punzi/best", "punzi_single": "punzi/single"}
    for name, curve in curves.items():
        yield (
            f"{name}_sigma_min_fb",
            Claim.of(
                f"σ_min in fb, {name.replace('_', ' at ')} cut, mean over trained masses",
                statistics.measure(mean_sigma(curve, main.training)),
            ),
        )
    for name, curve in curves.items():
        yield (
            f"{name}_spread",
            Claim.of(
                f"relative standard deviation over networks of the figure of merit, "
                f"{name.replace('_', ' at ')} cut, mean over trained masses",
                statistics.measure(_spread(curve, main.training)),
            ),
        )

    def compare(ensembles: Ensembles) -> float:
        """Spread of BCE over that of the Punzi-nets."""
        bce, punzi = (_spread(c, main.training)(ensembles) for c in ("bce/best", "punzi/best"))
        return bce / punzi if punzi > 0 else float("nan")

    yield (
        "bce_over_punzi_spread",
        Claim.of(
            "spread over networks of BCE over that of the Punzi-nets, both at best cuts",
            statistics.measure(compare),
            1.0,
        ),
    )


def mean_sigma(curve: str, masses: BoolArray) -> Statistic:
    """Mean over masses of the inverse mean figure of merit, fb."""

    def statistic(ensembles: Ensembles) -> float:
        """Average networks, then masses."""
        fom = ensembles[MAIN][curve][:, masses].mean(axis=0)
        return float(np.mean(1 / fom)) if (fom > 0).all() else float("inf")

    return statistic


def _spread(curve: str, masses: BoolArray) -> Statistic:
    """Relative standard deviation over networks, mean over masses."""

    def statistic(ensembles: Ensembles) -> float:
        """Compare networks at each mass."""
        fom = ensembles[MAIN][curve][:, masses]
        if len(fom) < 2 or not (fom.mean(axis=0) > 0).all():
            return float("nan")
        return float(np.mean(fom.std(axis=0, ddof=1) / fom.mean(axis=0)))

    return statistic


def _of_batches(main: Judgement, statistics: Statistics) -> Iterator[tuple[str, Claim]]:
    """Claims on training without batches."""
    for name, words, masses, target in (
        ("", "", main.training, 1.0),
        ("_below_4_gev", " up to 4 GeV", main.training & (main.mass <= 4), None),
        ("_above_4_gev", " above 4 GeV", main.training & (main.mass > 4), None),
    ):
        if masses.any():
            yield (
                f"unbatched_over_batched{name}",
                Claim.of(
                    "σ_min of the Punzi-net trained without batches over that with batches, both "
                    f"at best cuts, geometric mean over trained masses{words}",
                    statistics.measure(ratio("punzi/best", "punzi/best", masses, UNBATCHED)),
                    target,
                ),
            )


def _of_convergence(studies: Mapping[str, Judgement]) -> Iterator[tuple[str, Claim]]:
    """How many networks converge; all of them are in every average."""
    for name, study in studies.items():
        networks = float(len(study.converged))
        yield (
            "networks_converged" if name == MAIN else f"networks_converged_{name}",
            Claim.of(
                f"networks that converge of {networks:g}, study {name}; all are in the averages",
                Measured(float(study.converged.sum()), 0.0, 0.0),
                networks,
                networks,
            ),
        )


def _of_smoothness(main: Judgement) -> Iterator[tuple[str, Claim]]:
    """What interpolated and single cuts leave in the spectrum: 1 is as smooth as can be."""
    for process in ("signal", "background"):
        cases = {"bce_best": "interpolated best cuts, BCE", "punzi_single": "one cut, Punzi-net"}
        rough = {}
        for name, words in cases.items():
            loss, kind = name.split("_")
            rough[name] = main.arrays[f"{loss}/roughness/{process}/{kind}"]
            yield (
                f"roughness_{process}_{name}",
                Claim.of(
                    f"roughness of the passing {process} fraction along the mass over what "
                    f"statistics alone makes; {words}",
                    _over_networks(rough[name]),
                ),
            )
        yield (
            f"roughness_{process}_ratio",
            Claim.of(
                f"roughness of the passing {process} fraction with interpolated best cuts (BCE) "
                "over that with one cut (Punzi-net), geometric mean",
                _over_networks(np.log(rough["bce_best"] / rough["punzi_single"]), exponential=True),
                1.0,
            ),
        )
    background = main.arrays["punzi/single/background"][:, main.training]
    yield (
        "trained_masses_without_simulated_background",
        Claim.of(
            "trained masses in whose window no simulated background passes the single cut",
            _over_networks((background == 0).sum(axis=1).astype(np.float64)),
        ),
    )


def _over_networks(values: FloatArray, *, exponential: bool = False) -> Measured:
    """Mean of the networks' own values (N,) and its standard error; no error of the sample.

    Args:
        values: One for each network.
        exponential: Whether they are logarithms, of which the exponential is wanted.
    """
    if not np.isfinite(values).all():
        return Measured(float("nan"), float("nan"), float("nan"))
    mean = float(np.mean(values))
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.nan
    if exponential:
        mean = float(np.exp(mean))
        error *= mean
    return Measured(mean, error, float("nan"))
