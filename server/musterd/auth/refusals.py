"""The refusals of a token. No text ever repeats any part of it."""

from musterd.domain.errors import MusterdError, Reason


def token_missing(message: str) -> MusterdError:
    """Return the error for a call without credentials."""
    return MusterdError(reason=Reason.TOKEN_MISSING, message=message)


def token_invalid(message: str) -> MusterdError:
    """Return the error for a token that will not be accepted however often it is sent."""
    return MusterdError(reason=Reason.TOKEN_INVALID, message=message)


def token_expired(message: str) -> MusterdError:
    """Return the error for a token that was good once."""
    return MusterdError(reason=Reason.TOKEN_EXPIRED, message=message)


def keys_unavailable(retry_after_seconds: float) -> MusterdError:
    """Return the error for a token that cannot be judged now, because there is no key to judge it with."""
    return MusterdError(
        reason=Reason.KEYS_UNAVAILABLE,
        message="the keys that verify tokens cannot be loaded now; the token was not judged, send it again later",
        retry_after_seconds=retry_after_seconds,
    )


def wrong_claim(name: str, needed: str) -> MusterdError:
    """Return the error for a claim that is not what it must be."""
    return token_invalid(f"claim {name!r} must be {needed}")
