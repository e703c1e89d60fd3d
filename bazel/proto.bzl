"""Protocol buffers in C: protoc-c's messages, descriptor sets, and files embedded in a program.

The root of all our proto files is //proto; a header is included as it is imported:
"keystead/storage/v1/storage.pb-c.h". Services are not generated, only messages.
"""

_ProtoFiles = provider(
    doc = "Proto files of a target and of all it imports.",
    fields = {
        "direct": "list of the target's own files",
        "all": "depset of files",
        "roots": "depset of the folders that imports start from",
    },
)

def _root_of(ctx):
    parts = [p for p in [ctx.label.workspace_root, ctx.attr.root] if p]
    return "/".join(parts) or "."

def _relative(path, root):
    return path if root == "." else path[len(root) + 1:]

def _proto_files_impl(ctx):
    root = _root_of(ctx)
    imported = [dep[_ProtoFiles] for dep in ctx.attr.deps]
    inputs = depset(ctx.files.srcs, transitive = [i.all for i in imported])
    roots = depset([root], transitive = [i.roots for i in imported])
    out_root = "/".join([p for p in [ctx.bin_dir.path, "" if root == "." else root] if p])

    outputs = []
    for src in ctx.files.srcs:
        stem = src.basename[:-len(".proto")]
        for end in (".pb-c.c", ".pb-c.h"):
            outputs.append(ctx.actions.declare_file(stem + end, sibling = src))
    ctx.actions.run(
        executable = "/usr/bin/protoc-c",
        arguments = ["--proto_path=" + r for r in roots.to_list()] +
                    ["--c_out=" + out_root] +
                    [_relative(src.path, root) for src in ctx.files.srcs],
        inputs = inputs,
        outputs = outputs,
        mnemonic = "ProtocC",
        progress_message = "Generating C from %s" % ctx.label,
    )
    return [
        DefaultInfo(files = depset(outputs)),
        OutputGroupInfo(sources = depset([f for f in outputs if f.extension == "c"])),
        # As system headers they keep their warnings to themselves.
        CcInfo(compilation_context = cc_common.create_compilation_context(
            headers = depset([f for f in outputs if f.extension == "h"]),
            system_includes = depset([out_root]),
        )),
        _ProtoFiles(direct = ctx.files.srcs, all = inputs, roots = roots),
    ]

_proto_files = rule(
    implementation = _proto_files_impl,
    attrs = {
        "srcs": attr.label_list(allow_files = [".proto"], mandatory = True),
        "deps": attr.label_list(providers = [_ProtoFiles]),
        "root": attr.string(default = "proto"),
    },
)

def _files_of(label):
    """The _proto_files target behind a ks_proto target's label."""
    if ":" in label:
        return label + "_files"
    return "%s:%s_files" % (label, label.split("/")[-1])

def ks_proto(name, srcs, deps = [], root = "proto", visibility = ["//visibility:public"]):
    """A C library of the messages in srcs.

    deps are the ks_proto targets of what srcs import; @well_known_protos has :any, :duration and
    :timestamp. A file that is imported and not listed is not found.
    """
    files = name + "_files"
    _proto_files(
        name = files,
        srcs = srcs,
        deps = [_files_of(dep) for dep in deps],
        root = root,
        visibility = visibility,
    )
    native.filegroup(name = name + "_sources", srcs = [files], output_group = "sources")
    native.cc_library(
        name = name,
        srcs = [name + "_sources"],
        copts = ["-std=gnu17", "-w"],
        linkstatic = True,
        visibility = visibility,
        deps = deps + [files, "@sys_protobuf_c//:lib"],
    )

def _descriptor_set_impl(ctx):
    targets = [dep[_ProtoFiles] for dep in ctx.attr.deps]
    roots = depset(transitive = [t.roots for t in targets])
    out = ctx.actions.declare_file(ctx.label.name + ".binpb")
    ctx.actions.run(
        executable = "/usr/bin/protoc",
        arguments = ["--proto_path=" + r for r in roots.to_list()] +
                    ["--include_imports", "--descriptor_set_out=" + out.path] +
                    [src.path for t in targets for src in t.direct],
        inputs = depset(transitive = [t.all for t in targets]),
        outputs = [out],
        mnemonic = "DescriptorSet",
    )
    return [DefaultInfo(files = depset([out]))]

_descriptor_set = rule(
    implementation = _descriptor_set_impl,
    attrs = {"deps": attr.label_list(providers = [_ProtoFiles], mandatory = True)},
)

def ks_descriptor_set(name, deps, **attributes):
    """<name>.binpb: a FileDescriptorSet of the ks_proto targets in deps and all they import."""
    _descriptor_set(
        name = name,
        deps = [_files_of(dep) for dep in deps],
        **attributes
    )

_EMBED = """
{{
    echo '#include "{header}"'
    echo 'const unsigned char {symbol}[] = {{'
    od -An -v -tx1 $< | sed -e 's/ \\([0-9a-f][0-9a-f]\\)/0x\\1,/g'
    echo '}};'
    echo 'const size_t {symbol}_len = sizeof({symbol});'
}} > $(RULEDIR)/{name}.c
{{
    echo '#pragma once'
    echo '#include <stddef.h>'
    echo 'extern const unsigned char {symbol}[];'
    echo 'extern const size_t {symbol}_len; /* bytes */'
}} > $(RULEDIR)/{name}.h
"""

def ks_embed(name, src, symbol, visibility = None):
    """A library with the bytes of src: `symbol` and `symbol_len`, in "<package>/<name>.h"."""
    native.genrule(
        name = name + "_code",
        srcs = [src],
        outs = [name + ".c", name + ".h"],
        cmd = _EMBED.format(
            header = "%s/%s.h" % (native.package_name(), name),
            name = name,
            symbol = symbol,
        ),
    )
    native.cc_library(
        name = name,
        srcs = [name + ".c"],
        hdrs = [name + ".h"],
        copts = ["-std=c17"],
        linkstatic = True,
        visibility = visibility,
    )

_GRPC_PROTOS_BUILD = """
load("@keystead//bazel:proto.bzl", "ks_proto")

ks_proto(name = "health", srcs = ["grpc/health/v1/health.proto"], root = "")

ks_proto(
    name = "reflection",
    srcs = [
        "grpc/reflection/v1/reflection.proto",
        "grpc/reflection/v1alpha/reflection.proto",
    ],
    root = "",
)
"""

def _grpc_protos_impl(ctx):
    for path in ["health/v1/health", "reflection/v1/reflection", "reflection/v1alpha/reflection"]:
        path = "grpc/%s.proto" % path
        ctx.symlink("/usr/share/grpc-proto/" + path, path)
    ctx.file("BUILD.bazel", _GRPC_PROTOS_BUILD)

grpc_protos = repository_rule(
    implementation = _grpc_protos_impl,
    doc = "The proto files of gRPC's own services, from grpc-proto.",
    configure = True,
    local = True,
)

_WELL_KNOWN = ["any", "descriptor", "duration", "timestamp"]

_WELL_KNOWN_BUILD = """
load("@keystead//bazel:proto.bzl", "ks_proto")

[ks_proto(name = name, srcs = ["google/protobuf/%s.proto" % name], root = "") for name in {names}]
"""

def _well_known_protos_impl(ctx):
    for name in _WELL_KNOWN:
        path = "google/protobuf/%s.proto" % name
        ctx.symlink("/usr/include/" + path, path)
    ctx.file("BUILD.bazel", _WELL_KNOWN_BUILD.format(names = repr(_WELL_KNOWN)))

well_known_protos = repository_rule(
    implementation = _well_known_protos_impl,
    doc = "The proto files of protobuf itself that we import, from libprotobuf-dev.",
    configure = True,
    local = True,
)
