"""Turns the stored input of a run into what pydantic-ai takes as a user's prompt."""

import mimetypes
from collections.abc import Sequence

from pydantic_ai.messages import AudioUrl, BinaryContent, DocumentUrl, ImageUrl, UserContent, VideoUrl

from musterd.domain.task import Part, TaskSpec

_URL_TYPES: dict[str, type[ImageUrl | AudioUrl | VideoUrl]] = {"image": ImageUrl, "audio": AudioUrl, "video": VideoUrl}


def prompt_of(spec: TaskSpec) -> str | Sequence[UserContent] | None:
    """Return the user's prompt: plain text when there is nothing else, None when there is nothing at all."""
    if not spec.parts:
        return spec.message or None
    content: list[UserContent] = [spec.message] if spec.message else []
    content += [_content_of(part) for part in spec.parts]
    return content


def _content_of(part: Part) -> UserContent:
    if part.text is not None:
        return part.text
    if part.data is not None:
        return BinaryContent(data=part.data, media_type=part.media_type, identifier=part.name or None)
    uri = part.uri or ""
    media_type = part.media_type or mimetypes.guess_type(uri)[0] or ""
    url_type = _URL_TYPES.get(media_type.partition("/")[0], DocumentUrl)
    return url_type(url=uri, media_type=media_type or None)
