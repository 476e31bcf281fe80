"""A small scenario that tests change at will."""

import re
from collections.abc import Mapping
from pathlib import Path

TINY = """\
format: 1
name: tiny
title: A tiny cycle
unit: t
years: 2001..2004
dims:
  product:
    labels: [phone, car]
    groups:
      small: [phone]
      large: [car]
grades:
  survey: {distribution: normal, cv: 3 %, errors: {year: mixed(0.5), product: independent}}
  study:
    distribution: lognormal
    cv: 10 %
    errors: {year: shared, product: independent}
confidence: {A: survey, B: study}
parameters:
  production:
    unit: 1/yr
    dims: [product, year]
    table: production.csv
    grade: survey
  content:
    unit: kg
    dims: [product]
    value: {phone: 1, car: 6}
    grade: study
  scale:
    unit: yr
    dims: [product]
    value: {phone: 4, car: 12}
    grade: study
  shape: {unit: "1", value: 2, distribution: constant}
  loss_rate: {unit: "%", low: 2, mode: 4, high: 10, distribution: triangular}
  collection:
    unit: "%"
    value: 60
    cv: 5 %
    distribution: beta
processes: [making, use, collecting]
environment: [mine, losses, recycling, waste]
flows:
  bought:
    from: mine
    to: making
    value: sum(sales, over=product) / (1 - loss_rate)
  scrap:
    from: making
    to: losses
  sales:
    from: making
    to: use
    dims: [product]
    value: production * content
  old:
    from: use
    to: collecting
    dims: [product]
  recycled:
    from: collecting
    to: recycling
    share: collection
  wasted:
    from: collecting
    to: waste
stocks:
  in_use:
    process: use
    dims: [product]
    lifetime: weibull(scale, shape)
    inflow_at: middle
indicators:
  total: sum(in_use, over=product)
  reuse:
    value: recycled / sum(sales, over=product)
    unit: "%"
headline: [in_use]
variants:
  long_lives:
    set: {parameters.scale.value.phone: 8}
published:
  tolerance: {target: 20 %}
  figures:
    - {quantity: total, at: {year: 2004}, value: 18 kt, status: soft}
"""

PRODUCTION = """\
product,year,value
phone,2001,1000000
phone,2002,1100000
phone,2003,1200000
phone,2004,1300000
car,2001,500000
car,2002,600000
car,2003,700000
car,2004,800000
"""


def write_scenario(folder: Path, changes: Mapping[str, str | bytes] | None = None) -> Path:
    """Write the tiny scenario to ``folder``, changed, and return the folder.

    A change named like a file is the content of that file; any other replaces a piece of text
    that stands exactly once in the scenario file or its table.
    """
    contents = {"scenario.yaml": TINY, "production.csv": PRODUCTION}
    for old, new in (changes or {}).items():
        if re.fullmatch(r"\w+\.(csv|yaml)", old):
            contents[old] = new
            continue
        holders = [name for name, text in contents.items() if old in text]
        assert len(holders) == 1, f"{old!r} stands in {holders}"
        assert contents[holders[0]].count(old) == 1, f"{old!r} stands more than once"
        contents[holders[0]] = contents[holders[0]].replace(old, new)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder
