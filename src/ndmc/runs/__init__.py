"""A run from what is asked to its last file: blocks, workers, parts, resume.

Decides what is computed where and when, never what a draw is.
"""

__all__ = [
    "additions",
    "asked",
    "ensemble_options",
    "first_shares",
    "forecast",
    "jobs",
    "linear_fit",
    "listener",
    "options",
    "replay",
    "run",
    "study_options",
]
