"""A scenario whose formulas differ by label, and the same with choices in numbers."""

METALS, PRODUCTS = ["lithium", "niobium", "cobalt"], ["car", "van", "tv"]
LOGISTIC = "mined * logistic(2002, 1, 2004, growth)"
SHARED = "mined * mined / sum(mined, over=metal)"

#: By label, and the same by choices: ``is_x`` is 1 for the label x and 0 for others.
RULES = {
    "sold": (
        {"lithium": LOGISTIC, "niobium": "mined", "else": SHARED},
        f"where(is_lithium > 0, {LOGISTIC}, where(is_niobium > 0, mined, {SHARED}))",
    ),
    "again": (
        {"lithium": "scrap * recycled", "niobium": "lag(cumsum(scrap)) / 9 / step", "else": 0},
        "where(is_lithium > 0, scrap * recycled,"
        " where(is_niobium > 0, lag(cumsum(scrap)) / 9 / step, 0))",
    ),
    "used": (
        {"road": {"niobium": 0, "else": "content * lag(sold)"}, "tv": "clip(sold, 1, 4) * mined"},
        "where(is_tv > 0, clip(sold, 1, 4) * mined, where(is_niobium > 0, 0, content * lag(sold)))",
    ),
    "after": (
        {"2003": "recycled", "else": "mined / 3"},
        "where(year == 2003, recycled, mined / 3)",
    ),
}


def drawn(dims, value, sd=0.1):
    """Return a normal parameter whose cells are independent."""
    errors = dict.fromkeys(dims, "independent")
    number = {"distribution": "normal", "value": value, "sd": sd, "errors": errors}
    return {"unit": "1", "dims": dims, **number}


def model(which):
    """Return a scenario with the rules by label (0) or by choices (1)."""
    rules = {name: both[which] for name, both in RULES.items()}
    content = {metal: dict(zip(PRODUCTS, (1, 2, 3), strict=True)) for metal in METALS}
    masks = {
        f"is_{own}": {
            "unit": "1",
            "dims": [dim],
            "distribution": "constant",
            "value": {label: int(label == own) for label in labels},
        }
        for dim, labels, own in [
            ("metal", METALS, "lithium"),
            ("metal", METALS, "niobium"),
            ("product", PRODUCTS, "tv"),
        ]
    }
    return {
        "format": 1,
        "name": "by_label",
        "unit": "t",
        "years": "2001..2005",
        "dims": {
            "metal": METALS,
            "product": {"labels": PRODUCTS, "groups": {"road": ["car", "van"], "home": ["tv"]}},
        },
        "parameters": {
            "mined": drawn(["metal"], {"lithium": 5, "niobium": 3, "cobalt": 8}),
            "content": drawn(["metal", "product"], content),
            "growth": drawn([], 1.5),
            "recycled": drawn([], 0.3, 0.02),
            "life": {"unit": "yr", "value": 2, "distribution": "constant"},
            "flow": {"unit": "t/yr", "value": 1, "distribution": "constant"},
            **(masks if which else {}),
        },
        "processes": ["make", "use", "waste"],
        "flows": {
            "ore": {"from": "in", "to": "make", "dims": ["metal"], "value": "flow * sold"},
            "made": {"from": "make", "to": "use", "dims": ["metal"]},
            "scrap": {"from": "use", "to": "waste", "dims": ["metal"]},
            "back": {"from": "waste", "to": "make", "dims": ["metal"], "value": rules["again"]},
            "lost": {"from": "waste", "to": "out", "dims": ["metal"]},
        },
        "stocks": {"held": {"process": "use", "dims": ["metal"], "lifetime": "weibull(life, 2)"}},
        "indicators": {name: {"value": rules[name]} for name in ("sold", "used", "after")},
    }
