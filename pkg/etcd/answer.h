/*
 * answer: the memory behind a struct ks_etcd_answer. For this folder only.
 *
 * Threads: filled by one, before it is handed out; counted atomically afterwards.
 */
#pragma once

#include "pkg/base/arena.h"
#include "pkg/etcd/message.h"

/*
 * Returns the arena in which an answer's parts are; never NULL. It is freed with the answer. Set
 * its len_max before the first use: it is 0, with which an allocation ends the program.
 */
struct ks_arena *ks_etcd_answer_arena(struct ks_etcd_answer *answer);
