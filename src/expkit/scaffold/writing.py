"""From templates to files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Scaffold:
    """What came of writing one: files that are new, and files that were there and were left alone."""

    written: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)


def write(template: str, target: Path, words: Mapping[str, str]) -> Scaffold:
    """Writes the files of `scaffold/<template>/` into a folder; files that are there stay as they are.

    A template's name ends in `.in`, so that no tool takes it for what it becomes; `dot-` in front stands for a dot.
    Every {{word}} in a file, and WORD as a folder or the stem of a file, is replaced.

    Args:
        template: 'project' or 'experiment'.
        target: the folder.
        words: what each word is replaced by.
    """
    root = Path(__file__).parent / template
    done = Scaffold()
    for path in sorted(root.rglob("*.in")):
        own = target / _name(path.relative_to(root), words)
        if own.exists():
            done.kept.append(own)
            continue
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(_filled(path.read_text(), words))
        done.written.append(own)
    return done


def _name(path: Path, words: Mapping[str, str]) -> Path:
    folders = [words.get(part.lower(), part) if part.isupper() else part for part in path.parent.parts]
    stem, dot, rest = re.sub(r"^dot-", ".", path.name.removesuffix(".in")).partition(".")
    return Path(*folders, (words[stem.lower()] if stem.isupper() and stem.lower() in words else stem) + dot + rest)


def _filled(text: str, words: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda match: words[match[1]], text)
