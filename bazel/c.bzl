"""Our C rules: native ones with the warnings, hardening and visibility that all our code has."""

_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Wvla",
    "-Wformat=2",
    "-Werror",
]

# Asserts stay on in release, so NDEBUG, which Bazel sets there, is taken back.
# Position-independent code comes from --force_pic in .bazelrc.
_COPTS = [
    "-std=c17",
    "-D_GNU_SOURCE",
    "-UNDEBUG",
    "-fstack-protector-strong",
    "-fno-common",
] + _WARNINGS

_LINKOPTS = [
    "-Wl,--as-needed",
    "-Wl,-z,relro,-z,now",
    "-Wl,-z,noexecstack",
]

def _visibility(asked):
    """Who may depend on a target of this package, unless it says so: what the layers allow.

    A service is seen by itself and the tests; a folder of pkg by everything above it, and
    tests/lint/layers.txt says which of pkg's folders may include which.
    """
    if asked != None:
        return asked
    parts = native.package_name().split("/")
    if parts[0] == "services" and len(parts) > 1:
        return ["//services/%s:__subpackages__" % parts[1], "//tests:__subpackages__"]
    return ["//%s:__subpackages__" % top for top in ["pkg", "services", "tests"]]

def ks_library(name, copts = [], visibility = None, **attributes):
    """A cc_library; headers are included from the repository's root."""
    native.cc_library(
        name = name,
        copts = _COPTS + copts,
        linkstatic = True,
        visibility = _visibility(visibility),
        **attributes
    )

def ks_binary(name, copts = [], linkopts = [], visibility = None, **attributes):
    """A cc_binary: position-independent, with immediate binding and read-only relocations."""
    native.cc_binary(
        name = name,
        copts = _COPTS + copts,
        linkopts = _LINKOPTS + linkopts,
        linkstatic = True,
        visibility = _visibility(visibility),
        **attributes
    )

def ks_test(name, deps = [], copts = [], linkopts = [], size = "small", **attributes):
    """A cc_test with cmocka linked in. Tests are many and short: they run in parallel."""
    native.cc_test(
        name = name,
        size = size,
        copts = _COPTS + copts,
        linkopts = _LINKOPTS + linkopts,
        linkstatic = True,
        deps = deps + ["@sys_cmocka//:lib"],
        **attributes
    )

def ks_fuzz(name, deps = [], copts = [], tags = [], **attributes):
    """A fuzz target: srcs define LLVMFuzzerTestOneInput, tests/fuzz/<name>/ holds its corpus.

    Without --config=fuzz it is linked with a main that runs each file it is given.
    """
    native.cc_binary(
        name = name,
        copts = _COPTS + copts,
        linkopts = _LINKOPTS + select({
            "//bazel:libfuzzer": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        linkstatic = True,
        tags = tags + ["fuzz"],
        testonly = True,
        deps = deps + select({
            "//bazel:libfuzzer": [],
            "//conditions:default": ["//tests/fuzz:driver"],
        }),
        **attributes
    )
