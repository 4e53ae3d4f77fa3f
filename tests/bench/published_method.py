"""A straightforward PyTorch implementation of the published method, to compare speed with.

Automatic differentiation through plain layers, and sums over windows as products with sparse
matrices of hypotheses times events.
"""

import numpy as np
import torch

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.training.data import Sample


class PublishedMethod:
    def __init__(self, sample: Sample, luminosity: float) -> None:
        events = sample.training
        low, high = sample.scaling
        scaled = (events.features - low[:, np.newaxis]) / (high - low)[:, np.newaxis]
        self.x = torch.from_numpy(np.ascontiguousarray(scaled.T))
        self.weight = torch.from_numpy(events.weight)
        signal = events.process == SIGNAL
        self.label = torch.from_numpy(signal.astype(np.float32))
        self.windows = [
            self._matrix(events.start, events.stop, chosen, len(sample.mass))
            for chosen in (signal, ~signal)
        ]
        self.luminosity = luminosity
        self.merit = FigureOfMerit()
        torch.manual_seed(1)
        linear = torch.nn.Linear
        self.network = torch.nn.Sequential(
            linear(4, 8), torch.nn.Tanh(), linear(8, 4), torch.nn.Tanh(),
            linear(4, 1), torch.nn.Sigmoid(),
        )  # fmt: skip
        self.optimiser = torch.optim.SGD(self.network.parameters(), lr=1e-6)

    @staticmethod
    def _matrix(
        start: np.ndarray, stop: np.ndarray, chosen: np.ndarray, hypotheses: int
    ) -> torch.Tensor:
        """Sparse (hypotheses, n) matrix: which of the chosen events lie in which window."""
        inside = [np.flatnonzero(chosen & (start <= h) & (h < stop)) for h in range(hypotheses)]
        rows = np.repeat(np.arange(hypotheses), [len(columns) for columns in inside])
        index = torch.from_numpy(np.stack([rows, np.concatenate(inside)]))
        with torch.sparse.check_sparse_tensor_invariants(enable=False):
            shape = (hypotheses, len(start))
            return torch.sparse_coo_tensor(index, torch.ones(len(rows)), shape).coalesce()

    def _sigma_min(self, selected: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Efficiency and σ_min of each hypothesis from the weights (n,) of selected events."""
        efficiency, background = (
            torch.sparse.mm(window, selected.unsqueeze(1)).squeeze(1) for window in self.windows
        )
        return efficiency, self.merit.sigma_min(efficiency, background, self.luminosity)

    def punzi_epoch(self) -> None:
        self.optimiser.zero_grad()
        _, sigma = self._sigma_min(self.network(self.x).squeeze(1) * self.weight)
        sigma.mean().backward()
        self.optimiser.step()

    @torch.no_grad()
    def cut_scan(self, cuts: np.ndarray) -> np.ndarray:
        """Evaluate cuts on the output one by one; the best σ_min of each hypothesis."""
        output = self.network(self.x).squeeze(1)
        best = torch.full((len(self.windows[0]),), np.inf)
        for cut in cuts:
            efficiency, sigma = self._sigma_min(self.weight * (output >= cut))
            best = torch.minimum(best, torch.where(efficiency > 0, sigma, np.inf))
        return best.numpy()

    @torch.no_grad()
    def logit(self) -> np.ndarray:
        return np.asarray(self.network[:-1](self.x).squeeze(1))

    def bce_batches(self, size: int, count: int) -> None:
        order = torch.randperm(len(self.x))
        for rows in order.split(size)[:count]:
            self.optimiser.zero_grad()
            output = self.network(self.x[rows]).squeeze(1)
            entropy = torch.nn.functional.binary_cross_entropy
            entropy(output, self.label[rows], self.weight[rows]).backward()
            self.optimiser.step()
