/*
 * message: short names for protoc-c's, besides those of pkg/record/stored.h: INTERNAL(HsmRequest)
 * is a message of keystead.internal.v1, KMS(EncryptRequest) one of keystead.kms.v1; _TYPE gives the
 * descriptor, _NEW the initial value, _ENUM a member of an enum.
 *
 * Threads: constant; any.
 */
#pragma once

#include "pkg/record/stored.h"

#define INTERNAL(name)      Keystead__Internal__V1__##name
#define INTERNAL_TYPE(name) (&keystead__internal__v1__##name##__descriptor)
#define INTERNAL_NEW(name)  KEYSTEAD__INTERNAL__V1__##name##__INIT
#define INTERNAL_ENUM(name) KEYSTEAD__INTERNAL__V1__##name

#define KMS(name)      Keystead__Kms__V1__##name
#define KMS_TYPE(name) (&keystead__kms__v1__##name##__descriptor)
#define KMS_NEW(name)  KEYSTEAD__KMS__V1__##name##__INIT
#define KMS_ENUM(name) KEYSTEAD__KMS__V1__##name
