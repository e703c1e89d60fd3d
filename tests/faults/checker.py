"""Is a history linearizable? The search of Wing and Gong with Lowe's memory of what was tried
("Testing for linearizability", 2017), for one thing at a time.

A call takes effect at one moment between its first try and its last answer. The search looks for an
order of all calls that a model allows. A call whose outcome nobody knows may take effect at any
time after it began, or never.
"""

import dataclasses

from history import FOREVER


@dataclasses.dataclass
class Node:
    """The beginning or the end of a call, in a list that is ordered by time."""

    call: object
    bit: int
    is_end: bool
    end: "Node" = None  # of a beginning whose end is known
    before: "Node" = None
    after: "Node" = None


@dataclasses.dataclass(frozen=True)
class Contradiction:
    """placed: the longest order that the model allows. stuck: a call that fits nowhere after it."""

    placed: list
    stuck: object
    state: object

    def __str__(self):
        lately = "\n".join(f"  {describe(call)}" for call in self.placed[-6:])
        return (
            f"no order of the calls explains\n  {describe(self.stuck)}\n"
            f"the state before it would be {self.state}, after\n{lately}"
        )


def describe(call):
    until = "?" if call.ended == FOREVER else f"{call.ended:.4f}"
    wanted = f" {call.argument}" if call.argument else ""
    return f"[{call.began:.4f}, {until}] {call.of}: {call.name}{wanted} -> {call.answer}"


def make_list(calls):
    """The head of the list of beginnings and ends, and how many ends there are."""
    nodes = []
    for number, call in enumerate(calls):
        begin = Node(call, 1 << number, False)
        # Of one moment the beginnings come first: the calls count as concurrent.
        nodes.append((call.began, 0, begin))
        if call.ended != FOREVER:
            begin.end = Node(call, begin.bit, True)
            nodes.append((call.ended, 1, begin.end))
    nodes.sort(key=lambda entry: entry[:2])
    head = Node(None, 0, False)
    last = head
    for _, _, node in nodes:
        last.after, node.before = node, last
        last = node
    return head, sum(1 for _, rank, _ in nodes if rank == 1)


def take_out(node):
    for part in (node, node.end):
        if part:
            part.before.after = part.after
            if part.after:
                part.after.before = part.before


def put_back(node):
    for part in (node.end, node):
        if part:
            part.before.after = part
            if part.after:
                part.after.before = part


def check(calls, first, step):
    """None if an order exists that the model allows; else the Contradiction.

    The time is about the number of calls times 2 to the power of those that overlap."""
    head, left = make_list(calls)
    done, state, order, tried = 0, first, [], set()
    best, stuck, best_state = [], None, first
    node = head.after
    while left > 0:
        if node.is_end:
            if len(order) >= len(best):
                best, stuck, best_state = [n.call for n, _ in order], node.call, state
            if not order:
                return Contradiction(best, stuck, best_state)
            node, state = order.pop()
            done &= ~node.bit
            left += node.end is not None
            put_back(node)
            node = node.after
            continue
        after = step(state, node.call)
        key = (done | node.bit, after)
        if after is None or key in tried:
            node = node.after
            continue
        tried.add(key)
        order.append((node, state))
        done, state = key
        left -= node.end is not None
        take_out(node)
        node = head.after
    return None
