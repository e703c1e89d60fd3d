#include "services/keystore/execute/trust.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/hash.h"

#define WAYS         4U
#define BUCKETS      (KS_TRUST_RECORDS / WAYS)
#define NAME_LEN_MAX 100U

struct ks_trust {
    pthread_mutex_t lock; /* guards the rest */
    uint64_t alarms;
    char name[NAME_LEN_MAX + 1]; /* of the last record that raised one */
    unsigned char next[BUCKETS]; /* the way that is written next */
    bool used[BUCKETS][WAYS];
    uint8_t digests[BUCKETS][WAYS][KS_SHA256_LEN];
};

struct ks_trust *ks_trust_new(void)
{
    struct ks_trust *trust = ks_alloc(1, sizeof(*trust));
    pthread_mutex_init(&trust->lock, NULL);
    return trust;
}

void ks_trust_free(struct ks_trust *trust)
{
    if (trust) {
        pthread_mutex_destroy(&trust->lock);
        ks_free(trust);
    }
}

/* A record starts where its name ends: a name has a bound, and its length stands before it. */
static bool digest_of(ks_bytes name, ks_bytes record, uint8_t digest[KS_SHA256_LEN])
{
    const uint8_t len[] = {(uint8_t)(name.len >> 8), (uint8_t)name.len};
    KS_BUFFER_AUTO bytes = {.len_max = sizeof(len) + name.len + record.len};
    return name.len <= UINT16_MAX &&
           !ks_failed(ks_buffer_append(&bytes, (ks_bytes){len, sizeof(len)})) &&
           !ks_failed(ks_buffer_append(&bytes, name)) &&
           !ks_failed(ks_buffer_append(&bytes, record)) &&
           !ks_failed(ks_hash_sha256_once(ks_buffer_bytes(&bytes), digest));
}

static size_t bucket_of(const uint8_t *digest)
{
    return (size_t)(digest[0] | digest[1] << 8) % BUCKETS;
}

/* With the lock. */
static bool holds(const struct ks_trust *trust, const uint8_t *digest)
{
    size_t bucket = bucket_of(digest);
    bool held = false;
    for (size_t way = 0; way < WAYS; way++) {
        held = held || (trust->used[bucket][way] &&
                        ks_bytes_equal((ks_bytes){trust->digests[bucket][way], KS_SHA256_LEN},
                                       (ks_bytes){digest, KS_SHA256_LEN}));
    }
    return held;
}

bool ks_trust_knows(struct ks_trust *trust, ks_bytes name, ks_bytes record)
{
    uint8_t digest[KS_SHA256_LEN];
    if (!digest_of(name, record, digest)) {
        return false;
    }
    pthread_mutex_lock(&trust->lock);
    bool held = holds(trust, digest);
    pthread_mutex_unlock(&trust->lock);
    return held;
}

void ks_trust_note(struct ks_trust *trust, ks_bytes name, ks_bytes record)
{
    uint8_t digest[KS_SHA256_LEN];
    if (!digest_of(name, record, digest)) {
        return;
    }
    pthread_mutex_lock(&trust->lock);
    if (!holds(trust, digest)) {
        size_t bucket = bucket_of(digest);
        size_t way = trust->next[bucket];
        memcpy(trust->digests[bucket][way], digest, KS_SHA256_LEN);
        trust->used[bucket][way] = true;
        trust->next[bucket] = (unsigned char)((way + 1) % WAYS);
    }
    pthread_mutex_unlock(&trust->lock);
}

void ks_trust_alarm(struct ks_trust *trust, ks_bytes name)
{
    char text[NAME_LEN_MAX + 1];
    snprintf(text, sizeof(text), "%.*s", (int)(name.len < NAME_LEN_MAX ? name.len : NAME_LEN_MAX),
             (const char *)name.ptr);
    pthread_mutex_lock(&trust->lock);
    trust->alarms++;
    memcpy(trust->name, text, sizeof(text));
    pthread_mutex_unlock(&trust->lock);
    ks_log(ERROR, "a stored record is not authentic: requests about it are refused",
           KS_TEXT("name", text));
}

uint64_t ks_trust_alarms(struct ks_trust *trust, char ret_text[KS_TRUST_TEXT_MAX])
{
    pthread_mutex_lock(&trust->lock);
    uint64_t alarms = trust->alarms;
    ret_text[0] = '\0';
    if (alarms > 0) {
        snprintf(ret_text, KS_TRUST_TEXT_MAX,
                 "stored records are not authentic (%" PRIu64 " times, last %s): somebody writes "
                 "etcd or this keystore's disk; requests about them are refused",
                 alarms, trust->name);
    }
    pthread_mutex_unlock(&trust->lock);
    return alarms;
}
