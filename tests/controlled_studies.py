"""Studies of models in NumPy from scores as ndmc draws them, with its linear control or without."""

import numpy as np

from ndmc.engine.scores import Scores, draw_scores
from ndmc.runs.control import Control, control

#: The linear share and directions, which sums of squares do not need.
UNUSED = np.empty(0), np.empty(0)


def inputs(count, normal=None):
    """Return the scores of some inputs, of which the first are normal, the others uniform."""
    streams = np.arange(7, 7 + count, dtype=np.uint64)
    return Scores(streams, np.arange(count), count if normal is None else normal)


def study_of(model, draws, seed, *, linear, slopes=None):
    """Return the sums [group, batch, column] of a study, and the pairs."""
    scores = inputs(model.inputs)
    sums, pairs = model.study(draw_scores(scores, seed, range(draws)))
    if linear:
        groups = len(model.groups)
        of = np.empty(model.inputs, int)
        for n, group in enumerate(model.groups):
            of[list(group)] = n
        found, share = piloted(model, seed)
        slopes = found if slopes is None else slopes
        used = np.array([share > 0.5 or slopes is not found])
        by = Control(scores, of, groups, slopes[:, np.newaxis], used, *UNUSED)
        control(sums, pairs, (np.arange(groups), np.zeros(groups, int)), by, seed, 2)
    return sums, pairs


def piloted(model, seed):
    """Return the slopes of a model from draws outside any study, and its linear share."""
    z = draw_scores(inputs(model.inputs), seed, range(2**62, 2**62 + 4096))
    y, table = model.of(z), np.column_stack([np.ones(z.shape[1]), z.T])
    slopes, left, *_ = np.linalg.lstsq(table, y)
    return slopes[1:], 1 - left[0] / y.var() / (len(y) - len(slopes))
