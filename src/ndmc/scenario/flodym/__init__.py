"""Definitions and tables of flodym, written as a scenario."""

__all__ = ["writer"]
