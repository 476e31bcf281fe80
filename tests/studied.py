"""A sensitivity study of a scenario, whose groups are its parameters."""

from dataclasses import dataclass

from ndmc.plan.input_groups import input_groups
from ndmc.runs.options import Options


@dataclass(frozen=True, kw_only=True)
class Studied(Options):
    """A run of which each parameter is a group."""

    def grouped(self, scenario, plan):
        """Return the groups."""
        return input_groups(scenario, plan.samplers)
