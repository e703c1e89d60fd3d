#!/usr/bin/env python3
"""Plants each error that the lints are for and sees it found; and sees clean trees pass."""
import os
import subprocess
import tempfile
import unittest

import banned
import compile_commands
import folders
import headers
import layers
import links
import names
import operations
import tidy

HERE = os.path.dirname(os.path.abspath(__file__))

RULES = """
guard cmocka.h lmdb.h
layer base pkg/base
layer adapters pkg/disk
layer domain pkg/arn
layer services services/one services/two
test *_test.c: cmocka.h tests
tests: *
pkg/base:
pkg/disk: pkg/base lmdb.h
pkg/arn: pkg/base
services/one: pkg/arn pkg/disk
services/two: pkg/base
"""

CLEAN = {
    "pkg/base/bytes.h": "#include <stddef.h>\n#include <sys/types.h>\n",
    "pkg/disk/disk.h": '#include "pkg/base/bytes.h"\n',
    "pkg/disk/disk.c": '#include "pkg/disk/disk.h"\n#include <lmdb.h>\n',
    "pkg/disk/disk_test.c": '#include <cmocka.h>\n#include "tests/fake.h"\n',
    "pkg/arn/arn.h": '#include "pkg/base/bytes.h"\n',
    "services/one/main.c": '#include "pkg/arn/arn.h"\n#include "pkg/disk/disk.h"\n',
    "services/two/main.c": '#include "pkg/base/bytes.h"\n',
    "tests/fake.h": '#include "pkg/disk/disk.h"\n',
}


class Tree(unittest.TestCase):
    """A tree of files in a temporary folder."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name

    def write(self, files):
        for path, text in files.items():
            full = os.path.join(self.root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)

    def assert_found(self, errors, *parts):
        self.assertEqual(len(errors), 1, errors)
        for part in parts:
            self.assertIn(part, errors[0])


class Layers(Tree):
    def errors(self, changes=None, rules=RULES):
        self.write({**CLEAN, **(changes or {}), "rules": rules})
        return layers.check(os.path.join(self.root, "rules"), self.root)[1]

    def test_a_clean_tree_passes(self):
        self.assertEqual(self.errors(), [])

    def test_an_include_upward_is_found(self):
        self.assert_found(self.errors({"pkg/base/log.c": '#include "pkg/disk/disk.h"\n'}),
                          "pkg/base/log.c", "pkg/disk")

    def test_an_include_by_relative_path_is_found(self):
        self.assert_found(self.errors({"pkg/base/log.c": '#include "../disk/disk.h"\n'}),
                          "pkg/disk")

    def test_an_allowance_for_a_folder_alone_leaves_out_what_is_below_it(self):
        rules = RULES.replace("services/two: pkg/base", "services/two: pkg/base pkg/disk/.")
        files = {"services/two/x.c": '#include "pkg/disk/disk.h"\n'}
        self.assertEqual(self.errors(files, rules), [])
        files["services/two/y.c"] = '#include "pkg/disk/inner/inner.h"\n'
        files["pkg/disk/inner/inner.h"] = ""
        self.assert_found(self.errors(files, rules), "services/two/y.c", "pkg/disk/inner")

    def test_a_circle_by_a_folder_alone_is_found(self):
        rules = RULES.replace("layer domain pkg/arn", "layer domain pkg/arn pkg/key").replace(
            "pkg/arn: pkg/base", "pkg/arn: pkg/base pkg/key/.\npkg/key: pkg/arn/.")
        errors = self.errors({"pkg/arn/x.c": '#include "pkg/key/x.h"\n',
                              "pkg/key/x.h": '#include "pkg/arn/arn.h"\n'}, rules)
        self.assert_found(errors, "circle", "pkg/arn", "pkg/key")

    def test_a_library_outside_its_folder_is_found(self):
        self.assert_found(self.errors({"pkg/arn/arn.c": "#include <lmdb.h>\n"}), "lmdb.h")
        self.assert_found(self.errors({"pkg/arn/arn.c": "#include <openssl/evp.h>\n"}), "openssl")

    def test_a_generated_header_that_is_not_allowed_is_found(self):
        self.assert_found(self.errors({"pkg/arn/arn.c": '#include "keystead/x/x.pb-c.h"\n'}),
                          "keystead/x")

    def test_a_library_that_shows_in_a_header_is_found(self):
        header = '#include "pkg/base/bytes.h"\n#include <lmdb.h>\n'
        errors = self.errors({"pkg/disk/disk.h": header})
        self.assert_found(errors, "services/one/main.c", "lmdb.h shows in pkg/disk/disk.h")

    def test_test_headers_are_for_tests_only(self):
        self.assert_found(self.errors({"pkg/arn/arn.c": "#include <cmocka.h>\n"}), "cmocka.h")

    def test_services_that_include_each_other_are_found(self):
        rules = RULES.replace("services/two: pkg/base", "services/two: pkg/base services/one")
        errors = self.errors({"services/two/x.c": '#include "services/one/x.h"\n',
                              "services/one/x.h": ""}, rules)
        self.assert_found(errors, "services never include each other")

    def test_a_rule_that_goes_up_a_layer_is_found(self):
        rules = RULES.replace("pkg/disk: pkg/base", "pkg/disk: pkg/base pkg/arn")
        errors = self.errors({"pkg/disk/x.c": '#include "pkg/arn/arn.h"\n'}, rules)
        self.assert_found(errors, "higher layer")

    def test_a_circle_is_found(self):
        rules = RULES.replace("layer domain pkg/arn", "layer domain pkg/arn pkg/key").replace(
            "pkg/arn: pkg/base", "pkg/arn: pkg/base pkg/key\npkg/key: pkg/arn")
        errors = self.errors({"pkg/arn/x.c": '#include "pkg/key/x.h"\n',
                              "pkg/key/x.h": '#include "pkg/arn/arn.h"\n'}, rules)
        self.assert_found(errors, "circle", "pkg/arn", "pkg/key")

    def test_an_allowance_that_is_not_needed_is_found(self):
        rules = RULES.replace("services/two: pkg/base", "services/two: pkg/base pkg/arn")
        self.assert_found(self.errors(rules=rules), "services/two", "pkg/arn", "take it off")

    def test_a_folder_that_does_not_exist_yet_may_have_a_rule(self):
        rules = RULES + "services/three: pkg/base\n"
        self.assertEqual(self.errors(rules=rules), [])

    def test_a_folder_without_rule_or_layer_is_found(self):
        errors = self.errors({"pkg/new/new.c": ""})
        self.assertEqual(errors, ["pkg/new: stands in no layer", "pkg/new: has no rule"])


class Links(unittest.TestCase):
    def test_what_is_forbidden_is_found(self):
        labels = ["//services/hsm:hsm", "@sys_grpc//:lib", "//pkg/store/in:in", "//pkg/rpcx:x"]
        forbidden = ["@sys_grpc", "//pkg/store", "//pkg/rpc"]
        self.assertEqual(list(links.errors_of("//services/hsm", forbidden, labels)),
                         ["//services/hsm: links @sys_grpc (@sys_grpc//:lib)",
                          "//services/hsm: links //pkg/store (//pkg/store/in:in)"])

    def test_a_package_without_program_is_found(self):
        self.assertEqual(list(links.errors_of("//services/hsm", [], [])),
                         ["//services/hsm: has no program"])

    def test_bazel_names_what_a_program_links(self):
        labels = links.linked("//services/control")
        self.assertTrue(any(links.matches(label, "//pkg/base") for label in labels))
        self.assertTrue(any(links.matches(label, "@sys_grpc") for label in labels))


class Banned(Tree):
    def errors(self, code, allowed=""):
        self.write({"pkg/x/x.c": code, "allowed": allowed})
        return banned.check(os.path.join(self.root, "allowed"), self.root)[1]

    def test_each_banned_word_is_found(self):
        for word in banned.BANNED:
            call = "goto out;" if word == "goto" else f"{word} (a);"
            self.assert_found(self.errors(f"int f(void)\n{{\n    {call}\n}}\n"), f" {word} 1")

    def test_comments_strings_and_longer_names_pass(self):
        self.assertEqual(self.errors(
            '/* free(x) goto */\n// strcpy(a)\nf("free(x)", \'"\');\nks_free(x);\nfreed(y);\n'), [])

    def test_an_allowed_word_passes_at_its_exact_count(self):
        line = "pkg/x/x.c free 2  # the allocator\n"
        self.assertEqual(self.errors("free(a);\nfree(b);\n", line), [])
        self.assert_found(self.errors("free(a);\nfree(b);\nfree(c);\n", line), "free 3, allowed 2")
        self.assert_found(self.errors("free(a);\n", line), "free 1, allowed 2")

    def test_an_exception_that_is_not_needed_is_found(self):
        self.assert_found(self.errors("", "pkg/x/x.c free 1  # gone\n"), "not needed")

    def test_an_exception_without_reason_is_found(self):
        self.assert_found(self.errors("", "pkg/x/x.c free 1\n"), "reason")

    def test_a_function_of_71_lines_is_found_and_70_pass(self):
        for lines, expected in ((70, 0), (71, 1)):
            body = "    g();\n" * (lines - 4)
            code = f"static int f(int a,\n             int b)\n{{\n{body}}}\n"
            self.assertEqual(len(self.errors(code)), expected)

    def test_a_file_of_801_lines_is_found_and_800_pass(self):
        self.assertEqual(self.errors("\n" * 800), [])
        self.assert_found(self.errors("\n" * 801), "file-lines 801")

    def test_an_unnumbered_todo_is_found(self):
        self.assertEqual(self.errors("/* TODO(#12): more */\n"), [])
        self.assert_found(self.errors("/* TODO: more */\n"), "TODO")
        self.assert_found(self.errors("/* FIXME */\n"), "FIXME")


class Operations(Tree):
    CLEAN = {
        "proto/keystead/kms/v1/kms.proto": "service S {\n  rpc TagIt(TagItRequest) returns (R) {\n",
        "proto/keystead/kms/v1/tags.proto": "message TagItRequest {}\n",
        "services/a/tags.c": "/* TagIt */\nvoid ks_run_tag_it(struct ks_call *call)\n",
        "services/b/rows.c": "KMS(TagIt, tag_it),\n",
        "services/b/rows_test.c": "KMS(TagIt, tag_it),\n",
        "pkg/c/c.h": "/* what TagIt does */\nint c; // tag_it\n",
    }

    def check(self, changes=None, allowed=""):
        self.write({**self.CLEAN, **(changes or {}), "allowed.txt": allowed})
        return operations.check(os.path.join(self.root, "allowed.txt"), self.root)[1]

    def test_four_files_tests_and_comments_pass(self):
        self.assertEqual(self.check(), [])

    def test_a_fifth_file_is_found(self):
        self.assert_found(self.check({"pkg/d/d.c": "f(tag_it);\n"}), "TagIt", "5 files")

    def test_an_operation_with_a_longer_name_is_another_one(self):
        kms = self.CLEAN["proto/keystead/kms/v1/kms.proto"] + "  rpc UntagIt(UntagItRequest)\n"
        self.assertEqual(self.check({"proto/keystead/kms/v1/kms.proto": kms,
                                     "pkg/d/d.c": "f(untag_it, UntagItRequest);\n"}), [])

    def test_the_list_only_shrinks(self):
        self.assert_found(self.check(allowed="TagIt 5  # why\n"), "lower its 5")
        self.assert_found(self.check(allowed="Other 5  # why\n"), "no such operation")


class Headers(Tree):
    HEAD = "/* it: a header. */\n#pragma once\n"

    def check(self, text, head=HEAD):
        self.write({"pkg/it/it.h": head + text})
        return headers.check(self.root)[1]

    def test_a_comment_that_says_all_passes(self):
        self.assertEqual(self.check(
            "/* Reads it. Fails: NOT_FOUND; ret_it is then untouched. */\n"
            "KS_MUST_USE ks_result ks_it_read(int *ret_it);\n\n"
            "/* Returns whether it is there. */\nbool ks_it_is(void);\n\n"
            "/* Frees it. */\nvoid ks_it_free(struct ks_it *it);\n"), [])

    def test_an_output_after_a_failure(self):
        self.assert_found(self.check("/* Reads it. Fails: NOT_FOUND. */\n"
                                     "KS_MUST_USE ks_result ks_it_read(int *ret_it);\n"),
                          "ks_it_read", "ret_it")

    def test_words_of_failure_about_something_else(self):
        for comment in ("The connection fails unless it is known. Fails: NOT_FOUND.",
                        "Fails: NOT_FOUND (as above).", "Fails: as ks_it_open.",
                        "The first byte is zero; false if not."):
            self.assert_found(self.check(f"/* Reads it. {comment} Fails: INTERNAL. */\n"
                                         "KS_MUST_USE ks_result ks_it_read(int *ret_it);\n"),
                              "ks_it_read", "ret_it")

    def test_each_of_several_outputs(self):
        comment = ("/*\n * Reads it into out.\n * ret_it   untouched after a failure.\n"
                   " * ret_len  how many bytes it has{}\n *\n * Fails: NOT_FOUND{}.\n */\n")
        prototype = ("KS_MUST_USE ks_result ks_it_read(struct ks_buffer *out, int *ret_it,\n"
                     "                                 size_t *ret_len, char *reterr_text);\n")
        self.assert_found(self.check(comment.format("", "") + prototype),
                          "what out, ret_len, reterr_text holds")
        self.assert_found(self.check(comment.format("; written on success only.", "")
                                     + prototype), "what out, reterr_text holds")
        said = "; out may then hold a part. reterr_text is written on failure only"
        self.assert_found(self.check(comment.format("", said) + prototype), "what ret_len holds")
        self.assertEqual(self.check(comment.format(", 0 on failure.", said) + prototype), [])

    def test_a_row_and_a_sentence_about_several_outputs(self):
        prototype = "KS_MUST_USE ks_result ks_it_read(int *ret_a, int *ret_b);\n"
        for text in (" * ret_a, ret_b  the two; unchanged on failure.\n * Fails: NOT_FOUND.\n",
                     " * Fails: NOT_FOUND. Nothing is written on failure.\n"):
            self.assertEqual(self.check("/*\n * Reads it.\n" + text + " */\n" + prototype), [])

    def test_a_buffer_that_is_appended_to(self):
        prototype = "KS_MUST_USE ks_result ks_it_write(struct ks_buffer *out);\n"
        self.assert_found(self.check("/* Appends it. Fails: LIMIT_EXCEEDED. */\n" + prototype),
                          "ks_it_write", "out")
        self.assertEqual(self.check("/* Appends it. Fails: LIMIT_EXCEEDED (out is unchanged). */\n"
                                    + prototype), [])
        self.assertEqual(self.check(
            "/* Sends it. Fails: UNAVAILABLE. */\n"
            "KS_MUST_USE ks_result ks_it_send(const struct ks_buffer *message);\n"), [])

    def test_a_sentence_at_the_top_counts_for_all(self):
        head = "/*\n * it: a header. Outputs are written on success only.\n */\n"
        self.assertEqual(self.check("/* Reads it. Fails: NOT_FOUND. */\n"
                                    "KS_MUST_USE ks_result ks_it_read(int *ret_it);\n", head), [])

    def test_how_it_fails(self):
        self.assert_found(self.check("/* Writes it. */\n"
                                     "KS_MUST_USE ks_result ks_it_put(int it);\n"),
                          "ks_it_put", "fails")
        self.assert_found(self.check("/* Writes it. A failure leaves it as it was. */\n"
                                     "KS_MUST_USE ks_result ks_it_put(int it);\n"),
                          "ks_it_put", "fails")

    def test_when_a_bool_is_true(self):
        self.assert_found(self.check("/* It is there. */\nbool ks_it_is(void);\n"),
                          "ks_it_is", "true or false")

    def test_an_output_of_a_bool(self):
        self.assert_found(self.check("/* Finds it, and tells whether it did. */\n"
                                     "bool ks_it_find(int *ret_it);\n"), "ks_it_find", "ret_it")
        self.assert_found(self.check("/* Finds it. Returns false at the end. */\n"
                                     "bool ks_it_find(int *ret_it);\n"), "ks_it_find", "ret_it")
        self.assertEqual(self.check("/* Finds it. Returns false at the end; ret_it is untouched. */"
                                    "\nbool ks_it_find(int *ret_it);\n"), [])

    def test_no_comment(self):
        self.assert_found(self.check("bool ks_it_is(void);\n"), "ks_it_is", "no comment")


class Folders(Tree):
    def errors(self, changes=None):
        files = {"pkg/x/README.md": "# pkg/x\n", "pkg/x/BUILD.bazel": "", "pkg/x/x.c": "",
                 "pkg/x/x_test.c": "", "services/y/README.md": "# services/y\n",
                 "services/y/BUILD.bazel": "", **(changes or {})}
        self.write({path: text for path, text in files.items() if text is not None})
        return folders.check(self.root)[1]

    def test_a_clean_tree_passes(self):
        self.assertEqual(self.errors(), [])

    def test_what_is_missing_is_found(self):
        self.assert_found(self.errors({"pkg/x/BUILD.bazel": None}), "pkg/x", "BUILD.bazel")

    def test_a_folder_without_readme_is_found(self):
        self.assert_found(self.errors({"services/y/README.md": None}), "services/y", "README.md")

    def test_a_folder_without_test_is_found(self):
        self.assert_found(self.errors({"pkg/x/x_test.c": None}), "pkg/x", "no test")

    def test_a_readme_of_another_folder_is_found(self):
        self.assert_found(self.errors({"pkg/x/README.md": "# pkg/z\n"}), "begin with '# pkg/x'")

    def test_a_readme_over_a_page_is_found(self):
        self.assert_found(self.errors({"pkg/x/README.md": "# pkg/x\n" * 81}), "81 lines")

    def test_a_new_name_on_the_top_level_is_found(self):
        self.assert_found(self.errors({"util/x.c": ""}), "util", "top level")


class Names(unittest.TestCase):
    ONE = "#pragma once\nstruct ks_view {\n    int a;\n};\nvoid ks_view_close(struct ks_view *v);\n"

    def found(self, other, path="pkg/b/view.h"):
        return names.twice({"pkg/a/view.h": self.ONE, path: other})

    def test_a_struct_and_a_prefix_that_stand_twice_are_found(self):
        files = ("pkg/a/view.h", "pkg/b/view.h")
        self.assertEqual(self.found(self.ONE), {("ks_view", *files), ("ks_view_*", *files)})

    def test_a_struct_inside_a_source_counts(self):
        source = "typedef struct ks_view {\n    int b;\n} ks_view;\n"
        self.assertEqual(self.found(source, "pkg/c.c"), {("ks_view", "pkg/a/view.h", "pkg/c.c")})

    def test_a_macro_that_two_headers_define_is_found(self):
        headers_of = {"pkg/a.h": "#define KS_A_MAX 1\n", "pkg/b.h": "#define KS_A_MAX 2\n",
                      "pkg/c.c": "#define KS_A_MAX 3\n", "pkg/d.h": "int f(int a[KS_A_MAX]);\n"}
        self.assertEqual(names.twice(headers_of), {("KS_A_MAX", "pkg/a.h", "pkg/b.h")})

    def test_a_declaration_a_use_and_another_name_are_none(self):
        for other in ["struct ks_view;\n", "/* struct ks_view { */\nint x;\n",
                      "static int f(void)\n{\n    ks_view_close(v);\n}\n",
                      "struct ks_views {\n    int a;\n};\nvoid ks_other_do(struct ks_view *v);\n"]:
            self.assertEqual(self.found(other), set(), other)

    def test_an_allowance_must_be_needed(self):
        entry = ("ks_view", "pkg/a.h", "pkg/b.h")
        self.assertEqual(list(names.errors_of({entry}, {entry})), [])
        self.assertEqual(len(list(names.errors_of({entry}, set()))), 1)
        self.assertEqual(len(list(names.errors_of(set(), {entry}))), 1)


class Tidy(Tree):
    """The profile, not our script: each limit that it is there to hold."""

    def found(self, code):
        self.write({"pkg/x.c": code})
        run = subprocess.run(
            ["clang-tidy", "--quiet", "--config-file=" + os.path.join(HERE, "../../.clang-tidy"),
             os.path.join(self.root, "pkg/x.c"), "--", "-std=c17"],
            capture_output=True, text=True, check=False)
        return run.stdout if run.returncode else ""

    def test_clean_code_passes(self):
        self.assertEqual(self.found("int f(int a);\nint f(int a)\n{\n    return a;\n}\n"), "")

    def test_recursion_is_found(self):
        self.assertIn("misc-no-recursion", self.found(
            "int f(int a);\nint f(int a)\n{\n    return a ? f(a - 1) : 0;\n}\n"))

    def test_a_seventh_parameter_is_found(self):
        head = "int f(int a, int b, int c, int d, int e, int g, int h)"
        self.assertIn("function-size", self.found(
            f"{head};\n{head}\n{{\n    return a + b + c + d + e + g + h;\n}}\n"))

    def test_a_null_dereference_is_found(self):
        self.assertIn("core.NullDereference", self.found(
            "int f(int *a);\nint f(int *a)\n{\n    return a ? 0 : *a;\n}\n"))

    def state(self, root, base):
        """The state of pkg/x.c in a copy of the tree below root, which Bazel built below base."""
        generated = os.path.join(root, base)
        for path, text in {"pkg/x.c": '#include "pkg/x.h"\n#include "g/y.pb-c.h"\n',
                           "pkg/x.h": "int f(void);\n",
                           base + "g/y.pb-c.h": "int g(void);\n"}.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        entry = {"file": "pkg/x.c",
                 "arguments": ["gcc", "-iquote", ".", "-isystem", generated, "-c", "pkg/x.c"]}
        before, tidy.ROOT = tidy.ROOT, root
        try:
            return tidy.state_of(entry, b"profile")
        finally:
            tidy.ROOT = before

    def test_a_state_holds_in_every_copy_of_the_tree(self):
        one, other = os.path.join(self.root, "one"), os.path.join(self.root, "b/other")
        first = self.state(one, "bazel/" + 32 * "0" + "/")
        self.assertEqual(first, self.state(other, "bazel/" + 32 * "f" + "/"))
        with open(os.path.join(one, "pkg/x.h"), "a", encoding="utf-8") as file:
            file.write("int h(void);\n")
        entry = {"file": "pkg/x.c", "arguments": ["gcc", "-iquote", ".", "-isystem",
                 os.path.join(one, "bazel/" + 32 * "0" + "/"), "-c", "pkg/x.c"]}
        before, tidy.ROOT = tidy.ROOT, one
        try:
            self.assertNotEqual(first, tidy.state_of(entry, b"profile"))
        finally:
            tidy.ROOT = before


class CompileCommands(unittest.TestCase):
    def test_paths_below_the_execution_root_become_absolute(self):
        got = compile_commands.rewritten(
            ["/usr/bin/gcc", "-fPIC", "-isystem", "bazel-out/k8/bin/proto",
             "-Iexternal/lib/include", "-iquote", ".", "-MD", "-MF", "x.d", "-frandom-seed=x.o",
             "-fno-canonical-system-headers", "-c", "pkg/x.c", "-o", "x.o"], "/base/execroot/ks")
        self.assertEqual(got, [
            "/usr/bin/gcc", "-fPIC", "-isystem", "/base/execroot/ks/bazel-out/k8/bin/proto",
            "-I/base/external/lib/include", "-iquote", ".", "-c", "pkg/x.c"])


if __name__ == "__main__":
    unittest.main()
