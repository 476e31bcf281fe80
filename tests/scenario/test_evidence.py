"""Figures that went into a model are no evidence for it."""

import pytest
from strategies import stock_model, write

import ndmc
from ndmc import InputError


def figure(name, status="target", **keys):
    """Return a published figure of the stock in 2014."""
    said = {"quantity": "total", "at": {"year": 2014}, "value": "1 kt", "status": status}
    return {"id": name, **said, **keys}


def refused(tmp_path, figures, fitted_to=None):
    """Return why a stock model that publishes these figures is refused."""
    data = stock_model(spread=0.05, published={"figures": figures})
    if fitted_to is not None:
        data["parameters"]["eta"]["fitted_to"] = fitted_to
    folder = write(data, tmp_path / "model")
    with pytest.raises(InputError) as wrong:
        ndmc.load(folder)
    return str(wrong.value)


@pytest.mark.parametrize("status", ["target", "soft"])
def test_a_figure_that_a_parameter_is_fitted_to_is_not_judged(tmp_path, status):
    """It says where the parameter says so, and what the figure may be."""
    word = {"target": "target", "soft": "soft target"}[status]
    said = refused(tmp_path, [figure("Stock 2014", status)], ["Stock 2014"])
    assert f"'Stock 2014' is a {word}, and 'eta' is fitted to it (" in said
    assert "scenario.yaml:" in said.split("(")[1]
    assert "make it 'input', 'reported' or a 'contradiction', or fit to another" in said


@pytest.mark.parametrize("status", ["input", "reported", "contradiction"])
def test_other_figures_may_be_fitted_to(tmp_path, status):
    """One id may stand alone."""
    data = stock_model(spread=0.05, published={"figures": [figure("Stock, 2014", status)]})
    data["parameters"]["eta"]["fitted_to"] = "Stock, 2014"
    loaded = ndmc.load(write(data, tmp_path / "model"))
    assert loaded.file.parameters["eta"].fitted_to == ["Stock, 2014"]


def test_what_is_fitted_to_is_a_figure(tmp_path):
    """A name that is none is told with the nearest."""
    said = refused(tmp_path, [figure("Stock 2014", "input")], ["Stock 2013"])
    assert "'eta' is fitted to 'Stock 2013', which is no published figure; did you mean" in said


def test_figures_have_names_of_their_own(tmp_path):
    """Else nobody knows which is meant; figures without a name are not alike for it."""
    said = refused(tmp_path, [figure("a"), figure("b"), figure("a", value="2 kt")])
    assert "a figure is called 'a', as is the one at" in said
    assert said.count("called") == 1
    data = stock_model(spread=0.05, published={"figures": [figure(""), figure("", value="2 kt")]})
    assert len(ndmc.load(write(data, tmp_path / "unnamed")).figures) == 2


@pytest.mark.parametrize("status", ["target", "soft"])
def test_a_number_is_not_both_input_and_target(tmp_path, status):
    """However it is written."""
    other = figure("b", status, quantity=" total ", at="year=2014")
    said = refused(tmp_path, [figure("a", "input"), other])
    assert f"'b': it is a {'soft ' * (status == 'soft')}target here and an input at" in said


def test_other_numbers_may_be(tmp_path):
    """Of another year, of some labels, under another variant; shown alone; or a probability."""
    figures = [
        figure("a", "input"),
        figure("b", at={"year": 2013}),
        figure("c", "reported"),
        figure("d", quantity="sales", at="year=2014 product=a"),
        figure("e", above="1 kt", value=None, at_least="50 %", unit=""),
        figure("f", "input", quantity="sales", at="year=2014 product=b"),
    ]
    for one in figures:
        one.pop("value") if one["value"] is None else None
    data = stock_model(spread=0.05, published={"figures": figures})
    assert len(ndmc.load(write(data, tmp_path / "model")).figures) == 6


def test_the_metals_say_what_they_were_fitted_to():
    """Each of these figures is shown as an input."""
    loaded = ndmc.load("strategic_metals")
    status = {one.entry.id: one.entry.status for one in loaded.figures}
    fitted = {name for one in loaded.file.parameters.values() for name in one.fitted_to}
    assert len(fitted) == 10
    assert {status[name] for name in fitted} == {"input"}
