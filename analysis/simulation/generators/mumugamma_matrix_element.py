"""Matrix elements of e+e- -> mu+mu- and e+e- -> mu+mu- gamma.

The radiation off the beams is the exact tensor with the electron mass (up to its fourth power)
contracted with that of massive muons (Binner, Kuehn and Melnikov, Phys. Lett. B 459 (1999) 279);
that off the muons, and the interference of both, factorise into a hard part and an eikonal one
with mass terms (Berends and Kleiss, Nucl. Phys. B 177 (1981) 237), exact but for terms of order
m_mu^2 over the dimuon mass squared.
"""

from math import pi, sqrt

from punzinet.analysis.compiled import njit
from punzinet.analysis.constants import ALPHA, ELECTRON_MASS, MUON_MASS
from punzinet.analysis.simulation.generators.radiation import vacuum_polarisation
from punzinet.analysis.simulation.lorentz import Momentum, dot

Pair = tuple[float, float]


@njit(cache=True)
def born_element(s: float, cosine: float) -> float:
    """Matrix element squared of e+e- -> mu+mu-, averaged and summed over spins.

    With the running coupling and massless electrons; the cosine is that of the angle between mu-
    and e- in the rest frame of the collision.
    """
    ratio = 4 * MUON_MASS**2 / s
    coupling = 4 * pi * ALPHA / (1 - vacuum_polarisation(s))
    return coupling**2 * (1 + ratio + (1 - ratio) * cosine**2)


@njit(cache=True)
def radiative_element(
    s: float, opening: float, photon: Momentum, minus: Momentum, plus: Momentum
) -> float:
    """Matrix element squared of e+e- -> mu+mu- gamma, averaged and summed over spins.

    The z axis is the direction of the electron, and the colliding electrons are back to back.
    The photon couples with the coupling at rest, the virtual photons with the running one.

    The result is in GeV^-2. `opening`, 1 - cos of the angle between photon and electron, is given
    apart from the momenta because it keeps its digits.
    """
    energy = sqrt(s) / 2
    beam = sqrt(energy**2 - ELECTRON_MASS**2)
    electron = (energy, 0.0, 0.0, beam)
    positron = (energy, 0.0, 0.0, -beam)
    s_mumu = 2 * (MUON_MASS**2 + dot(minus, plus))
    # products with the photon: (1 - velocity) + velocity (1 - cos), without cancellation
    slow = ELECTRON_MASS**2 / (energy + beam)
    k_electron = photon[0] * (slow + beam * opening)
    k_positron = photon[0] * (slow + beam * (2 - opening))
    k_minus, k_plus = dot(minus, photon), dot(plus, photon)
    # like charges: electron with mu-, positron with mu+
    like_1, like_2 = 2 * dot(electron, minus), 2 * dot(positron, plus)
    unlike_1, unlike_2 = 2 * dot(electron, plus), 2 * dot(positron, minus)

    initial = _off_the_beams(
        s, s_mumu, (k_electron, k_positron), (like_1, like_2), (unlike_1, unlike_2)
    )
    hard = (like_1**2 + like_2**2 + unlike_1**2 + unlike_2**2) / (s * s_mumu)
    dipole = 2 * dot(minus, plus) / (k_minus * k_plus)
    mass_minus = (like_2**2 + unlike_1**2) / k_minus**2
    mass_plus = (like_1**2 + unlike_2**2) / k_plus**2
    final = hard * dipole - 2 * MUON_MASS**2 / s**2 * (mass_minus + mass_plus)
    interference = hard * (
        like_1 / (k_electron * k_minus)
        + like_2 / (k_positron * k_plus)
        - unlike_1 / (k_electron * k_plus)
        - unlike_2 / (k_positron * k_minus)
    )
    before = 1 / (1 - vacuum_polarisation(s))
    after = 1 / (1 - vacuum_polarisation(s_mumu))
    total = initial * after**2 + final * before**2 + interference * before * after
    # what the interference neglects can make a cancelling sum negative
    return (4 * pi * ALPHA) ** 3 * max(total, 0.0)


@njit(cache=True)
def _off_the_beams(s: float, s_mumu: float, photon: Pair, like: Pair, unlike: Pair) -> float:
    """The square of the two diagrams with a photon off the beams, without couplings.

    Args:
        s: energy of the collision squared.
        s_mumu: mass of the dimuon squared.
        photon: products of the photon's momentum with those of electron and positron.
        like: twice the products of electron and mu-, and of positron and mu+.
        unlike: twice those of electron and mu+, and of positron and mu-.

    Returns:
        The contraction of the two tensors over s_mumu^2, GeV^-2.
    """
    y1, y2 = 2 * photon[0] / s, 2 * photon[1] / s
    q2 = s_mumu / s
    m2 = ELECTRON_MASS**2 / s
    # the muon tensor, contracted with the metric and with pairs of beam momenta, units of s
    metric = -4 * (q2 + 2 * MUON_MASS**2 / s)
    electrons = 2 * (like[0] * unlike[0] / s**2 - m2 * q2)
    positrons = 2 * (like[1] * unlike[1] / s**2 - m2 * q2)
    mixed = (like[0] * like[1] + unlike[0] * unlike[1]) / s**2 - (1 - 2 * m2) * q2
    product = y1 * y2
    tensor = (
        (2 * m2 * q2 * (1 - q2) ** 2 / product**2 - (2 * q2 + y1**2 + y2**2) / product) * metric
        + (8 * m2 / y2**2 - 4 * q2 / product) * electrons
        + (8 * m2 / y1**2 - 4 * q2 / product) * positrons
        - 16 * m2 / product * mixed
    )
    return tensor / (q2**2 * s)
