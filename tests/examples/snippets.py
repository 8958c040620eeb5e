"""The fenced blocks of a Markdown page, and a place where they are run in their order, as a reader would.

What a block's info string says beside its language:
- `file=NAME`: it is saved under this name first, for the blocks that follow.
- `output`: it is what the block before it prints.
- `norun: REASON`: it cannot run here.
"""

import ast
import os
import re
import shlex
import textwrap
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from inspect import CO_COROUTINE
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Self

from examples import quickstart
from tests.support.processes import BIN, Process, finish

from musterd.app import Service
from musterd.settings import Settings, load_settings
from musterd_client import MusterdClient

ROOT = Path(__file__).resolve().parents[2]
RUNNABLE = frozenset(("bash", "python", "toml"))
WRITTEN_TARGET = "127.0.0.1:50051"
BASH = "/bin/bash"

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block. `place` is its page and line."""

    place: str
    language: str
    options: str
    code: str

    @property
    def reason_not_to_run(self) -> str | None:
        """Why it cannot run here; None when it can."""
        is_marked, _, reason = self.options.partition("norun:")
        return reason.strip() if not is_marked and self.options else None

    @property
    def file_name(self) -> str | None:
        """The name that it is saved under."""
        found = re.fullmatch(r"file=(\S+)", self.options)
        return found[1] if found else None

    @property
    def is_run(self) -> bool:
        """Whether it is run, saved or loaded here."""
        return self.language in RUNNABLE and self.reason_not_to_run is None


def blocks_of(page: Path) -> Sequence[Block]:
    """Return the blocks of a page."""
    text = page.read_text()
    blocks: list[Block] = []
    for found in _FENCE.finditer(text):
        language, _, options = found["info"].strip().partition(" ")
        line = text.count("\n", 0, found.start()) + 1
        place = f"{page.relative_to(ROOT)}:{line}"
        blocks.append(Block(place=place, language=language, options=options, code=textwrap.dedent(found["code"])))
    return blocks


class Reader:
    """Runs the blocks of one page in a folder of its own. Use it as an async context manager.

    A page that has `musterd serve` starts the server that its later blocks call; else it is one that serves the
    quickstart. A Python block that calls asyncio.run is a program in a process of its own. Any other shares its names
    with those before it, may await, and finds `client`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cleanup = AsyncExitStack()
        self._process: Process | None = None
        self._target = ""
        self._printed = ""
        self._names = ModuleType("page")
        for name in ("buf.yaml", "examples", "protos"):
            (folder / name).symlink_to(ROOT / name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        async with self._cleanup:
            if self._process is not None:
                self._process.terminate()
                ended = await self._process.finished()
                assert ended.code == 0, ended.stderr

    async def read(self, block: Block) -> None:
        """Run a block, save it, or compare it with what the one before printed."""
        if block.options == "output":
            assert self._printed.strip() == block.code.strip(), block.place
        if not block.is_run:
            return
        self._printed = ""
        if block.file_name is not None:
            (self._folder / block.file_name).write_text(block.code)
        match block.language:
            case "toml":
                self._load_settings(block)
            case "bash":
                await self._run_commands(block)
            case _ if block.file_name is None:
                await self._run_python(block)
            case _:
                compile(block.code, block.place, "exec")

    def _load_settings(self, block: Block) -> None:
        path = self._folder / (block.file_name or "page.toml")
        path.write_text(block.code)
        load_settings(config_file=path)

    async def _run_commands(self, block: Block) -> None:
        command = shlex.split(block.code, comments=True)
        if command[:2] == ["musterd", "serve"]:
            await self._serve(command[1:])
            return
        await self._check(block, BASH, "-euo", "pipefail", "-c", await self._aimed(block.code))

    async def _run_python(self, block: Block) -> None:
        code = await self._aimed(block.code)
        if "asyncio.run(" in code:
            await self._check(block, "python", "-c", code)
            return
        compiled = compile(code, block.place, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        self._names.__dict__.setdefault("client", await self._connect())
        made: Any = FunctionType(compiled, self._names.__dict__)()
        if compiled.co_flags & CO_COROUTINE:
            await made

    async def _check(self, block: Block, program: str, *arguments: str) -> None:
        ended = await finish(program, *arguments, folder=self._folder, variables=self._variables())
        assert ended.code == 0, f"{block.place}\n{ended.stdout}\n{ended.stderr}"
        self._printed = ended.stdout

    async def _serve(self, arguments: Sequence[str]) -> None:
        variables = self._variables() | {"MUSTERD_SERVER__LISTEN": "127.0.0.1:0", "MUSTERD_LOG__FORMAT": "json"}
        assert not self._target, "a page has one server"
        process = Process("musterd", *arguments, folder=self._folder, variables=variables)
        self._process = await self._cleanup.enter_async_context(process)
        self._target = (await self._process.logged("serving"))["tcp"]

    async def _serve_quickstart(self) -> None:
        server = {"listen": "127.0.0.1:0", "shutdown_grace_seconds": 0}
        store = {"url": f"sqlite:///{self._folder / 'musterd.db'}"}
        service = Service(quickstart.app, Settings.model_validate({"server": server, "store": store}))
        await service.start()
        self._cleanup.push_async_callback(service.stop)
        self._target = service.addresses()["tcp"]

    async def _connect(self) -> MusterdClient:
        await self._aimed("")
        return await self._cleanup.enter_async_context(MusterdClient(self._target))

    async def _aimed(self, code: str) -> str:
        """Return code with the address of the page's server, which is started if there is none."""
        if not self._target:
            await self._serve_quickstart()
        return code.replace(WRITTEN_TARGET, self._target)

    def _variables(self) -> dict[str, str]:
        return {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "MUSTERD_TARGET": self._target or WRITTEN_TARGET}
