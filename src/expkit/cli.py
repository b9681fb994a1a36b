"""The command line. Each command's code is imported when it is called; this file imports nothing heavy."""

from __future__ import annotations

import argparse
import atexit
import keyword
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from expkit import __version__
from expkit.errors import ConfigError, UserError
from expkit.harmless import printing
from expkit.storage_error import storage_error

FIRST_PAGE = """\
expkit {version}: deep-learning experiments from configuration

  expkit list                             the experiments, with their papers
  expkit show grokking_xor                one experiment: paper, settings, runs
  expkit train +experiment=grokking_xor   run it; set any key: optimizer.lr=0.05
  expkit train -m +experiment=grokking_xor seed=0,1,2
                                          run several
  expkit train model=cnn data=mnist1d optimizer=adamw trainer.max_steps=200
                                          compose your own

Commands
{commands}

`expkit COMMAND --help` says more of each. Records go to ./runs, or --runs DIR,
or the variable EXPKIT_RUNS.
"""

COMMANDS = {
    "train": ("expkit.commands.train", "run what the overrides compose; -m runs all combinations"),
    "eval": ("expkit.commands.evaluate", "evaluate a recorded run, on its data or on others"),
    "list": ("expkit.commands.library", "the experiments there are"),
    "show": ("expkit.commands.library", "one experiment: paper, finding, configuration, runs"),
    "runs": ("expkit.commands.runs", "the recorded runs"),
    "compare": ("expkit.commands.compare", "what differs between runs, and which are significantly better"),
    "sweeps": ("expkit.commands.sweeps", "the sweeps, or the runs of one"),
    "resume": ("expkit.commands.sweeps", "go on with a sweep: what is missing, failed or was interrupted"),
    "reproduce": ("expkit.commands.reproduce", "run experiments' studies and say which claims of their papers hold"),
    "diff": ("expkit.commands.diff", "how two runs differ: configuration, environment, code, results"),
    "replay": ("expkit.commands.replay", "run a recorded configuration again: are the metrics the same?"),
    "export": ("expkit.commands.export", "pack runs into one file"),
    "import": ("expkit.commands.imports", "take in runs from such a file"),
    "init": ("expkit.commands.init", "make a project of your own, with an example"),
    "new": ("expkit.commands.new", "begin an experiment in it: configuration, study, page"),
    "dashboard": ("expkit.commands.dashboard", "runs, sweeps and the library as a local web page"),
    "sync": ("expkit.commands.sync", "upload runs that W&B kept offline"),
    "doctor": ("expkit.commands.doctor", "what works on this machine, and how to get the rest"),
    "completion": ("expkit.commands.completion", 'shell completion: eval "$(expkit completion bash)"'),
}


@printing()
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status: 0 done, 1 failed, 2 not a valid request, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_first_page())
        return 0
    if arguments[0] in ("--version", "-V"):
        print(f"expkit {__version__}")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        from expkit.errors import did_you_mean

        return _complain(UserError(f"There is no command '{name}'.", did_you_mean(name, COMMANDS)), status=2)
    debug = "--debug" in rest
    try:
        command = import_module(COMMANDS[name][0])
        parser = argparse.ArgumentParser(
            prog=f"expkit {name}",
            description=COMMANDS[name][1][0].upper() + COMMANDS[name][1][1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        getattr(command, f"add_{name}_arguments")(parser)
        parser.add_argument("--json", action="store_true", help="print JSON for scripts, on standard output")
        parser.add_argument("--debug", action="store_true", help="show tracebacks")
        function = f"{name}_" if keyword.iskeyword(name) else name  # `import` cannot be a function's name
        return int(getattr(command, function)(parser.parse_intermixed_args(rest)) or 0)
    except UserError as error:
        if debug:
            raise
        # What fails while a configuration is left half made is no mistake in it.
        return _interrupted() if isinstance(error, ConfigError) and _began_with_interrupt(error) else _complain(error)
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if debug or (explained := storage_error(error)) is None:
            raise
        return _complain(explained)
    except Exception as error:
        if debug or not _began_with_interrupt(error):
            raise
        return _interrupted()
    finally:
        # Ctrl-C while the interpreter ends would show tracebacks of libraries; registered last, this is done first.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def _first_page() -> str:
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {about}" for name, (_, about) in COMMANDS.items())
    return FIRST_PAGE.format(version=__version__, commands=commands).rstrip()


def _interrupted() -> int:
    print("\ninterrupted", file=sys.stderr)
    return 130


def _began_with_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C came first: what a library then tidies up may fail, half imported."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _complain(error: UserError, status: int | None = None) -> int:
    print(f"error: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)
    return error.exit_code if status is None else status


if __name__ == "__main__":
    raise SystemExit(main())
