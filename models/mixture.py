"""Two heaps of losses: which training labels are learned at once, and which only by heart."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

# Published settings of the mixture: Xiao et al. 2023 (FreeAL), after Li et al. 2020 (DivideMix).
MIXTURE_STEPS = 10
MIXTURE_TOLERANCE = 1e-2
MIXTURE_FLOOR = 5e-4


def low_heap(losses: NDArray[np.float32], *, seed: int) -> NDArray[np.float32]:
    """The probability of each loss to be of the low one of two heaps.

    A mixture of two Gaussians is fitted to the losses, scaled to 0 to 1 (Li et al. 2020,
    "DivideMix", section 3.1; Arazo et al. 2019; settings of Xiao et al. 2023, "FreeAL"). The
    posterior is taken at the loss clipped to between the two means: outside of them the wider
    Gaussian wins at both ends, and the smallest losses would be put on the high heap. Losses
    that are all alike are all on the low one: none stands out.

    Args:
        losses: (n,) finite, n at least 2.
        seed: of the start of the fit.

    Returns:
        (n,) float32, 0 to 1.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    low, width = losses.min(), np.ptp(losses)
    if width < MIXTURE_TOLERANCE:
        return np.ones(len(losses), dtype=np.float32)
    scaled = ((losses - low) / width).astype(np.float64)
    mixture = GaussianMixture(
        n_components=2,
        max_iter=MIXTURE_STEPS,
        tol=MIXTURE_TOLERANCE,
        reg_covar=MIXTURE_FLOOR,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # Ten steps are the published setting, not a failure to converge.
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(scaled[:, None])
    means = mixture.means_[:, 0]
    between = np.clip(scaled, means.min(), means.max())
    found = mixture.predict_proba(between[:, None])[:, int(means.argmin())]
    result: NDArray[np.float32] = found.astype(np.float32)
    return result
