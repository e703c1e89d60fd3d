/*
 * hsm_limits: how much longer an HsmReply may be than what was asked (hsm.proto). A frame of replies
 * has a bound as a frame of requests has one, so a keystore counts both when it fills a frame.
 * Keystore and hsm both take the numbers from here: the keystore adds them up, and the hsm asserts
 * that what it makes is no longer.
 *
 * Threads: none; constants.
 */
#pragma once

/* What one request may have the hsm draw, as a data key or as it is. */
#define KS_HSM_DRAWN_MAX 1024U /* bytes */

/*
 * A client's operation: the reply, in its frame, is at most so much longer than the request, in its
 * own. The longest is a data key that comes with its blob.
 */
#define KS_HSM_REPLY_EXTRA_MAX 2560U /* bytes */

/*
 * What a keystore asks for itself: the reply is at most so much longer than the request and the
 * records that it names together. It is a certificate, a challenge, an envelope, or a record that
 * is sealed anew.
 */
#define KS_HSM_REPLY_OWN_EXTRA_MAX 12288U /* bytes */
