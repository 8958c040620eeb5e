"""The runtime without a transport: what a server process has inside, made and killed at will."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

from tests.support.cutting import Cut, CuttingStore

from musterd import Musterd
from musterd.domain.clock import Clock, SystemClock
from musterd.domain.event import Event
from musterd.domain.full_store import FullStore
from musterd.runtime.components.building import Builder
from musterd.runtime.feed.changes import TaskChanges
from musterd.runtime.feed.hub import Hub
from musterd.runtime.feed.log import LogWriter
from musterd.runtime.hooks.background import BackgroundCaller
from musterd.runtime.hooks.plan import HookPlan
from musterd.runtime.hooks.runner import HookRunner
from musterd.runtime.limits import Limits
from musterd.runtime.ownership import Ownership
from musterd.runtime.runs import Runs
from musterd.runtime.supervisor import Supervisor
from musterd.runtime.tasks import Tasks
from musterd.store.sqlite import SqliteStore
from musterd.store.sqlite.adapter import utc_now


class Kernel:
    """One life of a server's runtime on a database file."""

    def __init__(
        self,
        app: Musterd,
        database: Path,
        *,
        cut: Cut | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
        stored_time: Callable[[], datetime] = utc_now,
        wrap_store: Callable[[FullStore], FullStore] = lambda store: store,
    ) -> None:
        self.real_store = SqliteStore(database, stored_time)
        store = cast("FullStore", CuttingStore(self.real_store, cut)) if cut else self.real_store
        self.store = wrap_store(store)
        limits, clock = limits or Limits(), clock or SystemClock()
        self.hub = Hub(self.store, limits)
        self.changes = TaskChanges()
        self.hub.listen(self.changes.notice)
        self.writer = LogWriter(self.store, clock, limits)
        self.builder = Builder(app.registry, limits)
        self.ownership = ownership = Ownership()
        plan = HookPlan(app.registry, app.hooks)
        caller = BackgroundCaller(
            plan=plan, builder=self.builder, clock=clock, timeout_seconds=limits.hook_timeout_seconds
        )
        self.hooks = HookRunner(caller, store=self.store, ownership=ownership, clock=clock, limits=limits)
        plan.on_left = self.hooks.look
        self.supervisor = Supervisor(
            ownership=ownership,
            store=self.store,
            builder=self.builder,
            writer=self.writer,
            changes=self.changes,
            hooks=plan,
            clock=clock,
            limits=limits,
        )
        self.runs = Runs(
            registry=app.registry,
            store=self.store,
            supervisor=self.supervisor,
            hub=self.hub,
            limits=limits,
        )
        self.tasks = Tasks(store=self.store, supervisor=self.supervisor, hub=self.hub, changes=self.changes)

    async def start(self) -> None:
        await self.store.open(self.hub.publish)
        self.writer.start()
        self.supervisor.start()
        self.hooks.start()

    async def stop(self) -> None:
        await self.supervisor.close(0, asyncio.Event())
        await self.hooks.close(0, asyncio.Event())
        await self.writer.close()
        self.builder.close()
        await self.store.close()

    async def die(self) -> None:
        """End as a killed process does: nothing is finished, nothing is written; the file is let go."""
        # Else a tool call that is cut off would cancel its child, in a store that never answers.
        self.supervisor.drain()
        names = ("run-", "log-writer", "claimer", "hook-")
        others = [task for task in asyncio.all_tasks() if task.get_name().startswith(names)]
        while not all(task.done() for task in others):
            for task in others:
                task.cancel()
            await asyncio.sleep(0)
        self.builder.close()
        await self.real_store.close()

    async def log_of(self, root_task_id: str) -> Sequence[Event]:
        events: list[Event] = []
        while (page := await self.real_store.read_events(root_task_id, len(events), 500)).events:
            events += page.events
        return events
