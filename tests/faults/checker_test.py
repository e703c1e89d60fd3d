#!/usr/bin/env python3
"""The checker finds what is planted, and finds nothing where there is nothing."""

import itertools
import random
import unittest

import models
from checker import check
from history import FOREVER, Call

OK = ("ok", None)


def key(name, began, ended, answer=OK, argument=None):
    return Call("key", name, argument, began, ended, answer)


def is_explained(*calls):
    return check(list(calls), models.first_key("d0"), models.step_key) is None


class Planted(unittest.TestCase):
    def test_a_use_after_disable_returned(self):
        self.assertFalse(is_explained(key("disable", 1, 2), key("use", 3, 4)))
        self.assertTrue(is_explained(key("disable", 1, 3), key("use", 2, 4)))

    def test_a_change_that_was_acknowledged_and_lost(self):
        lost = key("look", 3, 4, ("ok", "ENABLED d0"))
        self.assertFalse(is_explained(key("describe_as", 1, 2, OK, "d1"), lost))

    def test_a_state_that_goes_back(self):
        old, new = ("ok", "ENABLED d0"), ("ok", "ENABLED d1")
        change = key("describe_as", 1, 9, OK, "d1")
        self.assertTrue(is_explained(change, key("look", 2, 3, old), key("look", 4, 5, new)))
        self.assertFalse(is_explained(change, key("look", 2, 3, new), key("look", 4, 5, old)))

    def test_a_retry_that_is_done_twice(self):
        retried = key("disable", 1, 8)
        enabled = key("enable", 4, 5)
        seen = [key("use", 2, 3, ("refused", "DisabledException")), key("use", 6, 7)]
        again = key("use", 9, 10, ("refused", "DisabledException"))
        self.assertTrue(is_explained(retried, enabled, *seen))
        self.assertFalse(is_explained(retried, enabled, *seen, again))

    def test_a_refusal_that_no_state_gives(self):
        self.assertFalse(is_explained(key("enable", 1, 2, ("refused", "KMSInvalidStateException"))))
        self.assertFalse(is_explained(key("use", 1, 2, ("refused", "NotFoundException"))))

    def test_an_unknown_outcome_is_both(self):
        unknown = key("disable", 1, FOREVER, None)
        refused = ("refused", "DisabledException")
        self.assertTrue(is_explained(unknown, key("use", 2, 3)))
        self.assertTrue(is_explained(unknown, key("use", 2, 3), key("use", 4, 5, refused)))
        self.assertFalse(is_explained(unknown, key("use", 2, 3, refused), key("use", 4, 5)))
        self.assertFalse(is_explained(key("use", 0, 0.5, refused), unknown))

    def test_an_alias_that_names_the_old_key(self):
        alias = lambda name, began, ended, answer, argument=None: Call(
            "alias", name, argument, began, ended, answer
        )
        write, stale = alias("point", 1, 2, OK, "k2"), alias("look", 3, 4, ("ok", "k1"))
        self.assertIsNotNone(check([write, stale], "k1", models.step_alias))
        fresh = alias("look", 3, 4, ("ok", "k2"))
        self.assertIsNone(check([write, fresh], "k1", models.step_alias))


def brute(calls, first, step):
    """Whether any order explains the calls: all of them are tried, unknown ones also left out."""
    known = [c for c in calls if c.answer is not None]
    unknown = [c for c in calls if c.answer is None]
    for size in range(len(unknown) + 1):
        for extra in itertools.combinations(unknown, size):
            for order in itertools.permutations(known + list(extra)):
                late = any(
                    order[j].ended < order[i].began
                    for i in range(len(order))
                    for j in range(i + 1, len(order))
                )
                state = first
                for call in order if not late else ():
                    state = step(state, call)
                    if state is None:
                        break
                if not late and state is not None:
                    return True
    return False


class Random(unittest.TestCase):
    def test_small_histories_as_by_trying_all_orders(self):
        draw = random.Random(1)
        verdicts = set()
        for _ in range(400):
            calls = []
            for _ in range(draw.randint(2, 6)):
                began = draw.random()
                name = draw.choice(["use", "disable", "enable", "look"])
                answers = {
                    "use": [OK, ("refused", "DisabledException")],
                    "look": [("ok", "ENABLED d0"), ("ok", "DISABLED d0")],
                }.get(name, [OK, OK, None])
                answer = draw.choice(answers)
                ended = FOREVER if answer is None else began + draw.random() / 2
                calls.append(key(name, began, ended, answer))
            first = models.first_key("d0")
            expected = brute(calls, first, models.step_key)
            self.assertEqual(check(calls, first, models.step_key) is None, expected, calls)
            verdicts.add(expected)
        self.assertEqual(verdicts, {True, False})

    def test_a_long_history_with_overlaps(self):
        draw = random.Random(2)
        state, now, calls = models.first_key("d0"), 0.0, []
        for number in range(4000):
            now += 1
            name = draw.choice(["use", "look", "disable", "enable", "describe_as"])
            argument = f"d{number}" if name == "describe_as" else None
            guesses = [OK, ("refused", "DisabledException"), ("ok", f"{state[0]} {state[1]}")]
            for answer in guesses:
                began, ended = now - draw.random() * 3, now + draw.random() * 3
                call = key(name, began, ended, answer, argument)
                after = models.step_key(state, call)
                if after is not None:
                    calls.append(call)
                    state = after
                    break
        self.assertGreater(len(calls), 3900)
        self.assertTrue(is_explained(*calls))
        wrong = key("look", now + 10, now + 11, ("ok", "ENABLED never"))
        self.assertFalse(is_explained(*calls, wrong))


if __name__ == "__main__":
    unittest.main()
