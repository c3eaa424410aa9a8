"""`assent init`, `serve`, `server`, `worker`, `gateway`: the processes of the product."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assent.commands import ledger, provider
from assent_client.cli.output import emit, note

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
app.add_typer(ledger.app, name="ledger")
app.add_typer(provider.app, name="provider")


@app.command()
def init(
    admin: Annotated[str, typer.Option(help="Name of the first administrator.")] = "admin",
) -> None:
    """Create the data directory, the keys, the schema and the first administrator.

    The administrator's token is printed once. Run again, it brings the schema up to date and adds nobody.
    The data directory is ASSENT_DATA_DIR, by default ./assent-data.

    Example: ASSENT_DATA_DIR=/srv/assent assent init --admin ada
    """
    from assent.identity import service as identity  # noqa: PLC0415 -- commands start fast: load when called
    from assent.installation import opened, prepare  # noqa: PLC0415 -- as above
    from assent.kernel.settings import load  # noqa: PLC0415 -- as above
    from assent.kernel.tx import SYSTEM  # noqa: PLC0415 -- as above

    settings = load()
    prepare(settings)
    given = settings.bootstrap_token
    with opened(settings) as runtime, runtime.session.begin(SYSTEM) as tx:
        token = identity.bootstrap(tx, admin, given.get_secret_value() if given else None)
    where = str(settings.data_dir.resolve())
    if token is None:
        emit({"data_dir": where, "admin": None, "token": None})
        note("There is an administrator already; the schema is up to date.")
        return
    emit({"data_dir": where, "admin": admin, "token": None if given else token})
    note(
        "Next: export ASSENT_TOKEN=<the token above>, run `assent serve`, then `assent apply -f assent.yaml`."
    )


@app.command()
def serve(
    gateway: Annotated[
        str | None, typer.Option(help="PROJECT/ENVIRONMENT that the gateway serves.", metavar="PLACE")
    ] = None,
) -> None:
    """Run server, worker and gateway in one process.

    Example: ASSENT_PORT=8400 ASSENT_GATEWAY_PORT=8401 assent serve --gateway support/production
    """
    from assent.kernel.settings import load  # noqa: PLC0415 -- commands start fast: load when called
    from assent.serve import run  # noqa: PLC0415 -- as above

    run(load(), gateway)


@app.command()
def server() -> None:
    """Run the server: API and console.

    Example: ASSENT_DATABASE_URL=postgresql://assent@db/assent assent server
    """
    from assent.app import run  # noqa: PLC0415 -- commands start fast: load when called
    from assent.kernel.settings import load  # noqa: PLC0415 -- as above

    run(load())


@app.command()
def worker() -> None:
    """Run a worker: evaluations, rollout controllers, timers.

    Example: ASSENT_DATABASE_URL=postgresql://assent@db/assent assent worker
    """
    from assent.app import announce  # noqa: PLC0415 -- commands start fast: load when called
    from assent.kernel.settings import load  # noqa: PLC0415 -- as above
    from assent.worker import run  # noqa: PLC0415 -- as above

    run(load(), lambda: announce("worker ready"))


@app.command()
def gateway(  # noqa: PLR0913 -- each is one option
    environment: Annotated[str, typer.Argument(help="PROJECT/ENVIRONMENT that it serves.", metavar="PLACE")],
    *,
    server: Annotated[
        str, typer.Option(envvar="ASSENT_URL", help="Address of the server.")
    ] = "http://127.0.0.1:8400",
    token: Annotated[str, typer.Option(envvar="ASSENT_TOKEN", help="Token of a gateway's account.")],
    data_dir: Annotated[
        Path, typer.Option(envvar="ASSENT_GATEWAY_DIR", help="Snapshot, spool, pinned root.")
    ] = Path("assent-gateway"),
    host: Annotated[str, typer.Option(envvar="ASSENT_HOST", help="Address to bind.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="ASSENT_GATEWAY_PORT", help="Port; 0 takes a free one.")] = 8401,
    name: Annotated[str, typer.Option(help="Its name in acknowledgements.")] = "gateway",
    root: Annotated[Path | None, typer.Option(help="Root document to trust; else it is pinned.")] = None,
    unit_key: Annotated[
        str | None,
        typer.Option(envvar="ASSENT_UNIT_KEY", help="Key of unit hashes; the same for all its gateways."),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            envvar="ASSENT_GATEWAY_WORKERS", min=1, max=64, help="Processes that share the port; one a core."
        ),
    ] = 1,
    quota_share: Annotated[float, typer.Option(min=0.01, max=1, help="Its part of keys' limits.")] = 1.0,
    observe_s: Annotated[float, typer.Option(help="Send observations this often, in seconds.")] = 1.0,
) -> None:
    """Run a gateway: the way of production traffic.

    It decides by its signed snapshot and goes on when the server is down.

    Example: assent gateway support/production --server http://desk:8400 --port 8401
    """
    from assent.app import announce  # noqa: PLC0415 -- commands start fast: load when called
    from assent.commands.running import run_gateway  # noqa: PLC0415 -- as above
    from assent.gateway import GatewaySettings  # noqa: PLC0415 -- as above
    from assent.kernel.errors import Invalid  # noqa: PLC0415 -- as above

    project, slash, wanted = environment.partition("/")
    if not (project and slash and wanted) or "/" in wanted:
        raise Invalid(f"{environment!r} names no environment.", remedy="Write PROJECT/ENVIRONMENT.")
    settings = GatewaySettings(
        server_url=server.rstrip("/"),
        token=token,
        project=project,
        environment=wanted,
        data_dir=data_dir,
        host=host,
        port=port,
        name=name,
        root_path=root,
        unit_key=unit_key,
        n_workers=workers,
        quota_share=quota_share,
        observation_interval_s=observe_s,
    )
    run_gateway(settings, announce)
