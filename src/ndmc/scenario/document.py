"""Read YAML as plain data that remembers its lines, refusing everything a scenario never needs.

Anchors, aliases, tags, tabs, duplicate keys, deep nesting and huge files are errors: they are
how a text file becomes an attack or a silent mistake.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ndmc.errors import InputError, together
from ndmc.scenario.yaml_problems import yaml_problem

if TYPE_CHECKING:
    from ndmc.scenario.relative import Change

__all__ = ["read_document"]

_MAX_YAML_BYTES = 2**20

_MAX_DEPTH = 12

#: What to do about an empty scenario.
_BEGIN = "'ndmc new FOLDER' writes one"

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """Plain data from a YAML text, and the line of every key and item in it.

    Of changes made to it ``overrides`` are where they are made, by key; ``cells`` are those that
    are made where the numbers of a parameter are read, in their order. It is laid over its
    ``base`` if it extends another; its text and lines are its own.
    """

    path: Path
    text: str
    data: dict[str, Any]
    lines: dict[Key, int] = field(default_factory=dict)
    overrides: dict[Key, str] = field(default_factory=dict)
    cells: tuple[Change, ...] = ()
    base: Document | None = None

    @property
    def layers(self) -> Iterator[Document]:
        """Itself, and below it those that it extends."""
        layer: Document | None = self
        while layer is not None:
            yield layer
            layer = layer.base

    def where(self, *key: str | int) -> str:
        """Return ``file:line`` of the nearest enclosing entry of ``key``."""
        ends = (key[:end] for end in range(len(key), -1, -1))
        if changed := next((end for end in ends if end in self.overrides), None):
            return self.overrides[changed]  # whatever stood below it
        path, line = self._place(key)
        return f"{path}:{line}" if line else str(path)

    def line(self, *key: str | int) -> int:
        """Return the line of the nearest enclosing entry of ``key``, 0 if there is none."""
        return self._place(key)[1]

    def _place(self, key: Key) -> tuple[Path, int]:
        """Return the file and the line of the nearest enclosing entry, of several the topmost."""
        for end in range(len(key), -1, -1):
            for layer in self.layers:
                if key[:end] in layer.lines:
                    return layer.path, layer.lines[key[:end]]
        return self.path, 0

    def error(self, message: str, *key: str | int) -> InputError:
        """Return the input error that points at ``key``."""
        return InputError(message, self.where(*key))


#: How files begin that are no text, or another.
_NO_TEXT = {
    b"PK": "a workbook, or another zip file; save the sheet as CSV, with commas and in UTF-8",
    b"\xd0\xcf\x11\xe0": "an old workbook; save the sheet as CSV, with commas and in UTF-8",
    b"\x1f\x8b": "a compressed file; unpack it",
    b"\xff\xfe": "it is UTF-16; save it as UTF-8",
    b"\xfe\xff": "it is UTF-16; save it as UTF-8",
}

_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def whole(text: str) -> str:
    r"""Join what letters are made of: halves, as JSON may write them, and accents (NFC).

    A half alone is read as its escape.

    Examples
    --------
    >>> whole("\ud83d\udd29"), whole("a\ud83d")
    ('🔩', 'a\\ud83d')
    """
    joined = _PAIR.sub(
        lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text
    )
    return unicodedata.normalize("NFC", joined.encode(errors="backslashreplace").decode())


def read_text(path: Path, limit: int, remedy: str = "is it the right file?") -> str:
    """Return the text of a file, refusing those that are missing, huge or not UTF-8."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise InputError("not a regular file", str(path))
        if size > limit:
            message = (
                f"the file has {size / 2**20:.1f} MiB but at most {limit / 2**20:g} MiB is read"
            )
            raise InputError(f"{message}; {remedy}", str(path))
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError("the file does not exist", str(path)) from None
    except UnicodeDecodeError as broken:
        line = broken.object.count(b"\n", 0, broken.start) + 1
        raise InputError(f"not UTF-8 text: {_undecoded(broken)}", f"{path}:{line}") from None
    except OSError as failed:
        raise InputError(f"cannot be read: {failed.strerror}", str(path)) from None


def _undecoded(broken: UnicodeDecodeError) -> str:
    """Return what bytes are that are no UTF-8, and what to do."""
    for begin, what in _NO_TEXT.items():
        if broken.object.startswith(begin):
            return what
    where = f"{broken.reason} at byte {broken.start}"
    return f"{where}; save it as UTF-8 (it may be Latin-1, as spreadsheets on Windows write it)"


def read_document(path: Path, begin: str = _BEGIN) -> Document:
    """Return the YAML file at ``path`` as data with line numbers.

    How to ``begin`` is what an empty one is told.

    Raises
    ------
    InputError
        With file and line, for anything that is not plain YAML data.
    """
    text = read_text(path, _MAX_YAML_BYTES)
    return parse_document(text, path, begin)


def parse_document(text: str, path: Path, begin: str = _BEGIN) -> Document:
    """Return YAML ``text`` as data with line numbers; ``path`` is for messages only."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    _refuse_tabs(text, path)
    yaml = YAML(typ="safe", pure=True)
    reader = _Reader(path, yaml, yaml.parse(text))
    try:
        data = reader.document()
    except InputError:
        raise
    except (YAMLError, ValueError) as broken:
        problem, line = yaml_problem(broken, text)
        raise InputError(f"not valid YAML: {problem}", f"{path}:{line}") from None
    if not isinstance(data, dict):
        found = "a list; remove each '- '" if isinstance(data, list) else "other text"
        hint = f"it is empty; {begin}" if data is None else f"it holds {found}"
        message = f"expected a mapping of keys to values at the top, 'key: value'; {hint}"
        raise InputError(message, f"{path}:1")
    return Document(path, text, data, reader.lines)


def _refuse_tabs(text: str, path: Path) -> None:
    """Refuse indentation by tabs, on all its lines."""
    lines = [n for n, line in enumerate(text.splitlines(), 1) if re.match(r"[^\S\t]*\t", line)]
    if lines:
        message = "a tab in the indentation; YAML wants spaces"
        raise together(InputError(message, f"{path}:{line}") for line in lines)


class Items(list[Any]):
    """A list, and its items as they stand in the file; None where one is no scalar."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str | None] = []


class Entries(dict[str, Any]):
    """A mapping, and its values as they stand in the file; None where one is no scalar."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, str | None] = {}


def as_it_stands(given: Any) -> Any:
    """Return a list or a mapping with the texts that stand in the file: 1.10, and not 1.1."""
    if isinstance(given, Items):
        return [
            item if text is None else text for item, text in zip(given, given.texts, strict=True)
        ]
    if isinstance(given, Entries):
        texts = given.texts
        return {key: item if texts[key] is None else texts[key] for key, item in given.items()}
    return given


def _text(event: Any) -> str | None:
    text = getattr(event, "value", None)
    return None if text is None else whole(text)


@dataclass(frozen=True)
class _Reader:
    """Builds plain data straight from the events of the parser.

    Nothing is built that an event does not hold, so aliases cannot multiply; what YAML can do
    beyond plain data is refused where it stands.
    """

    path: Path
    yaml: Any
    events: Iterator[Any]
    lines: dict[Key, int] = field(default_factory=dict)

    def document(self) -> Any:
        from ruamel.yaml.events import DocumentStartEvent, StreamEndEvent, StreamStartEvent

        data = None
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                if data is not None:
                    raise self._refused(event, "a second document; keep one to a file")
                data = self._value(next(self.events), ())
            elif isinstance(event, StreamStartEvent | StreamEndEvent):
                continue
        return data

    def _refused(self, event: Any, message: str) -> InputError:
        return InputError(message, f"{self.path}:{event.start_mark.line + 1}")

    def _value(self, event: Any, key: Key) -> Any:
        from ruamel.yaml.events import AliasEvent, MappingStartEvent, SequenceStartEvent

        if isinstance(event, AliasEvent) or event.anchor:
            message = "anchors and aliases are not part of the scenario format; a text that begins"
            message = f"{message} with & or * stands in quotes"
            raise self._refused(event, message)
        if event.tag is not None:
            message = f"the tag {event.tag} is not part of the scenario format"
            raise self._refused(event, message)
        if len(key) > _MAX_DEPTH:
            raise self._refused(event, f"nested deeper than {_MAX_DEPTH} levels")
        self.lines.setdefault(key, event.start_mark.line + 1)
        if isinstance(event, MappingStartEvent):
            return self._mapping(key)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(key)
        return self._scalar(event)

    def _sequence(self, key: Key) -> list[Any]:
        from ruamel.yaml.events import SequenceEndEvent

        found = Items()
        for event in self.events:
            if isinstance(event, SequenceEndEvent):
                break
            found.texts.append(_text(event))
            found.append(self._value(event, (*key, len(found))))
        return found

    def _mapping(self, key: Key) -> dict[str, Any]:
        from ruamel.yaml.events import MappingEndEvent, ScalarEvent

        found = Entries()
        for event in self.events:
            if isinstance(event, MappingEndEvent):
                break
            if not isinstance(event, ScalarEvent) or event.anchor:
                raise self._refused(event, "a key must be a plain word")
            name = whole(event.value)
            if name in found:
                first = self.lines[(*key, name)]
                message = f"the key {name!r} stands twice (first on line {first}); keep one"
                raise self._refused(event, message)
            self.lines[(*key, name)] = event.start_mark.line + 1
            held = next(self.events)
            found.texts[name] = _text(held)
            found[name] = self._value(held, (*key, name))
        return found

    def _scalar(self, event: Any) -> Any:
        from ruamel.yaml.nodes import ScalarNode

        plain = event.implicit[0]
        tag = self.yaml.resolver.resolve(ScalarNode, event.value, (plain, not plain))
        kind = str(tag).rpartition(":")[2]
        if kind not in ("null", "bool", "int", "float"):
            return whole(event.value)
        try:
            found = self.yaml.constructor.construct_object(ScalarNode(tag, event.value))
            if kind == "int":
                str(found)  # of more digits than Python prints no message could tell
            return found
        except Exception:  # a number YAML's rules accept and Python's do not
            raise self._refused(event, f"cannot read {event.value!r} as {kind}") from None
