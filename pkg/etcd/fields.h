/*
 * fields: the numbers of etcd's public API, as far as we use it. For this folder only.
 *
 * etcd v3 API: rpc.proto (package etcdserverpb) and kv.proto (package mvccpb) of etcd 3.4. A number
 * never changes its meaning there. The first word names the message.
 *
 * Threads: values; any.
 */
#pragma once

enum ks_etcd_field {
    HEADER_CLUSTER_ID = 1,
    HEADER_MEMBER_ID = 2,
    HEADER_REVISION = 3,
    HEADER_RAFT_TERM = 4,

    RANGE_KEY = 1,
    RANGE_RANGE_END = 2,
    RANGE_LIMIT = 3,
    RANGE_REVISION = 4,
    RANGE_SERIALIZABLE = 7,
    RANGE_KEYS_ONLY = 8,

    PUT_KEY = 1,
    PUT_VALUE = 2,

    DELETE_KEY = 1,
    DELETE_RANGE_END = 2,

    OP_RANGE = 1, /* RequestOp and ResponseOp alike */
    OP_PUT = 2,
    OP_DELETE = 3,
    OP_TXN = 4,

    COMPARE_TARGET = 2, /* its result, 1, is EQUAL if it is left out */
    COMPARE_KEY = 3,
    COMPARE_MOD_REVISION = 6,
    COMPARE_TARGET_MOD = 2, /* a value of COMPARE_TARGET */

    TXN_COMPARE = 1,
    TXN_SUCCESS = 2,
    TXN_FAILURE = 3,

    COMPACTION_REVISION = 1,

    ALARM_ACTION = 1, /* GET if it is left out */
    ALARM_MEMBER_ID = 2,
    ALARM_ALARM = 3,
    ALARM_ACTION_DEACTIVATE = 2, /* a value of ALARM_ACTION */

    WATCH_CREATE = 1,
    WATCH_CREATE_KEY = 1,
    WATCH_CREATE_RANGE_END = 2,
    WATCH_CREATE_START_REVISION = 3,
    WATCH_CREATE_PROGRESS_NOTIFY = 4,
    WATCH_CREATE_FRAGMENT = 8,

    ANSWER_HEADER = 1, /* of every answer */

    RANGE_ANSWER_KVS = 2,
    RANGE_ANSWER_MORE = 3,
    RANGE_ANSWER_COUNT = 4,

    DELETE_ANSWER_DELETED = 2,

    TXN_ANSWER_SUCCEEDED = 2,
    TXN_ANSWER_RESPONSES = 3,

    KV_KEY = 1,
    KV_CREATE_REVISION = 2,
    KV_MOD_REVISION = 3,
    KV_VERSION = 4,
    KV_VALUE = 5,

    STATUS_VERSION = 2,
    STATUS_DB_SIZE = 3,
    STATUS_LEADER = 4,
    STATUS_RAFT_INDEX = 5,
    STATUS_RAFT_APPLIED_INDEX = 7,
    STATUS_ERRORS = 8,
    STATUS_DB_SIZE_IN_USE = 9,
    STATUS_IS_LEARNER = 10,

    ALARMS_ALARMS = 2,
    ALARM_MEMBER_MEMBER_ID = 1,
    ALARM_MEMBER_ALARM = 2,

    MEMBERS_MEMBERS = 2,
    MEMBER_ID = 1,
    MEMBER_NAME = 2,
    MEMBER_PEER_URLS = 3,
    MEMBER_CLIENT_URLS = 4,
    MEMBER_IS_LEARNER = 5,

    WATCH_ANSWER_CREATED = 3,
    WATCH_ANSWER_CANCELED = 4,
    WATCH_ANSWER_COMPACT_REVISION = 5,
    WATCH_ANSWER_CANCEL_REASON = 6,
    WATCH_ANSWER_FRAGMENT = 7,
    WATCH_ANSWER_EVENTS = 11,

    EVENT_TYPE = 1,
    EVENT_KV = 2,
    EVENT_TYPE_PUT = 0, /* values of EVENT_TYPE */
    EVENT_TYPE_DELETE = 1,
};
