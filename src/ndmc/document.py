"""Read YAML as plain data that remembers its lines, refusing everything a scenario never needs.

Anchors, aliases, tags, tabs, duplicate keys, deep nesting and huge files are errors: they are
how a text file becomes an attack or a silent mistake.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ndmc.errors import InputError

__all__ = ["Document", "read_document", "read_text"]

_MAX_YAML_BYTES = 2**20
_MAX_DEPTH = 12

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """Plain data from a YAML text, and the line of every key and item in it."""

    path: Path
    text: str
    data: dict[str, Any]
    lines: dict[Key, int] = field(default_factory=dict)
    overrides: dict[Key, str] = field(default_factory=dict)

    def where(self, *key: str | int) -> str:
        """Return ``file:line`` of the nearest enclosing entry of ``key``."""
        for end in range(len(key), -1, -1):
            if key[:end] in self.overrides:
                return self.overrides[key[:end]]
            if key[:end] in self.lines:
                return f"{self.path}:{self.lines[key[:end]]}"
        return str(self.path)

    def error(self, message: str, *key: str | int) -> InputError:
        """Return the input error that points at ``key``."""
        return InputError(message, self.where(*key))


def read_text(path: Path, limit: int) -> str:
    """Return the text of a file, refusing those that are missing, huge or not UTF-8."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise InputError("not a regular file", str(path))
        if size > limit:
            raise InputError(
                f"the file has {size / 2**20:.1f} MiB but at most {limit / 2**20:g} MiB is read; "
                "is it the right file?",
                str(path),
            )
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError("the file does not exist", str(path)) from None
    except UnicodeDecodeError as broken:
        raise InputError(
            f"not UTF-8 text: {broken.reason} at byte {broken.start}", str(path)
        ) from None
    except OSError as failed:
        raise InputError(f"cannot be read: {failed.strerror}", str(path)) from None


def read_document(path: Path) -> Document:
    """Return the YAML file at ``path`` as data with line numbers.

    Raises
    ------
    InputError
        With file and line, for anything that is not plain YAML data.
    """
    text = read_text(path, _MAX_YAML_BYTES)
    return parse_document(text, path)


def parse_document(text: str, path: Path) -> Document:
    """Return YAML ``text`` as data with line numbers; ``path`` is for messages only."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    _refuse_bombs(text, path)
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as broken:
        mark = broken.problem_mark or broken.context_mark
        line = mark.line + 1 if mark else 1
        problem = (broken.problem or broken.context or "broken YAML").splitlines()[0]
        raise InputError(f"not valid YAML: {problem}", f"{path}:{line}") from None
    except (YAMLError, ValueError) as broken:
        raise InputError(f"not valid YAML: {str(broken).splitlines()[0]}", str(path)) from None
    lines: dict[Key, int] = {}
    reader = _Reader(path, yaml.constructor, lines)
    data = reader.plain(root, ()) if root is not None else None
    if not isinstance(data, dict):
        raise InputError("expected a mapping of keys to values at the top", f"{path}:1")
    return Document(path, text, data, lines)


def _refuse_bombs(text: str, path: Path) -> None:
    """Refuse anchors, aliases and deep nesting on the event stream, before anything is built."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent

    for number, line in enumerate(text.splitlines(), 1):
        if "\t" in line[: len(line) - len(line.lstrip())]:
            raise InputError("a tab in the indentation; YAML wants spaces", f"{path}:{number}")
    depth = 0
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor):
                message = "anchors and aliases (& and *) are not part of the scenario format"
                raise InputError(message, f"{path}:{event.start_mark.line + 1}")
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > _MAX_DEPTH:
                message = f"nested deeper than {_MAX_DEPTH} levels"
                raise InputError(message, f"{path}:{event.start_mark.line + 1}")
    except (YAMLError, ValueError):
        return  # broken YAML is reported with its line by the composer


@dataclass(frozen=True)
class _Reader:
    path: Path
    constructor: Any
    lines: dict[Key, int]

    def plain(self, node: Any, key: Key) -> Any:
        from ruamel.yaml.nodes import MappingNode, SequenceNode

        self.lines.setdefault(key, node.start_mark.line + 1)
        if isinstance(node, MappingNode):
            return self._mapping(node, key)
        if isinstance(node, SequenceNode):
            return [self.plain(item, (*key, i)) for i, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: Any, key: Key) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name_node, value_node in node.value:
            line = name_node.start_mark.line + 1
            name = str(name_node.value)
            if name in found:
                first = self.lines[(*key, name)]
                message = f"the key {name!r} stands twice (first on line {first}); keep one"
                raise InputError(message, f"{self.path}:{line}")
            self.lines[(*key, name)] = line
            found[name] = self.plain(value_node, (*key, name))
        return found

    def _scalar(self, node: Any) -> Any:
        where = f"{self.path}:{node.start_mark.line + 1}"
        kinds = {"null", "bool", "int", "float", "str"}
        kind = str(node.tag or "").rpartition(":")[2]
        if not str(node.tag).startswith("tag:yaml.org,2002:") or kind not in kinds | {"timestamp"}:
            raise InputError(f"the tag {node.tag} is not part of the scenario format", where)
        if kind in ("str", "timestamp"):
            return node.value
        try:
            return self.constructor.construct_object(node)
        except Exception:
            raise InputError(f"cannot read {node.value!r} as {kind}", where) from None
