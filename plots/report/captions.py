"""Titles and captions of the figures, in the order in which the report shows them."""

from punzinet.analysis.search import Search

#: Of a run, besides the spectrum of the mass that windows are in.
RUN = {
    "sigma_min": (
        "Minimum detectable cross-section",
        "Circles: masses that the networks were trained on; triangles: the others.",
    ),
    "figure_of_merit": (
        "Punzi figure of merit",
        "The inverse of the minimum detectable cross-section: more is better.",
    ),
    "training_history": (
        "Training history",
        "Pretraining with the weighted cross-entropy, then the Punzi-loss.",
    ),
    "output_vs_mass": (
        "Network output against the mass",
        "Before the sigmoid, with the single cut and the best cut of each mass.",
    ),
    "features": ("Features", "Each normalised to one event."),
    "window_widths": ("Widths of the signal peaks", "Filled: fitted; open: interpolated."),
    "signal_peaks": ("Signal peaks with their fits", "Events inside of their own window."),
    "data_recoil_mass": (
        "Data and simulation: recoil mass",
        "Before and after the single cut; the simulation is scaled to what is seen of the data.",
    ),
    "data_features_before": ("Data and simulation: features", "Before the single cut."),
    "data_features_after": ("Data and simulation: features", "After the single cut."),
}
#: Of the limits.
LIMITS = {
    "limit_cross_section": (
        "Expected upper limits on the cross-section",
        "CLs, with the bands of one and two standard deviations.",
    ),
    "limit_coupling": ("Expected upper limits on the coupling", "The same limits on g′."),
}
#: Of the reproduction of the paper.
PAPER = {
    "fig1_network": ("Fig. 1: the network", "Drawn from a trained network, not by hand."),
    "fig2_loss": ("Fig. 2: loss", "For several sizes of batches, and without batches."),
    "fig3_figure_of_merit": ("Fig. 3: largest figure of merit", "Mean over networks."),
    "fig4_sensitivity": ("Fig. 4: minimum detectable cross-section", "Mean over networks."),
    "fig5_signal_output": ("Fig. 5: output for signal", "With the single and the best cuts."),
    "fig6_background_output": ("Fig. 6: output for background", "With the same cuts."),
    "fig7_single_cut": (
        "Fig. 7: one cut against best cuts",
        "One cut on the Punzi-net, best cuts on the network trained with cross-entropy.",
    ),
    "fig8_feature_space": ("Fig. 8: feature space", "Three masses and the surface of the cut."),
    "published": ("Against the published curves", "The published scale is arbitrary."),
    "discontinuities": (
        "Discontinuities",
        "Cuts that change with the mass leave steps in the spectrum; one cut leaves none.",
    ),
    "variations": ("What the result depends on", "One thing changed at a time."),
}
#: Of the comparison with other methods.
BASELINES = {
    "baselines": ("Other methods", "Each judged on the same events."),
    "observables": ("Ranks of observables", "The features against other candidates."),
    "systematics": ("Uncertain background", "Networks that know of it, and others."),
}
#: Of the validation of the simulation.
VALIDATION = {
    "validation_ratios": ("Simulated over published quantities", "With their tolerances."),
    "validation_widths": ("Simulated and published widths", "Of the signal peaks."),
    "validation_mumugamma": ("μ⁺μ⁻(γ) against Pythia 8", "Before the detector."),
    "validation_tautau": ("τ⁺τ⁻ against Pythia 8", "Before the detector."),
}


def of_run(search: Search) -> dict[str, tuple[str, str]]:
    """Titles and captions of the figures of a run.

    Args:
        search: What it searches for.
    """
    mass = search.variable.mass
    spectrum = (
        f"{mass.title.capitalize()} before and after the single cut",
        "Backgrounds stacked, signals drawn over them.",
    )
    return {mass.file_name: spectrum, **RUN}
