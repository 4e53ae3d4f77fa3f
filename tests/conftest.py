"""What tests of every part share; the functions behind it are in `tests/helpers`."""

from pathlib import Path

import numpy as np
import pytest
import small_data
from hypothesis import settings

from punzinet.analysis.windows import Windows

# How long an example takes is for the machine to say, and the first one may compile; that a change
# passes is not for chance to say.
settings.register_profile("punzinet", deadline=None, derandomize=True)
settings.load_profile("punzinet")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest file, so that no worker is left alone with it in the end."""
    items.sort(key=lambda item: item.path.name != "test_chain.py")


@pytest.fixture(scope="session")
def ntuples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One file of signal with all masses of the small manifest, and two of background."""
    folder = tmp_path_factory.mktemp("ntuples")
    mass = np.repeat(small_data.MASSES, small_data.GENERATED)
    events = {
        "signal": small_data.make_events(1, len(mass), mass),
        "tautau": small_data.make_events(2, 7000),
        "eemumu": small_data.make_events(3, 3000),
    }
    return {n: small_data.write_ntuple(folder / f"{n}.root", e) for n, e in events.items()}


@pytest.fixture(scope="session")
def wide_windows() -> Windows:
    """Windows of the small manifest's masses that overlap here and there and leave gaps between."""
    sigma = [1.0, 1.2, 2.0, 3.0, 2.5, 2.0]
    return small_data.windows_of(small_data.MASSES, sigma, np.arange(6) % 2 == 0)
