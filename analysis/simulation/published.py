"""Published numbers that the default data is compared with.

From the paper (arXiv:2110.00810, EPJC 82, 121) and its poster unless said otherwise; curves were
read off figures.
"""

from typing import Final

CROSS_SECTIONS: Final = {"mumugamma": 1.148, "tautau": 0.919, "eemumu": 18.9}
"""At 10.58 GeV, nb (Belle II Physics Book, arXiv:1808.10567)."""
BRANCHING_RATIO: Final = 0.1739
"""Of tau -> mu nu nu (PDG)."""
WEIGHTED_SIGMAS: Final = {
    0.1: 0.234,
    0.9: 0.296,
    1.7: 0.304,
    2.5: 0.302,
    3.3: 0.297,
    4.1: 0.271,
    4.9: 0.257,
    5.7: 0.223,
    6.5: 0.177,
    7.3: 0.139,
    8.1: 0.097,
}
"""Of the signal's peak in the squared recoil mass, GeV^2, by mass in GeV."""
SIGNAL_IN_WINDOW: Final = 0.378
"""Signal in its own window over generated, mean over the training masses."""
BACKGROUNDS: Final = {"tautau": 152_000.0, "eemumu": 26_500.0, "mumugamma": 4_460.0}
"""Preselected events in the training windows at `LUMINOSITY`, before the trigger's efficiency."""
LUMINOSITY: Final = 50.0
"""Of the search, fb^-1."""
TRIGGER_EFFICIENCY: Final = 0.9
SAMPLE_LUMINOSITY: Final = 1000.0
"""Of the background that the paper simulated, fb^-1."""
SAMPLE_SIGNAL: Final = 20_000
"""Signal events that the paper generated at each mass."""
SAMPLE_EVENTS: Final = 3.25e6
"""Events of the paper's sample in the training windows."""
SAMPLE_SIGNAL_SHARE: Final = 0.10
