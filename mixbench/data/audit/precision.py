"""Which difference between two methods the evaluation images can show, before anything is trained.

Two methods agree on most images, so their accuracies differ less than those of two independent classifiers. How much
less is taken from the published runs of mixbench (docs/audit.md says which). There, two methods that were trained once
on the same images disagree on 0.6 times as many images as independent ones of the same accuracies (median of 891 pairs;
0.4 to 0.8 for nine in ten). Of the variance of independent ones, a share of 0.08 remains however many runs are
averaged, because all of them are evaluated on the same images (median; 0.006 to 0.2).
"""

import math

ONE_RUN, MANY_RUNS = 0.6, 0.08
ACCURACY = 0.7  # an example; nothing is trained yet
SEEN = 1.96 + 0.84  # standard deviations of a difference that is significant at 5 % in 80 % of all studies
WANTED = 2.0  # percentage points, the margin of `mixbench decide`


def difference_sd(images: int, part: float, accuracy: float = ACCURACY) -> float:
    """Return the standard deviation of the difference of two methods' accuracies, in percentage points.

    images: number of evaluation images.
    part: ONE_RUN for a run of each method; MANY_RUNS for what remains of it in the mean of many.
    accuracy: of both methods, from 0 to 1.
    """
    return 100 * math.sqrt(2 * accuracy * (1 - accuracy) * part / images)


def images_needed(difference: float = WANTED) -> int:
    """Return how many evaluation images show a difference if there are many runs.

    difference: in percentage points.
    """
    return math.ceil(2 * ACCURACY * (1 - ACCURACY) * MANY_RUNS * (100 * SEEN / difference) ** 2)
