"""What a key and an alias are, one call after the other. Pure, and written from the AWS KMS API's
pages alone: nothing here knows how Keystead does it.

A model is its first state and a function step(state, call), which returns the state after the call,
or None where the call can't have been answered so in that state. A call whose answer nobody knows
(None) is taken as one that was done.
"""

ENABLED, DISABLED, PENDING = "ENABLED", "DISABLED", "PENDING_DELETION"
# What a key's state answers to a use of the key, where it refuses one.
REFUSAL_OF_USE = {DISABLED: "DisabledException", PENDING: "KMSInvalidStateException"}
INVALID_STATE = ("refused", "KMSInvalidStateException")
OK = ("ok", None)

# From which states a change is allowed, and where it leads.
CHANGES = {
    "enable": {ENABLED: ENABLED, DISABLED: ENABLED},
    "disable": {ENABLED: DISABLED, DISABLED: DISABLED},
    "schedule": {ENABLED: PENDING, DISABLED: PENDING},
    "cancel": {PENDING: DISABLED},
    "describe_as": {ENABLED: ENABLED, DISABLED: DISABLED},
}


def step_key(state, call):
    """state: (key state, description)."""
    mode, description = state
    if call.name == "look":
        return state if call.answer == ("ok", f"{mode} {description}") else None
    if call.name == "use":
        refusal = REFUSAL_OF_USE.get(mode)
        return state if call.answer == (("refused", refusal) if refusal else OK) else None
    after = CHANGES[call.name].get(mode)
    if after is None:
        return state if call.answer == INVALID_STATE else None
    if call.answer not in (OK, None):
        return None
    return (after, call.argument if call.name == "describe_as" else description)


def first_key(description):
    return (ENABLED, description)


def step_alias(state, call):
    """state: the key that the alias is of."""
    if call.name == "look":
        return state if call.answer == ("ok", state) else None
    return call.argument if call.answer in (OK, None) else None
