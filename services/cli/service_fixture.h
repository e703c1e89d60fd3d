/*
 * service_fixture: a service that behaves as tests want it to, behind real listeners with real
 * certificates.
 *
 * Its keys are none: a blob is 01, a tag of the encryption context, and the plaintext with each bit
 * flipped. What is tested is the program.
 *
 * Threads: the test's; handlers run on the fixture's loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

#define FAKE_REGION    "ap-seoul-1"
#define FAKE_KEY_ID    "0b4f9c9e-6f5d-4b8b-9b0e-000000000001"
#define FAKE_KEYS      7U /* in ListKeys, three a page */
#define FAKE_ACCOUNT   "111122223333"
#define FAKE_KEY_ARN   "arn:aws:kms:" FAKE_REGION ":" FAKE_ACCOUNT ":key/" FAKE_KEY_ID
#define FAKE_ALIAS     "alias/demo" /* of that key; there is no other */
#define FAKE_ALIAS_ARN "arn:aws:kms:" FAKE_REGION ":" FAKE_ACCOUNT ":" FAKE_ALIAS

/* Group setup and teardown: certificates, three listeners, the environment of the program. */
int fake_setup(void **state);
int fake_teardown(void **state);

/* Before each test: nothing fails, nothing was asked. */
int fake_reset(void **state);

/* The next `count` calls of a method ("Encrypt") answer code instead; "" is any method. */
void fake_fail(const char *method, ks_code code, unsigned count);

/* How often a method was called. */
unsigned fake_calls(const char *method);

/* Whether every call of the method since the reset carried the same bytes. */
bool fake_calls_were_equal(const char *method);

/* Lets the user's certificate look as old as that. */
void fake_age_certificate(int seconds);

/* What GetStatus says: everything well, or a window that is closed. */
void fake_window(bool open);

/* The newest roster that was put, if the hsm root signed it: its number and entries; 0: none. */
unsigned fake_roster_number(void);
size_t fake_roster_entries(void);

/* Makes a custodian kit of one custodian, signed by the hsm root: fake_path(file). */
void fake_custodian_kit(const char *region, uint32_t period, const char *file);

/*
 * What TakeBackup sends from now on, borrowed: len bytes, and then it ends with the code. Without
 * this it sends nothing and answers UNAVAILABLE.
 */
void fake_backup(ks_bytes bytes, ks_code code);

/* Makes a certificate of the hsm root for a zone's hsm: fake_path(file). */
void fake_hsm_certificate(const char *zone, const char *file);

/* host:port of the frontend; and of a port that nobody listens on. Static. */
const char *fake_frontend(void);
const char *fake_nobody(void);
