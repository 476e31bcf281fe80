# ruff: noqa: E501 - a mistake and its message stand on one line each
"""Scenarios that are right, and the mistakes that people of the field make in them."""

#: Copper in vehicles: what most mistakes are made in.
COPPER = """\
format: 1
name: copper
title: Copper in vehicles
unit: kt
years: 2010..2014
dims:
  vehicle:
    labels: [car, truck, bus]
    groups: {light: [car], heavy: [truck, bus]}
grades:
  statistics: {distribution: normal, cv: 5 %, errors: {year: independent, vehicle: independent}}
  estimate: {distribution: lognormal, cv: 20 %, errors: {vehicle: shared}}
confidence: {high: statistics, low: estimate}
parameters:
  sales: {unit: thousand vehicles/yr, dims: [vehicle, year], table: sales.csv, grade: statistics}
  content: {unit: kg/vehicle, dims: [vehicle], grade: estimate, value: {car: 25, truck: 60, bus: 99}}
  mean_life: {unit: yr, dims: [vehicle], value: {car: 15, truck: 12, bus: 14}, grade: estimate}
  life_sd: {unit: yr, value: 4, distribution: constant}
  collected: {unit: "%", value: 70, distribution: beta, cv: 5 %}
  yield_loss: {unit: "%", low: 2, mode: 4, high: 9, distribution: triangular}
  old_stock: {unit: kt, dims: [vehicle], value: {car: 900, truck: 300, bus: 50}, grade: estimate}
processes: [fabrication, use, waste]
environment: [refinery, losses, recycling, landfill]
flows:
  bought: {from: refinery, to: fabrication}
  scrap: {from: fabrication, to: losses, share: yield_loss}
  new_cars: {from: fabrication, to: use, dims: [vehicle], value: sales * content}
  end_of_life: {from: use, to: waste, dims: [vehicle]}
  recycled: {from: waste, to: recycling, share: collected}
  landfilled: {from: waste, to: landfill}
stocks:
  in_use:
    process: use
    dims: [vehicle]
    lifetime: weibull(mean=mean_life, cv=life_sd / mean_life)
    inflow_at: middle
    initial: {value: old_stock, age: stationary}
indicators:
  total: sum(in_use, over=vehicle)
  rate: {value: "recycled / sum(end_of_life, over=vehicle)", unit: "%"}
headline: [in_use, rate]
keep: [in_use, recycled]
variants:
  lighter: {title: Lighter cars, set: {parameters.content.value.car: 20}}
published:
  tolerance: {target: 50 %}
  figures:
    - {id: IWCC, quantity: total, at: {year: 2014}, value: 1400 kt, status: reported}
"""

#: And its table.
SALES = """\
vehicle,year,value,source
car,2010,800,ACEA
car,2011,820,ACEA
car,2012,790,ACEA
car,2013,810,ACEA
car,2014,850,ACEA
truck,2010,90,ACEA
truck,2011,95,ACEA
truck,2012,93,ACEA
truck,2013,97,ACEA
truck,2014,99,ACEA
bus,2010,9,ACEA
bus,2011,9,ACEA
bus,2012,8,ACEA
bus,2013,9,ACEA
bus,2014,10,ACEA
"""

#: A sorting plant that weighs all it takes and gives: what is reconciled.
PLANT = """\
format: 1
name: plant
unit: t
years: 2020..2020
parameters:
  weighed_in: {unit: t/yr, value: 100, sd: 5, distribution: normal}
  weighed_out: {unit: t/yr, value: 70, sd: 2, distribution: normal}
  rest_share: {unit: "%", value: 25, sd: 3, distribution: normal}
processes: [sorting]
environment: [bins, mill, incinerator]
flows:
  collected: {from: bins, to: sorting, value: weighed_in}
  sold: {from: sorting, to: mill}
  rest: {from: sorting, to: incinerator, share: rest_share}
reconcile:
  measured: {sold: weighed_out}
"""

#: Two metals, each with uses of its own, and a stock that is prescribed from a year on.
METALS = """\
format: 1
name: metals
unit: t
years: 2010..2014
dims:
  metal: [lithium, indium]
  use: {of: metal, labels: {lithium: [vehicle, laptop], indium: [tv, laptop]}}
  region:
    labels: [au, cl, cn]
    groupings:
      side: {south: [au, cl], north: [cn]}
      trade: {pacific: [cl, cn], rich: [au, cn]}
parameters:
  demand:
    unit: t/yr
    dims: [metal, year]
    value: {lithium: {2005: 20, 2012: 90}, indium: {2010: 5, 2013: 7}}
    missing: [interpolate, hold]
    distribution: normal
    cv: 8 %
    errors: {metal: independent, year: shared}
  use_share:
    unit: "%"
    dims: [use]
    value: {lithium: {vehicle: 70, laptop: 30}, indium: {tv: 60, laptop: 40}}
    distribution: dirichlet
    along: use
    concentration: 60
    errors: {metal: independent}
  life:
    unit: yr
    dims: [use]
    value: {lithium: {vehicle: 14, else: 5}, indium: {tv: 9, laptop: 5}}
    distribution: lognormal
    cv: 15 %
    errors: {use: by metal}
  mined_in: {unit: "%", dims: [region], value: {au: 50, cl: 30, cn: 20}, distribution: dirichlet, along: region, cv: 9 %}
  price: {unit: USD/kg, value: 15, distribution: constant}
  room: {unit: t, value: 9, distribution: constant}
processes: [market, use]
environment: [mines, abroad, heaps, waste]
flows:
  mined: {from: mines, to: market, dims: [metal, region], value: demand * mined_in}
  sales:
    from: market
    to: use
    dims: [use]
    value:
      lithium: {vehicle: "demand * use_share * logistic(2010, 0.5, 2013, 1)", else: demand * use_share}
      indium: demand * use_share
  gap: {from: abroad, to: market, dims: [metal]}
  dumped: {from: market, to: heaps, dims: [metal]}
  end_of_life: {from: use, to: waste, dims: [use]}
stocks:
  held: {process: market, kind: buffer, dims: [metal], remainder: gap, capacity: room, overflow: dumped}
  in_use: {process: use, dims: [use], lifetime: "weibull(mean=life, shape=2)", initial: {inflow: "at(sales, year=2010)", age: growing, growth: 0.03}}
indicators:
  cost: {value: "sum(mined * price, over=[metal, region])", unit: kUSD/yr}
  busy: first_year(sum(in_use, over=use) > 100 t)
variants:
  dear: {set: {parameters.price: +10 %}}
  long: {set: {"parameters.life[use=laptop]": x1.2}}
  both: {variants: [dear, long]}
published:
  figures:
    - {id: USGS, quantity: cost, at: year=2014, at_most: 9 MUSD/yr, status: target}
"""

#: Each with what is changed, the command, and parts of what is told: where, what, what to do.
MISTAKES = [
    (
        "keys: parameter: instead of parameters:",
        {"parameters:\n  sales": "parameter:\n  sales"},
        "check copper",
        ("copper/scenario.yaml:14", "'parameter'", "did you mean 'parameters'?"),
    ),
    (
        "keys: source and target, as in STAN and Sankey tools",
        {
            "bought: {from: refinery, to: fabrication}": "bought: {source: refinery, target: fabrication}"
        },
        "check copper",
        ("copper/scenario.yaml:25", "'flows.bought.source'", "call it 'from'"),
    ),
    (
        "keys: indented by a tab",
        {"  total: sum(": "\ttotal: sum("},
        "check copper",
        ("copper/scenario.yaml:39", "YAML wants spaces"),
    ),
    (
        "keys: a key without its colon",
        {"title: Copper in vehicles": "title Copper in vehicles"},
        "check copper",
        ("copper/scenario.yaml:3", "': '", "' behind it, a colon and a space"),
    ),
    (
        "keys: two flows of one name",
        {"landfilled: {from": "recycled: {from"},
        "check copper",
        ("copper/scenario.yaml:30", "'recycled'", "keep one"),
    ),
    (
        "keys: no format",
        {"format: 1\n": ""},
        "check copper",
        ("copper/scenario.yaml:1", "the key 'format' is missing"),
    ),
    (
        "keys: years with a hyphen",
        {"years: 2010..2014": "years: 2010-2014"},
        "check copper",
        ("copper/scenario.yaml:5", "'2010-2014'", "2010..2014"),
    ),
    (
        "keys: first and last year as a list",
        {"years: 2010..2014": "years: [2010, 2014]"},
        "check copper",
        ("copper/scenario.yaml:5", "2010..2014, and no list"),
    ),
    (
        "keys: years backwards",
        {"years: 2010..2014": "years: 2014..2010"},
        "check copper",
        ("copper/scenario.yaml:5", "write 2010..2014"),
    ),
    (
        "keys: dimensions for dims",
        {"dims:\n  vehicle": "dimensions:\n  vehicle"},
        "check copper",
        ("copper/scenario.yaml:6", "'dimensions'", "call it 'dims'"),
    ),
    (
        "keys: a name with spaces",
        {"name: copper": "name: copper in cars"},
        "check copper",
        (
            "copper/scenario.yaml:2",
            "'copper in cars'",
            "letters, digits and _, starting with a letter",
        ),
    ),
    (
        "units: veh for vehicles",
        {"kg/vehicle": "kg/veh"},
        "check copper",
        ("copper/scenario.yaml:16", "'veh'", "docs/scenario-format.md lists all"),
    ),
    (
        "units: MT for megatonnes",
        {"unit: kt\ny": "unit: MT\ny"},
        "check copper",
        ("copper/scenario.yaml:4", "'MT'", "did you mean 'Mt' (megatonne) or 't' (tonne)?"),
    ),
    (
        "units: tpa",
        {"thousand vehicles/yr": "tpa"},
        "check copper",
        ("copper/scenario.yaml:15", "'tpa'", "did you mean 't/yr'?"),
    ),
    (
        "units: a number in a unit",
        {"unit: kt\ny": "unit: 1000 t\ny"},
        "check copper",
        (
            "copper/scenario.yaml:4",
            "'1000 t'",
            "write it like 'kg/MW', 'kg/cap/yr' or 'thousand t', without",
        ),
    ),
    (
        "units: what it is of in the unit",
        {"unit: kt\ny": "unit: kt Cu\ny"},
        "check copper",
        ("copper/scenario.yaml:4", "'Cu'", "write 'kt'"),
    ),
    (
        "units: per year forgotten",
        {"thousand vehicles/yr": "thousand vehicles"},
        "check copper",
        (
            "copper/scenario.yaml:27",
            "'new_cars'",
            "'sales' is in thousand vehicles [dimensionless], 'content' i",
        ),
    ),
    (
        "units: brackets in a unit",
        {"kg/vehicle": "kg/(vehicle*yr)"},
        "check copper",
        (
            "copper/scenario.yaml:16",
            "'kg/(vehicle*yr)'",
            "write it like 'kg/MW', 'kg/cap/yr' or 'thousand t', without",
        ),
    ),
    (
        "units: no unit",
        {"{unit: yr, value: 4,": "{value: 4,"},
        "check copper",
        ("copper/scenario.yaml:18", "the key 'parameters.life_sd.unit' is missing"),
    ),
    (
        "units: a lifetime in per cent",
        {"{unit: yr, dims": '{unit: "%", dims'},
        "check copper",
        ("copper/scenario.yaml:35", "'mean_life' is in % [dimensionless]"),
    ),
    (
        "units: a stock added to a rate",
        {"  rate: {": "  both: total + rate\n  rate: {"},
        "check copper",
        ("copper/scenario.yaml:40", "'total' is in kt [mass], 'rate' is in 1 [dimensionless]"),
    ),
    (
        "units: a stock shown in per cent",
        {
            "total: sum(in_use, over=vehicle)": 'total: {value: "sum(in_use, over=vehicle)", unit: "%"}'
        },
        "check copper",
        ("copper/scenario.yaml:39", "'total' is in kt [mass], which cannot be converted to '%' [d"),
    ),
    (
        "numbers: a decimal comma",
        {"low: 2,": "low: 2,5,"},
        "check copper",
        (
            "copper/scenario.yaml:20",
            "'parameters.yield_loss.5'",
            "write decimals with a point, and texts with commas in quotes",
        ),
    ),
    (
        "numbers: blanks between thousands",
        {"{car: 900,": "{car: 1 900,"},
        "check copper",
        ("copper/scenario.yaml:21", "'1 900'", "write 1900"),
    ),
    (
        "numbers: plus minus",
        {"value: 70, distribution: beta, cv: 5 %": "value: 70 ± 5, distribution: beta"},
        "check copper",
        ("copper/scenario.yaml:19", "'70 ± 5'", "normal}"),
    ),
    (
        "numbers: a range with a hyphen",
        {"value: 70, distribution: beta, cv: 5 %": "value: 60-80, distribution: uniform"},
        "check copper",
        ("copper/scenario.yaml:19", "'60-80'", "uniform}"),
    ),
    (
        "numbers: about",
        {"value: 70,": "value: ~70,"},
        "check copper",
        (
            "copper/scenario.yaml:19",
            "'~70'",
            "how uncertain it is stands in cv, sd, or low and high",
        ),
    ),
    (
        "numbers: not available",
        {"value: 70,": "value: n/a,"},
        "check copper",
        (
            "copper/scenario.yaml:19",
            "'n/a'",
            "where none is known, an estimate and how uncertain it is",
        ),
    ),
    (
        "numbers: a formula",
        {"value: 70,": "value: =0.7*100,"},
        "check copper",
        ("copper/scenario.yaml:19", "'=0.7*100'", "save what it should give"),
    ),
    (
        "numbers: a number spelt out",
        {"value: 4, dis": "value: four, dis"},
        "check copper",
        ("copper/scenario.yaml:18", "'four' is not a number with a unit, such as '2 %' or '6.7 kt"),
    ),
    (
        "numbers: an empty value",
        {"value: 4, dis": "value: , dis"},
        "check copper",
        ("copper/scenario.yaml:18", "give value, table, or the numbers of the distribution"),
    ),
    (
        "numbers: a list of values for labels",
        {"{car: 25, truck: 60, bus: 99}": "[25, 60, 99]"},
        "check copper",
        ("copper/scenario.yaml:16", "..., ...}"),
    ),
    (
        "numbers: a unit glued on with a note",
        {"value: 4, dis": "value: 4 yr (own guess), dis"},
        "check copper",
        (
            "copper/scenario.yaml:18",
            "'yr (own guess)'",
            "write it like 'kg/MW', 'kg/cap/yr' or 'thousand t', without",
        ),
    ),
    (
        "dims: a label misspelt",
        {"truck: 60, bus": "trcuk: 60, bus"},
        "check copper",
        ("copper/scenario.yaml:16", "'trcuk'", "did you mean 'truck'?"),
    ),
    (
        "dims: a label forgotten",
        {"{car: 25, truck: 60, bus: 99}": "{car: 25, truck: 60}"},
        "check copper",
        ("copper/scenario.yaml:16", "every label needs one"),
    ),
    (
        "dims: a label too many",
        {"truck: 60, bus: 99": "truck: 60, bus: 99, tram: 500"},
        "check copper",
        ("copper/scenario.yaml:16", "'tram'", "choose one of 'car', 'truck', 'bus'"),
    ),
    (
        "dims: a dim in the plural",
        {"to: use, dims: [vehicle]": "to: use, dims: [vehicles]"},
        "check copper",
        ("copper/scenario.yaml:27", "'vehicles'", "did you mean 'vehicle'?"),
    ),
    (
        "dims: values by label without dims",
        {"content: {unit: kg/vehicle, dims: [vehicle],": "content: {unit: kg/vehicle,"},
        "check copper",
        ("copper/scenario.yaml:16", "'car'", "[vehicle]"),
    ),
    (
        "dims: dims of a parameter that nobody defined",
        {
            "content: {unit: kg/vehicle, dims: [vehicle],": "content: {unit: kg/vehicle, dims: [region],"
        },
        "check copper",
        ("copper/scenario.yaml:16", "'region'", "choose one of 'vehicle', 'year'"),
    ),
    (
        "dims: a label twice in a group",
        {"light: [car]": "light: [car, car]"},
        "check copper",
        ("copper/scenario.yaml:9", "'light'", "keep one"),
    ),
    (
        "dims: a group with an unknown label",
        {"light: [car]": "light: [car, van]"},
        "check copper",
        ("copper/scenario.yaml:9", "'van'", "choose one of 'car', 'truck', 'bus'"),
    ),
    (
        "dims: a label twice",
        {"labels: [car, truck, bus]": "labels: [car, truck, bus, car]"},
        "check copper",
        ("copper/scenario.yaml:7", "'car'", "keep one"),
    ),
    (
        "dims: years as a dim",
        {"dims:\n": "dims:\n  year: [2010, 2011]\n"},
        "check copper",
        ("copper/scenario.yaml:7", "'year'", "choose another name"),
    ),
    (
        "uncertainty: gaussian",
        {
            'collected: {unit: "%", value: 70, distribution: beta, cv: 5 %}': 'collected: {unit: "%", value: 70, distribution: gaussian, cv: 5 %}'
        },
        "check copper",
        ("copper/scenario.yaml:19", "parameters.collected.distribution is 'gaussian' but must be"),
    ),
    (
        "uncertainty: normal without a spread",
        {
            'collected: {unit: "%", value: 70, distribution: beta, cv: 5 %}': 'collected: {unit: "%", value: 70, distribution: normal}'
        },
        "check copper",
        ("copper/scenario.yaml:19", "'collected'", "a normal distribution needs cv or sd"),
    ),
    (
        "uncertainty: a cv of 5 that means 5 %",
        {
            'collected: {unit: "%", value: 70, distribution: beta, cv: 5 %}': 'collected: {unit: "%", value: 70, distribution: normal, cv: 5}'
        },
        "check copper",
        ("copper/scenario.yaml:19", "'collected'", "if 5 % is meant, write the %"),
    ),
    (
        "uncertainty: sd beside cv",
        {
            'collected: {unit: "%", value: 70, distribution: beta, cv: 5 %}': 'collected: {unit: "%", value: 70, distribution: normal, cv: 5 %, sd: 3}'
        },
        "check copper",
        ("copper/scenario.yaml:19", "give either cv or sd, not both"),
    ),
    (
        "uncertainty: low above high",
        {
            'collected: {unit: "%", value: 70, distribution: beta, cv: 5 %}': 'collected: {unit: "%", low: 80, mode: 70, high: 60, distribution: triangular}'
        },
        "check copper",
        ("copper/scenario.yaml:19", "'collected'", "low 80 is above high 60"),
    ),
    (
        "uncertainty: min and max",
        {
            'collected: {unit: "%", value: 70, distribution: beta, cv: 5 %}': 'collected: {unit: "%", min: 60, max: 80, distribution: uniform}'
        },
        "check copper",
        ("copper/scenario.yaml:19", "'parameters.collected.min'", "call it 'low'"),
    ),
    (
        "uncertainty: a beta above 1",
        {
            'collected: {unit: "%", value: 70, distribution: beta, cv: 5 %}': 'collected: {unit: "%", value: 120, distribution: beta, cv: 5 %}'
        },
        "check copper",
        (
            "copper/scenario.yaml:19",
            "'collected'",
            "check number and unit, or take another distribution such as",
        ),
    ),
    (
        "uncertainty: a beta too wide",
        {
            'collected: {unit: "%", value: 70, distribution: beta, cv: 5 %}': 'collected: {unit: "%", value: 95, distribution: beta, cv: 60 %}'
        },
        "check copper",
        ("copper/scenario.yaml:19", "'collected'", "it must be below 0.218"),
    ),
    (
        "uncertainty: no errors said",
        {
            "content: {unit: kg/vehicle, dims: [vehicle], grade: estimate, value: {car: 25, truck: 60, bus: 99}}": "content: {unit: kg/vehicle, dims: [vehicle], distribution: normal, cv: 5 %, value: {car: 25, truck: 60, bus: 99}}"
        },
        "check copper",
        (
            "copper/scenario.yaml:16",
            "'content'",
            "a systematic error), independent (one per label), ar1(rho) (",
        ),
    ),
    (
        "uncertainty: errors for all dims at once",
        {
            "content: {unit: kg/vehicle, dims: [vehicle], grade: estimate, value: {car: 25, truck: 60, bus: 99}}": "content: {unit: kg/vehicle, dims: [vehicle], distribution: normal, cv: 5 %, errors: independent, value: {car: 25, truck: 60, bus: 99}}"
        },
        "check copper",
        ("copper/scenario.yaml:16", "'independent'", "independent}"),
    ),
    (
        "uncertainty: random errors",
        {
            "content: {unit: kg/vehicle, dims: [vehicle], grade: estimate, value: {car: 25, truck: 60, bus: 99}}": "content: {unit: kg/vehicle, dims: [vehicle], distribution: normal, cv: 5 %, errors: {vehicle: random}, value: {car: 25, truck: 60, bus: 99}}"
        },
        "check copper",
        (
            "copper/scenario.yaml:16",
            "'vehicle'",
            "a systematic error), independent (one per label), ar1(rho) (",
        ),
    ),
    (
        "uncertainty: errors of a dim it has not",
        {
            "content: {unit: kg/vehicle, dims: [vehicle], grade: estimate, value: {car: 25, truck: 60, bus: 99}}": "content: {unit: kg/vehicle, dims: [vehicle], distribution: normal, cv: 5 %, errors: {vehicle: shared, year: shared}, value: {car: 25, truck: 60, bus: 99}}"
        },
        "check copper",
        ("copper/scenario.yaml:16", "'year'", "choose one of 'vehicle'"),
    ),
    (
        "uncertainty: a grade misspelt",
        {
            "content: {unit: kg/vehicle, dims: [vehicle], grade: estimate, value: {car: 25, truck: 60, bus: 99}}": "content: {unit: kg/vehicle, dims: [vehicle], grade: estimates, value: {car: 25, truck: 60, bus: 99}}"
        },
        "check copper",
        ("copper/scenario.yaml:16", "'estimates'", "did you mean 'estimate'?"),
    ),
    (
        "uncertainty: a negative cv",
        {
            'collected: {unit: "%", value: 70, distribution: beta, cv: 5 %}': 'collected: {unit: "%", value: 70, distribution: normal, cv: -5 %}'
        },
        "check copper",
        ("copper/scenario.yaml:19", "'collected'", "cv is -0.05 but must not be negative"),
    ),
    (
        "uncertainty: a cv for a uniform",
        {
            'collected: {unit: "%", value: 70, distribution: beta, cv: 5 %}': 'collected: {unit: "%", value: 70, distribution: uniform, cv: 10 %}'
        },
        "check copper",
        ("copper/scenario.yaml:19", "'collected'", "a uniform distribution needs low and high"),
    ),
    (
        "uncertainty: a lognormal of nothing",
        {
            "content: {unit: kg/vehicle, dims: [vehicle], grade: estimate, value: {car: 25, truck: 60, bus: 99}}": "content: {unit: kg/vehicle, dims: [vehicle], grade: estimate, value: {car: 25, truck: 60, bus: -1}}"
        },
        "check copper",
        (
            "copper/scenario.yaml:16",
            "'content'",
            "the mean of a lognormal is -1 but must be positive",
        ),
    ),
    (
        "uncertainty: ar1 of more than 1",
        {"year: independent": "year: ar1(1.5)"},
        "check copper",
        ("copper/scenario.yaml:11", "rho in 'ar1(1.5)' must lie between -1 and 1"),
    ),
    (
        "uncertainty: ar1 without its number",
        {"year: independent": "year: ar1"},
        "check copper",
        (
            "copper/scenario.yaml:11",
            "'year'",
            "a systematic error), independent (one per label), ar1(rho) (",
        ),
    ),
    (
        "uncertainty: weights that do not match",
        {
            'collected: {unit: "%", value: 70, distribution: beta, cv: 5 %}': 'collected: {unit: "%", values: [60, 70, 80], weights: [1, 2], distribution: discrete}'
        },
        "check copper",
        ("copper/scenario.yaml:19", "'collected'", "3 values but 2 weights"),
    ),
    (
        "uncertainty: truncated without bounds",
        {
            'collected: {unit: "%", value: 70, distribution: beta, cv: 5 %}': 'collected: {unit: "%", value: 70, cv: 5 %, distribution: truncated_normal}'
        },
        "check copper",
        (
            "copper/scenario.yaml:19",
            "'collected'",
            "a truncated_normal distribution needs low or high",
        ),
    ),
    (
        "lifetimes: inflow in mid-year",
        {"inflow_at: middle": "inflow_at: mid-year"},
        "check copper",
        ("copper/scenario.yaml:36", "stocks.in_use.inflow_at is 'mid-year' but must be start, mid"),
    ),
    (
        "lifetimes: a lifetime that may be negative",
        {
            "mean_life: {unit: yr, dims: [vehicle], value: {car: 15, truck: 12, bus: 14}, grade: estimate}": "mean_life: {unit: yr, dims: [vehicle], value: {car: 15, truck: 12, bus: 14}, distribution: normal, cv: 30 %, errors: {vehicle: shared}}"
        },
        "check copper",
        (
            "copper/scenario.yaml:17",
            "'mean_life'",
            "lognormal, or truncated_normal with low above 0",
        ),
    ),
    (
        "lifetimes: a negative lifetime",
        {"{car: 15, truck: 12, bus: 14}": "{car: -15, truck: 12, bus: 14}"},
        "check copper",
        (
            "copper/scenario.yaml:17",
            "'mean_life'",
            "the mean of a lognormal is -15 but must be positive",
        ),
    ),
    (
        "lifetimes: a lifetime of zero",
        {"value: 4, distribution: constant": "value: 0, distribution: constant"},
        "check copper",
        ("copper/scenario.yaml:18", "lifetime parameter 'life_sd' must be positive, found 0"),
    ),
    (
        "lifetimes: a distribution as keys",
        {
            "    lifetime: weibull(mean=mean_life, cv=life_sd / mean_life)\n": "    lifetime: {distribution: weibull, mean: 15, shape: 2}\n"
        },
        "check copper",
        ("copper/scenario.yaml:35", "'distribution'", "write text, such as weibull(scale, shape)"),
    ),
    (
        "lifetimes: a scale and a mean",
        {"cv=life_sd / mean_life": "scale=17 yr"},
        "check copper",
        ("copper/scenario.yaml:35", "the arguments do not fit", "weibull(mean=, shape=)"),
    ),
    (
        "stocks: a value that ends, and no stock that goes on from there",
        {"value: sales * content": "value: sales * content, until: 2012"},
        "check copper",
        (
            "copper/scenario.yaml:27",
            "until: 2012 leaves 'new_cars' open",
            "give the stock of 'use' a value and prescribed_from: 2013",
        ),
    ),
    (
        "stocks: given and prescribed in the same year",
        {
            "value: sales * content": "value: sales * content, until: 2013",
            "    inflow_at: middle": "    value: old_stock\n    prescribed_from: 2013",
        },
        "check copper",
        ("copper/scenario.yaml:27", "prescribed from 2013 on", "write until: 2012"),
    ),
    (
        "stocks: an initial stock by its amount and by its inflow",
        {"{value: old_stock,": "{value: old_stock, inflow: 'at(new_cars, year=2010)',"},
        "check copper",
        ("copper/scenario.yaml:37", "needs no value; give one of both"),
    ),
    (
        "system: a process misspelt",
        {"from: refinery, to: fabrication}": "from: refinery, to: fabricaton}"},
        "check copper",
        (
            "copper/scenario.yaml:25",
            "'fabricaton'",
            "did you mean 'fabrication'? (nodes outside the balance are l",
        ),
    ),
    (
        "system: a process without flows",
        {"processes: [fabrication, use, waste]": "processes: [fabrication, use, waste, sorting]"},
        "check copper",
        ("copper/scenario.yaml:22", "'sorting'", "remove it or add one"),
    ),
    (
        "system: value and share",
        {"share: collected": "share: collected, value: 60 kt/yr"},
        "check copper",
        ("copper/scenario.yaml:29", "give either value or share, not both"),
    ),
    (
        "system: all outflows with shares",
        {
            "landfilled: {from: waste, to: landfill}": "landfilled: {from: waste, to: landfill, share: 0.9 - collected}"
        },
        "check copper",
        (
            "copper/scenario.yaml:22",
            "'waste'",
            "are shares (landfilled, recycled), which sum to 0.9, 0.1 less than 1; let them sum to 1, or leave one of",
        ),
    ),
    (
        "system: from a process to itself",
        {"to: recycling,": "to: waste,"},
        "check copper",
        ("copper/scenario.yaml:29", "'recycled'", "name another process"),
    ),
    (
        "system: between two nodes of the environment",
        {"landfilled: {from: waste": "landfilled: {from: recycling"},
        "check copper",
        (
            "copper/scenario.yaml:30",
            "'landfilled'",
            "sum to 0.7, 0.3 less than 1; let them sum to 1, or leave recycled without value or s",
        ),
    ),
    (
        "system: a share of the environment",
        {
            "bought: {from: refinery, to: fabrication}": "bought: {from: refinery, to: fabrication, share: collected}"
        },
        "check copper",
        (
            "copper/scenario.yaml:22",
            "'fabrication'",
            "leave scrap without value or share so that the balance close",
        ),
    ),
    (
        "system: a process that is environment, too",
        {"environment: [refinery,": "environment: [waste, refinery,"},
        "check copper",
        ("copper/scenario.yaml:23", "'waste'", "keep one"),
    ),
    (
        "system: a same-year loop with a minimum",
        {
            "bought: {from: refinery, to: fabrication}": 'bought: {from: refinery, to: fabrication, value: "min(2 * scrap, 5 * scrap)"}'
        },
        "check copper",
        (
            "copper/scenario.yaml:22",
            "'fabrication'",
            "leave scrap without value or share so that the balance close",
        ),
    ),
    (
        "system: a flow named as a parameter",
        {"  scrap: {from: fab": "  collected: {from: fab"},
        "check copper",
        ("copper/scenario.yaml:26", "'collected'", "one of the parameters"),
    ),
    (
        "system: two stocks in a process",
        {"stocks:\n": "stocks:\n  spare: {process: use, kind: sink}\n"},
        "check copper",
        ("copper/scenario.yaml:34", "'use'", "split the process"),
    ),
    (
        "expressions: a sum without over",
        {"  rate: {": "  wrong: sum(in_use)\n  rate: {"},
        "check copper",
        (
            "copper/scenario.yaml:40",
            "sum(in_use, over=vehicle)",
            "over=[vehicle, year] for several",
        ),
    ),
    (
        "expressions: a sum over a dim by place",
        {"  rate: {": '  wrong: "sum(in_use, vehicle)"\n  rate: {'},
        "check copper",
        ("copper/scenario.yaml:40", "write sum(in_use, over=vehicle)", "['vehicle', 'year']"),
    ),
    (
        "expressions: a sum over a dim that is none",
        {"  rate: {": '  wrong: "sum(in_use, over=product)"\n  rate: {'},
        "check copper",
        ("copper/scenario.yaml:40", "'product'", "choose one of 'vehicle', 'year'"),
    ),
    (
        "expressions: a sum over what it has not",
        {"  rate: {": '  wrong: "sum(total, over=vehicle)"\n  rate: {'},
        "check copper",
        ("copper/scenario.yaml:40", "'vehicle'", "choose one of 'year'"),
    ),
    (
        "expressions: the largest year by place",
        {"  rate: {": '  wrong: "max(in_use, year)"\n  rate: {'},
        "check copper",
        (
            "copper/scenario.yaml:40",
            "'year' is a dim",
            "write max(in_use, over=year)",
        ),
    ),
    (
        "expressions: the largest of a dim by place",
        {"  rate: {": '  wrong: "max(in_use, vehicle)"\n  rate: {'},
        "check copper",
        (
            "copper/scenario.yaml:40",
            "'vehicle' is a dim",
            "write max(in_use, over=vehicle)",
        ),
    ),
    (
        "expressions: years that run backwards",
        {"  rate: {": '  wrong: "at(total, year=2012..2010)"\n  rate: {'},
        "check copper",
        (
            "copper/scenario.yaml:40",
            "'2012..2010' runs backwards",
            "write 2010..2012",
        ),
    ),
    (
        "expressions: an empty list",
        {"  rate: {": '  wrong: "at(in_use, vehicle=[])"\n  rate: {'},
        "check copper",
        (
            "copper/scenario.yaml:40",
            "an empty list picks nothing of 'vehicle'",
        ),
    ),
    (
        "expressions: a unit in other letters",
        {"  rate: {": '  wrong: "total + 50 kT"\n  rate: {'},
        "check copper",
        (
            "copper/scenario.yaml:40",
            "cannot read '50 kT'",
            "did you mean 'kt'",
        ),
    ),
    (
        "expressions: and of amounts",
        {"  rate: {": '  wrong: "total and in_use"\n  rate: {'},
        "check copper",
        (
            "copper/scenario.yaml:40",
            "'and' is of conditions, such as x > 1",
        ),
    ),
    (
        "expressions: a label of another dim",
        {
            "  rate: {": '  wrong: "sum(where(vehicle == steel, in_use, 0), over=vehicle)"\n  rate: {'
        },
        "check copper",
        (
            "copper/scenario.yaml:40",
            "'steel'",
        ),
    ),
    (
        "expressions: an index in brackets",
        {"  rate: {": '  wrong: "in_use[2014]"\n  rate: {'},
        "check copper",
        (
            "copper/scenario.yaml:40",
            "'in_use[2014]'",
            "write at(x, dim=label) for a label, and lag(x) for the year",
        ),
    ),
    (
        "expressions: a method as in pandas",
        {"  rate: {": '  wrong: "in_use.sum()"\n  rate: {'},
        "check copper",
        ("copper/scenario.yaml:40", "'in_use.sum()'", "exp(x), sum(x, over=dim)"),
    ),
    (
        "expressions: if then",
        {"  rate: {": '  wrong: "if total > 5 then total else 0"\n  rate: {'},
        "check copper",
        (
            "copper/scenario.yaml:40",
            "'if total > 5 then total else 0'",
            "write where(condition, a, b)",
        ),
    ),
    (
        "expressions: a power with ^",
        {"  rate: {": '  wrong: "total ^ 2"\n  rate: {'},
        "check copper",
        ("copper/scenario.yaml:40", "'total ^ 2'", "write ** for powers"),
    ),
    (
        "expressions: one equals sign",
        {"  rate: {": '  wrong: "where(total = 5, 1, 0)"\n  rate: {'},
        "check copper",
        ("copper/scenario.yaml:40", "'where(total = 5, 1, 0)'", "write == to compare"),
    ),
    (
        "expressions: ln",
        {"  rate: {": '  wrong: "ln(rate)"\n  rate: {'},
        "check copper",
        ("copper/scenario.yaml:40", "'ln'", "log(x) is the natural logarithm"),
    ),
    (
        "expressions: average",
        {"  rate: {": '  wrong: "average(in_use, over=vehicle)"\n  rate: {'},
        "check copper",
        ("copper/scenario.yaml:40", "'average'", "write mean(x, over=dim)"),
    ),
    (
        "published and variants: a figure of an unknown quantity",
        {"quantity: total,": "quantity: totals,"},
        "check copper",
        ("copper/scenario.yaml:48", "'totals'", "did you mean 'total'?"),
    ),
    (
        "published and variants: a status that is none",
        {"status: reported": "status: measured"},
        "check copper",
        ("copper/scenario.yaml:48", "published.figures item 1 'IWCC'.status is 'measured' but mus"),
    ),
    (
        "published and variants: a figure of a year outside",
        {"at: {year: 2014}": "at: {year: 2020}"},
        "check copper",
        ("copper/scenario.yaml:48", "2020 lies after the years of the scenario, 2010..2014"),
    ),
    (
        "published and variants: a figure without a value",
        {"value: 1400 kt, ": ""},
        "check copper",
        ("copper/scenario.yaml:48", "published.figures item 1 'IWCC': it is empty; give a numb"),
    ),
    (
        "published and variants: a figure over a dim that is gone",
        {"value: 1400 kt": "over: vehicle, value: 1400 kt"},
        "check copper",
        ("copper/scenario.yaml:48", "'total'", "choose one of 'year'"),
    ),
    (
        "published and variants: a figure for one label of a sum",
        {"at: {year: 2014}": "at: {year: 2014, vehicle: car}"},
        "check copper",
        ("copper/scenario.yaml:48", "'total'", "choose one of 'year'"),
    ),
    (
        "published and variants: a headline that is none",
        {"headline: [in_use, rate]": "headline: [in_use, recycling_rate]"},
        "check copper",
        ("copper/scenario.yaml:41", "'recycling_rate'", "did you mean 'recycled'?"),
    ),
    (
        "published and variants: a variant of a path that is none",
        {"parameters.content.value.car: 20": "parameters.contents.value.car: 20"},
        "check copper",
        ("copper/scenario.yaml:44", "'parameters.contents'", "did you mean 'content'?"),
    ),
    (
        "published and variants: a variant by name alone",
        {"parameters.content.value.car: 20": "content.car: 20"},
        "check copper",
        ("copper/scenario.yaml:44", "'content'", "write parameters.content.value.car"),
    ),
    (
        "published and variants: a variant by a share more",
        {"parameters.content.value.car: 20": "parameters.content.value.car: 20 % less"},
        "check copper",
        ("copper/scenario.yaml:44", "'20 % less' reads like a change", "write x1.2, +20 %, -20 %"),
    ),
    (
        "published and variants: a variant without set",
        {"set: {parameters.content.value.car: 20}": "parameters.content.value.car: 20"},
        "check copper",
        ("copper/scenario.yaml:44", "write it below 'set'"),
    ),
    (
        "reconciliation: a measured flow misspelt",
        {"measured: {sold: weighed_out}": "measured: {solt: weighed_out}"},
        "reconcile plant",
        ("plant/scenario.yaml:16", "'solt'", "did you mean 'sold'?"),
    ),
    (
        "reconciliation: measured as a list",
        {"measured: {sold: weighed_out}": "measured: [sold]"},
        "reconcile plant",
        ("plant/scenario.yaml:16", "'sold'", "imports_reported}"),
    ),
    (
        "reconciliation: a process misspelt",
        {"measured: {sold: weighed_out}": "measured: {sold: weighed_out}\n  processes: [sort]"},
        "reconcile plant",
        ("plant/scenario.yaml:17", "'sort'", "it is not one of the processes ['sorting']"),
    ),
    (
        "reconciliation: a level of 95",
        {"measured: {sold: weighed_out}": "measured: {sold: weighed_out}\n  level: 95"},
        "reconcile plant",
        ("plant/scenario.yaml:17", "write less than 1, or 95 %"),
    ),
    (
        "reconciliation: exact numbers that contradict",
        {
            "value: 100, sd: 5, distribution: normal": "value: 100, distribution: constant",
            "value: 70, sd: 2, distribution: normal": "value: 70, distribution: constant",
            "value: 25, sd: 3, distribution: normal": "value: 25, distribution: constant",
        },
        "reconcile plant",
        ("plant/scenario.yaml:15", "give one a cv or sd"),
    ),
    (
        "reconciliation: value and uncertainty as in STAN",
        {"measured: {sold: weighed_out}": "measured: {sold: {value: 70, sd: 2}}"},
        "reconcile plant",
        ("plant/scenario.yaml:16", "'value'", "imports_reported}"),
    ),
    (
        "reconciliation: an unknown method of draws",
        {"measured: {sold: weighed_out}": "measured: {sold: weighed_out}\n  draws: bounded"},
        "reconcile plant",
        ("plant/scenario.yaml:17", "reconcile.draws is 'bounded' but must be projected, active_s"),
    ),
    (
        "reconciliation: everything given",
        {
            "sold: {from: sorting, to: mill}": "sold: {from: sorting, to: mill, value: weighed_out}",
            "measured: {sold: weighed_out}": "level: 95 %",
        },
        "check plant",
        ("plant/scenario.yaml:9", "'sorting'", "parameter}"),
    ),
    (
        "tables: semicolons",
        {
            "sales.csv": "vehicle;year;value;source\ncar;2010;800;ACEA\ncar;2011;820;ACEA\ncar;2012;790;ACEA\ncar;2013;810;ACEA\ncar;2014;850;ACEA\ntruck;2010;90;ACEA\ntruck;2011;95;ACEA\ntruck;2012;93;ACEA\ntruck;2013;97;ACEA\ntruck;2014;99;ACEA\nbus;2010;9;ACEA\nbus;2011;9;ACEA\nbus;2012;8;ACEA\nbus;2013;9;ACEA\nbus;2014;10;ACEA\n"
        },
        "check copper",
        ("copper/sales.csv:1", "save it with commas (and points in numbers)"),
    ),
    (
        "tables: tabs",
        {
            "sales.csv": "vehicle\tyear\tvalue\tsource\ncar\t2010\t800\tACEA\ncar\t2011\t820\tACEA\ncar\t2012\t790\tACEA\ncar\t2013\t810\tACEA\ncar\t2014\t850\tACEA\ntruck\t2010\t90\tACEA\ntruck\t2011\t95\tACEA\ntruck\t2012\t93\tACEA\ntruck\t2013\t97\tACEA\ntruck\t2014\t99\tACEA\nbus\t2010\t9\tACEA\nbus\t2011\t9\tACEA\nbus\t2012\t8\tACEA\nbus\t2013\t9\tACEA\nbus\t2014\t10\tACEA\n"
        },
        "check copper",
        ("copper/sales.csv:1", "save it with commas (and points in numbers)"),
    ),
    (
        "tables: decimal commas",
        {"car,2010,800,": 'car,2010,"800,5",'},
        "check copper",
        ("copper/sales.csv:2", "'value'", "write 800.5"),
    ),
    (
        "tables: thousands with commas",
        {"car,2010,800,": 'car,2010,"1,800,000",'},
        "check copper",
        ("copper/sales.csv:2", "'value'", "write 1800000"),
    ),
    (
        "tables: a blank in thousands",
        {"car,2010,800,": "car,2010,1 800,"},
        "check copper",
        ("copper/sales.csv:2", "'value'", "write 1800"),
    ),
    (
        "tables: a workbook",
        {
            "table: sales.csv": "table: sales.xlsx",
            "sales.xlsx": b"PK\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        },
        "check copper",
        ("copper/sales.xlsx:1", "save the sheet as CSV, with commas and in UTF-8"),
    ),
    (
        "tables: a workbook named csv",
        {
            "sales.csv": b"PK\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        },
        "check copper",
        ("copper/sales.csv:1", "save the sheet as CSV, with commas and in UTF-8"),
    ),
    (
        "tables: no column of values",
        {"vehicle,year,value,source": "vehicle,year,amount,source"},
        "check copper",
        (
            "copper/sales.csv:1",
            "'value'",
            "choose one of 'vehicle', 'year', 'amount', 'source' (or name",
        ),
    ),
    (
        "tables: a column with a capital",
        {"vehicle,year,value,source": "Vehicle,Year,Value,Source"},
        "check copper",
        (
            "copper/sales.csv:1",
            "'Value'",
            "call it 'value' (a note needs another name, such as 'note Va",
        ),
    ),
    (
        "tables: dates for years",
        {"car,2010,800": "car,2010-01-01,800"},
        "check copper",
        ("copper/sales.csv:2", "'2010-01-01'", "write whole numbers such as 2010"),
    ),
    (
        "tables: years outside",
        {"bus,2014,10,ACEA\n": "bus,2014,10,ACEA\nbus,2015,11,ACEA\nbus,2016,11,ACEA\n"},
        "check copper",
        ("copper/sales.csv:17", "remove these rows, or end the years later"),
    ),
    (
        "tables: a row forgotten",
        {"truck,2012,93,ACEA\n": ""},
        "check copper",
        ("copper/sales.csv:15", "every cell needs one"),
    ),
    (
        "tables: a row twice",
        {"truck,2012,93,ACEA\n": "truck,2012,93,ACEA\ntruck,2012,94,ACEA\n"},
        "check copper",
        ("copper/sales.csv:10", "keep one"),
    ),
    (
        "tables: a label misspelt",
        {"truck,2012,93": "trukc,2012,93"},
        "check copper",
        ("copper/sales.csv:9", "'trukc'", "did you mean 'truck'?"),
    ),
    (
        "tables: a cell empty",
        {"truck,2012,93": "truck,2012,"},
        "check copper",
        ("copper/sales.csv:9", "'value'", "give a number"),
    ),
    (
        "tables: a cell n.a.",
        {"truck,2012,93": "truck,2012,n.a."},
        "check copper",
        (
            "copper/sales.csv:9",
            "'value'",
            "where none is known, an estimate and how uncertain it is",
        ),
    ),
    (
        "tables: Latin-1",
        {
            "sales.csv": b"vehicle,year,value,source\ncar,2010,800,K\xf6ln\ncar,2011,820,ACEA\ncar,2012,790,ACEA\ncar,2013,810,ACEA\ncar,2014,850,ACEA\ntruck,2010,90,ACEA\ntruck,2011,95,ACEA\ntruck,2012,93,ACEA\ntruck,2013,97,ACEA\ntruck,2014,99,ACEA\nbus,2010,9,ACEA\nbus,2011,9,ACEA\nbus,2012,8,ACEA\nbus,2013,9,ACEA\nbus,2014,10,ACEA\n"
        },
        "check copper",
        ("copper/sales.csv:2", "save it as UTF-8 (it may be Latin-1, as spreadsheets on Wind"),
    ),
    (
        "tables: UTF-16",
        {
            "sales.csv": b"\xff\xfev\x00e\x00h\x00i\x00c\x00l\x00e\x00,\x00y\x00e\x00a\x00r\x00,\x00v\x00a\x00l\x00u\x00e\x00,\x00s\x00o\x00u\x00r\x00c\x00e\x00\n\x00c\x00a\x00r\x00,\x002\x000\x001\x000\x00,\x008\x000\x000\x00,\x00A\x00C\x00E\x00A\x00\n\x00c\x00a\x00r\x00,\x002\x000\x001\x001\x00,\x008\x002\x000\x00,\x00A\x00C\x00E\x00A\x00\n\x00c\x00a\x00r\x00,\x002\x000\x001\x002\x00,\x007\x009\x000\x00,\x00A\x00C\x00E\x00A\x00\n\x00c\x00a\x00r\x00,\x002\x000\x001\x003\x00,\x008\x001\x000\x00,\x00A\x00C\x00E\x00A\x00\n\x00c\x00a\x00r\x00,\x002\x000\x001\x004\x00,\x008\x005\x000\x00,\x00A\x00C\x00E\x00A\x00\n\x00t\x00r\x00u\x00c\x00k\x00,\x002\x000\x001\x000\x00,\x009\x000\x00,\x00A\x00C\x00E\x00A\x00\n\x00t\x00r\x00u\x00c\x00k\x00,\x002\x000\x001\x001\x00,\x009\x005\x00,\x00A\x00C\x00E\x00A\x00\n\x00t\x00r\x00u\x00c\x00k\x00,\x002\x000\x001\x002\x00,\x009\x003\x00,\x00A\x00C\x00E\x00A\x00\n\x00t\x00r\x00u\x00c\x00k\x00,\x002\x000\x001\x003\x00,\x009\x007\x00,\x00A\x00C\x00E\x00A\x00\n\x00t\x00r\x00u\x00c\x00k\x00,\x002\x000\x001\x004\x00,\x009\x009\x00,\x00A\x00C\x00E\x00A\x00\n\x00b\x00u\x00s\x00,\x002\x000\x001\x000\x00,\x009\x00,\x00A\x00C\x00E\x00A\x00\n\x00b\x00u\x00s\x00,\x002\x000\x001\x001\x00,\x009\x00,\x00A\x00C\x00E\x00A\x00\n\x00b\x00u\x00s\x00,\x002\x000\x001\x002\x00,\x008\x00,\x00A\x00C\x00E\x00A\x00\n\x00b\x00u\x00s\x00,\x002\x000\x001\x003\x00,\x009\x00,\x00A\x00C\x00E\x00A\x00\n\x00b\x00u\x00s\x00,\x002\x000\x001\x004\x00,\x001\x000\x00,\x00A\x00C\x00E\x00A\x00\n\x00"
        },
        "check copper",
        ("copper/sales.csv:1", "save it as UTF-8"),
    ),
    (
        "tables: a column SD",
        {"vehicle,year,value,source": "vehicle,year,value,SD"},
        "check copper",
        (
            "copper/sales.csv:1",
            "'SD'",
            "call it 'sd' (a note needs another name, such as 'note SD')",
        ),
    ),
    (
        "tables: a column of units called Unit",
        {"vehicle,year,value,source": "vehicle,year,value,Unit"},
        "check copper",
        (
            "copper/sales.csv:1",
            "'Unit'",
            "call it 'unit' (a note needs another name, such as 'note Uni",
        ),
    ),
    (
        "tables: wide, but not said so",
        {
            "sales.csv": "vehicle,2010,2011,2012,2013,2014\ncar,800,820,790,810,850\ntruck,90,95,93,97,99\nbus,9,9,8,9,10\n"
        },
        "check copper",
        ("copper/sales.csv:1", "'year'", "year'"),
    ),
    (
        "tables: wide with a year missing",
        {
            "table: sales.csv": "table: sales.csv, wide: year",
            "sales.csv": "vehicle,2010,2011,2012,2013\ncar,800,820,790,810\ntruck,90,95,93,97\nbus,9,9,8,9\n",
        },
        "check copper",
        ("copper/sales.csv:1", "'2014'", "every label of 'year' needs one"),
    ),
    (
        "command line: draws in words",
        {},
        "run copper -n many",
        ("-n", "'many'", "write it like 100000 or 1e5"),
    ),
    ("command line: no draws", {}, "run copper -n 0", ("-n", "at least 1 is needed")),
    (
        "command line: draws with a comma",
        {},
        "run copper -n 10,000",
        ("-n", "'10,000'", "write it like 100000 or 1e5"),
    ),
    (
        "command line: draws with a suffix",
        {},
        "run copper -n 10k",
        ("-n", "'10k'", "write it like 100000 or 1e5"),
    ),
    (
        "command line: a seed in words",
        {},
        "run copper --seed random",
        ("--seed", "'random'", "write it like 100000 or 1e5"),
    ),
    (
        "command line: a negative seed",
        {},
        "run copper --seed -1",
        ("--seed", "seed is -1 but must lie in 0 .. 2**64 - 1"),
    ),
    ("command line: --draw", {}, "run copper --draw 1000", ("see ndmc run --help",)),
    (
        "command line: --set without a value",
        {},
        "run copper --set collected",
        ("--set", "'collected' is not of the form name=value"),
    ),
    (
        "command line: --set of what is none",
        {},
        "check copper --set colected=80",
        ("--set", "'colected'", "did you mean 'collected'? (other keys are written in full, s"),
    ),
    (
        "command line: --set of an item",
        {},
        "check copper --set content.car=30",
        ("--set", "'content'", "write parameters.content.value.car="),
    ),
    (
        "command line: --set unit=t by another case",
        {},
        "check copper --set units=t",
        ("--set units=t", "did you mean 'unit'?", "units of the file's own are declared such as"),
    ),
    (
        "command line: --set of a table",
        {},
        "check copper --set sales=5",
        ("--set", "'sales'", "or change all or some of them, such as sales=x1.2"),
    ),
    (
        "command line: --set of a share more",
        {},
        "check copper --set 'collected=10 % more'",
        ("--set", "'10 % more' reads like a change of the number", "write x1.2, +20 %"),
    ),
    (
        "command line: --set twice of the same",
        {},
        "check copper --set collected=60 --set collected=80",
        ("--set", "'collected'", "leave one out"),
    ),
    (
        "command line: --set of a flow",
        {},
        "check copper --set recycled=5",
        ("--set", "'recycled'", "write flows.recycled.value="),
    ),
    (
        "command line: --set of a unit in a section",
        {},
        "check copper --set parameter.collected=5",
        (
            "--set",
            "'parameter.collected'",
            "did you mean 'collected'? (other keys are written in full, s",
        ),
    ),
    (
        "command line: --variant misspelt",
        {},
        "run copper --variant lihgter",
        ("--variant", "'lihgter'", "did you mean 'lighter'?"),
    ),
    (
        "command line: two variants",
        {},
        "check copper --variant lighter --variant lighter",
        ("--variant", "leave one out"),
    ),
    (
        "command line: --variant none",
        {},
        "run copper --variant none",
        ("--variant", "'none'", "choose one of 'lighter'"),
    ),
    (
        "command line: --sel of a year outside",
        {},
        "run copper -n 300 --sel year=2050",
        ("--sel", "2050 lies after the years of the scenario, 2010..2014"),
    ),
    (
        "command line: --sel of a label that is none",
        {},
        "run copper -n 300 --sel vehicle=van",
        ("--sel", "'van'", "choose one of 'car', 'truck', 'bus', 'light', 'heavy'"),
    ),
    (
        "command line: --sel of a dim that is none",
        {},
        "run copper -n 300 --sel product=car",
        ("--sel", "'product'", "choose one of 'vehicle', 'year'"),
    ),
    (
        "command line: --sel with years by a hyphen",
        {},
        "run copper -n 300 --sel year=2010-2012",
        ("--sel", "'2010-2012'", "write 2010..2012"),
    ),
    (
        "command line: --keep of what is none",
        {},
        "run copper --keep in_us",
        ("--keep", "'in_us'", "did you mean 'in_use'?"),
    ),
    (
        "command line: --keep with blanks",
        {},
        "run copper --keep in_use recycled",
        ("see ndmc run --help",),
    ),
    (
        "command line: --until in words",
        {},
        "run copper --until converged",
        ("--until", "'converged'", "write it like 'in_use@2021 p97.5 within 0.5 %'"),
    ),
    (
        "command line: --until without a percentile",
        {},
        "run copper --until 'total within 1 %'",
        ("--until", "'total within 1 %'", "write it like 'in_use@2021 p97.5 within 0.5 %'"),
    ),
    (
        "command line: --until of what is none",
        {},
        "run copper --until 'totals@2014 p50 within 1 %'",
        ("--until", "'totals'", "did you mean 'total'?"),
    ),
    (
        "study: outputs misspelt, two at once",
        {},
        "sensitivity copper -v in_us,recycld",
        (
            "-v in_us: nothing is named 'in_us'; did you mean 'in_use'?",
            "-v recycld: nothing is named 'recycld'; did you mean 'recycled'?",
        ),
    ),
    (
        "study: a total asked for by name",
        {},
        "sensitivity copper -v in_use_total",
        (
            "-v in_use_total",
            "write 'in_use' alone",
        ),
    ),
    (
        "study: one cell asked for by name",
        {},
        "sensitivity copper -v 'in_use[vehicle=car]'",
        (
            "-v",
            "write 'in_use' alone",
        ),
    ),
    (
        "study: -v none",
        {},
        "sensitivity copper -v none",
        ("-v: no output is named; name some, or leave it out for all",),
    ),
    (
        "study: one draw",
        {},
        "sensitivity copper -n 1",
        (
            "-n: 1 draws asked for; limits of shares need 128",
            ": ask for 8192",
        ),
    ),
    (
        "study: --exceed without a limit",
        {},
        "sensitivity copper --exceed total",
        (
            "--exceed",
            "such as 'in_use > 100 kt'",
        ),
    ),
    (
        "study: --exceed of what -v leaves out",
        {},
        "sensitivity copper -v in_use --exceed 'rate > 70'",
        (
            "--exceed",
            "'rate'",
            "add it to the outputs asked for",
        ),
    ),
    (
        "study: --groups label without a dim",
        {},
        "sensitivity copper --groups label",
        (
            "--groups",
            "write a dim behind 'label:'; choose one of 'vehicle', 'year'",
        ),
    ),
    (
        "study: --groups of a dim",
        {},
        "sensitivity copper --groups vehicle",
        (
            "--groups",
            "write label:vehicle",
        ),
    ),
    (
        "study: --groups of parameters",
        {},
        "sensitivity copper --groups content,sales",
        (
            "--groups",
            "'label:DIM'",
            "or write groups to a YAML file",
        ),
    ),
    (
        "study: groups in an empty file",
        {"groups.yaml": ""},
        "sensitivity copper --groups copper/groups.yaml",
        (
            "copper/groups.yaml:1",
            "it is empty; write groups as in docs/which-inputs-matter.md",
        ),
    ),
    (
        "study: groups in a file of a scenario's section",
        {"groups.yaml": "sensitivity:\n  groups: {a: content}\n"},
        "sensitivity copper --groups copper/groups.yaml",
        (
            "copper/groups.yaml:1",
            "wants a file with its groups alone",
        ),
    ),
    (
        "study: groups in a scenario",
        {},
        "sensitivity copper --groups copper/scenario.yaml",
        (
            "copper/scenario.yaml:1",
            "wants a file with its groups alone",
        ),
    ),
    (
        "study: groups in a list",
        {"groups.yaml": "- content\n- sales\n"},
        "sensitivity copper --groups copper/groups.yaml",
        (
            "copper/groups.yaml:1",
            "remove each '- '",
        ),
    ),
    (
        "study: groups in a table",
        {"groups.yaml": "group,parameter\na,content\n"},
        "sensitivity copper --groups copper/groups.yaml",
        (
            "copper/groups.yaml:1",
            "it holds other text",
        ),
    ),
    (
        "study: a parameter in two groups, and two that are none",
        {
            "groups.yaml": "groups:\n  a: [content, sales]\n  b: content\n  c: contnet\n  d: in_use\n"
        },
        "sensitivity copper --groups copper/groups.yaml",
        (
            "copper/groups.yaml:3: content is in two groups, 'a' and 'b'; keep one",
            "copper/groups.yaml:4: 'contnet' is no parameter; did you mean 'content'?",
            "copper/groups.yaml:5: 'in_use' is no parameter",
        ),
    ),
    (
        "study: a group of what is certain",
        {"groups.yaml": "a: life_sd\n"},
        "sensitivity copper --groups copper/groups.yaml",
        (
            "copper/groups.yaml:1",
            "life_sd is certain; remove it",
        ),
    ),
    (
        "study: labels that errors are shared along",
        {"groups.yaml": "a: 'content[vehicle=car]'\n"},
        "sensitivity copper --groups copper/groups.yaml",
        (
            "copper/groups.yaml:1",
            "leave vehicle out",
        ),
    ),
    (
        "study: correlated parameters in two groups",
        {
            "groups.yaml": "a: content\nb: mean_life\n",
            "processes: [fabrication, use, waste]": "correlations:\n  - {parameters: [content, mean_life], matrix: [[1, 0.5], [0.5, 1]]}\nprocesses: [fabrication, use, waste]",
        },
        "sensitivity copper --groups copper/groups.yaml",
        (
            "copper/groups.yaml:2",
            "they are correlated (copper/scenario.yaml:23); put both in one",
        ),
    ),
    (
        "study: a way of grouping in the scenario",
        {"published:\n": "sensitivity: grade\npublished:\n"},
        "check copper",
        (
            "copper/scenario.yaml:45",
            "sensitivity is 'grade'; write keys and what they hold, such as {groups: ...}",
        ),
    ),
    (
        "study: outputs that nothing uncertain reaches",
        {},
        "sensitivity copper -v life_sd",
        (
            "copper/scenario.yaml:14",
            "give a parameter a 'distribution' and its 'cv', or name other outputs by -v",
        ),
    ),
    (
        "study: no draws for a linear fit",
        {},
        "sensitivity copper --linear -n 0",
        ("-n: 0 draws asked for; to tell 19 inputs apart takes 166",),
    ),
    (
        "study: --linear with groups",
        {},
        "sensitivity copper --linear --groups grade",
        (
            "--groups",
            "leave it out, or leave out --linear",
        ),
    ),
    (
        "study: a plan as a table",
        {},
        "sensitivity copper --plan --csv shares.csv",
        (
            "--csv",
            "leave out --plan",
        ),
    ),
    (
        "study: a table by a part",
        {},
        "sensitivity copper --part 1/2 --csv shares.csv",
        (
            "--csv: a part has no shares",
            "ask the finished store for it",
        ),
    ),
    (
        "study: in the store of a run",
        {},
        "sensitivity copper --out copper.zarr",
        (
            "copper.zarr",
            "it is a run, asked for a study of which inputs matter",
            "--overwrite",
        ),
    ),
    (
        "study: of a store that is none",
        {},
        "sensitivity cooper.zarr",
        ("there is no store at 'cooper.zarr'",),
    ),
    (
        "labels of others: one misspelt",
        {"{lithium: [vehicle, laptop]": "{litium: [vehicle, laptop]"},
        "check metals",
        ("metals/scenario.yaml:7", "'litium' is no label of 'metal'; did you mean 'lithium'?"),
    ),
    (
        "labels of others: one label without brackets",
        {"indium: [tv, laptop]}": "indium: tv}"},
        "check metals",
        ("metals/scenario.yaml:7", "for the metal 'indium' are a list", "write [tv]"),
    ),
    (
        "labels of others: parent: instead of of:",
        {"{of: metal": "{parent: metal"},
        "check metals",
        ("metals/scenario.yaml:7", "'dims.use.parent'", "call it 'of'"),
    ),
    (
        "labels of others: a use that the metal has not",
        {"first_year(sum(in_use, over=use) > 100 t)": "at(in_use, metal=lithium, use=tv)"},
        "check metals",
        (
            "metals/scenario.yaml:59",
            "no use tv belongs to the metal lithium",
            "choose one of 'vehicle', 'laptop'",
        ),
    ),
    (
        "labels of others: errors by a dim that is none of them",
        {"{use: by metal}": "{use: by region}"},
        "check metals",
        ("metals/scenario.yaml:36", "'by region'", "'by metal'"),
    ),
    (
        "labels of others: errors of the label alone",
        {"{use: by metal}": "{use: independent}"},
        "check metals",
        ("metals/scenario.yaml:30", "along 'metal'", "(or {use: by metal}: one error for each"),
    ),
    (
        "groupings: errors by groups that overlap",
        {
            "along: region, cv: 9 %}": "cv: 9 %, errors: {region: by trade}}",
            "20}, distribution: dirichlet": "20}, distribution: normal",
        },
        "check metals",
        (
            "metals/scenario.yaml:37",
            "'by trade'",
            "labels are in several groups of 'trade' or in none",
        ),
    ),
    (
        "gaps: fill instead of missing",
        {"missing: [interpolate, hold]": "fill: hold"},
        "check metals",
        ("metals/scenario.yaml:18", "'parameters.demand.fill'", "call it 'missing'"),
    ),
    (
        "gaps: two words without brackets",
        {"missing: [interpolate, hold]": "missing: interpolate, hold"},
        "check metals",
        ("metals/scenario.yaml:18", "'interpolate, hold'", "write [interpolate, hold]"),
    ),
    (
        "gaps: by dim",
        {"missing: [interpolate, hold]": "missing: {year: hold}"},
        "check metals",
        ("metals/scenario.yaml:18", "write interpolate, hold or 0, or several"),
    ),
    (
        "gaps: no tables",
        {"value: {lithium: {2005: 20, 2012: 90}, indium: {2010: 5, 2013: 7}}": "table: []"},
        "check metals",
        ("metals/scenario.yaml:17", "[]", "such as sales.csv"),
    ),
    (
        "by label: default instead of else",
        {"      indium: demand * use_share": "      default: demand * use_share"},
        "check metals",
        ("metals/scenario.yaml:50", "'default'", "all others are called 'else'"),
    ),
    (
        "by label: two labels in a key",
        {"      indium: demand * use_share": "      lithium, indium: demand * use_share"},
        "check metals",
        ("metals/scenario.yaml:50", "write each label on a line of its own"),
    ),
    (
        "by label: formulas in a list",
        {"value: demand * mined_in": "value: [demand, demand]"},
        "check metals",
        ("metals/scenario.yaml:43", "a list; write keys and what they hold, such as {"),
    ),
    (
        "formulas: a blank within a unit",
        {"sum(in_use, over=use) > 100 t)": "sum(mined, over=region) > 5 t / yr)"},
        "check metals",
        ("metals/scenario.yaml:59", "'yr'", "right behind its number, without blanks: 20 t/yr"),
    ),
    (
        "formulas: millions",
        {"> 100 t)": "> 4 million t)"},
        "check metals",
        ("metals/scenario.yaml:59", "write 5e6 t/yr for 5 million t/yr"),
    ),
    (
        "formulas: a label in brackets, as in xarray",
        {"first_year(sum(in_use, over=use) > 100 t)": "'demand[metal=lithium]'"},
        "check metals",
        ("metals/scenario.yaml:59", "write at(x, dim=label)"),
    ),
    (
        "compositions: Dirichlet",
        {"    distribution: dirichlet\n": "    distribution: Dirichlet\n"},
        "check metals",
        ("metals/scenario.yaml:26", "'Dirichlet'", "did you mean 'dirichlet'?"),
    ),
    (
        "compositions: alpha, as in SciPy",
        {"concentration: 60": "alpha: 60"},
        "check metals",
        ("metals/scenario.yaml:28", "'parameters.use_share.alpha'", "call it 'concentration'"),
    ),
    (
        "compositions: per cent in a plain unit",
        {'  use_share:\n    unit: "%"': '  use_share:\n    unit: "1"'},
        "check metals",
        ("metals/scenario.yaml:25", "sum to 100, not to 1", "write unit: '%'"),
    ),
    (
        "compositions: normalise: true",
        {"along: region, cv: 9 %": "normalise: true, cv: 9 %"},
        "check metals",
        ("metals/scenario.yaml:37", "normalise is true", "such as product"),
    ),
    (
        "stocks: a past inflow of every year",
        {'"at(sales, year=2010)"': "sales"},
        "check metals",
        ("metals/scenario.yaml:56", "has the dim year", "such as at(..., year=2010)"),
    ),
    (
        "stocks: size instead of capacity",
        {"capacity: room": "size: room"},
        "check metals",
        ("metals/scenario.yaml:55", "'stocks.held.size'", "call it 'capacity'"),
    ),
    (
        "stocks: a capacity below zero",
        {"capacity: room": "capacity: -5 t"},
        "check metals",
        ("metals/scenario.yaml:55", "a capacity cannot be negative, found -5"),
    ),
    (
        "variants: a parameter set without .value",
        {"{parameters.price: +10 %}": "{parameters.price: 20 USD/kg}"},
        "check metals --variant dear",
        ("metals/scenario.yaml:61", "'20 USD/kg'", "set parameters.price.value"),
    ),
    (
        "variants: a factor on a formula",
        {"{parameters.price: +10 %}": "{flows.mined.value: x1.2}"},
        "check metals --variant dear",
        ("metals/scenario.yaml:61", "'x1.2' is a change of a number", "flows.mined.value holds a"),
    ),
    (
        "variants: more of an indicator",
        {"{parameters.price: +10 %}": "{indicators.cost.value: +10 %}"},
        "check metals --variant dear",
        ("metals/scenario.yaml:61", "'+10 %' is a change of a number", "holds a formula"),
    ),
    (
        "variants: * without quotes",
        {"{parameters.price: +10 %}": "{parameters.price: *1.2}"},
        "check metals",
        ("metals/scenario.yaml:61", "a text that begins with & or * stands in quotes"),
    ),
    (
        "variants: a path outside of set",
        {"{set: {parameters.price: +10 %}}": "{parameters.price: +10 %}"},
        "check metals",
        ("metals/scenario.yaml:61", "'variants.dear.parameters.price'", "write it below 'set'"),
    ),
    (
        "variants: extends instead of variants",
        {"both: {variants: [": "both: {extends: ["},
        "check metals",
        ("metals/scenario.yaml:63", "'variants.both.extends'", "call it 'variants'"),
    ),
    (
        "variants: joined by a plus",
        {"format: 1": "format: 1\ntitle: Two metals"},
        "check metals --variant dear+long",
        ("--variant", "'dear+long'", "write dear,long"),
    ),
    (
        "units: a dollar sign",
        {"unit: USD/kg": "unit: $/kg"},
        "check metals",
        ("metals/scenario.yaml:38", "'$/kg'", "a dollar says whose: USD"),
    ),
    (
        "extends: a file instead of its folder",
        {"format: 1\nname: metals": "name: metals\nextends: steel_loop/scenario.yaml"},
        "check metals",
        ("metals/scenario.yaml:2", "did you mean 'steel_loop'?"),
    ),
    (
        "extends: base instead of extends",
        {"format: 1\nname: metals": "name: metals\nformat: 1\nbase: steel_loop"},
        "check metals",
        ("metals/scenario.yaml:3", "'base'", "call it 'extends'"),
    ),
    (
        "extends: a change where a value stands",
        {"price: {unit: USD/kg, value: 15,": "price: {unit: USD/kg, value: x1.2,"},
        "check metals",
        (
            "metals/scenario.yaml:38",
            "'x1.2'",
            "changes of numbers stand in variants, or behind --set",
        ),
    ),
]
