import pytest

from punzinet.analysis.limits.hepdata import hepdata_reaction
from punzinet.analysis.search import RECOIL


@pytest.mark.parametrize(
    ("mathtext", "words"),
    [
        (RECOIL.reaction, "E+ E- --> MU+ MU- Z'"),
        (r"e^+e^-\to\gamma X", "E+ E- --> GAMMA X"),
        (r"\mathrm{e}^{+}e^-\to\mu^+\mu^-\phi", "E+ E- --> MU+ MU- PHI"),
    ],
)
def test_reactions_are_written_as_hepdata_does(mathtext, words):
    assert hepdata_reaction(mathtext) == words
