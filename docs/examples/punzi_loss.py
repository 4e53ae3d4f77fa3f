# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The Punzi-loss in a plain PyTorch loop
#
# A toy search in the centre-of-mass system: signal of seven masses against background whose muons
# lose momentum as those of τ pairs do. Everything is made here, in a few seconds.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch

from punzinet import FigureOfMerit, PunziLoss
from punzinet.analysis.cuts import RankedEvents, best_cuts
from punzinet.analysis.features import dimuon_kinematics
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.windows import Windows

SQRT_S, LUMINOSITY = 10.58, 50.0
MASSES = np.arange(1.0, 8.0)
GENERATED, BACKGROUND, EXPECTED = 2000, 20_000, 200_000.0
rng = np.random.default_rng(1)

# %% [markdown]
# ## Events
#
# Signal is $e^+e^- \to (\mu\mu)\,Z'$ with a dimuon mass drawn uniformly, everything isotropic;
# background is two muons back to back with a fraction $x$ of the beam energy each. Momenta are
# smeared by half a percent.


# %%
def directions(n):
    """Isotropic unit vectors (n, 3)."""
    vectors = rng.standard_normal((n, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def signal(mass):
    """Momenta of the two muons (n, 3) that recoil against the masses (n,)."""
    pair = rng.uniform(0.3, 1.0, len(mass)) * (SQRT_S - mass)
    energy = (SQRT_S**2 + pair**2 - mass**2) / (2 * SQRT_S)
    flight, decay = directions(len(mass)), directions(len(mass))
    momentum = np.sqrt(energy**2 - pair**2)
    # A massless muon of energy pair/2, boosted along the flight of the pair.
    along = (decay * flight).sum(1)
    shift = ((energy / pair - 1) * along + momentum / pair) * pair / 2
    first = decay * (pair / 2)[:, None] + shift[:, None] * flight
    return first, momentum[:, None] * flight - first


def background(n):
    """Momenta of two muons (n, 3) that share their τ's energy with neutrinos."""
    axis = directions(n)
    pair = [rng.beta(1.2, 2.0, n)[:, None] * SQRT_S / 2 * sign * axis for sign in (1, -1)]
    return [p + 0.6 * rng.standard_normal((n, 3)) for p in pair]


generated = np.repeat(MASSES, GENERATED)
muons = [np.vstack(both) for both in zip(signal(generated), background(BACKGROUND), strict=True)]
muons = [p * rng.normal(1, 0.005, (len(p), 1)) for p in muons]
beam, electron = np.array([SQRT_S, 0, 0, 0]), np.array([0, 0, 1.0])
kinematics = dimuon_kinematics(*(tuple(p.T) for p in muons), beam, electron)

# %% [markdown]
# ## Windows, weights, process codes
#
# Weights of signal add up to efficiencies, those of background to events at the target luminosity.
# A signal event lies in the window of its own mass only.

# %%
is_signal = np.arange(len(kinematics.m2_recoil)) < len(generated)
own = np.append(np.repeat(np.arange(len(MASSES)), GENERATED), np.zeros(BACKGROUND, int))
every = np.ones(len(MASSES), dtype=bool)
windows = Windows(MASSES, np.full(len(MASSES), 0.5), every, ~every, (None,) * len(MASSES))
start, stop = (edge.astype(np.int64) for edge in windows.assign(kinematics.m2_recoil))
inside = (start <= own) & (own < stop)
start = np.where(is_signal, own, start)
stop = np.where(is_signal, own + inside, stop)
weight = np.where(is_signal, 1 / GENERATED, EXPECTED / BACKGROUND)
process = np.where(is_signal, SIGNAL, 0)
used = stop > start

low, high = kinematics.features[used].min(0), kinematics.features[used].max(0)
scaled = (kinematics.features[used] - low) / (high - low)
x = torch.tensor(scaled, dtype=torch.float32)
columns = [torch.tensor(column[used]) for column in (weight, process, start, stop)]

# %% [markdown]
# ## Training
#
# First weighted cross-entropy, then three lines of Punzi-loss. All events are in every step here;
# batches work in the same way, and their losses are comparable.

# %%
torch.manual_seed(1)
layers = torch.nn.Linear(4, 8), torch.nn.Linear(8, 4), torch.nn.Linear(4, 1)
network = torch.nn.Sequential(
    layers[0], torch.nn.Tanh(), layers[1], torch.nn.Tanh(), layers[2], torch.nn.Flatten(0)
)
target = (columns[1] == SIGNAL).float()
balance = torch.where(target > 0, 1 / target.sum(), 1 / (1 - target).sum())
adam = torch.optim.Adam(network.parameters(), lr=0.03)
for _ in range(120):
    adam.zero_grad()
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(network(x), target, balance)
    (entropy * len(x)).backward()
    adam.step()

loss = PunziLoss.of_sample(MASSES, *columns, luminosity=LUMINOSITY)
adam = torch.optim.Adam(network.parameters(), lr=0.01)
history = []
for _ in range(150):
    adam.zero_grad()
    value = loss(torch.sigmoid(network(x)), *columns)
    value.backward()
    adam.step()
    history.append(value.item())
print(f"mean sigma_min with outputs as weights: {history[0]:.2f} fb -> {history[-1]:.2f} fb")

# %% [markdown]
# ## One cut for every mass

# %%
with torch.no_grad():
    logit = network(x).numpy().astype(np.float64)
events = RankedEvents.rank(
    logit, *(column.numpy() for column in columns), processes=1, hypotheses=len(MASSES)
)
_, cut = best_cuts(events, every, FigureOfMerit(), LUMINOSITY)
with torch.no_grad():
    everything = torch.ones(len(x))
    kept = torch.tensor(logit >= cut).double()
    before, after = (loss(output, *columns).item() for output in (everything, kept))
print(f"mean sigma_min without a cut: {before:.2f} fb, behind the one cut: {after:.2f} fb")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
left.plot(history)
left.set(xlabel="step", ylabel=r"Punzi-loss: mean $\sigma_\mathrm{min}$ (fb)")
m2, edges = kinematics.m2_recoil[used], np.linspace(-5, 60, 66)
for chosen, label in ((np.ones(len(m2), bool), "in windows"), (logit >= cut, "after the cut")):
    shown = chosen & ~is_signal[used]
    right.hist(m2[shown], edges, weights=weight[used][shown], histtype="step", label=label)
right.set(xlabel=r"$M^2_\mathrm{rec}$ (GeV$^2$)", ylabel="background events / GeV$^2$")
right.set(yscale="log", ylim=(1, 1e5))
right.legend(frameon=False, loc="upper right", ncols=2)
plt.show()
