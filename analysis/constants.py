"""Constants of nature (PDG 2024; GeV and natural units).

Not those of `particle`, whose electron mass, and every simulated event, changes with its version.
"""

from typing import Final

ALPHA: Final = 1 / 137.035999084  # fine-structure constant at zero momentum transfer
ELECTRON_MASS: Final = 0.51099895e-3
MUON_MASS: Final = 0.1056583755
PION_MASS: Final = 0.13957039
TAU_MASS: Final = 1.77693
FB_PER_GEV2: Final = 0.3893793721e12  # cross-section conversion (hbar c)^2: 1 GeV^-2 in fb
BR_TAU_TO_MU: Final = 0.1739
BR_TAU_TO_PI: Final = 0.1082
FB_PER_NB: Final = 1e6
