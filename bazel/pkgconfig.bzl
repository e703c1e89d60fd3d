"""System libraries as repositories: @sys_<name>//:lib is what pkg-config says of them."""

_BUILD = """
cc_library(
    name = "lib",
    hdrs = glob(["include*/**/*.h"]),
    includes = {includes},
    defines = {defines},
    linkopts = {linkopts},
    visibility = ["//visibility:public"],
)
"""

def _ask(ctx, flag):
    answer = ctx.execute(["pkg-config", flag] + ctx.attr.modules)
    if answer.return_code != 0:
        fail("pkg-config %s %s: %s\nIs it installed? Run deploy/install as root." %
             (flag, " ".join(ctx.attr.modules), answer.stderr.strip()))
    return [word for word in answer.stdout.strip().split(" ") if word]

def _is_searched_anyway(folder):
    parts = folder.strip("/").split("/")
    return parts[:2] == ["usr", "include"] and (len(parts) == 2 or parts[2].endswith("-linux-gnu"))

def _pkg_config_impl(ctx):
    defines = []
    includes = []
    for flag in _ask(ctx, "--cflags"):
        if flag.startswith("-D"):
            defines.append(flag[2:])
        elif flag.startswith("-I") and not _is_searched_anyway(flag[2:]):
            link = "include%d" % len(includes)
            ctx.symlink(flag[2:], link)
            includes.append(link)
    ctx.file("BUILD.bazel", _BUILD.format(
        includes = repr(includes),
        defines = repr(defines),
        linkopts = repr(ctx.attr.linkopts or _ask(ctx, "--libs")),
    ))

_pkg_config = repository_rule(
    implementation = _pkg_config_impl,
    attrs = {
        "modules": attr.string_list(mandatory = True),
        "linkopts": attr.string_list(doc = "instead of what pkg-config --libs prints"),
    },
    configure = True,
    local = True,
)

# Name of the repository, pkg-config modules, link options where pkg-config's are too many.
_LIBRARIES = [
    # The shared library, which gRPC uses: a second copy in the program would have its own settings.
    ("absl", ["absl_synchronization"], ["-labsl_synchronization"]),
    ("cmocka", ["cmocka"], []),
    # pkg-config lists all that a static link would need; the shared library knows its own.
    ("grpc", ["grpc"], ["-lgrpc", "-lgpr"]),
    ("jansson", ["jansson"], []),
    ("libcurl", ["libcurl"], []),
    ("lmdb", ["lmdb"], []),
    ("openssl", ["openssl"], []),
    ("p11_kit", ["p11-kit-1"], []),
    ("protobuf_c", ["libprotobuf-c"], []),
    ("seccomp", ["libseccomp"], []),
    ("urcu", ["liburcu"], []),
    ("yaml", ["yaml-0.1"], []),
]

def system_libraries():
    """Declares @sys_<name> for each library that we link."""
    for name, modules, linkopts in _LIBRARIES:
        _pkg_config(
            name = "sys_" + name,
            modules = modules,
            linkopts = linkopts,
        )
