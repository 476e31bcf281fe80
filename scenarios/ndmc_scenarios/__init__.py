"""Scenarios that ship with ndmc, one folder each: `scenario.yaml`, CSV tables and a README."""
