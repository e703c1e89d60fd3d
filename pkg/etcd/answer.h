/*
 * answer: the memory behind a struct ks_etcd_answer. For this folder only.
 *
 * Threads: filled by one, before it is handed out; counted atomically afterwards.
 */
#pragma once

#include "pkg/base/arena.h"
#include "pkg/etcd/message.h"

/* Where an answer's parts live; set its len_max before the first use. */
struct ks_arena *ks_etcd_answer_arena(struct ks_etcd_answer *answer);
