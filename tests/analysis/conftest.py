"""Made-up judgements whose claims are known beforehand."""

from collections.abc import Callable

import numpy as np
import pytest

from punzinet.analysis.paper.judgement import Judgement, bin_edges


@pytest.fixture(scope="session")
def make_judgement() -> Callable[..., Judgement]:
    """Make a judgement in which BCE is worse than the Punzi-net by a factor."""

    def make(
        factor: float = 1.5,
        networks: int = 4,
        replicas: int = 30,
        spread: float = 0.05,
        sample: float = 0.1,
    ) -> Judgement:
        rng = np.random.default_rng(2)
        mass = np.linspace(0.1, 8.7, 87)
        shape = (networks, len(mass))
        arrays: dict[str, np.ndarray] = {}
        for loss, scale in (("bce", factor), ("punzi", 1.0)):
            for kind in ("best", "best_own", "best_in_sample", "single", "half"):
                sigma = scale * (1 + mass) * np.exp(spread * rng.standard_normal((networks, 1)))
                common = np.exp(sample * rng.standard_normal((1, replicas, 1)))
                arrays[f"{loss}/{kind}/sigma"] = sigma
                arrays[f"{loss}/{kind}/replicas"] = sigma[:, None] * common
                arrays[f"{loss}/{kind}/cut"] = np.zeros(shape)
                arrays[f"{loss}/{kind}/background"] = np.ones(shape)
            for process in ("signal", "background"):
                for kind in ("best", "single"):
                    arrays[f"{loss}/{process}/{kind}"] = np.full((networks, 2, len(mass)), 50.0)
                    arrays[f"{loss}/roughness/{process}/{kind}"] = np.full(networks, scale)
        arrays |= {f"total/{p}": np.full((2, len(mass)), 100.0) for p in ("signal", "background")}
        arrays["edges"] = bin_edges(mass)
        training = np.arange(len(mass)) % 2 == 0
        return Judgement(mass, training, np.ones(networks, dtype=bool), arrays)

    return make
