"""Systems of many flows, stocks or indicators, as scenarios: chains, stars, loops, side by side."""


def _scenario(flows, processes, **key):
    return {
        "format": 1,
        "name": "many_flows",
        "unit": "t",
        "years": "2001..2003",
        "parameters": {
            "given": {"unit": "t/yr", "value": 100, "distribution": "normal", "cv": "5 %"}
        },
        "processes": processes,
        "flows": flows,
        **key,
    }


def chain(count, kind="balance"):
    """Return a chain of about so many flows, the first given.

    The others are closed by balances; or they are shares of what enters, or a part of the flow
    before, and half of all flows are what is lost on the way.
    """
    lossy = kind != "balance"
    links = count // 2 if lossy else count
    rules = {"balance": lambda n: {}, "share": lambda n: {"share": 0.9}}
    rules["value"] = lambda n: {"value": f"f{n - 1} * 0.9"}
    flows = {"f0": {"from": "outside", "to": "p1", "value": "given"}}
    for n in range(1, links):
        target = f"p{n + 1}" if n + 1 < links else "sink"
        flows[f"f{n}"] = {"from": f"p{n}", "to": target, **rules[kind](n)}
        if lossy:
            flows[f"lost{n}"] = {"from": f"p{n}", "to": "losses"}
    return _scenario(flows, [f"p{n}" for n in range(1, links)])


def drained(count):
    """Return a chain of about so many flows, half of them losses that one process collects."""
    data = chain(count, "value")
    data["flows"]["gone"] = {"from": "losses", "to": "sea"}
    return {**data, "processes": [*data["processes"], "losses"]}


def star(count):
    """Return one process between so many flows, half into it and half out of it."""
    half = count // 2
    flows = {f"in{n}": {"from": f"mine{n}", "to": "hub", "value": "given"} for n in range(half)}
    flows |= {
        f"out{n}": {"from": "hub", "to": f"user{n}", "share": 0.5 / half} for n in range(half)
    }
    return _scenario({**flows, "rest": {"from": "hub", "to": "sink"}}, ["hub"])


def side_by_side(count, length=10):
    """Return chains of ten flows each, so many flows in all."""
    flows, processes = {}, []
    for c in range(count // length):
        processes += [f"p{c}_{n}" for n in range(1, length)]
        nodes = ["outside", *processes[1 - length :], "sink"]
        for n in range(length):
            rule = {} if n else {"value": "given"}
            flows[f"f{c}_{n}"] = {"from": nodes[n], "to": nodes[n + 1], **rule}
    return _scenario(flows, processes)


def stocks(count):
    """Return so many stocks side by side, each with its inflow and what it releases."""
    processes = [f"p{n}" for n in range(count)]
    flows = {}
    for n, process in enumerate(processes):
        flows[f"in{n}"] = {"from": "makers", "to": process, "value": "given"}
        flows[f"out{n}"] = {"from": process, "to": "waste"}
    held = {
        f"s{n}": {"process": process, "lifetime": "fixed(life)"}
        for n, process in enumerate(processes)
    }
    data = _scenario(flows, processes, stocks=held)
    data["parameters"]["life"] = {"unit": "yr", "value": 2, "distribution": "constant"}
    return data


def buffers(count):
    """Return buffers side by side, each between three flows: about so many flows in all."""
    flows, held = {}, {}
    for n in range(count // 3):
        flows[f"in{n}"] = {"from": "makers", "to": f"p{n}", "value": "given"}
        flows[f"out{n}"] = {"from": f"p{n}", "to": "users", "value": "given"}
        flows[f"rest{n}"] = {"from": "reserve", "to": f"p{n}"}
        held[f"s{n}"] = {"process": f"p{n}", "kind": "buffer", "remainder": f"rest{n}"}
    return _scenario(flows, [f"p{n}" for n in range(count // 3)], stocks=held)


def indicators(count):
    """Return so many indicators, each a part of the next: the first reads all others."""
    rules = {f"i{n}": f"i{n + 1} * 0.99" for n in range(count - 1)}
    return {**chain(4), "indicators": {**rules, f"i{count - 1}": "given"}}


def ring(count):
    """Return a loop of so many flows: nine tenths of what enters a process go on to the next."""
    flows = {"fed": {"from": "outside", "to": "p0", "value": "given"}}
    half = count // 2
    for n in range(half):
        flows[f"f{n}"] = {"from": f"p{n}", "to": f"p{(n + 1) % half}", "share": 0.9}
        flows[f"lost{n}"] = {"from": f"p{n}", "to": "losses"}
    return _scenario(flows, [f"p{n}" for n in range(half)])
