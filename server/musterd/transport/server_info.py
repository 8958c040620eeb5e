"""ServerService: what this server is and what it allows."""

from dataclasses import dataclass

from musterd.runtime.limits import Limits
from musterd.transport.codec.requests import MAX_PAGE_SIZE, MAX_WAIT_TASKS
from musterd.transport.codec.tasks import duration
from musterd_client.v1 import server_service_pb2 as pb2

FEATURES = (
    "agents",
    "approvals",
    "background",
    "boards",
    "cancel",
    "hooks",
    "questions",
    "sessions",
    "steer",
    "subagents",
    "teams",
    "watch",
    "workflows",
)


@dataclass(frozen=True, slots=True)
class ServerInfoServicer:
    """Serves ServerService."""

    version: str
    limits: Limits
    max_message_bytes: int

    async def GetServerInfo(self, _: pb2.GetServerInfoRequest) -> pb2.GetServerInfoResponse:
        """Return the server's version, features and limits."""
        limits = self.limits
        return pb2.GetServerInfoResponse(
            version=self.version,
            features=FEATURES,
            limits=pb2.ServerLimits(
                max_message_bytes=self.max_message_bytes,
                max_running_tasks=limits.max_running_tasks,
                max_wait_tasks=MAX_WAIT_TASKS,
                max_page_size=MAX_PAGE_SIZE,
                max_run_timeout=duration(limits.max_run_timeout_seconds),
                max_requests_per_run=limits.max_requests_per_run,
                max_reader_lag_events=limits.reader_max_lag_events,
            ),
        )
