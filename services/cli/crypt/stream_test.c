#include "services/cli/crypt/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "pkg/base/mem.h"

#define CHUNK 10U

static struct ks_failure failure;

/* A file of len bytes, each its own place. */
static int file_of(size_t len)
{
    int file = memfd_create("stream_test", MFD_CLOEXEC);
    assert_true(file >= 0);
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)i;
        assert_int_equal(write(file, &byte, 1), 1);
    }
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    return file;
}

/* Whatever the length, the last chunk is known as the last one when it is taken. */
static void the_last_chunk_is_known_in_time(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 3 * CHUNK + 1; len++) {
        KS_SOURCE_AUTO source = {.file = file_of(len)};
        size_t total = 0;
        size_t chunks = 0;
        for (bool is_last = false; !is_last; chunks++) {
            ks_bytes chunk;
            assert_int_equal(ks_source_take(&source, CHUNK, &chunk, &is_last, &failure).code,
                             KS_OK);
            assert_true(chunk.len == CHUNK || is_last);
            for (size_t i = 0; i < chunk.len; i++) {
                assert_int_equal(chunk.ptr[i], total + i);
            }
            total += chunk.len;
        }
        assert_int_equal(total, len);
        assert_int_equal(chunks, len == 0 ? 1 : (len + CHUNK - 1) / CHUNK);
        close(source.file);
    }
}

/* However the input arrives: here each read gives one chunk, and nothing of the next one. */
static void the_end_is_seen_behind_a_whole_chunk(void **state)
{
    (void)state;
    int ends[2];
    const uint8_t chunk[CHUNK] = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(write(ends[1], chunk, CHUNK), CHUNK);
    }
    close(ends[1]);
    KS_SOURCE_AUTO source = {.file = ends[0]};
    for (int i = 0; i < 3; i++) {
        ks_bytes got;
        bool is_last;
        assert_int_equal(ks_source_take(&source, CHUNK, &got, &is_last, &failure).code, KS_OK);
        assert_int_equal(got.len, CHUNK);
        assert_int_equal(is_last, i == 2);
    }
    close(ends[0]);
}

static void what_was_looked_at_is_still_there(void **state)
{
    (void)state;
    KS_SOURCE_AUTO source = {.file = file_of(30)};
    ks_bytes seen;
    bool is_last;
    assert_int_equal(ks_source_peek(&source, 20, &seen, &failure).code, KS_OK);
    assert_int_equal(seen.len, 20);
    assert_int_equal(ks_source_take(&source, 5, &seen, &is_last, &failure).code, KS_OK);
    assert_int_equal(seen.len, 5);
    assert_false(is_last);
    assert_int_equal(ks_source_peek(&source, 100, &seen, &failure).code, KS_OK);
    assert_int_equal(seen.len, 25);
    assert_int_equal(seen.ptr[0], 5);
    close(source.file);
}

/* A pipe gives what it has, in pieces of any size. */
static void a_pipe_is_read_to_its_end(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "abc", 3), 3);
    close(ends[1]);
    KS_SOURCE_AUTO source = {.file = ends[0]};
    ks_bytes seen;
    assert_int_equal(ks_source_peek(&source, 100, &seen, &failure).code, KS_OK);
    assert_true(ks_bytes_equal(seen, KS_LITERAL("abc")));
    assert_int_equal(ks_source_size(&source), 0);
    close(ends[0]);
}

static void an_input_that_cannot_be_read_fails(void **state)
{
    (void)state;
    KS_SOURCE_AUTO source = {.file = -1};
    ks_bytes seen;
    assert_int_equal(ks_source_peek(&source, 1, &seen, &failure).code, KS_INTERNAL);
    assert_non_null(strstr(failure.text, "cannot read the input"));
}

static void nothing_of_the_input_stays_behind(void **state)
{
    (void)state;
    struct ks_source source = {.file = file_of(100)};
    ks_bytes seen;
    assert_int_equal(ks_source_peek(&source, 100, &seen, &failure).code, KS_OK);
    ks_source_done(&source);
    for (size_t i = 0; i < sizeof(source.bytes); i++) {
        assert_int_equal(source.bytes[i], 0);
    }
    close(source.file);
}

static void printable_is_text_without_control_characters(void **state)
{
    (void)state;
    const struct {
        ks_bytes bytes;
        bool printable;
    } cases[] = {
        {KS_LITERAL(""), true},
        {KS_LITERAL("a\tb\r\n"), true},
        {KS_LITERAL("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"), true},
        {KS_LITERAL("\x1b[2J"), false},
        {KS_LITERAL("a\0b"), false},
        {KS_LITERAL("\x7f"), false},
        {KS_LITERAL("\x08"), false},
        {KS_LITERAL("\xc2\x9b"
                    "2J"),
         false},                           /* CSI in one character */
        {KS_LITERAL("\xc2\xa0"), true},    /* a blank that does not break */
        {KS_LITERAL("abc\xff"), false},    /* no UTF-8 */
        {KS_LITERAL("a\xc0\x80z"), false}, /* overlong */
        {KS_LITERAL("ab\xe2\x82"), true},  /* the next segment has the rest of it */
        {KS_LITERAL("\x82\xac z"), true},  /* and begins with it */
        {KS_LITERAL("\x80\x80\x80\x80 z"), false},
    };
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        if (ks_is_printable(cases[i].bytes) != cases[i].printable) {
            fail_msg("case %zu", i);
        }
    }
}

static void a_sink_that_is_no_terminal_takes_everything(void **state)
{
    (void)state;
    int file = file_of(0);
    struct ks_sink sink = ks_sink_of(file, false);
    assert_false(sink.guarded);
    assert_int_equal(ks_sink_write(&sink, KS_LITERAL("\x1b\0"), &failure).code, KS_OK);
    assert_int_equal(lseek(file, 0, SEEK_END), 2);
    close(file);
}

static void a_terminal_takes_text_unless_forced(void **state)
{
    (void)state;
    int file = file_of(0);
    const struct ks_sink sink = {.file = file, .guarded = true};
    assert_int_equal(ks_sink_write(&sink, KS_LITERAL("text"), &failure).code, KS_OK);
    assert_int_equal(ks_sink_write(&sink, KS_LITERAL("\x1b"), &failure).code, KS_VALIDATION);
    assert_int_equal(ks_sink_check_binary(&sink, &failure).code, KS_VALIDATION);
    assert_int_equal(lseek(file, 0, SEEK_END), 4);
    close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_chunk_is_known_in_time),
        cmocka_unit_test(the_end_is_seen_behind_a_whole_chunk),
        cmocka_unit_test(what_was_looked_at_is_still_there),
        cmocka_unit_test(a_pipe_is_read_to_its_end),
        cmocka_unit_test(an_input_that_cannot_be_read_fails),
        cmocka_unit_test(nothing_of_the_input_stays_behind),
        cmocka_unit_test(printable_is_text_without_control_characters),
        cmocka_unit_test(a_sink_that_is_no_terminal_takes_everything),
        cmocka_unit_test(a_terminal_takes_text_unless_forced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
