"""The texts of all our modules at one moment: as they were read when the node started, on disk now, or in a wheel.

This module must never know what they mean.
"""

import os
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Final

import attrs

from admin.reload.errors import NoSources
from admin.reload.policy import PACKAGES, rule_of

SOURCE_BYTES_MAX: Final = 4 << 20
"""Of one file; ours have tens of kilobytes."""
FILES_MAX: Final = 20_000
IGNORED: Final = frozenset((".md", ".pyc", ".pyi"))
VERSION_CHARACTERS: Final = 12


@attrs.frozen
class Source:
    """One module. version: what is shown of it; equal texts have equal versions."""

    path: str
    text: str = attrs.field(repr=False)
    version: str


@attrs.frozen
class Sources:
    """root: what an interpreter finds the modules in, a directory or a wheel. data: file → hash, of all that is no
    Python source: schemas, C extensions. version: of all that a node is made of."""

    root: Path
    modules: Mapping[str, Source] = attrs.field(repr=False)
    data: Mapping[str, str] = attrs.field(repr=False)
    version: str = attrs.field(init=False)

    @version.default
    def _version(self) -> str:
        modules = [(name, one.version) for name, one in self.modules.items() if not waits(name)]
        return version_of("".join(f"{name} {version}\n" for name, version in sorted(modules)))


def waits(module: str) -> bool:
    """Whether a change of it takes effect at the next start only, whatever it is."""
    rule = rule_of(module)
    return rule is not None and rule.verdict == "later"


def _wanted(module: str) -> bool:
    """What never runs in a node isn't kept: the benchmarks, the simulator."""
    return not waits(module) or module in sys.modules


def version_of(text: str) -> str:
    return _version_of(text.encode("utf-8", "surrogatepass"))


def _version_of(content: bytes) -> str:
    return blake2b(content).hexdigest()[:VERSION_CHARACTERS]


def read_sources(root: Path, packages: Sequence[str] = PACKAGES, like: Sources | None = None) -> Sources:
    """Every module of ours in a directory, or in a wheel. Takes tens of milliseconds: for a thread.

    Args:
        like: what was read before. A text that is the same now isn't kept twice: megabytes that come and go with
            every look would leave a node's memory in pieces.

    Raises:
        NoSources: they can't be read, or none are there.
    """
    modules: dict[str, Source] = {}
    data: dict[str, str] = {}
    try:
        for name, content in _wheel(root, packages) if root.is_file() else _tree(root, packages):
            path = PurePosixPath(name)
            if path.suffix == ".py":
                if not _wanted(module := _module(path)):
                    continue
                known = like.modules.get(module) if like is not None else None
                modules[module] = _source(str(root / name), content, known)
            elif path.suffix not in IGNORED:
                data[name] = _version_of(content)
    except (OSError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise NoSources(root, str(error)) from error
    if not modules:
        raise NoSources(root, f"none of {', '.join(packages)} is in it")
    return Sources(root, modules, data)


def _source(path: str, content: bytes, known: Source | None) -> Source:
    version = _version_of(content)
    if known is None or known.version != version:
        return Source(path, content.decode("utf-8"), version)
    return known if known.path == path else Source(path, known.text, version)


def _module(path: PurePosixPath) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _tree(root: Path, packages: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    count = 0
    for package in packages:
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                count += 1
                if count > FILES_MAX:
                    raise NoSources(root, f"there are more than {FILES_MAX} files")
                with path.open("rb") as file:
                    size = os.fstat(file.fileno()).st_size  # Python makes room for all that is asked for
                    content = file.read(min(size, SOURCE_BYTES_MAX) + 1)
                yield path.relative_to(root).as_posix(), _bounded(root, path.name, content)


def _wheel(root: Path, packages: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(root) as wheel:
        infos = [
            one for one in wheel.infolist() if not one.is_dir() and one.filename.split("/")[0] in packages
        ]
        if len(infos) > FILES_MAX:
            raise NoSources(root, f"there are more than {FILES_MAX} files")
        for info in infos:
            with wheel.open(info) as file:
                content = file.read(min(info.file_size, SOURCE_BYTES_MAX) + 1)
            yield info.filename, _bounded(root, info.filename, content)


def _bounded(root: Path, name: str, content: bytes) -> bytes:
    if len(content) > SOURCE_BYTES_MAX:
        raise NoSources(root, f"{name} is larger than {SOURCE_BYTES_MAX} bytes")
    return content
