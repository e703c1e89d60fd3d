"""What clients saw: each call, when it began and ended, and what it was answered."""

import dataclasses
import json
import math
import threading

FOREVER = math.inf


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of one client, over all tries of its request_id.

    of        what it is about: calls of different things are checked apart
    name      of the model's operation
    argument  what it wanted to write, if it writes
    began     when its first try was sent (CLOCK_MONOTONIC, one for all processes of a machine)
    ended     when its last answer came; FOREVER: nobody knows what became of it
    answer    ("ok", value) or ("refused", AWS exception); None: nobody knows
    """

    of: str
    name: str
    argument: str | None
    began: float
    ended: float
    answer: tuple | None


class History:
    """Of one schedule. Threads add to it."""

    def __init__(self):
        self._lock, self._calls = threading.Lock(), []

    def add(self, call):
        with self._lock:
            self._calls.append(call)

    def calls(self):
        with self._lock:
            return list(self._calls)

    def by_thing(self):
        """{what: its calls}."""
        found = {}
        for call in self.calls():
            found.setdefault(call.of, []).append(call)
        return found

    def write(self, path):
        """One JSON object a line, for someone who looks into a finding."""
        with open(path, "w", encoding="ascii") as out:
            for call in sorted(self.calls(), key=lambda c: c.began):
                fields = dataclasses.asdict(call)
                fields["ended"] = None if call.ended == FOREVER else call.ended
                out.write(json.dumps(fields) + "\n")


def read(path):
    """The calls that History.write wrote."""
    with open(path, encoding="ascii") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Call(
            **{
                **row,
                "ended": FOREVER if row["ended"] is None else row["ended"],
                "answer": None if row["answer"] is None else tuple(row["answer"]),
            }
        )
        for row in rows
    ]
