"""`expkit completion`: shell completion of commands, experiments and overrides (the latter by Hydra's engine)."""

from __future__ import annotations

import argparse
import os
import shlex

BASH = """\
_expkit() {
    local IFS=$'\\n'
    COMPREPLY=($(COMP_LINE="${COMP_LINE:0:$COMP_POINT}" expkit completion query 2>/dev/null))
    local word="${COMP_LINE:0:$COMP_POINT}"; word="${word##* }"
    local prefix=""
    # Readline breaks words at '=' and ':', so what precedes the last of them must not be repeated.
    case "$word" in *[=:]*) prefix="${word%[=:]*}"; prefix="${word:0:$((${#prefix} + 1))}" ;; esac
    COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
}
complete -o nospace -o default -F _expkit expkit
"""
ZSH = "autoload -Uz bashcompinit && bashcompinit\n" + BASH
FISH = """\
complete -c expkit -f -a '(COMP_LINE=(commandline -cp) expkit completion query 2>/dev/null)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def add_completion_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        '  bash  add to ~/.bashrc:  eval "$(expkit completion bash)"\n'
        '  zsh   add to ~/.zshrc:   eval "$(expkit completion zsh)"\n'
        "  fish  expkit completion fish > ~/.config/fish/completions/expkit.fish"
    )
    parser.add_argument("shell", choices=[*SCRIPTS, "query"], help="query: complete the line in the variable COMP_LINE")


def completion(options: argparse.Namespace) -> None:
    if options.shell != "query":
        print(SCRIPTS[options.shell], end="")
        return
    for candidate in candidates(os.environ.get("COMP_LINE", "")):
        print(candidate)


def candidates(line: str) -> list[str]:
    """What the last word of a command line could become."""
    from expkit.cli import COMMANDS

    try:
        words = shlex.split(line)
    except ValueError:
        return []
    last = "" if line.endswith(" ") else words[-1]
    if len(words) <= 1 or (len(words) == 2 and last):
        return [f"{name} " for name in COMMANDS if name.startswith(last)]
    command = words[1]
    if command == "show":
        from expkit.compose import experiments

        return [name for name in experiments() if name.startswith(last)]
    if command == "eval" and (len(words) == 2 or (len(words) == 3 and last)):
        from expkit.records.store import Store

        return [record.run_id for record in Store() if record.run_id.startswith(last)]
    return _overrides(last) if command in ("train", "eval") else []


def _overrides(word: str) -> list[str]:
    from hydra._internal.core_plugins.bash_completion import BashCompletion

    from expkit.compose import ROOT_CONFIG, experiments, loader

    for prefix in ("+experiment=", "experiment="):
        if word.startswith(prefix):
            return [f"{prefix}{name}" for name in experiments() if f"{prefix}{name}".startswith(word)]
    own = [option for option in ("+experiment=",) if word and option.startswith(word)]
    return own + [str(match) for match in BashCompletion(loader())._query(config_name=ROOT_CONFIG, line=word)]
