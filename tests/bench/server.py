"""The server under test: the bench's agents on a real store, with tokens checked. Says its port."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.bench.agents import Gated, bench_agents
from tests.bench.commands import answer_commands, say, tune_collector
from tests.bench.sampling import Sampler

from musterd import Musterd
from musterd.app import Service
from musterd.cli.logs import configure_logging
from musterd.testing.serving import serve_settings


async def serve(folder: Path, key_file: Path, sections: dict[str, dict[str, Any]]) -> None:
    """Serve until the bench goes away. `sections` are settings; without a store it is a SQLite file in the folder."""
    # What goes to standard output the bench would take for answers.
    configure_logging("warning", "json")
    gated = Gated()
    settings = serve_settings(
        folder,
        server={"listen": "127.0.0.1:0", "unix_socket": None},
        auth={"mode": "jwt", "public_key_files": [key_file]},
        **sections,
    )
    service = Service(Musterd(agents=bench_agents(gated)), settings)
    sampler = Sampler()

    async def answer(command: dict[str, Any]) -> object:
        match command["do"]:
            case "wait":
                await gated.all_wait(command["runs"])
            case "begin":
                gated.begin()
            case "end":
                gated.end()
            case "sample":
                sampler.start()
            case "report":
                return sampler.stop()
            case other:
                raise ValueError(other)
        return None

    await service.start()
    tune_collector()
    say(service.tcp_port)
    await answer_commands(answer)
    await service.stop()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])))
