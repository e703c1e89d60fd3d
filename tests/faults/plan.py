"""Which faults come when: drawn from a seed, so that a finding can be repeated. Pure."""

import dataclasses
import random

SHORT, LONG = (0.2, 1.5), (2.0, 8.0)
# Of a clock, in seconds: what NTP mends, what it does not, a certificate's life, a deletion's wait.
CLOCK_STEPS = (0.3, 5, 90, 3600, 86400, 40 * 86400)
FIRST_AT = 0.5
QUIET_AT_END = 1.0

# How often each kind comes, on which processes of a zone, and how long it lasts.
KINDS = {
    "kill": (6, ("keystore", "hsm", "etcd", "frontend"), (0, 0)),
    "pause": (6, ("keystore", "hsm", "etcd", "frontend"), SHORT),
    "long_pause": (3, ("keystore", "etcd"), LONG),
    "cut": (3, ("zone",), LONG),
    "apart": (5, ("zone",), LONG),
    "clock": (4, ("keystore",), LONG),
    "full": (2, ("keystore", "etcd"), LONG),
    "sync": (2, ("keystore",), LONG),
    "corrupt": (2, ("keystore",), SHORT),
}


@dataclasses.dataclass(frozen=True)
class Fault:
    kind: str
    part: str  # of the zone: a process, or the zone itself
    zone: int
    at: float  # seconds since the schedule began
    lasts: float
    step: float = 0.0  # of a clock

    def __str__(self):
        step = f" by {self.step:+g} s" if self.step else ""
        return f"{self.at:5.1f} s {self.kind}{step} {self.part} {self.zone}, {self.lasts:.1f} s"


def draw_fault(draw, at, seconds):
    kind = draw.choices(list(KINDS), [weight for weight, _, _ in KINDS.values()])[0]
    _, parts, (least, most) = KINDS[kind]
    lasts = min(draw.uniform(least, most), max(seconds - QUIET_AT_END - at, 0.1))
    step = draw.choice(CLOCK_STEPS) * draw.choice((-1, 1)) if kind == "clock" else 0.0
    return Fault(kind, draw.choice(parts), draw.randrange(3), at, lasts, step)


def plan(seed, seconds):
    """The faults of one schedule, in order of their beginning."""
    draw = random.Random(seed)
    faults, at = [], FIRST_AT
    while at < seconds - QUIET_AT_END:
        faults.append(draw_fault(draw, at, seconds))
        at += draw.expovariate(1 / 2.0) + 0.2
    return faults
