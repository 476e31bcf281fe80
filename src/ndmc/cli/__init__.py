"""The front door: commands, tables on the terminal, exit codes.

Knows people: reads their text, prints what Python would return, and does nothing Python cannot.
"""

from ndmc.cli.app import main

__all__ = ["main"]
