"""The Punzi-loss: the mean minimum detectable cross-section, made differentiable (Eq. 10-12).

**Events** are described by four columns. `weight` is normalised such that Σ weight · ŷ is the
efficiency for signal, and the background expected at the target luminosity for background.
`process` counts the background processes from 0, and is `SIGNAL` for signal. `start` and
`stop` are the half-open range of training hypotheses whose window the event lies in; for
signal, the one of its own mass. An event in no window (`start == stop`) takes no part.

**Sub-samples.** A batch, or the validation fold, stands for the whole sample: what it holds is
multiplied by total/subset, measured by sums of weights, separately for every background
process and for every signal hypothesis. For signal this makes ε_m the mean output of those
signal events of mass m that are in the subset, times the known acceptance of the window: their
number in the subset (about a hundred per mass in a batch of 50 000 events, ten per cent of noise
on ε_m) drops out, as it would not with one factor for all masses.

**Hypotheses without signal** in the subset are left out of the mean: the subset says nothing
about them. A subset without any signal gives zero and no gradient. A hypothesis whose signal
is there but all rejected is a true (and terrible) value of σ_min and stays in; its efficiency
counts as `MIN_EFFICIENCY` at least, below which it exerts no gradient.
"""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from punzinet.analysis.figures_of_merit import FigureOfMerit, background_variance
from punzinet.analysis.io.files import InputError
from punzinet.analysis.types import SIGNAL

MIN_EFFICIENCY = 1e-12
"""Efficiencies below this, which no sample could measure, are none: the gradient with respect to an
output goes with 1/ε² and would overflow in single precision."""


class PunziLoss(torch.nn.Module):
    """Mean of σ_min over the training hypotheses, with outputs in place of a cut (Eq. 12).

    The columns of n events (`weight`, `process`, `start`, `stop`) are (n,) tensors and what the
    head of this module says; H counts the training hypotheses, P the background processes.
    """

    signal_total: Tensor  # (H,) weights of each signal in the sample: efficiencies of the windows
    background_total: Tensor  # (P,) weights of each process, every event counted once
    shifts: Tensor  # (K, P, H) of background by uncertain parameters, see `figures_of_merit`

    def __init__(
        self,
        signal_total: Sequence[float] | Tensor,
        background_total: Sequence[float] | Tensor,
        luminosity: float,
        figure_of_merit: FigureOfMerit | None = None,
        processes: Sequence[str] = (),
    ) -> None:
        """Make the loss from what the whole sample sums up to, for a luminosity in fb^-1.

        The figure of merit is Eq. 9 with its default constants if not given. Background processes,
        in the order of their codes, need names only if it has uncertainties by process.
        """
        super().__init__()
        for name, total in (("signal", signal_total), ("background", background_total)):
            self.register_buffer(f"{name}_total", torch.as_tensor(total, dtype=torch.float64))
        self.luminosity = luminosity
        self.figure_of_merit = figure_of_merit or FigureOfMerit()
        self.overall, shifts = self.figure_of_merit.uncertainty_of(processes, len(signal_total))
        self.register_buffer("shifts", torch.from_numpy(shifts), persistent=False)

    @classmethod
    def of_sample(
        cls,
        mass: Sequence[float],
        weight: Tensor,
        process: Tensor,
        start: Tensor,
        stop: Tensor,
        *,
        luminosity: float,
        figure_of_merit: FigureOfMerit | None = None,
        processes: Sequence[str] = (),
    ) -> Self:
        """Make the loss from the columns of the whole sample, all folds together.

        `mass` (H,) are those of the training hypotheses in GeV, which `start` and `stop` count.
        InputError if a weight is negative or not finite, a hypothesis has no signal, or a column
        says something else than a process or a window.
        """
        if not bool(((weight >= 0) & torch.isfinite(weight)).all()):
            raise InputError(
                "An event weight is negative or not finite, for which the Punzi-loss has no "
                "meaning; check the weight branch of the ntuples."
            )
        if bool(((start < 0) | (stop > len(mass)) | (process < SIGNAL)).any()):
            raise InputError(
                f"An event has windows beyond the {len(mass)} training hypotheses, which `start` "
                f"and `stop` count from 0, or a process below {SIGNAL}, the signal; correct that."
            )
        if bool(((process == SIGNAL) & (stop > start + 1)).any()):
            raise InputError(
                "A signal event lies in several windows, but counts in that of its own mass only: "
                "`start` has to be the index of its mass, and `stop` at most one more."
            )
        count = max(int(process.max()) + 1, len(processes))
        uncounted = cls(torch.zeros(len(mass)), torch.zeros(count), luminosity)
        total, _ = uncounted.class_sums(weight, process, start, stop)
        for value, signal in zip(mass, total[count:].tolist(), strict=True):
            if signal == 0:
                raise InputError(
                    f"The hypothesis of {value:g} GeV has no signal event in its mass window; "
                    "give it more events, or take it out of the training hypotheses."
                )
        return cls(total[count:], total[:count], luminosity, figure_of_merit, processes)

    def forward(
        self, output: Tensor, weight: Tensor, process: Tensor, start: Tensor, stop: Tensor
    ) -> Tensor:
        """Loss of a batch with outputs ŷ (n,), scaled to the whole sample, a float64 scalar.

        ValueError if there is not one output for each event: a column would pass for n networks.
        """
        if output.shape[-1:] != weight.shape:
            raise ValueError(
                f"the outputs have the shape {tuple(output.shape)}, but the {len(weight)} events "
                f"need ({len(weight)},); a network that ends in one column wants `.squeeze(1)`"
            )
        subset, group = self.class_sums(weight, process, start, stop)
        weight = weight * self.scale(subset)[group]
        return self.values(self.sums(output, weight, process, start, stop), subset)[1]

    def sums(
        self, output: Tensor, weight: Tensor, process: Tensor, start: Tensor, stop: Tensor
    ) -> Tensor:
        """What events add to the background of each process, and to ε (Eq. 10 and 11).

        (P + 1, ..., H) sums, the signal's last, of outputs (..., n) of one or several networks.
        Nothing is scaled here: the sums of all batches add up to those of the sample.
        """
        rows = len(self.background_total) + 1
        selected = wide(output) * wide(weight)
        return window_sums(selected, process % rows, start, stop, (rows, len(self.signal_total)))

    def class_sums(
        self, weight: Tensor, process: Tensor, start: Tensor, stop: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Sum weights by what is scaled together: a background process, or a signal hypothesis.

        Only events in a window count. Returns (P + H,) float64 sums, and (n,) indices of events.
        """
        processes, hypotheses = len(self.background_total), len(self.signal_total)
        own = processes + start.long().clamp(max=hypotheses - 1)
        group = torch.where(process == SIGNAL, own, process.long())
        used = torch.where(stop > start, wide(weight), 0.0)
        return _group_sums(used, group, processes + hypotheses), group

    def scale(self, subset: Tensor) -> Tensor:
        """(P + H,) factors total/subset by `class_sums` of a subset, 0 for what is absent."""
        total = torch.cat([self.background_total, self.signal_total])
        return torch.where(subset > 0, total / subset, 0.0)

    def values(self, sums: Tensor, subset: Tensor) -> tuple[Tensor, Tensor]:
        """What `sums`, scaled to the whole sample, and `class_sums` of a subset amount to.

        (..., H) terms of all hypotheses, 0 for one without signal, and the average of the others.
        """
        present = subset[len(self.background_total) :] > 0
        efficiency = torch.where(present, sums[SIGNAL], 1.0).clamp(min=MIN_EFFICIENCY)
        by_process = sums[:SIGNAL]
        variance = background_variance(by_process.sum(0), by_process, self.overall, self.shifts)
        terms, count = self.term(efficiency, variance), present.sum().clamp(min=1)
        if self.figure_of_merit.average == "geometric":
            average = (torch.where(present, terms, 1.0).log().sum(-1) / count).exp()
        else:
            average = torch.where(present, terms, 0.0).sum(-1) / count
        return torch.where(present, terms, 0.0), average

    def term(self, efficiency: Tensor, variance: Tensor) -> Tensor:
        """What is averaged over the hypotheses: σ_min in fb."""
        sigma: Tensor = self.figure_of_merit.sigma_min(efficiency, variance, self.luminosity)
        return sigma


class SignificanceLoss(PunziLoss):
    """Mean of 1/Z² with Z = S/√(S + V) (Elwood and Krücker, arXiv:1806.00322, Eq. 8 here).

    The significance needs what a search for something unknown does not know, the cross-section
    of the signal. One is assumed for all hypotheses. V is the variance of the background.
    """

    cross_section: float = 10.0  # assumed of every signal, in fb; set after the loss is made

    def term(self, efficiency: Tensor, variance: Tensor) -> Tensor:
        """Inverse squared significance (S + V)/S²."""
        signal = efficiency * self.luminosity * self.cross_section
        return 1 / signal + variance / signal**2


def wide(values: Tensor) -> Tensor:
    """The same values in double precision, where the device has it (Apple's GPUs do not)."""
    return values.float() if values.device.type == "mps" else values.double()


def window_sums(
    values: Tensor, row: Tensor, start: Tensor, stop: Tensor, shape: tuple[int, int]
) -> Tensor:
    """Sum (..., n) values over the events of each row and window, (R, ..., H), of a shape (R, H).

    Each value is added where its range of windows starts and taken away again where it ends;
    the running sum of that, O(events + windows), is the sum of each window. The sums are
    differences of larger ones and therefore `wide`; a window without events gives exactly zero.
    """
    rows, windows = shape
    first = row.long() * (windows + 1)
    ends = first + start, first + stop

    def running(summed: Tensor) -> Tensor:
        added, removed = (_group_sums(summed, end, rows * (windows + 1)) for end in ends)
        edges = (added - removed).reshape(*summed.shape[:-1], rows, windows + 1)
        return edges.cumsum(-1)[..., :windows]

    held = running(torch.ones_like(first)) > 0
    return torch.where(held, running(wide(values)).clamp(min=0.0), 0.0).movedim(-2, 0)


def _group_sums(values: Tensor, group: Tensor, groups: int) -> Tensor:
    """Sum (..., n) values over the events of each group, (..., G), by (n,) int64 groups."""
    rows = values.reshape(values.shape[:-1].numel(), values.shape[-1])
    # One long sum: adding to columns of a matrix is many times slower.
    first = torch.arange(len(rows), device=group.device)[:, None] * groups
    sums = values.new_zeros(len(rows) * groups)
    sums = sums.index_add(0, (first + group).flatten(), rows.flatten())
    return sums.reshape(*values.shape[:-1], groups)
