"""Made-up judgements whose claims are known beforehand."""

from itertools import product

import numpy as np
import pytest

from punzinet.analysis.paper.judgement import Judgement


@pytest.fixture(scope="session")
def make_judgement():
    """Make a judgement in which BCE is worse than the Punzi-net by a factor."""

    def make(factor=1.5, networks=4, replicas=30, spread=0.05, sample=0.1):
        rng = np.random.default_rng(2)
        mass = np.linspace(0.1, 8.7, 87)
        arrays = {}
        for loss, scale in (("bce", factor), ("punzi", 1.0)):
            for kind in ("best", "best_own", "single", "half"):
                sigma = scale * (1 + mass) * np.exp(spread * rng.standard_normal((networks, 1)))
                common = np.exp(sample * rng.standard_normal((1, replicas, 1)))
                arrays[f"{loss}/{kind}/sigma"] = sigma
                arrays[f"{loss}/{kind}/replicas"] = sigma[:, None] * common
                arrays[f"{loss}/{kind}/effective"] = np.ones((networks, len(mass)))
            for name in product(("signal", "background"), ("best", "single")):
                arrays[f"{loss}/roughness/{'/'.join(name)}"] = np.full(networks, scale)
        training = np.arange(len(mass)) % 2 == 0
        return Judgement(mass, training, np.ones(networks, dtype=bool), arrays)

    return make
