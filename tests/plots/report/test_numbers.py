import pytest

from punzinet.plots.report.numbers import plain_label


@pytest.mark.parametrize(
    ("mathtext", "plain"),
    [
        (r"$\tau^+\tau^-$", "τ⁺τ⁻"),
        (r"e^+e^-\to\mu^+\mu^-Z'", "e⁺e⁻ → μ⁺μ⁻Z′"),
        (r"Z'\to\mathrm{inv.}", "Z′ → inv."),
        (r"$\frac{a}{b}$", "the name"),
    ],
)
def test_labels_without_tex(mathtext, plain):
    assert plain_label("the name", mathtext) == plain
