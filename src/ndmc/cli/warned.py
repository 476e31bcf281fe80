"""What a command warns of, each once, on stderr."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ndmc.errors import StudyWarning


@contextmanager
def warnings_printed() -> Iterator[None]:
    """Print what is warned of, whatever Python is told to do with warnings."""
    said = set[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("always", StudyWarning)
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if not issubclass(category, StudyWarning):
                others(message, category, *place, **more)
            elif f"{message}" not in said:
                said.add(f"{message}")
                _print(f"warning: {message}")

        warnings.showwarning = show
        yield


def _print(text: str) -> None:
    from ndmc.cli.tables import console

    console(stderr=True).print(text, style="yellow", soft_wrap=True, highlight=False)
