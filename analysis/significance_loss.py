"""The significance as a loss (Elwood and Krücker, arXiv:1806.00322), beside the Punzi-loss.

It puts the inverse of the squared significance in place of σ_min, with everything else the same.
"""

from collections.abc import Sequence

import torch

from punzinet.analysis.figures_of_merit import background_variance
from punzinet.analysis.punzi_loss import PunziLoss


class SignificanceLoss(PunziLoss):
    """Mean of 1/Z² with the significance Z = S/√(S + V) (arXiv:1806.00322, Eq. 8 here).

    The significance needs what a search for something unknown does not know, the cross-section
    of the signal. One is assumed for all hypotheses. V is the variance of the background, its
    number if that is known.

    Attributes:
        cross_section: Assumed cross-section of every signal in fb, set after the loss is made.
    """

    cross_section: float = 10.0

    def terms(
        self,
        efficiency: torch.Tensor,
        background: torch.Tensor,
        by_process: Sequence[torch.Tensor] = (),
    ) -> torch.Tensor:
        """(H,) inverse squared significances (S + V)/S²; see `PunziLoss`."""
        variance = background_variance(background, by_process, self.uncertainty)
        signal = efficiency * self.luminosity * self.cross_section
        return 1 / signal + variance / signal**2
