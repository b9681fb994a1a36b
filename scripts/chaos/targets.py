"""What `_target_` may lead to

Configurations that name code which is not theirs to name: aliases and re-exports, attributes of trusted modules, nested
and partial instantiation, loaders of pickles, modules that do something when they are imported, planted packages. Each
is composed and validated, and then built past the validation, as it would be from a record; both refuse it before it is
imported. Every name that can be reached from the packages that expkit trusts is asked for as well: source and objects
come to the same verdict, and nothing of Python itself is among what may be named.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import pkgutil
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from hostile import Watch
from report import Row

from expkit import build, compose, library, source, trust
from expkit.errors import ConfigError
from expkit.records.record import Record

BASE = ["data=iris", "model=linear", "logger=none"]
PLACES = (
    *(
        "model",
        "optimizer",
        "task",
        "data",
        "trainer",
        "scheduler",
        "callbacks.x",
        "probes.x",
        "transforms.x",
        "logger.x",
    ),
    *("model.bias", "optimizer.params", "sweep.figure", "paper.x", "study.x", "population", "callbacks.x.y.z"),
)

NAMES = {
    "Python's own functions, by their names and others": """
        os.system os.popen posix.system builtins.eval builtins.exec builtins.compile builtins.__import__ builtins.open
        builtins.getattr builtins.type operator.attrgetter operator.methodcaller functools.partial functools.reduce
        subprocess.Popen subprocess.call subprocess.check_output shutil.rmtree importlib.import_module runpy.run_path
        code.interact pty.spawn ctypes.CDLL webbrowser.open socket.socket urllib.request.urlopen pathlib.Path
        types.FunctionType
        pickle.loads pickle.load marshal.loads shelve.open dill.loads cloudpickle.loads joblib.load yaml.unsafe_load
        yaml.load logging.config.dictConfig logging.os.system multiprocessing.Process threading.Thread atexit.register
        antigravity.webbrowser.open this.s timeit.timeit cProfile.run pdb.run unittest.mock.patch sys.modules.os.system
    """,
    "aliases and re-exports in trusted modules": """
        torch.os.system torch.sys.exit torch.builtins.exec torch.importlib.import_module torch.ctypes.CDLL
        torch.nn.modules.module.functools.partial torch.optim.optimizer.functools.partial
        torch.utils.data.dataset.os.system
        torch.serialization.pickle.loads torch.storage.torch.os.system torch._utils.importlib.import_module
        lightning.pytorch.core.saving.os.system lightning.os.system lightning.pytorch.trainer.trainer.os.system
        lightning.fabric.utilities.cloud_io.torch.load torchmetrics.metric.functools.partial torchmetrics.os.system
        expkit.errors.difflib.get_close_matches expkit.run.os.system expkit.library.tomllib.loads expkit.trust.sys.exit
        expkit.seeding.hashlib.new expkit.seeding.torch.load expkit.models.mlp.nn.Module.load_state_dict
        expkit.data.mnist.gzip.open expkit.data.cifar10.pickle.loads expkit.loggers.wandb_session.subprocess.Popen
        expkit.records.environment.subprocess.run expkit.source.names.ast.literal_eval experiments.os.system
    """,
    "attributes that lead elsewhere": """
        expkit.seeding.generator.__globals__ expkit.seeding.generator.__globals__.get expkit.seeding.generator.__code__
        expkit.models.mlp.MLP.__init__ expkit.models.mlp.MLP.__init__.__globals__ expkit.models.mlp.MLP.__class__
        expkit.models.mlp.MLP.__subclasses__ expkit.models.mlp.MLP.__mro__ expkit.models.mlp.MLP.__reduce_ex__
        expkit.models.mlp.MLP.mro expkit.models.mlp.MLP.forward expkit.models.mlp.MLP.__base__.__base__.__subclasses__
        expkit.models.mlp.__builtins__ expkit.models.mlp.__builtins__.exec expkit.models.mlp.__loader__.load_module
        expkit.models.mlp.__spec__.loader.exec_module expkit.models.__path__ expkit.models.mlp.__dict__
        expkit.__builtins__
        torch.nn.Linear.__init__ torch.nn.Linear.__class__ torch.nn.Module.__call__ torch.nn.Linear.load_state_dict
        torch.nn.Module.__init_subclass__ expkit.tasks.base.Task.load_from_checkpoint expkit.data.base.TensorData.setup
        expkit.tasks.supervised.Classification.__annotations__ expkit.models.mlp.annotations expkit.models.mlp.nn
    """,
    "what loads, downloads, compiles or opens": """
        torch.load torch.jit.load torch.hub.load torch.hub.load_state_dict_from_url torch.hub.download_url_to_file
        torch.package.PackageImporter torch.export.load torch._C._jit_pass_inline torch.ops.load_library
        torch.classes.load_library
        torch.utils.cpp_extension.load torch.utils.cpp_extension.load_inline torch.utils.model_zoo.load_url
        torch.compile
        torch.serialization.add_safe_globals torch.utils.data.datapipes.utils.common.StreamWrapper torch.save
        torch.from_file
        torch.distributed.rpc.rpc_sync torch.distributed.run.main torch.distributed.launch.main
        torch.multiprocessing.spawn
        torch.fx._symbolic_trace.symbolic_trace torch.utils.bundled_inputs.augment_model_with_bundled_inputs
        lightning.pytorch.LightningModule.load_from_checkpoint lightning.pytorch.cli.LightningCLI
        lightning.pytorch.Trainer
        lightning.pytorch.utilities.migration.migrate_checkpoint lightning.fabric.utilities.cloud_io._load
        numpy.load numpy.lib.npyio.NpzFile pandas.read_pickle polars.read_parquet sklearn.datasets.fetch_openml
        hydra.utils.instantiate hydra.utils.call hydra.utils.get_method hydra.utils.get_object hydra.utils.get_class
        hydra._internal.utils._locate omegaconf.OmegaConf.load hydra.compose wandb.init optuna.load_study ray.init
    """,
    "the parts of expkit that carry out commands": """
        expkit.cli.main expkit.commands.train.train expkit.commands.imports.import_ expkit.commands.imports.take_in
        expkit.commands.export.export expkit.records.files.write_text expkit.records.files.write_json
        expkit.records.files.remove_leftovers expkit.records.arrays.write_arrays expkit.records.record.Record
        expkit.records.bundle.pack expkit.records.bundle.unpack expkit.build.build expkit.build.locate
        expkit.build.factory
        expkit.compose.compose expkit.run.run expkit.sync.sync expkit.studies.study.study
        expkit.studies.claims.study_file
        expkit.engines.ranks.all_ranks expkit.loggers.wandb_session.WandbSession expkit.sweeps.executors.slurm.Slurm
        expkit.sweeps.executors.calling.call expkit.dashboard.server.serve expkit.source.modules.parse
        expkit.errors.UserError
    """,
    "names that are none": """
        os os. .os os..system torch torch. torch.nn torch..nn torch.nn. 3 a-b.c a/b.c ../x.y file:///etc/passwd
        torch.nn.Linear()
        torch.nn.Linear[0] torch.nn.Linear;os.system torch.nn.lambda torch.nn.None expkit expkit.models
        expkit.models.mlp
        expkit.models.mlp.MLP.MLP expkit.nowhere.X expkit.models.mlp.mlp __main__.x __builtins__.exec torchh.nn.Linear
        experiments experiments.nowhere.X torch.nn.Line\u0430r
        \uff54orch.nn.Linear torch.nn.Linear\u200b expkit.model\u017f.mlp.MLP
    """,
}
SPECIAL = (
    *({"_args_": [1]}, {"_partial_": True}, {"_recursive_": False}, {"_convert_": "all"}, {"_target_": "os.system"}),
    *({"_partial_": True, "_args_": ["touch harm"]}, {"_harm_": 1}, {"__class__": "x"}, {"self": 1}, {"cls": 1}),
)
EVIL = (
    "import pathlib, os\npathlib.Path({harm!r}).touch()\nclass Net:\n    def __init__(self, **k): os.system('true')\n"
)


def campaign(folder: Path, short: bool) -> Iterator[Row]:
    seed = random.SystemRandom().randrange(10**6)
    draw = random.Random(seed)
    compose.compose(BASE)
    for kind, names in NAMES.items():
        chosen = draw.sample(names.split(), 3) if short else names.split()
        yield _row(kind, _composed_and_built(chosen, draw.sample(PLACES, 1) if short else PLACES[:11]))
    yield _row("arguments with a meaning for Hydra (`_partial_`, `_args_`, ...), at any depth", _special(short))
    yield _row("packages beside the project that bear a name which is trusted, or not", _planted(folder / "planted"))
    yield _row("recorded configurations that were changed afterwards", _recorded(folder / "runs", short))
    yield _row("every class and function within reach of the trusted packages", _within_reach(draw, short))


def _row(fault: str, watch: Watch) -> Row:
    seen = f"{watch.refused:,} refused"
    if watch.valid:
        seen = f"{watch.valid:,} are building blocks; {seen}"
    if example := min(watch.messages.values(), key=len, default=None):
        seen += f", such as “{example.splitlines()[0][:110]}”"
    return Row(fault, watch.tried, tuple(watch.broken), seen.replace("|", "/"))


def _composed_and_built(names: list[str], places: Any) -> Watch:
    watch = Watch()
    for name in names:
        before = set(sys.modules)
        for place in places:
            override = f"++{place}={{_target_:'{name}',command:'touch harm'}}"
            _refused(watch, f"{place}._target_={name}", lambda override=override: compose.compose([*BASE, override]))
        _refused(
            watch, f"build {name}", lambda name=name: build.build({"_target_": name, "command": "touch harm"}, "x")
        )
        _refused(watch, f"within build {name}", lambda name=name: build.build(_around({"_target_": name}), "x"))
        imported = {each for each in set(sys.modules) - before if not each.startswith("expkit")}
        if imported and not trust.is_trusted(name):
            watch.broken.append(f"{name}: {sorted(imported)[:3]} was imported")
    return watch


def _around(node: dict[str, Any]) -> dict[str, Any]:
    """A building block with another node deep in its arguments."""
    return {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": {"a": [{"b": node}]}}


def _refused(watch: Watch, what: str, act: Any) -> None:
    found = watch.attempt(what, act)
    if not isinstance(found, BaseException):
        watch.broken.append(f"{what} was taken")


def _special(short: bool) -> Watch:
    watch = Watch()
    for place in (
        ("model", "optimizer", "model.bias") if short else ("model", "optimizer", "data", "trainer", "model.bias")
    ):
        for arguments in SPECIAL:
            texts = [f"++{place}.{name}={compose.hydra_value(value)}" for name, value in arguments.items()]
            _refused(watch, " ".join(texts), lambda texts=texts: compose.compose([*BASE, *texts]))
    return watch


def _planted(folder: Path) -> Watch:
    """Packages in the project's folder, which is where the user is; none of them is listed as trusted."""
    harm = folder / "harm"
    for name in ("evil", "torch", "expkit", "lightning", "experiments/evil", "mine"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(EVIL.format(harm=str(harm)))
    (folder / "experiments" / "evil" / "study.py").write_text(EVIL.format(harm=str(harm)))
    (folder / "pyproject.toml").write_text("[tool.expkit]\ntrusted = ['mine.nothing']\n")
    watch = Watch()
    with contextlib.chdir(folder):
        _forget()
        for name in (
            "evil.Net",
            "torch.Net",
            "torch.evil.Net",
            "expkit.Net",
            "lightning.Net",
            "mine.Net",
            "mine.nothing.Net",
        ):
            _refused(watch, name, lambda name=name: compose.compose([*BASE, f"++model={{_target_:{name}}}"]))
            _refused(watch, f"build {name}", lambda name=name: build.build({"_target_": name}, "x"))
        watch.attempt(
            "the project's own experiment, composed",
            lambda: compose.compose([*BASE, "model._target_=experiments.evil.Net"]),
        )
    _forget()
    if harm.exists():
        watch.broken.append("a package was imported")
    return watch


def _forget() -> None:
    for remembered in (library.project, library.settings, compose.loader):
        remembered.cache_clear()


def _recorded(runs: Path, short: bool) -> Watch:
    """What `expkit eval` and `expkit replay` are given."""
    from expkit.commands.evaluate import evaluate
    from expkit.commands.replay import run_again
    from expkit.views.view import View

    watch = Watch(folders=(runs,))
    good = compose.compose(BASE).config
    for place in (
        ("model", "data", "task") if short else ("model", "data", "task", "optimizer", "trainer", "callbacks", "probes")
    ):
        for name in ("os.system", "expkit.cli.main", "torch.hub.load", "expkit.errors.difflib.get_close_matches"):
            node = {"_target_": name, "command": "touch harm"}
            config = {**good, place: node if place not in ("callbacks", "probes") else {"x": node}}
            record = Record(runs / "x" / "0123456789ab")
            record.folder.mkdir(parents=True, exist_ok=True)
            record.begin(config, [])
            record.finish("complete", {"step": 1})
            (record.folder / "metrics.parquet").write_bytes(b"none")
            _refused(watch, f"eval {place} {name}", lambda record=record: evaluate(record, []))
            _refused(
                watch, f"replay {place} {name}", lambda record=record: run_again(record, runs / "again", "own", View())
            )
    return watch


def _within_reach(draw: random.Random, short: bool) -> Watch:
    """The verdicts on names, from their source and from the objects; what is granted is one of the bases, or a piece.

    The short version looks at modules that are imported already: torch takes seconds.
    """
    watch = Watch(seconds=30)
    if not short:
        _import_pieces()
    names = sorted(_names(), key=lambda each: each[0])
    for target, found in draw.sample(names, min(100 if short else 10_000, len(names))):
        verdict = watch.attempt(target, lambda target=target: source.resolve(target))
        objects = _verdict(found, target)
        if isinstance(verdict, source.Definition) and not objects:
            watch.broken.append(f"{target} is granted by its source, and not as an object")
        if objects and not _is_piece(found):
            watch.broken.append(f"{target} is granted, and is {found!r}")
    return watch


def _import_pieces() -> None:
    for package in sorted(trust.PIECES):
        module = importlib.import_module(package)
        inner = pkgutil.iter_modules(module.__path__, f"{package}.") if hasattr(module, "__path__") else ()
        for name in [package, *(each.name for each in inner)]:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def _names() -> Iterator[tuple[str, Any]]:
    """Everything in the modules that are imported, of expkit, torch and the other trusted packages."""
    for name, module in sorted(sys.modules.items()):
        if isinstance(module, ModuleType) and trust.is_trusted(name) and name.partition(".")[0] != "experiments":
            for attribute, found in vars(module).items():
                if attribute.isidentifier() and (isinstance(found, type | FunctionType) or inspect.isbuiltin(found)):
                    yield f"{name}.{attribute}", found


def _verdict(found: Any, target: str) -> bool:
    try:
        trust.check_object(found, target)
    except ConfigError:
        return False
    return True


def _is_piece(found: Any) -> bool:
    if trust.is_first_party(found.__module__):
        return trust.is_piece(found.__module__)
    return isinstance(found, type) and any(f"{c.__module__}.{c.__qualname__}" in trust.BASES for c in found.__mro__)
