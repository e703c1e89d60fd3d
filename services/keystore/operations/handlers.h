/*
 * handlers: the functions of the operations' table, each in the file of its operation's noun.
 *
 * A check looks at the request alone; it answers the call and returns false if a limit is passed.
 * A run finds the view open and everything confirmed (operation.h), and answers the call, then or
 * later.
 *
 * Threads: as the call.
 */
#pragma once

#include <stdbool.h>

struct ks_call;

/* create_key.c */
bool ks_check_create_key(struct ks_call *call);
void ks_run_create_key(struct ks_call *call);

/* describe_key.c */
bool ks_check_describe_key(struct ks_call *call);
void ks_run_describe_key(struct ks_call *call);

/* list_keys.c */
bool ks_check_list_keys(struct ks_call *call);
void ks_run_list_keys(struct ks_call *call);

/* key_changes.c */
void ks_run_enable_key(struct ks_call *call);
void ks_run_disable_key(struct ks_call *call);
bool ks_check_schedule_key_deletion(struct ks_call *call);
void ks_run_schedule_key_deletion(struct ks_call *call);
void ks_run_cancel_key_deletion(struct ks_call *call);
bool ks_check_update_key_description(struct ks_call *call);
void ks_run_update_key_description(struct ks_call *call);

/* aliases.c */
bool ks_check_create_alias(struct ks_call *call);
void ks_run_create_alias(struct ks_call *call);
bool ks_check_update_alias(struct ks_call *call);
void ks_run_update_alias(struct ks_call *call);
bool ks_check_delete_alias(struct ks_call *call);
void ks_run_delete_alias(struct ks_call *call);

/* list_aliases.c */
bool ks_check_list_aliases(struct ks_call *call);
void ks_run_list_aliases(struct ks_call *call);

/* encrypt.c */
bool ks_check_encrypt(struct ks_call *call);
void ks_run_encrypt(struct ks_call *call);

/* decrypt.c */
bool ks_check_decrypt(struct ks_call *call);
void ks_run_decrypt(struct ks_call *call);

/* re_encrypt.c */
bool ks_check_re_encrypt(struct ks_call *call);
void ks_run_re_encrypt(struct ks_call *call);

/* data_key.c */
bool ks_check_generate_data_key(struct ks_call *call);
void ks_run_generate_data_key(struct ks_call *call);
bool ks_check_generate_data_key_without_plaintext(struct ks_call *call);
void ks_run_generate_data_key_without_plaintext(struct ks_call *call);

/* random.c */
bool ks_check_generate_random(struct ks_call *call);
void ks_run_generate_random(struct ks_call *call);
