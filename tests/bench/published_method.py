"""A straightforward PyTorch implementation of the published method, to compare speed with.

Automatic differentiation through plain layers, and sums over windows as products with sparse
matrices of hypotheses times events.
"""

import numpy as np
import torch
from torch.nn import Linear, Sequential, Sigmoid, Tanh
from torch.nn.functional import binary_cross_entropy

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.punzi_loss import SIGNAL


class PublishedMethod:
    def __init__(self, sample, luminosity):
        events = sample.training
        low, high = sample.scaling
        scaled = (events.features - low[:, np.newaxis]) / (high - low)[:, np.newaxis]
        self.x = torch.from_numpy(np.ascontiguousarray(scaled.T))
        self.weight = torch.from_numpy(events.weight)
        signal = events.process == SIGNAL
        self.label = torch.from_numpy(signal.astype(np.float32))
        windows = events.start, events.stop, len(sample.mass)
        self.windows = [self._matrix(*windows, chosen) for chosen in (signal, ~signal)]
        self.luminosity = luminosity
        self.merit = FigureOfMerit()
        torch.manual_seed(1)
        hidden = Linear(4, 8), Tanh(), Linear(8, 4), Tanh()
        self.network = Sequential(*hidden, Linear(4, 1), Sigmoid())
        self.optimiser = torch.optim.SGD(self.network.parameters(), lr=1e-6)

    @staticmethod
    def _matrix(start, stop, hypotheses, chosen):
        """Sparse (hypotheses, n) matrix: which of the chosen events lie in which window."""
        inside = [np.flatnonzero(chosen & (start <= h) & (h < stop)) for h in range(hypotheses)]
        rows = np.repeat(np.arange(hypotheses), [len(columns) for columns in inside])
        index = torch.from_numpy(np.stack([rows, np.concatenate(inside)]))
        with torch.sparse.check_sparse_tensor_invariants(enable=False):
            shape = (hypotheses, len(start))
            return torch.sparse_coo_tensor(index, torch.ones(len(rows)), shape).coalesce()

    def _sigma_min(self, selected):
        """Efficiency and σ_min of each hypothesis from the weights (n,) of selected events."""
        efficiency, background = (
            torch.sparse.mm(window, selected.unsqueeze(1)).squeeze(1) for window in self.windows
        )
        return efficiency, self.merit.sigma_min(efficiency, background, self.luminosity)

    def punzi_epoch(self):
        self.optimiser.zero_grad()
        _, sigma = self._sigma_min(self.network(self.x).squeeze(1) * self.weight)
        sigma.mean().backward()
        self.optimiser.step()

    def bce_batches(self, size, count):
        for rows in torch.randperm(len(self.x)).split(size)[:count]:
            self.optimiser.zero_grad()
            output = self.network(self.x[rows]).squeeze(1)
            binary_cross_entropy(output, self.label[rows], self.weight[rows]).backward()
            self.optimiser.step()

    @torch.no_grad()
    def cut_scan(self, cuts):
        """Evaluate cuts on the output one by one; the best σ_min of each hypothesis."""
        output = self.network(self.x).squeeze(1)
        best = torch.full((len(self.windows[0]),), np.inf)
        for cut in cuts:
            efficiency, sigma = self._sigma_min(self.weight * (output >= cut))
            best = torch.minimum(best, torch.where(efficiency > 0, sigma, np.inf))
        return best.numpy()

    @torch.no_grad()
    def logit(self):
        return np.asarray(self.network[:-1](self.x).squeeze(1))
