"""The composition root: an app is what users register, a service is that app running on one server."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from musterd.domain.bus import Bus
from musterd.domain.clock import Clock, SystemClock
from musterd.domain.full_store import FullStore
from musterd.hooks import HookCallable
from musterd.runtime.boards import Boards
from musterd.runtime.components.building import Builder
from musterd.runtime.components.registry import RegistrableAgent, RegistrableTeam, RegistrableWorkflow, Registry
from musterd.runtime.feed.changes import TaskChanges
from musterd.runtime.feed.hub import Hub
from musterd.runtime.feed.log import LogWriter
from musterd.runtime.feed.streams import Streams
from musterd.runtime.hooks.background import BackgroundCaller
from musterd.runtime.hooks.plan import AppHooks, HookPlan
from musterd.runtime.hooks.runner import HookRunner
from musterd.runtime.hooks.runs import HookRuns
from musterd.runtime.limits import Limits
from musterd.runtime.maintenance import Maintenance
from musterd.runtime.ownership import Ownership
from musterd.runtime.replicas.lease import Lease
from musterd.runtime.replicas.signals import Signals
from musterd.runtime.runs import Runs
from musterd.runtime.sessions import Sessions
from musterd.runtime.supervisor import Supervisor, shutting_down
from musterd.runtime.tasks import Tasks
from musterd.settings import Settings, build_backend, build_token_verifier
from musterd.transport.agents import AgentServicer
from musterd.transport.hooks import HookServicer
from musterd.transport.interceptors import IdentityInterceptor
from musterd.transport.running import RunStreamer
from musterd.transport.server import Binding, GrpcServer
from musterd.transport.server_info import ServerInfoServicer
from musterd.transport.services import services_of
from musterd.transport.sessions import SessionServicer
from musterd.transport.tasks import TaskServicer
from musterd.transport.teams import TeamServicer
from musterd.transport.workflows import WorkflowServicer
from musterd.version import VERSION

STOP_GRACE_SECONDS = 1.0

CALM_SECONDS = 0.05
"""How long no call may come before connections are closed. It is part of the grace: without one there is no calm."""


class Musterd:
    """An app: the agents, teams and workflows that clients may run, prototypes and factories side by side.

    A prototype's id is its name. `pre_hooks` and `post_hooks` are called around each run of any of them, before the
    hooks that those have themselves. With `run_hooks_in_background` all hooks run after their run, whoever has them,
    but guardrails and such as say otherwise. Raises ValueError when two share an id or a prototype has no name,
    TypeError for an object of another kind, and for hooks that cannot be called.
    """

    def __init__(
        self,
        *,
        agents: Sequence[RegistrableAgent] = (),
        teams: Sequence[RegistrableTeam] = (),
        workflows: Sequence[RegistrableWorkflow] = (),
        pre_hooks: Sequence[HookCallable] = (),
        post_hooks: Sequence[HookCallable] = (),
        run_hooks_in_background: bool = False,
    ) -> None:
        self.registry = Registry(agents, teams, workflows)
        self.hooks = AppHooks.of(pre_hooks, post_hooks, run_in_background=run_hooks_in_background)


class Service:
    """An app that runs on one server: makes every part, starts them in order, stops them in the reverse.

    Made and used in one running event loop. With `store`, `bus` or `clock` a test brings its own in place of what the
    settings name.
    """

    def __init__(
        self,
        app: Musterd,
        settings: Settings,
        *,
        store: FullStore | None = None,
        bus: Bus | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        backend = build_backend(settings.store)
        self._store = store or backend.store
        self._verifier = build_token_verifier(settings.auth, self._clock) if settings.auth.mode == "jwt" else None
        limits = limits_of(settings)
        ownership = Ownership()
        self._builder = Builder(app.registry, limits)
        plan = HookPlan(app.registry, app.hooks)
        self._hooks = HookRunner(
            BackgroundCaller(
                plan=plan, builder=self._builder, clock=self._clock, timeout_seconds=limits.hook_timeout_seconds
            ),
            store=self._store,
            ownership=ownership,
            clock=self._clock,
            limits=limits,
        )
        plan.on_left = self._hooks.look
        self._hub = Hub(self._store, limits)
        self._changes = TaskChanges()
        self._hub.listen(self._changes.notice)
        self._writer = LogWriter(self._store, self._clock, limits)
        self._supervisor = Supervisor(
            ownership=ownership,
            store=self._store,
            builder=self._builder,
            writer=self._writer,
            changes=self._changes,
            hooks=plan,
            clock=self._clock,
            limits=limits,
        )
        self._maintenance = Maintenance(store=self._store, clock=self._clock)
        self._lease: Lease | None = None
        self._signals: Signals | None = None
        bus = bus or backend.bus
        if bus is not None:
            self._lease = Lease(ownership, store=self._store, clock=self._clock, seconds=settings.store.lease_seconds)
            self._signals = Signals(
                bus=bus,
                store=self._store,
                hub=self._hub,
                changes=self._changes,
                supervisor=self._supervisor,
                clock=self._clock,
                poll_seconds=settings.store.poll_seconds,
            )
            self._signals.on_look = self._hooks.look
        runs = Runs(
            registry=app.registry,
            store=self._store,
            supervisor=self._supervisor,
            hub=self._hub,
            limits=limits,
        )
        tasks = Tasks(store=self._store, supervisor=self._supervisor, hub=self._hub, changes=self._changes)
        streams = Streams(
            hub=self._hub, clock=self._clock, limits=limits, heartbeat_seconds=settings.server.heartbeat_seconds
        )
        runner = RunStreamer(runs=runs, tasks=tasks, streams=streams, clock=self._clock)
        services = services_of(
            agents=AgentServicer(registry=app.registry, runner=runner),
            teams=TeamServicer(
                registry=app.registry, runner=runner, boards=Boards(store=self._store, supervisor=self._supervisor)
            ),
            workflows=WorkflowServicer(registry=app.registry, runner=runner),
            tasks=TaskServicer(
                tasks=tasks,
                streams=streams,
                clock=self._clock,
                cancel_grace_seconds=limits.cancel_grace_seconds,
                snapshot_max_age_seconds=limits.snapshot_max_age_seconds,
            ),
            sessions=SessionServicer(sessions=Sessions(store=self._store, tasks=tasks)),
            hooks=HookServicer(runs=HookRuns(store=self._store, on_retry=self._hooks.look)),
            server_info=ServerInfoServicer(VERSION, limits, settings.server.max_message_bytes),
        )
        self._server = GrpcServer(
            services,
            [
                IdentityInterceptor(
                    self._verifier,
                    metadata_allow_list=settings.server.metadata_allow_list,
                    is_reflection_open=settings.server.reflection == "open",
                )
            ],
            max_message_bytes=settings.server.max_message_bytes,
            max_token_bytes=settings.auth.max_token_bytes,
            with_reflection=settings.server.reflection != "off",
            shares_port=settings.server.workers > 1,
        )

    @property
    def running_count(self) -> int:
        """How many tasks run here now."""
        return self._supervisor.running_count

    @property
    def tcp_port(self) -> int | None:
        """The port that the server listens on; None without TCP."""
        return self._server.tcp_port

    def addresses(self) -> dict[str, str]:
        """Return where the server listens, for people."""
        server = self._settings.server
        addresses = {"tcp": f"{server.listen.rpartition(':')[0]}:{self.tcp_port}"} if self.tcp_port else {}
        return addresses if server.unix_socket is None else {**addresses, "unix": str(server.unix_socket)}

    async def start(self) -> None:
        """Open the store, take over what an earlier process left, and serve.

        Raises StoreOpenError, KeysNotLoadedError or OSError with what to change; then nothing is left open.
        """
        async with AsyncExitStack() as undo:
            await self._store.open(self._hub.publish)
            undo.push_async_callback(self._store.close)
            if self._verifier is not None:
                await self._verifier.open()
                undo.push_async_callback(self._verifier.close)
            if self._lease is not None and self._signals is not None:
                await self._lease.open(self._lose_all)
                undo.push_async_callback(self._lease.close)
                await self._signals.open()
                undo.push_async_callback(self._signals.close)
            self._writer.start()
            undo.push_async_callback(self._writer.close)
            await self._server.start(self._binding())
            self._supervisor.start()
            self._hooks.start()
            self._maintenance.start()
            undo.pop_all()

    def _lose_all(self) -> None:
        self._supervisor.lose_all()
        self._hooks.lose_all()

    def _binding(self) -> Binding:
        server = self._settings.server
        certificate = None
        if server.tls_certificate_file is not None and server.tls_private_key_file is not None:
            certificate = (server.tls_certificate_file.read_bytes(), server.tls_private_key_file.read_bytes())
        return Binding(
            listen=server.listen,
            unix_socket=server.unix_socket,
            unix_socket_mode=server.unix_socket_mode,
            certificate=certificate,
        )

    async def stop(self, hurry: asyncio.Event | None = None) -> None:
        """Go down: no new work, readers sent off, running tasks finished within the grace or left resumable.

        `hurry` ends the grace when it is set.
        """
        self._server.announce_shutdown()
        self._supervisor.drain()
        self._hub.close(shutting_down)
        self._changes.close(shutting_down)
        grace_seconds = self._settings.server.shutdown_grace_seconds
        hurry = hurry or asyncio.Event()
        await asyncio.gather(self._supervisor.close(grace_seconds, hurry), self._hooks.close(grace_seconds, hurry))
        await self._server.stop(STOP_GRACE_SECONDS, min(CALM_SECONDS, grace_seconds))
        await self._writer.close()
        await self._maintenance.close()
        if self._signals is not None:
            await self._signals.close()
        if self._lease is not None:
            await self._lease.close()
        self._builder.close()
        if self._verifier is not None:
            await self._verifier.close()
        await self._store.close()


def limits_of(settings: Settings) -> Limits:
    """Return the runtime's bounds as the settings have them."""
    runtime = settings.runtime
    return Limits(
        max_running_tasks=runtime.max_running_tasks,
        max_running_tasks_per_tenant=runtime.max_running_tasks_per_tenant,
        max_running_tasks_per_user=runtime.max_running_tasks_per_user,
        max_running_tasks_per_tree=runtime.max_running_tasks_per_tree,
        max_queued_tasks=runtime.max_queued_tasks,
        queue_look_seconds=runtime.queue_look_seconds,
        max_attempts=runtime.max_attempts,
        run_timeout_seconds=runtime.run_timeout_seconds,
        max_run_timeout_seconds=runtime.max_run_timeout_seconds,
        factory_timeout_seconds=runtime.factory_timeout_seconds,
        factory_threads=runtime.factory_threads,
        max_requests_per_run=runtime.max_requests_per_run,
        model_max_retries=runtime.model_max_retries,
        model_retry_initial_delay_seconds=runtime.model_retry_initial_delay_seconds,
        model_retry_max_delay_seconds=runtime.model_retry_max_delay_seconds,
        cancel_grace_seconds=runtime.cancel_grace_seconds,
        cancel_abandon_seconds=runtime.cancel_abandon_seconds,
        session_max_messages=runtime.session_max_messages,
        session_max_bytes=runtime.session_max_bytes,
        hook_concurrency=runtime.hook_concurrency,
        hook_timeout_seconds=runtime.hook_timeout_seconds,
        hook_max_attempts=runtime.hook_max_attempts,
        hook_retry_initial_delay_seconds=runtime.hook_retry_initial_delay_seconds,
        hook_retry_max_delay_seconds=runtime.hook_retry_max_delay_seconds,
        flush_window_seconds=runtime.flush_window_ms / 1_000,
        flush_window_max_seconds=runtime.flush_window_max_ms / 1_000,
        flush_max_events=runtime.flush_max_events,
        reader_max_lag_events=runtime.reader_max_lag_events,
        approval_park_seconds=runtime.approval_park_seconds,
        approval_timeout_seconds=runtime.approval_timeout_seconds,
        # Without tokens there is nothing that could be renewed.
        snapshot_max_age_seconds=None if settings.auth.mode == "off" else settings.auth.snapshot_max_age_seconds,
    )
