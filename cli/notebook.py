"""`starling notebook`: JupyterLab on this machine, over the posts that the settings lead to."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import click

import analysis
from app.errors import Unavailable, UserError
from app.local.server import is_free
from app.settings import settings, state_dir
from cli.api_client import ApiClient
from cli.contexts import Context
from cli.event_options import who
from cli.terminal import prepare, safe

_LOGIN = "cli.notebook_login.Login"
_LINK_DAYS = 7
_PATIENCE_SECONDS = 10.0

_OPTIONS = (
    "--ServerApp.ip=127.0.0.1",  # whatever the user's own configuration says: the link lets in whoever has it
    "--ServerApp.answer_yes=True",  # a Ctrl-C ends it, kernels too, and asks nothing
    "--Application.log_level=ERROR",  # the link is told all the same
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
)


@click.command()
@click.argument("directory", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--port", type=click.IntRange(1, 65535), help="Where it listens; without, 8888 or the next free one.")
@click.option("--no-browser", is_flag=True, help="Only print the link.")
def notebook(directory: Path | None, port: int | None, no_browser: bool) -> None:
    """Open JupyterLab with notebooks on stored posts, until Ctrl-C.

    They are copied into DIRECTORY (else .starling/notebooks), where none of the same name is there yet. What they read
    the settings say, as for all commands. The printed link lets you in, and is another one each time; where Starling's
    server answers, so does the sign-in of its pages.
    """
    prepare()
    if find_spec("jupyterlab") is None:
        raise UserError("JupyterLab is not installed; install the extra 'analysis' (`make setup` does)")
    if port is not None and not is_free(port):
        raise UserError(f"port {port} is taken; choose another one, or none")
    place = (directory or state_dir() / "notebooks").absolute()
    _copy(place)
    click.echo(safe(f"notebooks are in {place}; Ctrl-C ends this"), err=True)
    options = [*_OPTIONS, f"--ServerApp.root_dir={place}"]
    if port is not None:
        options += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if no_browser:
        options.append("--ServerApp.open_browser=False")
    if os.geteuid() == 0:
        options.append("--ServerApp.allow_root=True")
    try:
        os.environ["STARLING_NOTEBOOK_LINK"] = asyncio.run(_signed_in())
        options.append(f"--ServerApp.identity_provider_class={_LOGIN}")
    except (Unavailable, UserError) as wrong:
        click.echo(safe(f"only the link lets in, not the sign-in of the pages: {wrong}"), err=True)
    # A notebook runs where it lies, and the local stack's addresses are here.
    os.environ["STARLING_STATE_DIR"] = str(state_dir())
    sys.stderr.flush()
    # -P: no directory `cli` of where this is called is taken for ours.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "jupyterlab", *options])  # noqa: S606 - no shell, our own options


async def _signed_in() -> str:
    """A token of whoever is at work here, by which the server knows them. Raises UserError, Unavailable."""
    from app.web.api.about import About  # noqa: PLC0415 - slow to import, as what follows
    from cli.direct import Direct  # noqa: PLC0415
    from cli.notebook_login import refusal  # noqa: PLC0415

    token = await Direct().token(who(), _LINK_DAYS)
    server = Context(settings().web_address, token)
    about = await ApiClient(server, _PATIENCE_SECONDS).get("/whoami", About)
    if why := refusal(about.name, about.rank, about.by):
        raise UserError(f"{server.url}: {why}")
    return token


def _copy(place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    for original in sorted(_shipped().glob("*.ipynb")):
        if not (place / original.name).exists():
            shutil.copyfile(original, place / original.name)


def _shipped() -> Path:
    """In the package where it was installed, beside it where it is worked on."""
    package = Path(analysis.__file__).parent
    inside = package / "notebooks"
    return inside if inside.is_dir() else package.parent / "notebooks"
