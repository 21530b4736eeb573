"""The command line: ``rangym COMMAND ...``; each command's module imports what it needs only when it runs."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from rangym.cli.help import HelpFormatter
from rangym.envs.errors import WrongCall, printable

COMMANDS = {
    "list": ("rangym.cli.listing", "environments, scenarios and policies"),
    "bench": ("rangym.cli.bench", "the benchmark: every policy on the same traces, with a report"),
    "evaluate": ("rangym.cli.evaluate", "chosen policies on one scenario"),
    "report": ("rangym.cli.report", "tables and an HTML report from results files"),
    "check": ("rangym.cli.check", "what a problem or a policy of your own must keep"),
    "tune": ("rangym.cli.tune", "a policy's options, on the tuning seeds"),
    "train": ("rangym.cli.train", "a reinforcement-learning agent"),
    "pretrain": ("rangym.cli.pretrain", "a predictor of QosClustering"),
    "reproduce": ("rangym.cli.reproduce", "a paper's claims beside what we measure"),
    "federated": ("rangym.cli.federated", "clustered federated learning over NOMA"),
    "orchestrate": ("rangym.cli.orchestrate", "real models trained as policies of CeflOrchestration decide"),
    "render": ("rangym.cli.render", "an episode as an animated GIF"),
    "map": ("rangym.cli.map", "radio maps from logs or by ray tracing, days from KPI logs"),
    "trace": ("rangym.cli.trace", "the former name of `map import`"),
    "cluster": ("rangym.cli.cluster", "which cells of recorded days should share a predictor"),
}


class _Parser(argparse.ArgumentParser):
    """Says what was wrong in one line."""

    def error(self, message: str):
        self.exit(2, f"{self.prog}: error: {printable(message)} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 for results with problems, 2 for a wrong call, 130 interrupted."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if os.getcwd() not in sys.path:  # a user's module in this folder is found, but never in place of an installed one
        sys.path.append(os.getcwd())
    args, unknown = _parser(argv).parse_known_args(argv)
    if unknown:  # said by the command's own parser, whose help lists what there is
        args.refuse(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        return args.run(args) or 0
    except BrokenPipeError:  # `rangym list | head`: the reader has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(f"\n{args.prog}: interrupted; {args.going_on(args)}", file=sys.stderr)
        return 130
    except (WrongCall, OSError) as error:  # what the caller can mend; everything else keeps its traceback
        print(f"{args.prog}: error: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        return 2


def _nothing_kept(args: argparse.Namespace) -> str:
    """What is left of an interrupted command, and how to go on; modules of commands that keep something have theirs."""
    return "nothing was written"


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The whole parser, but with the arguments of the one command that is asked for: the others stay unimported."""
    import rangym

    parser = _Parser(
        prog="rangym",
        description="Gymnasium environments and reference policies for radio-access-network control.",
        epilog="start with:\n  rangym bench\n  rangym COMMAND --help",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rangym {rangym.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    asked = next((word for word in argv if not word.startswith("-")), None)
    for name, (module_name, summary) in COMMANDS.items():
        if name == asked:
            _add(commands, name, module_name, summary)
        else:
            commands.add_parser(name, help=summary, formatter_class=HelpFormatter)
    return parser


def _add(commands: argparse._SubParsersAction[_Parser], name: str, module_name: str, summary: str) -> None:
    """Add a command, whose module has ``add_arguments`` and ``run``, or ``ACTIONS`` that are commands in turn."""
    module = importlib.import_module(module_name)
    command = commands.add_parser(
        name,
        help=summary,
        description=module.DESCRIPTION,
        epilog=f"example:\n{module.EXAMPLE}",
        formatter_class=HelpFormatter,
    )
    if hasattr(module, "ACTIONS"):
        actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)
        for action, (action_module, what) in module.ACTIONS.items():
            _add(actions, action, action_module, what)
        return
    going_on = getattr(module, "going_on", _nothing_kept)
    command.set_defaults(run=module.run, going_on=going_on, prog=command.prog, refuse=command.error)
    module.add_arguments(command)
