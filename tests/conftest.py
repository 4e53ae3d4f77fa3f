"""Small events, small ROOT files and a small manifest for tests of everything that reads data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
from hypothesis import settings

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.manifest.beams import Beams
from punzinet.analysis.manifest.datasets import BRANCHES
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.windows import Windows

# How long an example takes is for the machine to say, and the first one may compile; that a change
# passes is not for chance to say.
settings.register_profile("punzinet", deadline=None, derandomize=True)
settings.load_profile("punzinet")

Columns = dict[str, np.ndarray]
#: Masses of the small manifest, GeV, and signal events generated for each.
MASSES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
GENERATED = 2000


def _isotropic(rng: np.random.Generator, n: int) -> np.ndarray:
    """Unit vectors (n, 3)."""
    vectors = rng.standard_normal((n, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _boost(p: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Active boost of four-momenta (n, 4) by velocities (n, 3)."""
    gamma = 1 / np.sqrt(1 - (beta**2).sum(axis=1))
    along = (p[:, 1:] * beta).sum(axis=1)
    factor = gamma**2 / (gamma + 1) * along + gamma * p[:, 0]
    energy = gamma * (p[:, 0] + along)
    return np.column_stack([energy, p[:, 1:] + factor[:, None] * beta])


def _two_body_momentum(total: np.ndarray, m1: np.ndarray, m2: np.ndarray) -> np.ndarray:
    """Momentum (n,) of the daughters of a mass `total` at rest."""
    return np.sqrt((total**2 - (m1 + m2) ** 2) * (total**2 - (m1 - m2) ** 2)) / (2 * total)


def _events(
    seed: int,
    n: int,
    mass: float | np.ndarray | None = None,
    resolution: float = 0.004,
    *,
    of_pair: bool = False,
) -> Columns:
    """Muon pairs by phase space that recoil against something, by canonical column.

    Args:
        seed: Of the random numbers.
        n: Number of events.
        mass: Generated mass recoiled against, GeV; None spreads it over the whole spectrum.
        resolution: Relative resolution of the momenta.
        of_pair: Whether it is the mass of the pair that is generated, against a photon.
    """
    rng, beams = np.random.default_rng(seed), Beams()
    recoil = rng.uniform(0.05, 9.0, n) if mass is None else np.broadcast_to(mass, n)
    pair: np.ndarray = rng.uniform(2 * MUON_MASS + 0.01, beams.sqrt_s - recoil - 0.01, n)
    if mass is not None and of_pair:
        pair, recoil = recoil, np.zeros(n)
    k = _two_body_momentum(np.full(n, beams.sqrt_s), pair, recoil)
    flight = _isotropic(rng, n) * (k / np.sqrt(k**2 + pair**2))[:, None]
    muon = _two_body_momentum(pair, np.full(n, MUON_MASS), np.full(n, MUON_MASS))[:, None]
    direction = _isotropic(rng, n)
    to_lab = np.broadcast_to(beams.total[1:] / beams.total[0], (n, 3))
    columns: Columns = {}
    for number, sign in ((1, 1), (2, -1)):
        at_rest = np.column_stack([0.5 * pair, sign * muon * direction])
        lab = _boost(_boost(at_rest, flight), to_lab)[:, 1:]
        lab = lab * (1 + resolution * rng.standard_normal((n, 1)))
        columns |= {f"p{axis}{number}": lab[:, i] for i, axis in enumerate("xyz")}
    columns |= {
        "experiment": np.full(n, 1003, dtype=np.int32),
        "run": np.zeros(n, dtype=np.int32),
        "event": np.arange(n, dtype=np.uint32),
        "production": np.full(n, seed, dtype=np.int32),
    }
    if mass is not None:
        columns["generated_mass"] = np.array(np.broadcast_to(mass, n))
    return columns


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest file, so that no worker is left alone with it in the end."""
    items.sort(key=lambda item: item.path.name != "test_chain.py")


@pytest.fixture(scope="session")
def make_events() -> Callable[..., Columns]:
    """Function (seed, n, mass=None, …) that makes muon pairs by canonical column."""
    return _events


def _write(
    path: Path, columns: Columns, tree: str = "variables", names: dict[str, str] | None = None
) -> Path:
    """Write columns as a flat TTree.

    Args:
        path: Where to.
        columns: By canonical name; others are written under their own name.
        tree: Name of the tree.
        names: Branch names that differ from basf2's.
    """
    branches = {**BRANCHES, **(names or {})}
    renamed = {branches.get(name, name): values for name, values in columns.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(path) as file:
        target = file.mktree(tree, {name: values.dtype for name, values in renamed.items()})
        target.extend(renamed)
    return path


@pytest.fixture(scope="session")
def write_ntuple() -> Callable[..., Path]:
    """Function (path, columns, tree, names) that writes a ROOT file."""
    return _write


def _damage(path: Path) -> None:
    """Overwrite the middle of a ROOT file, so that it can be opened and some of it not be read."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = bytes(20_000)
    path.write_bytes(data)


@pytest.fixture(scope="session")
def damage() -> Callable[[Path], None]:
    """Function (path) that damages a ROOT file in its middle."""
    return _damage


@pytest.fixture(scope="session")
def ntuples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One file of signal with all masses of the small manifest, and two of background."""
    folder = tmp_path_factory.mktemp("ntuples")
    mass = np.repeat(MASSES, GENERATED)
    return {
        "signal": _write(folder / "signal.root", _events(1, len(mass), mass)),
        "tautau": _write(folder / "tautau.root", _events(2, 7000)),
        "eemumu": _write(folder / "eemumu.root", _events(3, 3000)),
    }


def _manifest(files: dict[str, Any], **changes: Any) -> Manifest:
    """A manifest of files by dataset name; a dictionary instead of a file gives more settings."""
    datasets = {}
    for name, file in files.items():
        settings = dict(file) if isinstance(file, dict) else {"files": [str(file)]}
        process = settings.setdefault("process", name)
        extra = {"generated": GENERATED} if process == "signal" else {"luminosity": 100.0}
        datasets[name] = {**extra, **settings}
    content: dict[str, Any] = {
        "luminosity": 50.0,
        "corrections": {"trigger_efficiency": 0.9},
        "hypotheses": {"masses": MASSES},
        "datasets": datasets,
        "features": {"chunk_size": 4000},
    }
    return Manifest.model_validate({**content, **changes})


@pytest.fixture(scope="session")
def make_manifest() -> Callable[..., Manifest]:
    """Function (files by dataset, **sections) that makes a small manifest."""
    return _manifest


@pytest.fixture(scope="session")
def wide_windows() -> Windows:
    """Windows of the small manifest's masses that overlap here and there and leave gaps between."""
    return Windows(
        np.array(MASSES),
        np.array([1.0, 1.2, 2.0, 3.0, 2.5, 2.0]),
        np.arange(6) % 2 == 0,
        np.ones(6, dtype=bool),
        (None,) * 6,
    )
