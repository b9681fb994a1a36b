"""What is read from source agrees with what Python finds when it runs the code."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from modulefinder import ModuleFinder
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from torch import nn

from expkit import library, source
from expkit.errors import ConfigError

Write = Callable[[dict[str, str]], Path]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """A function that writes files of a project that trusts its package `mine`; the project is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.expkit]\ntrusted = ["mine"]\n')
    library.project.cache_clear()

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))
        return tmp_path

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    yield write
    library.project.cache_clear()


def classes_of(package: str) -> list[type]:
    root = importlib.import_module(package)
    names = [package, *(m.name for m in pkgutil.walk_packages(getattr(root, "__path__", []), f"{package}."))]
    found = [c for name in names for c in vars(importlib.import_module(name)).values() if isinstance(c, type)]
    nameable = [c for c in dict.fromkeys(found) if c.__module__.startswith(package) and "<" not in c.__qualname__]
    return [c for c in nameable if "TypedDict" not in str(c.__class__)]


@pytest.mark.parametrize(
    "package", ["torch.optim", "expkit.models", "expkit.data", "expkit.tasks", "expkit.optim", "expkit.callbacks"]
)
def test_signatures_are_those_that_inspect_finds(package: str) -> None:
    differing = []
    for cls in classes_of(package):
        target = f"{cls.__module__}.{cls.__qualname__}"
        if (package == "torch.optim" and not _trains(cls)) or issubclass(cls, tuple):
            continue  # named tuples are what pieces give, and no configuration names them
        there = inspect.signature(cls).parameters.values()
        wanted = {p.name: p.default is p.empty for p in there if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        passes_on = any(p.kind is p.VAR_KEYWORD for p in there)
        found = {name: p.required for name, p in source.signature(source.resolve(target)).parameters.items()}
        if found != wanted and not (passes_on and wanted.items() <= found.items()):
            differing.append((target, found, wanted))
    assert differing == []


def _trains(cls: type) -> bool:
    schedulers = torch.optim.lr_scheduler
    return issubclass(cls, torch.optim.Optimizer | schedulers.LRScheduler | schedulers.ReduceLROnPlateau)


@pytest.mark.parametrize(
    "cls",
    [c for c in vars(torch.optim).values() if isinstance(c, type) and c is not torch.optim.Optimizer],
)
def test_optimizers_are_found_by_their_public_name(cls: type) -> None:
    definition = source.resolve(f"torch.optim.{cls.__name__}")
    constructor = vars(cls)["__init__"]
    assert str(definition.path) == inspect.getsourcefile(constructor)
    assert definition.node.lineno < inspect.getsourcelines(constructor)[1]
    assert {n for n, p in source.signature(definition).parameters.items() if p.required} == {"params"}


@pytest.mark.parametrize("cls", [nn.Tanh, nn.LSTM, nn.Softmax2d])
def test_arguments_behind_kwargs_are_those_the_class_accepts(cls: type[nn.Module]) -> None:
    found = source.signature(source.resolve(f"torch.nn.{cls.__name__}"))
    assert not found.open
    with pytest.raises(TypeError):
        cls(**{name: 1 for name, p in found.parameters.items() if p.required}, no_such_argument=1)
    cls(**{name: 1 for name, p in found.parameters.items() if p.required})


def test_constructors_of_all_kinds(project: Write) -> None:
    root = project(
        {
            "mine/kinds": """
            from dataclasses import KW_ONLY, dataclass, field
            from typing import ClassVar, Generic, TypeVar
            T = TypeVar("T")

            class Base:
                def __init__(self, a, b=2, *, c): ...

            class Inherits(Base):
                pass

            class PassesOn(Base):
                def __init__(self, d, **kwargs):
                    super().__init__(1, c=3, **kwargs)

            class PassesOnTwice(PassesOn):
                def __init__(self, e=5, **options):
                    super().__init__(**options)

            class UsesThem(Base):
                def __init__(self, **kwargs):
                    self.extra = kwargs.pop("extra")
                    super().__init__(**kwargs)

            class Mixin(Generic[T]):
                pass

            class Second(Mixin[int], Base):
                pass

            @dataclass
            class Fields:
                x: int
                y: list = field(default_factory=list)
                z: int = field(init=False)
                shared: ClassVar[int] = 3

            @dataclass(eq=False)
            class MoreFields(Fields):
                _: KW_ONLY
                w: int

            class Outer:
                class Inner:
                    def __new__(cls, q): return object.__new__(cls)

            def function(m, /, n, *rest, o=1): ...
        """
        }
    )
    sys.path.insert(0, str(root))
    try:
        module = importlib.import_module("mine.kinds")
    finally:
        sys.path.remove(str(root))
        sys.modules.pop("mine", None)
        sys.modules.pop("mine.kinds", None)
    for name in ("Base", "Inherits", "Second", "Fields", "MoreFields"):
        found = source.signature(source.resolve(f"mine.kinds.{name}"))
        wanted = inspect.signature(getattr(module, name)).parameters.values()
        assert {n: (p.required, p.keyword_only) for n, p in found.parameters.items()} == {
            p.name: (p.default is p.empty, p.kind is p.KEYWORD_ONLY) for p in wanted
        }, name
        assert not found.open

    def names(name: str) -> tuple[list[str], bool]:
        found = source.signature(source.resolve(f"mine.kinds.{name}"))
        return list(found.parameters), found.open

    assert names("PassesOn") == (["d", "b"], False)
    assert names("PassesOnTwice") == (["e", "d", "b"], False)
    assert names("UsesThem") == ([], True)
    assert names("Outer.Inner") == (["q"], False)
    assert names("function") == (["n", "o"], False)


def test_names_are_followed_through_imports(project: Write) -> None:
    project(
        {
            "mine/__init__": "from mine.a import *\nfrom . import b\nfrom .deep.inner import Inner as Renamed",
            "mine/a": "from mine.b import Net as Net\n__all__ = ['Net', 'Local']\nclass Local: ...\nclass Hidden: ...",
            "mine/b": """
            try:
                from no_such_package import Net
            except ImportError:
                class Net: ...
            Alias = Net
            value = Net()
        """,
            "mine/c": "try:\n    class Net: ...\nexcept ImportError:\n    Net = None\nimport mine.b as other",
            "mine/deep/inner": "from ..a import Local\nclass Inner(Local): ...\nfrom mine.deep.inner import Circle",
        }
    )
    assert source.resolve("mine.Local").dotted == "mine.a.Local"
    assert source.resolve("mine.Renamed").dotted == "mine.deep.inner.Inner"
    assert source.resolve("mine.deep.inner.Local").dotted == "mine.a.Local"
    assert source.resolve("mine.c.Net").dotted == "mine.c.Net"
    for wrong, message in {
        "mine.Hidden": "no 'Hidden'",
        "mine.a.Locel": "Did you mean 'Local'",
        "mine.deep.iner.Inner": "Did you mean 'inner'",
        "mine.b.value": "is a value",
        "mine.deep.inner.Circle": "Circle",
        "mine.deep.inner": "is a module",
        "mine.b.Net": "no_such_package",
        "mine": "dotted name",
        "mine..a": "dotted name",
        "experiments.no_such_experiment.study.Net": "no_such_experiment",
    }.items():
        with pytest.raises(ConfigError, match=message):
            source.resolve(wrong)


def test_a_syntax_error_names_file_and_line(project: Write) -> None:
    project({"mine/broken": "class Net:\n    def f(:\n"})
    with pytest.raises(ConfigError, match=r"broken\.py.*line 2"):
        source.resolve("mine.broken.Net")


def test_experiments_are_found_in_the_project_and_in_the_library(
    project: Write, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = project({"experiments/own_one/study": "class Own: ..."})
    shipped = tmp_path_factory.mktemp("library")
    (shipped / "experiments" / "shipped_one").mkdir(parents=True)
    (shipped / "experiments" / "shipped_one" / "study.py").write_text("class Shipped: ...")
    monkeypatch.setattr(library, "root", lambda: shipped)
    assert source.find_module("experiments.own_one.study") == root / "experiments/own_one/study.py"
    assert source.resolve("experiments.shipped_one.study.Shipped").path.is_relative_to(shipped)
    assert source.find_module("experiments.other") is None
    assert source.find_module("mine") == root / "mine/__init__.py"


def test_class_attributes_are_read_through_first_party_bases(project: Write) -> None:
    project(
        {
            "mine/nets": """
            from torch import nn
            class Base(nn.Module):
                accepts: tuple = ("vector", "signal")
            class Net(Base): ...
            class Own(Base):
                accepts = ("tokens",)
            class Computed(Base):
                accepts = tuple(["tokens"])
        """
        }
    )
    assert source.class_literal(source.resolve("mine.nets.Net"), "accepts") == ("vector", "signal")
    assert source.class_literal(source.resolve("mine.nets.Own"), "accepts") == ("tokens",)
    assert source.class_literal(source.resolve("mine.nets.Own"), "training") is None
    with pytest.raises(ConfigError, match=r"line 9.*accepts is not a literal"):
        source.class_literal(source.resolve("mine.nets.Computed"), "accepts")


def test_the_accepts_of_every_model_is_what_the_class_says() -> None:
    models = [c for c in classes_of("expkit.models") if "accepts" in vars(c)]
    assert models
    for cls in models:
        definition = source.resolve(f"{cls.__module__}.{cls.__qualname__}")
        assert source.class_literal(definition, "accepts") == cls.accepts  # type: ignore[attr-defined]


PACKAGE = {
    "mine/__init__": "",
    "mine/net": "from mine.layers import Layer\nimport os, torch\nclass Net(Layer):\n    width = 3\n",
    "mine/layers/__init__": "from .dense import Layer",
    "mine/layers/dense": """
        from ..tools import helper
        class Layer:
            def forward(self, x):
                from mine import late
                return helper(x)
    """,
    "mine/late": "import mine.net",
    "mine/tools": """
        def helper(x):
            try:
                return x
            finally:
                import mine.last
    """,
    "mine/last": "from mine.layers import *",
    "mine/unused": "",
}


def test_the_closure_is_what_modulefinder_finds(project: Write) -> None:
    root = project(PACKAGE)
    finder = ModuleFinder([str(root)])
    finder.import_hook("mine.net")
    wanted = {name for name in finder.modules if name.partition(".")[0] == "mine"}
    assert len(wanted) == 7
    assert source.closure(["mine.net.Net", "torch.optim.SGD"]).keys() == wanted


def test_the_closure_of_expkit_is_what_modulefinder_finds() -> None:
    target = "expkit.data.xor_clusters.XorClusters"
    finder = ModuleFinder([str(Path(library.__file__).parents[1])])
    finder.import_hook("expkit.data.xor_clusters")
    assert source.closure([target]).keys() == {n for n in finder.modules if n.partition(".")[0] == "expkit"}


def test_only_imports_that_run_count(project: Write) -> None:
    project(
        {
            "mine/net": """
            import typing
            from typing import TYPE_CHECKING
            if TYPE_CHECKING:
                import mine.a
            elif typing.TYPE_CHECKING:
                import mine.b
            else:
                import mine.c
            module = __import__("mine.d")
            def later():
                import importlib
                return importlib.import_module("mine.e").f(1)
        """,
            **{f"mine/{name}": "" for name in "abcde"},
        }
    )
    assert source.closure(["mine.net.Net"]).keys() == {"mine", "mine.net", "mine.c", "mine.d", "mine.e"}


ORIGINAL = """
def loss(x, y=1):
    z = x + 1
    return {"a": z, "b": [y, 2]}
"""
SAME = {
    "comments": """
        # a comment
        def loss(x, y=1):  # another
            z = x + 1

            return {"a": z, "b": [y, 2]}
    """,
    "format": """
        def loss(
            x,
            y=1,
        ):
            z = (x + 1)
            return {
                'a': z,
                "b": [y, 0x2],
            }
    """,
    "docstrings": """
        'Module.'
        def loss(x, y=1):
            'Loss.'
            z = x + 1
            'note'
            return {"a": z, "b": [y, 2]}
    """,
    "version": f'__version__ = "2.0"\n{ORIGINAL}',
}
DIFFERENT = {
    "number": ORIGINAL.replace("2]", "3]"),
    "type of a number": ORIGINAL.replace("2]", "2.0]"),
    "text": ORIGINAL.replace('"a"', '"c"'),
    "number as text": ORIGINAL.replace("2]", "'2']"),
    "operator": ORIGINAL.replace("x + 1", "x - 1"),
    "name": ORIGINAL.replace("z", "w"),
    "default": ORIGINAL.replace("y=1", "y=2"),
    "no default": ORIGINAL.replace("y=1", "y"),
    "nesting": ORIGINAL.replace("[y, 2]", "[[y, 2]]"),
    "order": ORIGINAL.replace("[y, 2]", "[2, y]"),
    "indentation": "def loss(x, y=1):\n    if x:\n        z = x + 1\n    return {'a': z, 'b': [y, 2]}",
    "one more line": ORIGINAL + "    raise\n",
}


@pytest.mark.parametrize("change", [*SAME, *DIFFERENT])
def test_the_hash_changes_exactly_with_the_code(change: str, project: Write) -> None:
    project({"mine/net": "from mine import loss", "mine/loss": ORIGINAL})
    before = source.closure_hash(["mine.net.Net"])
    project({"mine/loss": {**SAME, **DIFFERENT}[change]})
    assert (source.closure_hash(["mine.net.Net"]) != before) == (change in DIFFERENT)
    project({"mine/loss": ORIGINAL})
    assert source.closure_hash(["mine.net.Net"]) == before


def test_what_is_not_used_does_not_change_the_hash(project: Write) -> None:
    project(PACKAGE)
    before = source.closure_hash(["mine.net.Net"])
    project({"mine/unused": "x = 1"})
    assert source.closure_hash(["mine.net.Net"]) == before
    project({"mine/last": "x = 1"})
    assert source.closure_hash(["mine.net.Net"]) != before


def test_nothing_heavy_is_imported() -> None:
    code = """
        import sys
        from expkit import schema, source, trust
        schema.check({
            "model": {"_target_": "expkit.models.two_layer_relu.TwoLayerReLU", "input_shape": [2], "width": 3},
            "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.1},
            "callbacks": [{"_target_": "lightning.pytorch.callbacks.EarlyStopping", "monitor": "val/loss"}],
        })
        source.closure(["expkit.models.two_layer_relu.TwoLayerReLU"])
        heavy = {"torch", "lightning", "torchmetrics", "hydra", "numpy"} & sys.modules.keys()
        sys.exit(f"imported: {heavy}" if heavy else 0)
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
