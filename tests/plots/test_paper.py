"""What the paper's figures must say, and must not, from made-up ensembles."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from pictures import check_figure, pictured

from punzinet.analysis.network import PunziNet
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.paper.claims import REGIONS, Effect
from punzinet.analysis.paper.judgement import Judgement, bin_edges
from punzinet.analysis.paper.statistics import Claim, Measured, Statistics
from punzinet.analysis.paper.studies import MAIN
from punzinet.analysis.search import RECOIL
from punzinet.plots import paper, style
from punzinet.plots.network import (
    Cuts,
    feature_space_figure,
    isosurface,
    network_figure,
    outputs_figure,
)
from punzinet.plots.sensitivity import ratio_figure
from punzinet.plots.training_history import loss_evolution_figure

RNG = np.random.default_rng(4)
MASS = np.linspace(0.1, 8.7, 87)
#: Recipes with the networks that do not converge and the numbers, one of which is not finite.
RECIPES = (
    ("as it is", 0, (6.4, 6.1, 1.0, 1.1, 1.0)),
    ("learning rate × 3", 1, (6.4, np.inf, 0.9, 1.2, 1.1)),
    ("published recipe, no finish", 0, (7.0, 6.5, 1.0, 1.3, 1.0)),
)


def ensemble(**factors):
    """Five networks a curve, judged by the same samples; one finds nothing at the heaviest mass."""
    common = np.exp(RNG.normal(0, 0.1, (1, 400, 87)))
    arrays = {}
    for name, factor in factors.items():
        sigma = factor * (2 + (MASS - 4) ** 2) * np.exp(RNG.normal(0, 0.05, (5, 87)))
        sigma[0, -1] = np.inf
        arrays |= {f"{name}/sigma": sigma, f"{name}/replicas": sigma[:, None] * common}
    main = Judgement(MASS, np.arange(87) % 2 == 0, np.ones(5, bool), arrays)
    statistics = Statistics({MAIN: main})
    variants = {name: statistics.mean(name) for name in factors}
    return paper.ensemble_curves(statistics, variants)


def evolutions():
    """Losses of two batch sizes; one of them with spikes."""
    epoch = np.arange(101)
    fall = 6 + 8 * np.exp(-epoch / 20) + RNG.normal(0, 0.05, (2, 101))
    training = np.where(epoch == 0, np.nan, fall)
    return {"batch 50 000": (training, fall), "small": (np.where(epoch == 50, 1e5, training), fall)}


def judgement() -> Judgement:
    """One network of each loss, the cross-entropy network's selection jagged."""
    total = np.full((2, 87), 300.0)
    arrays = {"edges": bin_edges(MASS), "total/signal": total}
    jagged = 0.3 + 0.1 * RNG.standard_normal(87)
    for loss, kind, share in (("bce", "best", jagged), ("punzi", "single", np.full(87, 0.3))):
        arrays[f"{loss}/{kind}/cut"] = np.full((1, 87), 0.5)
        for process in ("signal", "background"):
            arrays[f"{loss}/{process}/{kind}"] = total[None] * np.clip(share, 0, 1)
            arrays[f"{loss}/roughness/{process}/{kind}"] = np.array([1.1])
    return Judgement(MASS, np.ones(87, bool), np.ones(1, bool), arrays)


def effects() -> list[Effect]:
    names = ["bce/best", "punzi/single", *(region[0] for region in REGIONS)]
    claims = [
        {n: Claim.of(n, Measured(v, 0.1, 0.2)) for n, v in zip(names, values, strict=True)}
        for *_, values in RECIPES
    ]
    recipes = zip(RECIPES, claims, strict=True)
    return [Effect(label, 3, 3 - lost, numbers) for (label, lost, _), numbers in recipes]


@pytest.fixture(scope="module")
def figures(make):
    rng = np.random.default_rng(2)
    network = PunziNet(FEATURES, np.zeros(4), np.full(4, 3.0), rng=rng).perceptron
    seen = make.outputs(RNG, MASS, 5000, signal=True), Cuts(MASS, RNG.normal(0, 1, 87), 0.3)
    (curves, ratios), two = ensemble(BCE=1.2, none=1.1, batch=1.0), ensemble(BCE=1.2, batch=1.0)
    coloured = [*zip(ratios, paper.COLOURS[1:], strict=True)]
    about = "ratio", 50.0, RECOIL.parameter
    signals = {m: RNG.uniform(0, 3, (900, 4)) for m in (1.1, 4.5, 6.9)}
    return {
        "network": network_figure(network),
        "loss": loss_evolution_figure(evolutions()),
        "ensembles": ratio_figure(curves, coloured, *about, merit=True),
        "outputs": outputs_figure({"BCE": seen}, luminosity=50.0, variable=RECOIL.variable),
        "feature_space": feature_space_figure(network, -0.2, signals),
        "published": paper.published_figure(*two, luminosity=50.0),
        "discontinuities": paper.discontinuities_figure(judgement(), 0, luminosity=50.0),
        "variations": paper.variations_figure(effects()),
    }


def test_what_every_figure_says(figures):
    for figure in figures.values():
        check_figure(figure)


def test_no_label_reaches_the_edge_of_what_is_written(tmp_path):
    """At its resolution texts are wider than at that of a screen."""
    style.save(paper.variations_figure(effects()), tmp_path, "variations")
    pixels = plt.imread(tmp_path / "variations.png")[..., :3]
    edges = pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]
    assert all((edge == 1).all() for edge in edges)


@pictured("ensembles", "discontinuities")
def test_a_figure_looks_as_it_did(figures, name):
    return figures[name]


def test_errors_are_those_of_networks_and_sample_and_a_ratio_has_not_what_both_share():
    curves, (ratio,) = ensemble(BCE=1.2, batch=1.0)
    (curve, _), _ = curves.values()
    for one, expected in (
        (curve, np.hypot(0.1, 0.05 / np.sqrt(5))),
        (ratio, 0.05 * np.sqrt(2 / 5)),
    ):
        relative = (one.error / one.sigma)[:-1]
        assert np.sqrt(np.mean(relative**2)) == pytest.approx(expected, rel=0.1)


def test_spikes_of_the_training_loss_leave_the_axis(figures):
    low, high = figures["loss"].axes[0].get_ylim()
    assert low < 6
    assert 14 < high < 100


def test_the_diagram_has_every_neuron_and_every_connection(figures):
    axes = figures["network"].axes[0]
    assert sum(len(line.get_xdata()) for line in axes.get_lines()) == 4 + 8 + 4 + 1
    assert sum(len(c.get_segments()) for c in axes.collections) == 4 * 8 + 8 * 4 + 4


def test_a_sphere_has_its_radius_and_its_area():
    triangles = isosurface(np.linalg.norm(np.indices((31, 31, 31)) / 30 - 0.5, axis=0), 0.4)
    np.testing.assert_allclose(np.linalg.norm(triangles - 0.5, axis=-1), 0.4, atol=2e-3)
    a, b, c = np.moveaxis(triangles, 1, 0)
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=-1).sum()
    assert area == pytest.approx(4 * np.pi * 0.4**2, rel=0.01)
    assert isosurface(np.zeros((3, 4, 5)), 1.0).shape == (0, 3, 3)
