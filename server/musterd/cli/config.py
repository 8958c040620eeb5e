"""`musterd config`: shows and checks the settings in force. What reads them is imported when it runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from musterd.cli.connection import CLIENT_VARIABLES

if TYPE_CHECKING:
    from musterd.settings import LoadedSettings

config = typer.Typer(help="Show and check the server's settings.", no_args_is_help=True)

ConfigFile = Annotated[Path | None, typer.Option("--config", help="A settings file other than ./musterd.toml.")]


def _load(config_file: Path | None) -> "LoadedSettings":
    from musterd.settings import SettingsError, load_settings

    try:
        return load_settings(config_file=config_file, other_variables=CLIENT_VARIABLES)
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


@config.command()
def show(config_file: ConfigFile = None) -> None:
    """Print every setting with its value and where that came from; secrets are masked."""
    from musterd.settings import show_settings

    typer.echo(show_settings(_load(config_file)))


@config.command()
def check(config_file: ConfigFile = None) -> None:
    """Say whether the server can start with the settings in force."""
    _load(config_file)
    typer.echo("the settings are good")
