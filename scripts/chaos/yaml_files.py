"""Configuration files from strangers

A project's `conf/` with one file changed: bytes flipped, the file cut, lines doubled, moved or indented, values put in
the place of others; and files that were written to do harm: tags, aliases that multiply, interpolations that multiply
or read the environment, depth, size, settings of Hydra that name code. Each is composed and validated as a run, those
about sweeps as a sweep, without training.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from hostile import Watch
from hydra.types import RunMode
from report import Row

from expkit import compose, library

TRAIN = """
defaults:
  - _self_
  - model: mine
  - experiment: null
  - override hydra/hydra_logging: none
  - override hydra/job_logging: none
  - override hydra/sweeper: grid
  - override hydra/launcher: serial
seed: 0
name: null
tags: []
paths: {runs: runs}
callbacks: {}
probes: {}
logger: {}
scheduler: {}
trainer: {_target_: expkit.engines.lightning.LightningEngine, max_steps: 10, eval_at: [1, 5]}
optimizer: {_target_: torch.optim.SGD, lr: 0.1}
task: {_target_: expkit.tasks.supervised.Classification, n_outputs: "${data.spec.classes}"}
data:
  _target_: expkit.data.two_moons.TwoMoons
  spec: {shape: [2], classes: 2}
  n_train: 10
  n_test: 5
  noise: 0.1
  seed: "${seed}"
""".lstrip()
MODEL = """
# A model, to be changed.
_target_: expkit.models.linear.Linear
input_shape: ${data.spec.shape}   # of one example
n_outputs: ${task.n_outputs}
bias: true
""".lstrip()
EXPERIMENT = """
# @package _global_
# An experiment, to be changed.
defaults:
  - override /model: mine
paper: {title: A title, arxiv: "0000.00000", family: made_up, finding: 'It says: "so"'}
optimizer:
  lr: 1e-3
trainer: {max_steps: 7}
tags: [a, 'b c']
study:
  sweep: {seed: 'range(0,3)'}
  arms: {one: {}, other: &other {optimizer.lr: 0.5}, third: *other}
scales: {smoke: {trainer.max_steps: 2}}
""".lstrip()
FILES = {"train.yaml": TRAIN, "model/mine.yaml": MODEL, "experiment/mine.yaml": EXPERIMENT}

ALIASES = "\n".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
INTERPOLATIONS = "\n".join(
    f"  {name}: '${{.{after}}}${{.{after}}}'" for name, after in zip("abcdefghijklmnopqrst", "bcdefghijklmnopqrstu",
    strict=True)
)  # fmt: skip
MERGED = "\n".join(
    f"{name}: &{name} {{k{name}: 1, <<: [{', '.join([f'*{before}'] * 9)}]}}" for before, name in zip("abcdefg",
    "bcdefgh", strict=True)
)  # fmt: skip
HANDLER = "handlers: {x: {class: %s, args: [touch harm], '()': %s}}"

HARMFUL = {
    "tags that make objects": [
        f"tags: [{tag} {value}]"
        for tag in (
            *("!!python/object/apply:os.system", "!!python/object/new:os.system", "!!python/name:os.system"),
            *("!!python/module:os", "!!python/object:os.system", "!!python/object/apply:pathlib.Path", "!!binary",
            "!!set"),
            *("!!timestamp", "!!omap", "!!int", "!!float", "!!bool", "!!null", "!!map", "!harm", "!<tag:x>"),
        )
        for value in ("[touch harm]", "{a: b}", "''", "x", "2026-01-01")
    ],
    "aliases that multiply": [
        f"paper:\n  a: &a [1]\n{_}" if _.startswith(" ") else f"a: &a [x, x, x]\n{_}\npaper: *j"
        for _ in (ALIASES, ALIASES.replace("\n", "\n\n"))
    ] + [f"a: &a {{x: 1}}\n{MERGED}\npaper: *h", "paper: &a [*a]", "paper: &a {b: *a}", "paper: {<<: &a {<<: *a}}"],
    "interpolations that multiply or turn in circles": [
        f"paper:\n{INTERPOLATIONS}\n  u: {'x' * 100}",
        "paper:\n" + INTERPOLATIONS.replace("'${", "['${").replace("}${", "}', '${").replace("}'", "}']") +
        "\n  u: [1, 2]",
        "seed: ${name}\nname: ${tags}\ntags: ['${seed}']",
        "paper: ${paper}",
        "paper: {a: '${paper}'}",
        "paper: {a: '${.b.c}', b: {c: '${..a}'}}",
        "tags: ['" + "${oc.decode:" * 60 + "1" + "}" * 60 + "']",
        "tags: ['${" + "." * 500 + "a}']",
        "tags: ['${product:[1000000000,x]}']",
        "tags: ['${product:[1000000000,[1]]}']",
        "seed: ${product:[" + ",".join(["9" * 18] * 400) + "]}",
    ],
    "resolvers that read the environment": [
        f"{place}: {quote}${{oc.env:{name}}}{quote}"
        for place in ("name", "paths: {runs", "paper: {x", "optimizer: {lr")
        for quote in ("'", '"')
        for name in ("CHAOS_SECRET", "CHAOS_SECRET,x", "${paper.name}", "'CHAOS_SECRET'")
    ] + ["tags: ['${oc.decode:${oc.env:CHAOS_SECRET}}']", "paper: {name: CHAOS_SECRET, y: '${oc.env:${.name}}'}"],
    "depth and size": [
        "paper: " + "[" * 100_000,
        "paper: " + "{a: " * 100_000,
        "- " * 50_000,
        "? " * 50_000,
        "\n".join(" " * depth + "a:" for depth in range(1500)),
        "paper: " + "[" * 200 + "]" * 200,
        "tags: [" + "a, " * 400_000 + "]",
        "paper: " + "x" * 2_000_000,
        "seed: " + "9" * 100_000,
        "seed: 1" + ":59" * 3_000,
        "seed: 0x" + "f" * 9_000,
        "paper: &" + "a" * 100_000 + " 1",
        "\n".join(f"k{number}: 1" for number in range(60_000)),
        "%YAML 9.9\n---\nseed: 1",
        "%TAG ! tag:x,2000:\n---\nseed: !harm 1",
        "seed: 1\n---\nseed: 2",
        "#" * 900_000,
        "",
        "[]",
        "3",
    ],
    "keys that are none, or are there twice": [
        "seed: 1\nseed: 2", "? [a]\n: b", "{[1, 2]: 3}", "1: 2", "null: 3", "true: x", "paper: {1: a, b: c, null: d}",
        "'a\\x00b': 1", '"\\x1b[2J": 1', "data: {1: 2}", ".nan: 1", "2026-01-01: x", "'': 1", "' ': 1", "a.b: 1",
        "'${seed}': 1",
        "_target_: os.system", "defaults: 3", "defaults: [{model: [a]}]", "defaults: [{model: ../../x}]",
        "defaults: [mine]",
        "defaults: [{/experiment: mine}]", "defaults: [{override /model: '${oc.env:CHAOS_SECRET}'}]",
        "defaults: [{pkg://os: x}]", "defaults: ['../../../etc/passwd']", "defaults: [/etc/passwd]",
        "defaults: [{a: {b: c}}]",
    ],
    "settings of Hydra that name code": [
        f"hydra: {{{setting}}}"
        for setting in (
            *(f"{kind}_logging: {{version: 1, {HANDLER % (name, name)}}}" for kind in ("job", "hydra") for name in
            ("subprocess.Popen", "logging.FileHandler")),
            "callbacks: {x: {_target_: os.system, command: touch harm}}",
            "callbacks: {x: {_target_: hydra.utils.call, config: {_target_: os.system}}}",
            "callbacks: {x: {_target_: '${paper.t}'}}",
            "sweeper: {params: {x: {_target_: os.system, command: touch harm}}}",
            "sweeper: {_target_: os.system}",
            "sweeper: {max_batch_size: {_target_: subprocess.call, _args_: [[touch, harm]]}}",
            "launcher: {x: {_target_: builtins.exec, _args_: [1]}}",
            "launcher: 3", "sweeper: null", "callbacks: 3", "callbacks: [1]", "job: {env_set: {LD_PRELOAD: x}}",
            "job: 3",
            "searchpath: [pkg://this]", "searchpath: ['pkg://antigravity']", "job_logging: 3",
            "job: {name: '${oc.env:CHAOS_SECRET}'}",
        )
    ],
    "text that is none": [
        "tags: [\x07]", 'tags: ["\\x1b[2J"]', 'name: "a\\nb"', 'name: "\\0"', 'paths: {runs: "\\0"}',
        'paths: {runs: "a\\x1b[2Jb"}',
        'tags: ["\\ud800"]', "tags: [\u202e]", "\ufeffseed: 1", 'optimizer: {"\\x07": 1}', "tags: [\x85]",
        "name: ../x", "name: /x",
    ],
}  # fmt: skip


def campaign(folder: Path, short: bool) -> Iterator[Row]:
    seed = random.SystemRandom().randrange(10**6)
    draw = random.Random(seed)
    with contextlib.chdir(_project(folder / "project")):
        _forget()
        compose.compose(["experiment=mine"])
        for name, change in CHANGES.items():
            yield _row(name, _changed(draw, change, 8 if short else 2_000), seed)
        for name, texts in HARMFUL.items():
            yield _row(name, _written(texts[:: len(texts) // 2 + 1] if short else texts, folder), seed)
    _forget()


def _project(folder: Path) -> Path:
    for name, text in FILES.items():
        (folder / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "conf" / name).write_text(text)
    (folder / "pyproject.toml").write_text("[tool.expkit]\ntrusted = []\n")
    return folder


def _forget() -> None:
    """What a process remembers of the folder that it was started in."""
    for remembered in (library.project, library.settings, compose.loader):
        remembered.cache_clear()


def _row(fault: str, watch: Watch, seed: int) -> Row:
    seen = f"{watch.valid:,} could be run; {watch.refused:,} got one message"
    if example := min(watch.messages.values(), key=len, default=None):
        seen += f", such as “{example.splitlines()[0][:90]}”"
    return Row(fault, watch.tried, tuple(f"{each} (seed {seed})" for each in watch.broken), seen.replace("|", "/"))


Change = Callable[[random.Random, bytes], bytes]


def _changed(draw: random.Random, change: Change, count: int) -> Watch:
    watch = Watch()
    for _ in range(count):
        name = draw.choice(list(FILES))
        data = FILES[name].encode()
        for _ in range(draw.choice((1, 1, 2, 5))):
            data = change(draw, data)
        _try(watch, name, data)
    return watch


def _written(texts: list[str], folder: Path) -> Watch:
    watch = Watch(seconds=10)
    for text in texts:
        for name, begin in (
            ("experiment/mine.yaml", "# @package _global_\n"),
            ("model/mine.yaml", ""),
            ("train.yaml", ""),
        ):
            _try(watch, name, (begin + text).encode("utf-8", "surrogatepass"))
            _try(watch, name, (FILES[name] + text).encode("utf-8", "surrogatepass"))
    if (folder / "project" / "harm").exists():
        watch.broken.append("a command was carried out")
    return watch


def _try(watch: Watch, name: str, data: bytes) -> None:
    path = Path("conf", name)
    path.write_bytes(data)
    watch.attempt(f"{name}: {data.decode(errors='replace')[-100:]}", _composed)
    path.write_text(FILES[name])


def _composed() -> None:
    """As a run; and as a sweep, up to where its launcher and its sweeper would be made."""
    compose.compose(["experiment=mine"])
    with compose.composing([]):
        compose.loader().load_configuration(compose.ROOT_CONFIG, ["experiment=mine"], RunMode.MULTIRUN)


def _bytes_flipped(draw: random.Random, data: bytes) -> bytes:
    place = draw.randrange(len(data) + 1)
    return data[:place] + bytes([draw.randrange(256)]) + data[place + draw.randrange(2) :]


def _cut(draw: random.Random, data: bytes) -> bytes:
    start, end = sorted((draw.randrange(len(data) + 1), draw.randrange(len(data) + 1)))
    return data[:start] if draw.random() < 0.3 else data[:start] + data[min(end, start + 40) :]


def _lines_moved(draw: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    line = lines.pop(draw.randrange(len(lines)))
    for _ in range(draw.randrange(3)):
        lines.insert(draw.randrange(len(lines) + 1), draw.choice((b"", b"  ", b"- ", b"\t", b"x: ")) + line)
    return b"\n".join(lines)


def _words_exchanged(draw: random.Random, data: bytes) -> bytes:
    words = data.split(b" ")
    words[draw.randrange(len(words))] = draw.choice(PIECES).encode()
    return b" ".join(words)


def _marks_put_in(draw: random.Random, data: bytes) -> bytes:
    place = draw.randrange(len(data) + 1)
    return data[:place] + draw.choice(MARKS).encode() + data[place:]


PIECES = (
    *(
        "null",
        "~",
        "3",
        "-1",
        "1.5",
        "1e400",
        ".nan",
        ".inf",
        "true",
        "[]",
        "{}",
        "[[1]]",
        "{a: 1}",
        "???",
        "''",
        "x",
        "a b",
    ),
    *(
        "_target_:",
        "os.system",
        "${seed}",
        "${..x}",
        "${oc.env:HOME}",
        "!!int",
        "!!str",
        "&a",
        "*a",
        "<<:",
        "- ",
        "\n",
        "|\n",
    ),
    *(
        "2026-01-01",
        "0x10",
        "1:30",
        "1_000",
        "yes",
        "@package",
        "override",
        "/model:",
        "_self_",
        "9" * 30,
        "\n---\n",
        "hydra:",
    ),
)
MARKS = "[]{}:,-?&*!|>'\"%@`#$\n\t\\=~.<\x00\x07\x1b\x85\u2028\ufeff"
CHANGES: dict[str, Change] = {
    "bytes flipped or put in": _bytes_flipped,
    "the file cut, or a piece cut out": _cut,
    "lines left out, doubled, moved, indented": _lines_moved,
    "words replaced by values of other kinds": _words_exchanged,
    "marks of YAML put in": _marks_put_in,
}
