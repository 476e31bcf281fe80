"""Run the command line as ``python -m ndmc``."""

from ndmc.cli import main

main()
