#include "pkg/authorize/facts.h"

#include "pkg/codec/wire.h"

/* Numbers of the fields in internal.proto; facts_test.c compares them with the generated code. */
enum { VIEW_FACTS = 2 };
enum { FACT_KEY = 1, FACT_VALUE = 2, FACT_NAME = 3 };

static ks_result read_fact(ks_bytes bytes, struct ks_policy_fact *fact)
{
    while (bytes.len > 0) {
        struct ks_wire_field field;
        KS_TRY(ks_wire_next(&bytes, &field));
        if (field.number == FACT_KEY) {
            fact->key = field.bytes;
        } else if (field.number == FACT_VALUE) {
            fact->value = field.bytes;
        } else if (field.number == FACT_NAME) {
            fact->name = field.bytes;
        }
    }
    return fact->key.len > 0 ? KS_RES(OK) : KS_RES(VALIDATION);
}

ks_result ks_facts_read(ks_bytes facts, struct ks_facts *ret_facts)
{
    ret_facts->count = 0;
    while (facts.len > 0) {
        struct ks_wire_field field;
        KS_TRY(ks_wire_next(&facts, &field));
        if (field.number != VIEW_FACTS || ret_facts->count == KS_FACTS_MAX) {
            return KS_RES(VALIDATION);
        }
        struct ks_policy_fact *fact = &ret_facts->items[ret_facts->count++];
        *fact = (struct ks_policy_fact){0};
        KS_TRY(read_fact(field.bytes, fact));
    }
    return KS_RES(OK);
}

ks_bytes ks_facts_find(const struct ks_facts *facts, const char *key)
{
    for (size_t i = 0; i < facts->count; i++) {
        if (ks_bytes_equal(facts->items[i].key, ks_bytes_of(key))) {
            return facts->items[i].value;
        }
    }
    return (ks_bytes){0};
}

ks_result ks_facts_add(struct ks_facts *facts, const struct ks_policy_fact *fact)
{
    if (facts->count == KS_FACTS_MAX) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    facts->items[facts->count++] = *fact;
    return KS_RES(OK);
}
