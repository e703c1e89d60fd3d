/* operation_fixture: names and a ciphertext for tests of what requests say. */
#pragma once

#include "pkg/base/bytes.h"
#include "pkg/operation/home.h"
#include "pkg/operation/operation.h"

#define OWN                           "111122223333"
#define OTHER                         "999988887777"
#define KEY_ID                        "0b4f9c9e-6f5d-4b8b-9b0e-00000000000f"
#define KEY_ID_2                      "0b4f9c9e-6f5d-4b8b-9b0e-0000000000ff"
#define ARN_OF(account, region, rest) "arn:aws:kms:" region ":" account ":" rest
#define OWN_KEY                       ARN_OF(OWN, "ap-seoul-1", "key/" KEY_ID)
#define OTHER_KEY                     ARN_OF(OTHER, "ap-seoul-1", "key/" KEY_ID)

/* Region ap-seoul-1; us-oregon-1 is known, too. */
extern const struct ks_home fixture_home;

/* The row of that name; fails the test if there is none. */
const struct ks_operation *fixture_operation(const char *name);

/* Appends a blob that has the form of one, for 16 bytes of plaintext, and opens under no key. */
void fixture_blob(const char *region, const char *account, struct ks_buffer *blob);
