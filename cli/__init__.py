"""The `starling` command: one file a command group.

Exit status: 0 done, 1 refused or failed (one line says why), 2 wrong usage, 3 `status` found something down,
69 a server is not reachable, 130 interrupted.
"""

from __future__ import annotations

import ast
import importlib
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import click
from pydantic import ValidationError

from app.errors import NOT_REACHABLE, Unavailable, UserError
from cli.service import on_this_machine

# Command -> module, and function where it has another name; imported only when it is called, so that
# `starling --help` and the completion of a shell need no Faust and no Spark.
_COMMANDS = {
    "analyze": "analyze",
    "completion": "completion",
    "compliance": "compliance",
    "context": "login",
    "coverage": "coverage",
    "dead-letters": "dead_letters",
    "demo": "demo",
    "down": "stack",
    "event": "event",
    "export": "export",
    "import": "importing:import_files",
    "index": "index",
    "infra": "infra",
    "login": "login",
    "migrate": "migrate",
    "notebook": "notebook",
    "notify": "notify",
    "replay": "replay",
    "simulate": "simulate",
    "status": "status",
    "tail": "tail",
    "up": "stack",
    "user": "user",
    "worker": "worker",
}
_ON_THIS_MACHINE = ("completion", "context", "demo", "down", "login", "notebook", "simulate", "up", "worker")


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """What there is to say of a command."""
        if cmd_name not in _COMMANDS:
            return None
        module, function = _place(cmd_name)
        return click.Command(cmd_name, help=_docstring(Path(__file__).with_name(f"{module}.py"), function))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command itself."""
        name, found, rest = super().resolve_command(ctx, args)
        if found is None or found.name is None:
            return name, found, rest
        module, function = _place(found.name)
        return name, getattr(importlib.import_module(f"cli.{module}"), function), rest


def _place(name: str) -> tuple[str, str]:
    module, _, function = _COMMANDS[name].partition(":")
    return module, function or name.replace("-", "_")


def _docstring(file: Path, function: str) -> str | None:
    defined = ast.parse(file.read_bytes()).body
    found = (one for one in defined if isinstance(one, ast.FunctionDef) and one.name == function)
    return ast.get_docstring(next(found))


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="starling")
@click.option("--url", envvar="STARLING_URL", show_envvar=True, help="Ask the API of this server.")
@click.option(
    "--token",
    envvar="STARLING_TOKEN",
    show_envvar=True,
    help="Who you are there. Others on the machine see what is typed here; `starling login` keeps it to you.",
)
@click.option("--context", envvar="STARLING_CONTEXT", show_envvar=True, help="Ask a server of `starling login`.")
@click.option("--direct", is_flag=True, help="Ask Kafka and Cassandra themselves, whatever context is in use.")
def starling(**_: object) -> None:
    """Collect the posts about an event, while it happens.

    Commands ask the server of the context in use (`starling login`), or Kafka and Cassandra themselves where there is
    none.
    """
    if click.get_current_context().invoked_subcommand in _ON_THIS_MACHINE:
        on_this_machine()


def main() -> None:
    """Run the command; whatever a person can cause ends in one line and an exit status."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what matters of it is told in the one line
    _heed_hangup()
    try:
        starling(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.UsageError as wrong:
        _fail_usage(wrong)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(wrong.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Unavailable as away:
        _fail(str(away), NOT_REACHABLE)
    except UserError as refused:
        _fail(str(refused), 1)
    except ValidationError as wrong:
        _fail(_of_setting(wrong), 2)
    except UnicodeEncodeError:
        _fail("what was typed holds bytes that are no text (UTF-8)", 2)
    except OSError as error:
        with suppress(OSError):
            sys.stdout.close()  # else Python fails on it once more at the end
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or str(error) or type(error).__name__}", 1)


def _fail_usage(wrong: click.UsageError) -> None:
    if isinstance(wrong, click.exceptions.NoArgsIsHelpError):
        wrong.show()
        sys.exit(wrong.exit_code)
    path = wrong.ctx.command_path if wrong.ctx else "starling"
    said = " ".join(wrong.format_message().split()).rstrip(".").replace(" Did you", ", did you")
    _fail(f"{said[:1].lower()}{said[1:]}; see `{path} --help`", wrong.exit_code)


def _of_setting(wrong: ValidationError) -> str:
    first = wrong.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return f"settings: {message}"
    name = "STARLING_" + "_".join(str(part) for part in first["loc"]).upper()
    if name.endswith(("_TOKEN", "_PASSWORD", "_SECRET", "_WEBHOOK")):
        return f"setting {name}: {message}"
    return f"setting {name}: {message} (it is {first['input']!r})"


def _heed_hangup() -> None:
    """Take the end of the terminal for a Ctrl-C, unless told to outlive it (nohup): what was started is to end."""

    terminals = [stream for stream in (0, 1, 2) if os.isatty(stream)]

    def hung_up(_number: int, _frame: object) -> None:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in terminals:  # a word to a terminal that is gone would break off the tidying up
            os.dup2(nowhere, stream)
        signal.raise_signal(signal.SIGINT)

    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, hung_up)


def _fail(message: str, status: int) -> None:
    click.echo(f"starling: {message}", err=True)
    sys.exit(status)
