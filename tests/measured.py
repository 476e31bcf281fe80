"""Scenarios that are measured more than need be, linear and as a product."""

from ndmc.scenario.load import load

MARKET = """\
format: 1
name: market
title: A market
unit: t
years: 2020..2020
dims: {{element: [Nd, Dy]}}
parameters:
  imports_reported:
    {{unit: t/yr, dims: [element], value: 100, distribution: normal, sd: 5,
     errors: {{element: independent}}}}
  exports_reported:
    {{unit: t/yr, dims: [element], value: 40, distribution: normal, sd: 4,
     errors: {{element: independent}}}}
  use_reported:
    {{unit: t/yr, dims: [element], value: {use}, distribution: normal, sd: 3,
     errors: {{element: independent}}}}
  waste_reported:
    {{unit: t/yr, dims: [element], value: {waste}, distribution: normal, sd: 1.5,
     errors: {{element: {errors}}}}}
processes: [market]
environment: [world, users, bin]
flows:
  imports: {{from: world, to: market, dims: [element], value: imports_reported}}
  exports: {{from: market, to: world, dims: [element], value: exports_reported}}
  waste: {{from: market, to: bin, dims: [element], value: waste_reported}}
  use: {{from: market, to: users, dims: [element]}}
reconcile:
  measured: {{use: use_reported}}
  draws: {draws}
"""


def market(tmp_path, *, use=44, waste=20, draws="projected", errors="independent"):
    """Write a market that is measured on all sides, once more than need be, and load it."""
    text = MARKET.format(use=use, waste=waste, draws=draws, errors=errors)
    (tmp_path / "scenario.yaml").write_text(text, encoding="utf-8")
    return load(tmp_path / "scenario.yaml")


PRODUCT = """\
format: 1
name: product
title: A product of what is measured
unit: t
years: 2020..2020
parameters:
  items: {{unit: 1/yr, value: 1000, distribution: normal, cv: 12 %}}
  mass: {{unit: {unit}, value: {mass}, distribution: {mass_is}, cv: 20 %}}
  use_reported: {{unit: t/yr, value: 2.4, distribution: {use_is}, cv: 15 %}}
processes: [market]
environment: [world, users]
flows:
  sales: {{from: world, to: market, value: items * mass}}
  use: {{from: market, to: users}}
reconcile:
  measured: {{use: use_reported}}
"""


def product(tmp_path, mass_is="normal", use_is="normal", unit="kg", mass=2):
    """Write a product of two measurements that is measured itself, and load it."""
    text = PRODUCT.format(mass_is=mass_is, use_is=use_is, unit=unit, mass=mass)
    (tmp_path / "scenario.yaml").write_text(text, encoding="utf-8")
    return load(tmp_path / "scenario.yaml")
