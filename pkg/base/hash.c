#include "pkg/base/hash.h"

#define ROUNDS       2
#define FINAL_ROUNDS 4

struct state {
    uint64_t v[4];
    uint64_t word; /* of the bytes that came, those that do not fill a word yet */
    size_t len;    /* bytes that came */
};

static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static void mix(struct state *state, unsigned rounds)
{
    uint64_t *v = state->v;
    for (unsigned i = 0; i < rounds; i++) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

static void add_word(struct state *state)
{
    state->v[3] ^= state->word;
    mix(state, ROUNDS);
    state->v[0] ^= state->word;
    state->word = 0;
}

static void add(struct state *state, ks_bytes part)
{
    for (size_t i = 0; i < part.len; i++) {
        state->word |= (uint64_t)part.ptr[i] << (8 * (state->len++ % 8));
        if (state->len % 8 == 0) {
            add_word(state);
        }
    }
}

uint64_t ks_hash(const struct ks_hash_key *key, const ks_bytes *parts, size_t part_count)
{
    /* "somepseudorandomlygeneratedbytes", as the paper has it. */
    struct state state = {.v = {key->low ^ 0x736f6d6570736575U, key->high ^ 0x646f72616e646f6dU,
                                key->low ^ 0x6c7967656e657261U, key->high ^ 0x7465646279746573U}};
    for (size_t i = 0; i < part_count; i++) {
        add(&state, parts[i]);
    }
    state.word |= (uint64_t)state.len << 56;
    add_word(&state);
    state.v[2] ^= 0xff;
    mix(&state, FINAL_ROUNDS);
    return state.v[0] ^ state.v[1] ^ state.v[2] ^ state.v[3];
}

uint64_t ks_plain_hash(ks_bytes text)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < text.len; i++) {
        hash = (hash ^ text.ptr[i]) * 0x100000001b3U;
    }
    return hash ^ (hash >> 32);
}
