"""The paper's claims and curves as numbers, each with its uncertainty, and a claim's target.

Ratios are of σ_min at the same mass; above 1 the Punzi-net is better.
"best" cuts are chosen for each trained mass, and interpolated to all others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.statistics import Claim, Measured, Statistics, over_networks
from punzinet.analysis.paper.studies import MAIN, UNBATCHED, Study
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.types import BoolArray, FloatArray, divided
from punzinet.analysis.windows import mass_index

#: Mass in GeV, σ_min of the cross-entropy network at its best cut for each mass, and of the
#: Punzi-net at one cut, both read off Fig. 7 of arXiv:2110.00810 in one arbitrary unit.
PUBLISHED = ((2.0, 5.4, 3.0), (4.0, 3.4, 2.8), (6.0, 3.8, 3.9), (8.0, 20.0, 21.0))
#: Regions of mass in GeV, what they are called, and what the mean ratio should be at least.
REGIONS: tuple[tuple[str, str, float, float, float], ...] = (
    ("below_1_gev", "below 1 GeV", 0.0, 1.0 - 1e-9, 0.95),
    ("1_to_4_gev", "from 1 to 4 GeV", 1.0 - 1e-9, 4.0 + 1e-9, 1.3),
    ("above_4_gev", "above 4 GeV", 4.0 + 1e-9, np.inf, 0.95),
)
#: Key, title, published value, ours and its error (None where unknown), note.
CurveRow = tuple[str, str, float, float | None, float | None, str]
OVER = "bce/best", "punzi/single"  # curves whose ratio says what the Punzi-net is worth
Row = tuple[Any, ...]  # name, text, number or its variants, ends of a target


def make_claims(studies: Mapping[str, Judgement]) -> dict[str, Claim]:
    """Put all claims on the judged studies, `MAIN` among them, into numbers."""
    statistics, main = Statistics(studies), studies[MAIN]
    parts = (_ratios, _single_cut, _untrained, _ensemble, _batches)
    rows = chain(*(part(statistics) for part in parts), _convergence(studies), _smoothness(main))
    claims = {}
    for name, text, number, *target in rows:
        measured = number if isinstance(number, Measured) else statistics.measure(number)
        claims[name] = Claim.of(text, measured, *target)
    return claims


def _regions(mass: FloatArray) -> dict[str, BoolArray]:
    return {name: (mass > low) & (mass <= high) for name, _, low, high, _ in REGIONS}


def _ratios(statistics: Statistics) -> Iterator[Row]:
    claim, regions = "bce_best_over_punzi_single", _regions(statistics.mass)
    for name, words, _, _, target in REGIONS:
        text = "σ_min of BCE at its best cuts over the Punzi-net at one cut, geometric mean over "
        text += "{}trained masses " + words
        trained = regions[name] & statistics.training
        others = regions[name] & ~statistics.training
        if trained.any():
            yield f"{claim}_{name}", text.format(""), statistics.ratio(*OVER, trained), target
        if others.any():
            yield f"{claim}_{name}_untrained", text.format("un"), statistics.ratio(*OVER, others)
        if name == "1_to_4_gev" and trained.any():
            text = f"the same at the worst trained mass {words}"
            yield f"{claim}_worst_{name}", text, statistics.ratio(*OVER, trained, np.min), 1.0
    for mass, bce_sigma, punzi_sigma in PUBLISHED:
        at = np.isclose(statistics.mass, mass)
        if at.any():
            text = f"the same at {mass:g} GeV; published: {bce_sigma / punzi_sigma:.2f}"
            yield f"{claim}_at_{mass:g}_gev", text, statistics.ratio(*OVER, at)


def _single_cut(statistics: Statistics) -> Iterator[Row]:
    text = "σ_min of the Punzi-net at one cut over that at its best cuts, "
    name, curves = "punzi_single_over_best_", ("punzi/single", "punzi/best", statistics.training)
    mean, worst = "geometric mean over trained masses", "at the worst trained mass"
    yield f"{name}mean", text + mean, statistics.ratio(*curves), None, 1.05
    yield f"{name}worst", text + worst, statistics.ratio(*curves, np.max), None, 1.15
    text = "σ_min of the Punzi-net at an output of 0.5 over that at its best single cut, mean over "
    half = statistics.ratio("punzi/half", "punzi/single", statistics.training)
    yield "punzi_half_over_single_mean", text + "trained masses", half


def _untrained(statistics: Statistics) -> Iterator[Row]:
    mass, training = statistics.mass, statistics.training
    inner = ~training & (mass > mass[training][0]) & (mass < mass[training][-1])
    if not inner.any():
        return
    at = "at masses not trained on over the trend of the trained ones, geometric mean"
    punzi, bce = (statistics.over_trend(curve, inner) for curve in ("punzi/single", "bce/best"))
    text = f"σ_min of the Punzi-net at one cut {at}"
    yield "punzi_single_untrained_over_trend", text, punzi, 0.97, 1.03
    text = f"σ_min of BCE at interpolated best cuts {at}"
    yield "bce_best_untrained_over_trend", text, bce


def _ensemble(statistics: Statistics) -> Iterator[Row]:
    trained = statistics.training
    curves = {"bce_best": "bce/best", "punzi_best": "punzi/best", "punzi_single": "punzi/single"}
    relative = "relative standard deviation over networks of the figure of merit"
    for claim, text, number in (
        ("sigma_min_fb", "σ_min in fb", statistics.mean_sigma),
        ("spread", relative, statistics.spread),
    ):
        for name, curve in curves.items():
            at = f"{name.replace('_', ' at ')} cut, mean over trained masses"
            yield f"{name}_{claim}", f"{text}, {at}", number(curve, trained)
    bce, punzi = (statistics.spread(curve, trained) for curve in ("bce/best", "punzi/best"))
    compared = divided(bce, punzi, np.nan)
    text = "spread over networks of BCE over that of the Punzi-nets, both at best cuts"
    yield "bce_over_punzi_spread", text, compared, 1.0


def _batches(statistics: Statistics) -> Iterator[Row]:
    if UNBATCHED not in statistics.studies:
        return
    mass, trained = statistics.mass, statistics.training
    text = (
        "σ_min of the Punzi-net trained without batches over that with batches, both at best "
        "cuts, geometric mean over trained masses"
    )
    for name, words, masses, *target in (
        ("", "", trained, 1.0),
        ("_below_4_gev", " up to 4 GeV", trained & (mass <= 4)),
        ("_above_4_gev", " above 4 GeV", trained & (mass > 4)),
    ):
        if masses.any():
            number = statistics.ratio("punzi/best", "punzi/best", masses, study=UNBATCHED)
            yield f"unbatched_over_batched{name}", text + words, number, *target


def _convergence(studies: Mapping[str, Judgement]) -> Iterator[Row]:
    for study, judgement in studies.items():
        networks = float(len(judgement.converged))
        name = "networks_converged" if study == MAIN else f"networks_converged_{study}"
        text = f"networks that converge of {networks:g}, study {study}; all are in the averages"
        yield name, text, Measured(float(judgement.converged.sum()), 0.0, 0.0), networks, networks


def _smoothness(main: Judgement) -> Iterator[Row]:
    """What interpolated and single cuts leave in the spectrum: 1 is as smooth as can be."""
    for process in ("signal", "background"):
        name, text = f"roughness_{process}", f"roughness of the passing {process} fraction"
        bce = main.arrays[f"bce/roughness/{process}/best"]
        punzi = main.arrays[f"punzi/roughness/{process}/single"]
        over = f"{text} along the mass over what statistics alone makes"
        yield f"{name}_bce_best", f"{over}; interpolated best cuts, BCE", over_networks(bce)
        yield f"{name}_punzi_single", f"{over}; one cut, Punzi-net", over_networks(punzi)
        text += " with interpolated best cuts (BCE) over that with one cut (Punzi-net)"
        logarithm, error, _ = over_networks(np.log(bce / punzi))
        mean = float(np.exp(logarithm))
        number = Measured(mean, error * mean, np.nan)
        yield f"{name}_ratio", f"{text}, geometric mean", number, 1.0
    effective = main.arrays["punzi/single/effective"][:, main.training]
    text = "trained masses in whose window no simulated background passes the single cut"
    number = over_networks((effective == 0).sum(axis=1).astype(np.float64))
    yield "trained_masses_without_simulated_background", text, number


@dataclass(frozen=True)
class Effect:
    """Numbers of one recipe: what a variation changes."""

    label: str  # what was changed
    networks: int
    converged: int  # how many of them
    numbers: dict[str, Claim]  # mean σ_min in fb, ratios by region


def effects(studies: Sequence[Study], judged: Mapping[str, Judgement]) -> dict[str, Effect]:
    """Effects by name of the study, `MAIN` first, with as many networks as the largest study."""
    networks = max(len(judged[study.name].converged) for study in studies)
    compared = {MAIN: ("as it is", judged[MAIN].first(networks))}
    for study in studies:
        own = judged[study.name]
        begun = own if study.pretrains else judged[MAIN].first(len(own.converged))
        compared[study.name] = study.label, own.after(begun)
    main, found = judged[MAIN], {}
    for name, (label, judgement) in compared.items():
        statistics, converged = Statistics({MAIN: judgement}), judgement.converged
        rows = _of_recipe(statistics, main)
        numbers = {key: Claim.of(text, statistics.measure(values)) for key, text, values in rows}
        found[name] = Effect(label, len(converged), int(converged.sum()), numbers)
    return found


def _of_recipe(statistics: Statistics, main: Judgement) -> Iterator[Row]:
    """Numbers of a recipe, at the masses that the unchanged one trained on."""
    trained, regions = main.training, _regions(main.mass)
    for one in OVER:
        yield one, f"mean σ_min in fb, {one}", statistics.mean_sigma(one, trained)
    for name, words, *_ in REGIONS:
        if (masses := trained & regions[name]).any():
            text = f"σ_min of BCE at best cuts over the Punzi-net at one cut, {words}"
            yield name, text, statistics.ratio(*OVER, masses)


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


def curve_rows(output: OutputFolder) -> list[CurveRow]:
    """The smallest detectable cross-sections, up to one factor that is fitted to all of them.

    They are those of the ensemble that `punzinet paper` has trained, or else those of the first
    networks of `punzinet train`. There is one row for each kind of network and published mass; none
    if neither has run, or no value of theirs is finite. InputError if a result is damaged.
    """
    if (judged := output.study(MAIN).judgement).exists():
        judgement = Judgement.read(judged)
        statistics = Statistics({MAIN: judgement})
        whose = f"mean of {len(judgement.converged)} networks"
        with np.errstate(divide="ignore"):
            bce, punzi = (statistics.curve(1 / statistics.mean(name)) for name in OVER)
    elif output.sensitivity.exists():
        sensitivity, whose = Sensitivity.read(output.sensitivity), "one network"
        bce = sensitivity.average(sensitivity.of_loss("bce")[:1], "optimal")
        punzi = sensitivity.average(sensitivity.of_loss("punzi")[:1], "single")
    else:
        return []
    unit = common_scale(bce.mass, bce.sigma, punzi.sigma)
    if not np.isfinite(unit):
        return []
    note = f"{whose}; in the published unit, {unit:.4g} fb by a fit to both curves"
    kinds = (
        ("bce", "trained with cross-entropy, best cut for each mass chosen on other events", bce),
        ("punzi", "Punzi-net, one cut", punzi),
    )
    rows: list[CurveRow] = []
    for at, *published in PUBLISHED:
        (i,) = mass_index(bce.mass, np.array([at])).tolist()
        for (kind, meaning, curve), value in zip(kinds, published, strict=True):
            ours, error = (
                float(x[i]) / unit if i >= 0 and np.isfinite(x[i]) else None
                for x in (curve.sigma, curve.error)
            )
            name, title = f"sigma_min_{kind}_{at:g}_GeV", f"sigma_min at {at:g} GeV, {kind}"
            rows.append((name, title, value, ours, error, f"{meaning}; {note}"))
    return rows
