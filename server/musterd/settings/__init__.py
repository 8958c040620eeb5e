"""The settings: one tree of sections, from flags, environment, musterd.toml and defaults, in this order."""

from musterd.settings.auth import AuthSettings
from musterd.settings.backend import build_backend, migrate_store
from musterd.settings.load import LoadedSettings, SettingsError, load_settings
from musterd.settings.log import LogSettings
from musterd.settings.runtime import RuntimeSettings
from musterd.settings.server import ServerSettings
from musterd.settings.show import show_settings
from musterd.settings.store import StoreSettings
from musterd.settings.tree import Settings
from musterd.settings.verification import build_token_verifier

__all__ = [
    "AuthSettings",
    "LoadedSettings",
    "LogSettings",
    "RuntimeSettings",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "StoreSettings",
    "build_backend",
    "build_token_verifier",
    "load_settings",
    "migrate_store",
    "show_settings",
]
