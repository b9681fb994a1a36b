"""Override strings from strangers

Every string goes through composition and validation in this process, as `expkit train` does it, and nothing is trained.
It gives a configuration that could be run, or one message. Text of any characters is made by hypothesis; values are put
together from Hydra's grammar and cut to pieces; whole command lines from the library's own keys and options. A few go
through the real command line.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from hostile import Watch, shown
from hypothesis import HealthCheck, given, settings, strategies
from report import Row

from expkit import compose
from expkit.errors import ConfigError
from expkit.sweeps.jobs import compose_jobs

BASE = ["data=iris", "model=linear", "logger=none"]

NAMED = r"""
~data ~model ~task ~trainer ~optimizer ~paths ~paths.runs ~hydra ~seed ~name ~tags ~callbacks ~logger
~model._target_ paths.runs=[1] paths.runs=null paths.runs='' paths.runs='\0' paths=null requires=3 requires=[a]
name=.. name=[a] name=/x name='a\nb' seed=.nan seed=1e400 tags=[[a]] data=null model={a:1} model=[mlp,cnn] data=[]
+= = == ~ + @@= @x=3 model@=mlp hydra=null hydra.searchpath=[pkg://this] hydra.searchpath=[pkg://antigravity]
hydra.searchpath=3 hydra/job_logging=default +hydra.callbacks.x._target_=os.system +hydra.job.env_set.PATH=/x
+hydra.job_logging.handlers.x.class=subprocess.Popen +hydra.hydra_logging.handlers={x:{():os.system}}
model=../model/mlp model=../../pyproject experiment=../../../etc/passwd model=/etc/passwd
experiment=[grokking_xor,lottery_ticket] scale=paper scale=[smoke] scale=smoke,default debug=nothing
model._target_=os.system model._target_=builtins.exec model._target_=expkit.cli.main model._target_=torch.hub.load
+model._args_=[1] +model._partial_=true model.bias={_target_:os.system,command:ls} +callbacks.x=3
++callbacks.x={a:1} tags=['${oc.env:HOME}'] tags=['${oc.env:PATH,x}'] name=${oc.env:USER}
tags=['${hydra:runtime.cwd}'] tags=${tags} seed=${seed} name=${name} tags=['${product:[1000000000,x]}']
tags=['${product:[1000000000,[1]]}'] seed=${nope:3} seed='${' seed=range(0,1000000000000)
seed=shuffle(range(0,1000000000000)) seed=sort(range(0,99999999)) seed=range(0,1,0) tags=[???] seed=??? name=???
data=??? data.spec=null data.spec.shape=[] data.spec.shape.0=x ++data.spec.kind=[a] sweep=3 sweep.trial=3
sweep.name=../x paper=3 study=3 scales=3 population={a:1} population=pbt trainer=[auto,cpu]
"""

PAPER = ",".join(
    f"{name}: '${{.{after}}}${{.{after}}}'" for name, after in zip("abcdefghijklmno", "bcdefghijklmnop", strict=True)
)
LONG = [
    "seed=" + "[" * 100 + "]" * 100,
    "seed=" + "[" * 5000 + "]" * 5000,
    "seed=" + "{a:" * 500 + "}" * 500,
    "+" + ".".join(["a"] * 2000) + "=1",
    "+model." + "a" * 5000 + "=1",
    "model=" + "a" * 5000,
    "seed=9" + "9" * 5000,
    "name=" + "a" * 300,
    "tags=[" + ",".join(["a"] * 3000) + "]",
    f"+paper={{{PAPER}, p: xxxxxxxxxxxxxxxxxxxx}}",  # 2^15 times xxx...
    "tags=['\x1b[2J']",
    "tags=['\u202e']",
    "tags=['\ud800']",
    "model.\x1b[31m=3",
]

ATOMS = (
    *("0", "1", "-1", "1.5", "1e3", "1e-400", "1e400", "nan", "inf", "-inf", "null", "true", "False", "yes", "???"),
    *(
        "a",
        "''",
        '""',
        "'a b'",
        "'${'",
        "'}'",
        "a:b",
        "a.b",
        "/",
        "..",
        "\\,",
        "%s",
        "{}",
        "[]",
        "0x10",
        "1_0",
        "é",
        "名",
    ),
    *(
        "9" * 25,
        "'\\n'",
        "'\x1b[31m'",
        "<script>",
        "$",
        "_target_",
        "~",
        "+",
        "@",
        "=",
        " ",
        "\t",
        "#",
        "&a",
        "*a",
        "!!x",
    ),
)
CALLS = ("range", "choice", "interval", "shuffle", "sort", "glob", "tag", "int", "float", "str", "bool", "json_str")
RESOLVED = ("oc.env:HOME", "oc.decode:x", "oc.create:{a:1}", "oc.select:seed,1", "sum:[1,2]", "product:[2,a]", "now:%Y")
KEYS = (
    *(
        "seed",
        "tags",
        "paths.runs",
        "sweep.retries",
        "sweep.name",
        "sweep.trial",
        "requires",
        "paper",
        "study",
        "scales",
    ),
    *(
        "model.bias",
        "model._target_",
        "model.n_outputs",
        "model.input_shape",
        "data.n_train",
        "data.spec",
        "data.spec.shape",
    ),
    *("data.seed", "data.batch_size", "optimizer.lr", "optimizer.betas", "optimizer._target_", "trainer.max_steps"),
    *("trainer.eval_at", "trainer.precision", "trainer.devices", "task.n_outputs", "task._target_"),
)


def campaign(folder: Path, short: bool) -> Iterator[Row]:
    seed = random.SystemRandom().randrange(10**6)
    draw = random.Random(seed)
    compose.compose(BASE)  # imports what is imported once

    yield _row("text of any characters as an override (hypothesis)", _texts(400 if short else 80_000), seed)
    yield _row(
        "values of known keys, from Hydra's grammar, cut to pieces", _values(draw, 200 if short else 20_000), seed
    )
    yield _row("whole command lines of keys, options, `+`, `~`, functions and interpolations",
               _lines(draw, 6 if short else 1_500), seed)  # fmt: skip
    known = NAMED.split()
    known = [*draw.sample(known, 6), *LONG[:2]] if short else [*known, *LONG]
    yield _row("attacks that have a name: traversal, imports, environment, bombs, huge sweeps", _named(known), seed)
    yield from _processes(draw, folder, 1 if short else 25, seed)


def _row(fault: str, watch: Watch, seed: int) -> Row:
    seen = f"{watch.valid:,} could be run; {watch.refused:,} got one message"
    if example := min(watch.messages.values(), key=len, default=None):
        seen += f", such as “{example.splitlines()[0][:90]}”"
    return Row(fault, watch.tried, tuple(f"{each} (seed {seed})" for each in watch.broken), seen.replace("|", "/"))


def _texts(count: int) -> Watch:
    watch = Watch()
    text = strategies.text(max_size=60)
    key = strategies.sampled_from((*KEYS, "", "+", "~", "++model.", "model@", "a/b"))
    of_grammar = strategies.text(alphabet="abm.=+~@:/,()[]{}$'\"\\ -_019e?*\x00\n", max_size=40)
    overrides = text | of_grammar | strategies.builds("{}={}".format, key, of_grammar.filter(_is_strange))

    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(overrides)
    def attempt(override: str) -> None:
        watch.attempt(override, lambda: compose.compose([*BASE, override]))

    attempt()
    return watch


def _is_strange(text: str) -> bool:
    """Whether this is unlikely to be a value: a value is composed, which takes a hundred times as long as an error."""
    return re.search(r"[\[\](){}'\"$\x00\n]", text) is not None


def _values(draw: random.Random, count: int) -> Watch:
    watch = Watch()
    for start in range(0, count, 500):
        size = min(500, count - start)
        key = draw.choice(KEYS)
        jobs = [[f"{key}={_value(draw, plain=draw.random() < 0.995)}"] for _ in range(size)]
        found = watch.attempt(f"{size} values of {key}", lambda jobs=jobs: compose_jobs(BASE, jobs), seconds=600)
        watch.tried -= 1
        if isinstance(found, list):
            watch.valid -= 1
            for job, one in zip(jobs, found, strict=True):
                watch.attempt(job[0], lambda one=one: _raised(one))
        else:
            for job in jobs:
                watch.attempt(job[0], lambda job=job: compose.compose([*BASE, *job]))
    return watch


def _raised(found: object) -> None:
    if isinstance(found, ConfigError):
        raise found


def _value(draw: random.Random, plain: bool, depth: int = 0) -> str:
    kind = draw.random()
    if kind < 0.5 or depth == 3:
        text = draw.choice(ATOMS)
    elif kind < 0.8:
        text = f"[{','.join(_value(draw, plain, depth + 1) for _ in range(draw.randrange(4)))}]"
    elif plain:
        text = "".join(draw.choice("abz019.-_ []'\",:/\\%&*!<>é\x07") for _ in range(draw.randrange(12)))
    elif kind < 0.87:
        items = (f"{draw.choice(ATOMS)}: {_value(draw, plain, depth + 1)}" for _ in range(draw.randrange(4)))
        text = "{" + ",".join(items) + "}"
    elif kind < 0.94:
        arguments = ",".join(_value(draw, plain, depth + 1) for _ in range(draw.randrange(4)))
        text = f"{draw.choice(CALLS)}({arguments})"
    else:
        text = "${" + draw.choice((*KEYS, *RESOLVED, "", ".", "..x", "${seed}")) + "}"
    if draw.random() < 0.15 and text:  # cut
        place = draw.randrange(len(text))
        text = text[:place] + text[place + draw.randrange(3) :]
    return text


def _lines(draw: random.Random, count: int) -> Watch:
    watch = Watch()
    groups = sorted(compose.groups() - {"hydra"})
    options = {group: sorted(compose.options(group)) for group in groups}
    for _ in range(count):
        line = []
        for _ in range(draw.randrange(1, 5)):
            sign = draw.choice(("", "", "", "+", "++", "~"))
            if draw.random() < 0.4:
                group = draw.choice(groups)
                line.append(f"{sign}{group}={draw.choice([*options[group], 'none', '[]', '../x', group])}")
            else:
                key = draw.choice(KEYS) + draw.choice(("", "", "", ".x", ".0", "@a"))
                line.append(f"{sign}{key}={_value(draw, plain=draw.random() < 0.5)}")
        watch.attempt(" ".join(line), lambda line=line: compose.compose([*BASE, *line]))
    return watch


def _named(overrides: Sequence[str]) -> Watch:
    watch = Watch()
    for override in overrides:
        watch.attempt(override, lambda override=override: compose.compose([*BASE, override]))
    return watch


def _processes(draw: random.Random, folder: Path, count: int, seed: int) -> Iterator[Row]:
    """The real command line; what starts with - would be an option, and NUL cannot be in an argument."""
    overrides = [each for each in [*NAMED.split(), *LONG] if "\0" not in each and "\ud800" not in each]
    broken = []
    for override in draw.sample(overrides, count):
        command = [sys.executable, "-m", "expkit", "train", *BASE, override, "--cfg", "--runs", str(folder / "runs")]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=120)
        errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
        if (
            "Traceback" in done.stderr
            or (done.returncode, len(errors)) not in ((0, 0), (2, 1))
            or "\x1b" in done.stderr
        ):
            broken.append(f"{shown(override)}: status {done.returncode}, {shown(done.stderr)} (seed {seed})")
    if made := list(folder.iterdir()):
        broken.append(f"there is {made}")
    yield Row("the same on the real command line", count, tuple(broken), "one message on standard error, exit status 2")
