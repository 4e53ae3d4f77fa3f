"""What tests of every part share; the functions behind it are in `tests/helpers`."""

import os

import numpy as np
import pytest
from hypothesis import settings
from small_data import MASSES, make_events, make_signal, windows_of, write_ntuple

# Tests that run beside each other share the cores: no thread may keep one busy while it waits.
os.environ |= {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1"}

# How long an example takes is for the machine to say, and the first one may compile; that a change
# passes is not for chance to say.
settings.register_profile("punzinet", deadline=None, derandomize=True)
settings.load_profile("punzinet")


def pytest_collection_modifyitems(items):
    """Begin with the longest file, so that no worker is left alone with it in the end."""
    items.sort(key=lambda item: item.path.name != "test_chain.py")


@pytest.fixture(scope="session")
def ntuples(tmp_path_factory):
    """One file of signal with all masses of the small manifest, and two of background."""
    folder = tmp_path_factory.mktemp("ntuples")
    events = {
        "signal": make_signal(1),
        "tautau": make_events(2, 7000),
        "eemumu": make_events(3, 3000),
    }
    return {n: write_ntuple(folder / f"{n}.root", e) for n, e in events.items()}


@pytest.fixture(scope="session")
def wide_windows():
    """Windows of the small manifest's masses that overlap here and there and leave gaps between."""
    sigma = [1.0, 1.2, 2.0, 3.0, 2.5, 2.0]
    return windows_of(MASSES, sigma, np.arange(6) % 2 == 0)
