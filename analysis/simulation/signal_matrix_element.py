"""Exact tree-level matrix element of e+ e- -> mu+ mu- Z', the Z' radiated off either muon.

With the vector coupling g' of the Z' to the muon, L = g' mubar gamma^b mu Z'_b, the two diagrams
give the amplitude (e^2 g' / s) [vbar(e+) gamma_a u(e-)] eps*_b J^{ba} with the current

    J^{ba} = ubar(p-) [ gamma^b (p-slash + kslash + m) gamma^a / d_minus
                        - gamma^a (p+slash + kslash - m) gamma^b / d_plus ] v(p+),

where k is the momentum of the Z', d = (p + k)^2 - m^2 for either muon, m the muon mass and M the
Z' mass. Electrons are massless. Summed over the spins of the muons and of the Z', it leaves
the tensor H^{aa'} of the decay of the virtual photon. It obeys q_a H^{aa'} = 0, and averaged over
the beam spins the electrons give the photon the polarisation sum (s/2) (xx + yy) with z
along the beams, so that

    mean |M|^2 = (e^2 g' / s)^2 (s/2) (H^xx + H^yy),    H^xx + H^yy = trace - H^zz.

The two functions below are the traces of Dirac matrices in closed form.
"""

from punzinet.analysis.compiled import njit

Pair = tuple[float, float]


@njit(cache=True)
def trace(s: float, d: Pair, masses2: Pair) -> float:
    """Trace -g_{aa'} H^{aa'}: the decay of an unpolarised virtual photon.

    Args:
        s: mass squared of the virtual photon, GeV^2.
        d: (p + k)^2 - m^2 of the mu- and of the mu+, GeV^2.
        masses2: m^2 and M^2, GeV^2.

    Returns:
        H^xx + H^yy + H^zz in the rest frame of the photon, without dimension. It is three
        halves of the mean of H^xx + H^yy over the orientations of the event.
    """
    muon, boson = masses2
    product = d[0] * d[1]
    total = d[0] + d[1]
    squares = d[0] * d[0] + d[1] * d[1]
    numerator = product * ((s - d[0]) ** 2 + (s - d[1]) ** 2)
    numerator += 2 * boson * product * (boson - total)
    numerator += boson * s * (4 * product - squares)
    numerator -= 2 * muon * (boson + s) * squares
    numerator -= 4 * muon * total * (product + muon * total)
    return 8 * numerator / (product * product)


@njit(cache=True)
def longitudinal(s: float, d: Pair, z: Pair, masses2: Pair) -> float:
    """The component H^zz along the beams, which massless electrons do not feed.

    H is a sum of squares, so that 0 <= H^zz <= trace.

    Args:
        s: mass squared of the virtual photon, GeV^2.
        d: (p + k)^2 - m^2 of the mu- and of the mu+, GeV^2.
        z: momenta of the mu- and of the mu+ along the beams, GeV.
        masses2: m^2 and M^2, GeV^2.

    Returns:
        H^zz in the rest frame of the photon, without dimension.
    """
    muon, boson = masses2
    product = d[0] * d[1]
    numerator = product * ((s - d[0]) ** 2 + (s - d[1]) ** 2)
    numerator -= s * boson * (d[0] - d[1]) ** 2
    numerator -= 2 * s * muon * (d[0] + d[1]) ** 2
    numerator -= 4 * s * product * (z[0] ** 2 + z[1] ** 2)
    numerator += 4 * (boson + 2 * muon) * (d[0] * z[0] - d[1] * z[1]) ** 2
    return 4 * numerator / (product * product)
