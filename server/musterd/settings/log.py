"""The section `log`: what the server writes about itself."""

from typing import Literal

from pydantic import Field

from musterd.settings.section import Section


class LogSettings(Section):
    """What the server writes about itself."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is written."
    )
    format: Literal["console", "json"] = Field(
        default="console", description="console: lines for people; json: one object a line."
    )
