"""Where the CPU time of a process goes: by thread, and for the event loop's thread by part, call, function and line.

A signal comes for every few milliseconds of CPU time, and the frames that it meets are noted: that distorts less than
cProfile, which makes each call of a small function several times as dear.
"""

import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

SAMPLE_SECONDS = 0.004
SHOWN_MAX = 40

PARTS: Mapping[str, str] = {
    "selectors.py": "waiting: other threads and the kernel",
    "musterd/transport/codec/": "codec",
    "musterd/transport/streaming.py": "codec",
    "musterd_client/v1/": "codec",
    "google/protobuf/": "codec",
    "musterd/transport/": "transport",
    "grpc/": "transport",
    "musterd/auth/": "transport",
    "musterd/store/": "store",
    "musterd/runtime/attempt/tap.py": "tap and journal",
    "musterd/runtime/attempt/recorder.py": "tap and journal",
    "musterd/runtime/attempt/journal.py": "tap and journal",
    "musterd/runtime/attempt/capability.py": "tap and journal",
    "musterd/runtime/attempt/custom_events.py": "tap and journal",
    "musterd/runtime/feed/log.py": "log and streams",
    "musterd/runtime/feed/hub.py": "log and streams",
    "musterd/runtime/feed/streams.py": "log and streams",
    "musterd/runtime/admission.py": "delegation",
    "musterd/runtime/boards.py": "delegation",
    "musterd/runtime/budgets.py": "delegation",
    "musterd/runtime/claimer.py": "delegation",
    "musterd/runtime/delegation/": "delegation",
    "musterd/runtime/feed/changes.py": "delegation",
    "musterd/runtime/teams/": "delegation",
    "musterd/subagents/": "delegation",
    "musterd/teams/": "delegation",
    "musterd/": "rest of the runtime",
    "pydantic_ai/": "agent loop",
    "pydantic_graph/": "agent loop",
    "tests/bench/agents.py": "agent loop",
    "tests/bench/delegating.py": "agent loop",
}
"""The part that a file belongs to, by the first of these that its path begins with; others belong to their caller."""

LOOP_PART = "event loop and gRPC's compiled code"
OWN = "musterd"


class Sampler:
    """Takes samples between `start` and `stop`."""

    def __init__(self) -> None:
        self._parts: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._functions: Counter[str] = Counter()
        self._lines: Counter[str] = Counter()
        self._threads: Mapping[str, float] = {}

    def start(self) -> None:
        """Begin to take samples."""
        self._threads = _cpu_by_thread()
        signal.signal(signal.SIGPROF, self._take)
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_SECONDS, SAMPLE_SECONDS)

    def stop(self) -> Mapping[str, Mapping[str, float]]:
        """Return the CPU seconds by thread, and the shares of the samples by part, by call of ours and by line."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        return {
            "thread": {name: seconds - self._threads.get(name, 0.0) for name, seconds in _cpu_by_thread().items()},
            "part": self._parts,
            "call of ours, with what it calls": dict(self._calls.most_common(SHOWN_MAX)),
            "function": dict(self._functions.most_common(SHOWN_MAX)),
            "line": dict(self._lines.most_common(SHOWN_MAX)),
        }

    def _take(self, _signal: int, frame: FrameType | None) -> None:
        names = [(_short(each.f_code.co_filename), each) for each in _stack(frame)]
        found = (part for name, _ in names for prefix, part in PARTS.items() if name.startswith(prefix))
        self._parts[next(found, LOOP_PART)] += 1
        self._functions.update(f"{name}:{each.f_code.co_qualname}" for name, each in names[:1])
        self._lines.update(f"{name}:{each.f_lineno} {each.f_code.co_name}" for name, each in names[:1])
        self._calls.update({f"{name}:{each.f_code.co_qualname}" for name, each in names if name.startswith(OWN)})


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _short(filename: str) -> str:
    folders = (folder for folder in sys.path if filename.startswith(f"{folder}/"))
    return filename.removeprefix(max(folders, key=len, default="") + "/")


def _cpu_by_thread() -> Mapping[str, float]:
    """Return the CPU seconds of each thread that lives, those of gRPC's own threads as one."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    total: Counter[str] = Counter()
    for task in Path("/proc/self/task").iterdir():
        name = names.get(int(task.name), "gRPC's own threads")
        total[name] += int((task / "schedstat").read_text().split()[0])
    return {name: nanoseconds / 1e9 for name, nanoseconds in total.items()}


def print_profile(profile: Mapping[str, Mapping[str, float]]) -> None:
    """Print what `Sampler.stop` returned."""
    samples = sum(profile["part"].values()) or 1.0
    for title, shares in profile.items():
        total = samples if title != "thread" else sum(shares.values())
        print(f"\n  CPU by {title}")
        for name, share in sorted(shares.items(), key=lambda item: -item[1]):
            print(f"    {share / total:>6.1%}  {name}")
