"""The reliability diagram."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from calibration import bin_of

BINS = 10


def reliability_diagram(path: Path, confidences: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """An SVG: for each head, how often answers of a given confidence are right; on the diagonal they say the truth.

    confidences: head -> (probability of each answer, whether it is right). Bins of fewer than 10 answers are left out.
    """
    mpl.use("svg")
    from matplotlib import pyplot

    settings = {"svg.hashsalt": "voz", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9}
    with mpl.rc_context(settings):
        figure, axes = pyplot.subplots(2, 3, figsize=(9, 6), sharex=True, sharey=True, layout="constrained")
        for axis, (head, (shares, right)) in zip(axes.flat, confidences.items(), strict=True):
            places = bin_of(shares, BINS)
            chosen = [place for place in range(BINS) if (places == place).sum() >= 10]
            means = [(shares[places == place].mean(), right[places == place].mean()) for place in chosen]
            sizes = [200 * (places == place).mean() + 8 for place in chosen]
            axis.plot([0, 1], [0, 1], color="#bbb", linewidth=1)
            axis.plot(*zip(*means, strict=True), color="#2a6f97", linewidth=1)
            axis.scatter(*zip(*means, strict=True), s=sizes, color="#2a6f97")
            axis.set_title(head)
        figure.supxlabel("confidence")
        figure.supylabel("share that is right")
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
