"""Where the CPU time of a process goes: by thread, and for the event loop's thread by part and by line.

A signal comes for every few milliseconds of CPU time, and the frame that it meets is noted: that distorts less than
cProfile, which makes each call of a small function several times as dear.
"""

import signal
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

SAMPLE_SECONDS = 0.004
LINES_MAX = 40

PARTS: Mapping[str, str] = {
    "musterd/transport/codec/": "codec",
    "musterd/transport/streaming.py": "codec",
    "musterd_client/v1/": "codec",
    "google/protobuf/": "codec",
    "musterd/transport/": "transport",
    "grpc/": "transport",
    "musterd/auth/": "transport",
    "musterd/store/": "store",
    "musterd/runtime/tap.py": "tap",
    "musterd/runtime/recorder.py": "tap",
    "musterd/runtime/log.py": "tap",
    "musterd/runtime/journal.py": "tap",
    "musterd/runtime/capability.py": "tap",
    "musterd/runtime/custom_events.py": "tap",
    "musterd/runtime/hub.py": "streams",
    "musterd/runtime/streams.py": "streams",
    "musterd/runtime/": "runtime",
    "musterd/": "runtime",
    "pydantic_ai/": "agent loop",
    "pydantic_graph/": "agent loop",
    "tests/bench/agents.py": "agent loop",
}
"""The part that a file belongs to, by the first of these that its path contains; others belong to their caller."""

LOOP_PART = "event loop and gRPC's compiled code"


class Sampler:
    """Takes samples between `start` and `stop`."""

    def __init__(self) -> None:
        self._parts: Counter[str] = Counter()
        self._lines: Counter[str] = Counter()
        self._threads: Mapping[str, float] = {}

    def start(self) -> None:
        """Begin to take samples."""
        self._parts.clear()
        self._lines.clear()
        self._threads = _cpu_by_thread()
        signal.signal(signal.SIGPROF, self._take)
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_SECONDS, SAMPLE_SECONDS)

    def stop(self) -> dict[str, dict[str, float]]:
        """Return the CPU seconds by thread, and the samples by part and by line."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        threads = {name: seconds - self._threads.get(name, 0.0) for name, seconds in _cpu_by_thread().items()}
        return {"threads": threads, "parts": dict(self._parts), "lines": dict(self._lines.most_common(LINES_MAX))}

    def _take(self, _signal: int, frame: FrameType | None) -> None:
        if frame is not None:
            self._lines[f"{_short(frame.f_code.co_filename)}:{frame.f_lineno} {frame.f_code.co_name}"] += 1
        self._parts[_part_of(frame)] += 1


def _part_of(frame: FrameType | None) -> str:
    while frame is not None:
        name = _short(frame.f_code.co_filename)
        for prefix, part in PARTS.items():
            if name.startswith(prefix):
                return part
        frame = frame.f_back
    return LOOP_PART


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


def print_profile(report: Mapping[str, Mapping[str, float]]) -> None:
    """Print what `Sampler.stop` returned."""
    for title, shares in report.items():
        total = sum(report["parts" if title == "lines" else title].values()) or 1.0
        print(f"\n  CPU by {title}")
        for name, share in sorted(shares.items(), key=lambda item: -item[1]):
            print(f"    {share / total:>6.1%}  {name}")
