"""What the choice of test images contributes to the uncertainty of a comparison.

All runs of a study are evaluated on the same images. Two methods that are equally good on all possible images differ on
these, and more runs only measure that difference more precisely. Radiology has the same problem when several readers
judge the same cases with several devices: methods correspond to devices, training runs to readers, test images to
cases. To the variance between runs comes the covariance, over images, of different runs.

Source: Obuchowski and Rockette 1995, Communications in Statistics: Simulation and Computation 24, 285-308; degrees of
freedom by Hillis 2007, Statistics in Medicine 26, 596-619.
"""

import numpy as np


def image_covariance(correct: np.ndarray) -> np.ndarray:
    """Return the covariances between the accuracies of different runs that come from their common test images.

    correct: float [units, methods, images], whether an image is classified correctly: 0 or 1, or the mean over the
        seeds of a unit. NaN where a method has no run. At least two units and two images.
    Returns float [methods, methods] in squared percentage points: on the diagonal the covariance of two runs of the
        same method on different units (Cov2 of Obuchowski and Rockette), elsewhere that of two runs of different
        methods on different units (Cov3). NaN for methods that have no two runs on different units.
    """
    there = ~np.isnan(correct[..., 0])
    images = correct.shape[-1]
    centred = np.where(there[..., None], correct - correct.mean(axis=-1, keepdims=True), 0.0)
    total = centred.sum(axis=0)
    same_unit = np.einsum("umi,uni->mn", centred, centred)
    products = total @ total.T - same_unit
    pairs = np.outer(there.sum(0), there.sum(0)) - there.T.astype(int) @ there.astype(int)
    mean = products / np.where(pairs > 0, pairs, np.nan)
    return mean / ((images - 1) * images) * 100**2


def contrast_covariance(covariance: np.ndarray) -> np.ndarray:
    """Return the covariances of the gains over the baseline that come from the test images.

    covariance: float [methods, methods], from `image_covariance`; the first method is the baseline. Covariances of a
        measure that is not a mean over images, estimated by jackknife or bootstrap, may stand in for it.
    Returns float [methods - 1, methods - 1] in squared percentage points, with no negative variance: as an estimate it
        can have some, which become 0. Unknown covariances count as 0.
    """
    gains = covariance[1:, 1:] - covariance[1:, :1] - covariance[:1, 1:] + covariance[0, 0]
    gains = np.nan_to_num(gains)
    values, vectors = np.linalg.eigh((gains + gains.T) / 2)
    return (vectors * np.clip(values, 0.0, None)) @ vectors.T
