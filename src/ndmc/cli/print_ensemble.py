"""An ensemble on a terminal: which policy does better, by how much, how surely, in which future."""

from __future__ import annotations

from ndmc.cli.print_run import print_part
from ndmc.cli.tables import console, counted
from ndmc.legible import command_line
from ndmc.store.store import Store


def print_ensemble(store: Store) -> None:
    """Print how the members of an ensemble compare."""
    page = console()
    if not store.complete:
        print_part(page, store)
        return
    draws, seed = counted(store.spec.draws, "draw"), store.attrs["seed"]
    page.print(f"{draws}, seed {seed}, in {store.path}", soft_wrap=True)
    shown = command_line(["ndmc", "percentiles", store.path])
    page.print(f"next: {shown}", soft_wrap=True, highlight=False)
