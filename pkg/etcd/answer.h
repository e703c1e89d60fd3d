/*
 * answer: the memory behind a struct ks_etcd_answer. For this folder only.
 *
 * Threads: filled by one, before it is handed out; counted atomically afterwards.
 */
#pragma once

#include "pkg/base/arena.h"
#include "pkg/etcd/message.h"

/*
 * The arena in which an answer's parts are. It is freed with the answer; set its len_max before the
 * first use. Never NULL.
 */
struct ks_arena *ks_etcd_answer_arena(struct ks_etcd_answer *answer);
