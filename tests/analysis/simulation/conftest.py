"""The default detector."""

import pytest

from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.simulation.detector import Detector


@pytest.fixture(scope="session")
def detector() -> Detector:
    return Detector(Beams())
