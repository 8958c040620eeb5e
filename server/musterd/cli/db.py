"""`musterd db`: looks after the database."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

db = typer.Typer(help="Look after the database.", no_args_is_help=True)


@db.callback()
def of_the_database() -> None:
    """Look after the database."""


@db.command()
def migrate(
    store: Annotated[str | None, typer.Option(help="The database, like postgresql://user@host/database.")] = None,
    config: Annotated[Path | None, typer.Option(help="A settings file other than ./musterd.toml.")] = None,
) -> None:
    """Bring the schema of the PostgreSQL database up to date. SQLite files are brought up to date by `serve`."""
    from musterd.cli.connection import CLIENT_VARIABLES
    from musterd.settings import SettingsError, load_settings, migrate_store
    from musterd.store.errors import StoreOpenError

    try:
        flags = {"store": {} if store is None else {"url": store}}
        settings = load_settings(flags, config_file=config, other_variables=CLIENT_VARIABLES).settings
        asyncio.run(migrate_store(settings.store))
    except (SettingsError, StoreOpenError) as error:
        typer.echo(f"the database was not migrated: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{settings.store.shown_url} is up to date")
