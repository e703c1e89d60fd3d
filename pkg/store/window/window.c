#include "pkg/store/window/window.h"

#include <assert.h>

void ks_window_init(struct ks_window *window, int64_t length_ns)
{
    assert(length_ns > 0);

    *window = (struct ks_window){.length_ns = length_ns};
}

/*
 * With D = 2 s: 600 ms, long enough for a slow disk, and short enough for a second heartbeat
 * through another member before the window of the last one ends when a leader dies.
 */
int64_t ks_window_timeout_ns(const struct ks_window *window)
{
    return window->length_ns * 3 / 10;
}

int64_t ks_window_next_ns(const struct ks_window *window)
{
    switch (window->state) {
    case KS_BEAT_SENT:
        return window->sent_ns + ks_window_timeout_ns(window);
    case KS_BEAT_KNOWN:
        return window->sent_ns + window->length_ns;
    case KS_BEAT_FREE:
        break;
    }
    return window->due_ns;
}

bool ks_window_may_send(struct ks_window *window, int64_t now_ns, int64_t applied)
{
    if (window->state != KS_BEAT_FREE && now_ns >= ks_window_next_ns(window)) {
        window->state = KS_BEAT_FREE;
    }
    return window->state == KS_BEAT_FREE && now_ns >= window->due_ns &&
           applied >= window->must_apply;
}

void ks_window_go_along(struct ks_window *window, int64_t now_ns)
{
    int64_t early_ns = window->length_ns / KS_WINDOW_BEATS / 2;
    if (window->state == KS_BEAT_FREE && now_ns < window->due_ns &&
        window->due_ns - now_ns <= early_ns) {
        window->due_ns = now_ns;
    }
}

uint64_t ks_window_send(struct ks_window *window, int64_t now_ns)
{
    assert(window->state == KS_BEAT_FREE);

    window->state = KS_BEAT_SENT;
    window->beat++;
    window->sent_ns = now_ns;
    window->due_ns = now_ns + window->length_ns / KS_WINDOW_BEATS;
    return window->beat;
}

void ks_window_learn(struct ks_window *window, uint64_t beat, int64_t revision, int64_t now_ns)
{
    if (window->state != KS_BEAT_SENT || beat != window->beat) {
        return; /* of one that was forgotten */
    }
    window->must_apply = revision;
    window->state = KS_BEAT_KNOWN;
    if (now_ns >= window->sent_ns + window->length_ns) {
        window->state = KS_BEAT_FREE; /* came too late for a window */
    }
}

void ks_window_lose(struct ks_window *window, uint64_t beat)
{
    if (window->state == KS_BEAT_SENT && beat == window->beat) {
        window->state = KS_BEAT_FREE;
    }
}

void ks_window_applied(struct ks_window *window, int64_t applied, uint64_t generation)
{
    if (window->state != KS_BEAT_KNOWN || applied < window->must_apply) {
        return;
    }
    window->state = KS_BEAT_FREE;
    /* A thread that sees the window sees the copy that it rests on, or a newer one. */
    atomic_store(&window->open_generation, generation);
    atomic_store(&window->open_until_ns, window->sent_ns + window->length_ns);
}

void ks_window_close(struct ks_window *window)
{
    atomic_store(&window->open_until_ns, 0);
    window->state = KS_BEAT_FREE;
    window->must_apply = 0;
}

bool ks_window_is_open(const struct ks_window *window, int64_t now_ns, uint64_t *ret_generation)
{
    *ret_generation = atomic_load(&window->open_generation);
    return now_ns < atomic_load(&window->open_until_ns);
}
