#include "services/hsm/socket/connection.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pkg/frame/frame.h"
#include "services/hsm/answer/hsm.h"

/* A turn's read: small frames mostly come one at a time, and large ones in few pieces. */
#define READ_LEN (64U * 1024U)

/* A frame is answered only while no more than this waits; its answer is at most KS_FRAME_MAX. */
#define OUT_WAITING_MAX KS_FRAME_MAX

/* Memory of an idle client is given back when it has grown beyond this. */
#define IDLE_CAPACITY_MAX (256U * 1024U)

void ks_connection_init(struct ks_connection *connection, int fd)
{
    assert(connection && fd >= 0);

    *connection = (struct ks_connection){
        .fd = fd,
        .in = {.len_max = KS_FRAME_MAX},
        .out = {.len_max = OUT_WAITING_MAX + KS_FRAME_MAX},
    };
}

void ks_connection_done(struct ks_connection *connection)
{
    if (connection->fd >= 0) {
        close(connection->fd);
    }
    ks_buffer_done(&connection->in);
    ks_buffer_done(&connection->out);
    connection->fd = -1;
}

bool ks_connection_waits_to_write(const struct ks_connection *connection)
{
    return connection->out.len > 0;
}

static bool is_not_yet(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static ks_result read_some(struct ks_connection *connection)
{
    struct ks_buffer *in = &connection->in;
    size_t room = in->len_max - in->len;
    size_t wanted = room < READ_LEN ? room : READ_LEN;
    uint8_t *place = NULL;
    assert(wanted > 0); /* a whole frame never stays behind */
    KS_TRY(ks_buffer_extend(in, wanted, &place));
    ssize_t got = recv(connection->fd, place, wanted, 0);
    in->len -= wanted - (got > 0 ? (size_t)got : 0);
    if (got == 0) {
        return KS_RES(CANCELLED);
    }
    return got > 0 || is_not_yet() ? KS_RES(OK) : KS_RES(INTERNAL);
}

static ks_result flush(struct ks_connection *connection)
{
    struct ks_buffer *out = &connection->out;
    if (out->len == 0) {
        return KS_RES(OK);
    }
    ssize_t sent = send(connection->fd, out->ptr, out->len, MSG_NOSIGNAL);
    if (sent < 0) {
        return is_not_yet() ? KS_RES(OK) : KS_RES(INTERNAL);
    }
    ks_buffer_consume(out, (size_t)sent);
    return KS_RES(OK);
}

/* Answers the whole frames that have come, and drops them in one move at the end. */
static ks_result answer_frames(struct ks_connection *connection, struct ks_hsm *hsm)
{
    ks_bytes rest = ks_buffer_bytes(&connection->in);
    ks_result r = KS_RES(OK);
    while (connection->out.len <= OUT_WAITING_MAX) {
        ks_bytes frame;
        r = ks_frame_next(rest, &frame);
        if (ks_failed(r) || !frame.ptr) {
            break;
        }
        r = ks_hsm_answer(hsm, frame, &connection->out);
        if (ks_failed(r)) {
            break;
        }
        rest = (ks_bytes){frame.ptr + frame.len, rest.len - KS_FRAME_HEAD_LEN - frame.len};
    }
    ks_buffer_consume(&connection->in, connection->in.len - rest.len);
    return r;
}

static void give_back(struct ks_buffer *buffer)
{
    if (buffer->len == 0 && buffer->capacity > IDLE_CAPACITY_MAX) {
        ks_buffer_done(buffer);
    }
}

/*
 * Frames may be left in `in` only while a reply waits: then the client's next reading is what wakes
 * this connection, so none is forgotten.
 */
ks_result ks_connection_serve(struct ks_connection *connection, struct ks_hsm *hsm)
{
    assert(connection->fd >= 0 && hsm);

    KS_TRY(flush(connection));
    KS_TRY(answer_frames(connection, hsm));
    if (connection->out.len == 0) {
        KS_TRY(read_some(connection));
        KS_TRY(answer_frames(connection, hsm));
    }
    KS_TRY(flush(connection));
    give_back(&connection->in);
    give_back(&connection->out);
    return KS_RES(OK);
}
