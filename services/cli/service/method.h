/*
 * method: the methods of the service that the program calls, each with its messages. One macro
 * fills a struct ks_method from a method's name, so that a command that only calls a method is
 * one row in commands/commands.c:
 *
 *     KS_KMS_METHOD(EnableKey, enable_key)
 *
 * Threads: constants.
 */
#pragma once

#include <stddef.h>

#include "keystead/admin/v1/admin.pb-c.h"
#include "keystead/kms/v1/kms.pb-c.h"

struct ProtobufCMessageDescriptor;

/* Which server a method belongs to. */
enum ks_door_kind { KS_DOOR_FRONTEND, KS_DOOR_CONTROL };

struct ks_method {
    const char *path; /* "/package.Service/Method" */
    const struct ProtobufCMessageDescriptor *request;
    const struct ProtobufCMessageDescriptor *response;
    enum ks_door_kind door;
    const char *list;           /* field of the response that holds a page; NULL: it has none */
    const char *const *columns; /* fields of an element, which a table shows; the last is NULL */
};

#define KS_METHOD_OF(service, package, Name, name, door_kind)                                      \
    .path = service #Name, .request = &keystead__##package##__v1__##name##_request__descriptor,    \
    .response = &keystead__##package##__v1__##name##_response__descriptor, .door = door_kind
#define KS_METHOD_OF_KMS(Name, name)                                                               \
    KS_METHOD_OF("/keystead.kms.v1.KeyManagementService/", kms, Name, name, KS_DOOR_FRONTEND)
#define KS_METHOD_OF_ADMIN(Name, name)                                                             \
    KS_METHOD_OF("/keystead.admin.v1.AdminService/", admin, Name, name, KS_DOOR_CONTROL)

/* Initializers of a struct ks_method: Name as the service has it, name as protobuf-c writes it. */
#define KS_KMS_METHOD(Name, name)                                                                  \
    {                                                                                              \
        KS_METHOD_OF_KMS(Name, name)                                                               \
    }
#define KS_ADMIN_METHOD(Name, name)                                                                \
    {                                                                                              \
        KS_METHOD_OF_ADMIN(Name, name)                                                             \
    }

/* The same of a method that lists: field_of_list is the response's, columns are its elements'. */
#define KS_KMS_LIST(Name, name, field_of_list, its_columns)                                        \
    {                                                                                              \
        KS_METHOD_OF_KMS(Name, name), .list = field_of_list, .columns = its_columns                \
    }
#define KS_ADMIN_LIST(Name, name, field_of_list, its_columns)                                      \
    {                                                                                              \
        KS_METHOD_OF_ADMIN(Name, name), .list = field_of_list, .columns = its_columns              \
    }
