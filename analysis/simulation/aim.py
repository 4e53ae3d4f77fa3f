"""Where background is aimed at: events that look like signal come more often, and weigh less.

Behind a good selection hardly any event of an unaimed sample is left. Two pilot networks say what
looks like signal, by the four features of the generated muons: one finished with the Punzi-loss,
one with the cross-entropy, both trained on unaimed default data. They steer how well the simulation
knows the background; what it expects does not depend on them.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from punzinet.analysis.features import dimuon_kinematics
from punzinet.analysis.simulation.events import GeneratedEvents
from punzinet.analysis.types import FloatArray

MASSES: Final = (1.2, 7.6)
"""Generated recoil masses that are aimed at, GeV; outside, enough background passes anyway."""
_NETWORKS: Final = Path(__file__).with_name("pilot_networks.json")


def aim_factors(events: GeneratedEvents, largest: float) -> FloatArray:
    """How much more often than unaimed each event is wanted, (n,), from 1 to `largest`.

    The larger one of both pilot networks counts: exponential in the output before the sigmoid.
    """
    factors = np.ones(len(events.weight))
    if largest == 1:
        return factors
    beams = np.zeros((len(factors), 4))
    beams[:, 0] = events.sqrt_s
    plus, minus = ([*muon[:, 1:].T] for muon in (events.mu_plus, events.mu_minus))
    features, m2_recoil = dimuon_kinematics(plus, minus, beams, np.array([0.0, 0.0, 1.0]))
    inside = np.flatnonzero((m2_recoil > MASSES[0] ** 2) & (m2_recoil < MASSES[1] ** 2))
    networks = json.loads(_NETWORKS.read_text(encoding="utf-8"))
    likeness = [_likeness(network, features[inside]) for network in networks]
    factors[inside] = largest ** np.max(likeness, axis=0)
    return factors


def _likeness(network: dict[str, Any], features: FloatArray) -> FloatArray:
    """How much events look like signal, (n,), from 0 at one output of a network to 1 at another."""
    units = features
    for depth, (weights, biases) in enumerate(network["layers"]):
        units = units if depth == 0 else np.tanh(units)
        # Not by BLAS, whose last digit can depend on its number of threads.
        units = np.einsum("ni,oi->no", units, np.array(weights)) + np.array(biases)
    low, high = network["from"], network["to"]
    return np.asarray(np.clip((units[:, 0] - low) / (high - low), 0.0, 1.0))
