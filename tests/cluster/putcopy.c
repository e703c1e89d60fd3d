/*
 * putcopy: reads and writes a keystore's copy, as somebody does who owns its disk.
 *
 * usage: putcopy FOLDER get DATABASE KEY           prints the value's bytes
 *        putcopy FOLDER put DATABASE KEY <VALUE    puts the bytes of standard input
 *        putcopy FOLDER del DATABASE KEY
 *
 * It opens the file beside a keystore that runs: LMDB's own lock orders their changes. For tests,
 * as root.
 */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATABASES_MAX 32U
#define MAP_LEN       (16ULL << 30)
#define VALUE_LEN_MAX (1U << 20)

static char input[VALUE_LEN_MAX];

static void check(int code, const char *what)
{
    if (code != MDB_SUCCESS) {
        fprintf(stderr, "putcopy: %s: %s\n", what, mdb_strerror(code));
        exit(1);
    }
}

static void change(MDB_txn *txn, MDB_dbi database, const char *verb, MDB_val *key)
{
    MDB_val value = {0};
    if (strcmp(verb, "get") == 0) {
        check(mdb_get(txn, database, key, &value), "get");
        fwrite(value.mv_data, 1, value.mv_size, stdout);
    } else if (strcmp(verb, "del") == 0) {
        check(mdb_del(txn, database, key, NULL), "del");
    } else {
        value = (MDB_val){.mv_size = fread(input, 1, sizeof(input), stdin), .mv_data = input};
        check(mdb_put(txn, database, key, &value, 0), "put");
    }
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fputs("usage: putcopy FOLDER get|put|del DATABASE KEY\n", stderr);
        return 2;
    }
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi database;
    MDB_val key = {.mv_size = strlen(argv[4]), .mv_data = argv[4]};
    check(mdb_env_create(&env), "create");
    check(mdb_env_set_maxdbs(env, DATABASES_MAX), "databases");
    check(mdb_env_set_mapsize(env, MAP_LEN), "size");
    check(mdb_env_open(env, argv[1], MDB_NOTLS, 0600), "open");
    check(mdb_txn_begin(env, NULL, 0, &txn), "begin");
    check(mdb_dbi_open(txn, argv[3], 0, &database), "database");
    change(txn, database, argv[2], &key);
    check(mdb_txn_commit(txn), "commit");
    mdb_env_close(env);
    return 0;
}
