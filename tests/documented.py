"""A study that a document builds: its files, step by step, and what it types and prints."""

import contextlib
import io
import re
import shlex

from command import here
from ruamel.yaml import YAML

_BLOCK = re.compile(
    r"(?:`(?P<file>[\w/]+\.(?:yaml|csv))`[^\n]*:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def blocks(text):
    """Yield the file, kind and text of each code block of a document."""
    for found in _BLOCK.finditer(text):
        yield found["file"], found["kind"], found["text"]


def laid_over(old, new):
    """Return a mapping with the keys of another laid over it, key by key."""
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(old.get(key), dict)
        old[key] = laid_over(old[key], value) if both else value
    return old


def written(path, text):
    """Write a block to a file: the whole of it, or what is new in it."""
    path.parent.mkdir(exist_ok=True)
    yaml = YAML()
    new = yaml.load(text) if path.suffix == ".yaml" else {"format": text}
    if "format" in new or "extends" in new:
        path.write_text(text, encoding="utf-8")
    else:
        yaml.dump(laid_over(yaml.load(path.read_text(encoding="utf-8")), new), path)


def typed(text, folder):
    """Return what the commands of a block print; none may fail."""
    printed = []
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        done = here(*words[1:], folder=folder)
        assert done.code == 0, (line, done.err)
        printed += (done.err + done.out).splitlines()
    return printed


def executed(text):
    """Return what a block of Python prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(text, {})
    return out.getvalue().splitlines()
