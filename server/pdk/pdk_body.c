/* Bodies, which Kong sends as a string or leaves in a file. */
#include "pdk_call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "limit.h"

/* A file up to this size is read at once: handing it to another thread would take as long. */
#define READ_AT_ONCE ((size_t)256 << 10)

/* A Lua number is exact up to here; 0 has Kong read a file of any size. */
#define LUA_MOST ((uint64_t)1 << 53)

static int too_big(struct kong *kong, enum pdk_id id, size_t len, size_t limit) {
    return pdk_fail(kong, id, KONG_E_TOO_BIG, "the body has %zu bytes, the limit is %zu", len,
                    limit);
}

/* --- Files --- */

/* Used by another thread while the handler is suspended: only descriptor and memory. */
struct reading {
    int fd;
    char *to;
    size_t len;
    int error; /* errno; 0 when all of it was read */
};

static void read_all(void *arg) {
    struct reading *reading = arg;
    size_t have = 0;
    while (have < reading->len) {
        ssize_t count = read(reading->fd, reading->to + have, reading->len - have);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            reading->error = count < 0 ? errno : ENODATA;
            return;
        }
        have += (size_t)count;
    }
}

static int fail_file(struct kong *kong, enum pdk_id id, const char *path, int error) {
    char text[128];
    const char *why = strerror_r(error, text, sizeof text);
    return pdk_fail(kong, id, KONG_E_IO, "%s: %s", path, why);
}

/* Opens only regular files, as nginx's temporary files are: no link, no device, nothing that makes
 * open wait. */
static int open_file(struct kong *kong, enum pdk_id id, const char *path, size_t limit, int *fd,
                     size_t *len) {
    struct stat stat;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0 || fstat(*fd, &stat) != 0) {
        return fail_file(kong, id, path, errno);
    }
    if (!S_ISREG(stat.st_mode)) {
        return pdk_fail(kong, id, KONG_E_IO, "%s: not a regular file", path);
    }
    *len = (size_t)stat.st_size;
    return *len > limit ? too_big(kong, id, *len, limit) : KONG_OK;
}

static int read_open_file(struct kong *kong, enum pdk_id id, const char *path, int fd, size_t len,
                          struct kong_str *body) {
    struct reading reading = {.fd = fd, .to = arena_alloc(pdk_arena(kong), len + 1), .len = len};
    int error = 0;
    if (reading.to == NULL) {
        return pdk_no_memory(kong);
    }
    if (len <= READ_AT_ONCE) {
        read_all(&reading);
    } else {
        error = kong_run_blocking(kong, read_all, &reading);
    }
    if (error != 0) {
        return error;
    }
    if (reading.error != 0) {
        return fail_file(kong, id, path, reading.error);
    }
    reading.to[len] = '\0';
    *body = (struct kong_str){reading.to, len};
    return KONG_OK;
}

static int read_file(struct kong *kong, enum pdk_id id, struct kong_str path, size_t limit,
                     struct kong_str *body) {
    int fd = -1;
    size_t len = 0;
    if (path.len == 0 || strlen(path.data) != path.len) {
        return pdk_fail(kong, id, KONG_E_IO, "the file of the body has no usable name");
    }
    int error = open_file(kong, id, path.data, limit, &fd, &len);
    if (error == 0) {
        error = read_open_file(kong, id, path.data, fd, len, body);
    }
    if (fd >= 0) {
        close(fd);
    }
    return error;
}

/* --- The functions --- */

/* No body is an empty one. */
static int take_body(struct kong *kong, enum pdk_id id, const struct kong_value *value,
                     size_t limit, struct kong_str *body) {
    if (value->type == KONG_NIL) {
        *body = (struct kong_str){"", 0};
        return KONG_OK;
    }
    if (value->type == KONG_STRING && value->string.len > limit) {
        return too_big(kong, id, value->string.len, limit);
    }
    return pdk_to_str(kong, id, "the answer", value, body);
}

static int get_body(struct kong *kong, enum pdk_id id, size_t limit, struct kong_str *body) {
    struct kong_value value;
    *body = (struct kong_str){NULL, 0};
    int error = pdk_get(kong, id, NO_ARGS, &value);
    return error != 0 ? error : take_body(kong, id, &value, limit, body);
}

/* What the client says; *known is false where it says nothing, as for a body sent in chunks. */
static int content_length(struct kong *kong, uint64_t *len, bool *known) {
    struct kong_value name = kong_string("Content-Length");
    struct kong_str text;
    int error = pdk_get_str(kong, PDK_REQUEST_GET_HEADER, &name, 1, &text);
    char *end = NULL;
    *len = text.data == NULL ? 0 : strtoull(text.data, &end, 10);
    *known = end != NULL && end != text.data && *end == '\0';
    return error;
}

/* MsgPack:1. Kong takes the size of a body that lies in a file as an argument: without one, and for
 * a file that is larger, it raises an error and fails the request, so that no answer ever comes.
 * So a body that is too big is refused before that, if the client says how long it is. If not, Kong
 * may read as much as one message can carry, and not all that a client sends. */
static int ask_msgpack(struct kong *kong, size_t limit, struct kong_value *value) {
    const enum pdk_id id = PDK_REQUEST_GET_RAW_BODY;
    uint64_t len = 0;
    bool known = false;
    bool allowed = (pdk_methods[id].phases & KONG_PHASE_BIT(pdk_event(kong)->phase)) != 0;
    int error = allowed ? content_length(kong, &len, &known) : KONG_OK;
    if (error != 0) {
        return error;
    }
    if (known && len > limit) {
        return too_big(kong, id, (size_t)(len < SIZE_MAX ? len : SIZE_MAX), limit);
    }
    uint64_t most = limit > LIMIT_FRAME ? limit : LIMIT_FRAME;
    struct kong_value arg = kong_integer(most < LUA_MOST ? (int64_t)most : 0);
    return pdk_get(kong, id, &arg, 1, value);
}

/* On ProtoBuf:1 the message has no argument, and Kong names the file. */
int kong_request_get_raw_body(struct kong *kong, size_t limit, struct kong_str *body) {
    const enum pdk_id id = PDK_REQUEST_GET_RAW_BODY;
    struct kong_value value = kong_nil();
    *body = (struct kong_str){NULL, 0};
    int error = pdk_is_msgpack(kong) ? ask_msgpack(kong, limit, &value)
                                     : pdk_get(kong, id, NO_ARGS, &value);
    if (error != 0 || value.type != KONG_MAP) {
        return error != 0 ? error : take_body(kong, id, &value, limit, body);
    }
    struct kong_str path = kong_to_str(kong_map_get(&value, "body_filepath"));
    struct kong_str text = kong_to_str(kong_map_get(&value, "error"));
    const struct kong_value *content = kong_map_get(&value, "content");
    if (path.data != NULL) {
        return read_file(kong, id, path, limit, body);
    }
    if (text.data != NULL) {
        return pdk_fail(kong, id, KONG_E_KONG, "%s", text.data);
    }
    return content == NULL ? pdk_fail_type(kong, id, "the answer", &value)
                           : take_body(kong, id, content, limit, body);
}

int kong_response_get_raw_body(struct kong *kong, size_t limit, struct kong_str *body) {
    return get_body(kong, PDK_RESPONSE_GET_RAW_BODY, limit, body);
}

int kong_service_response_get_raw_body(struct kong *kong, size_t limit, struct kong_str *body) {
    return get_body(kong, PDK_SERVICE_RESPONSE_GET_RAW_BODY, limit, body);
}

static int get_decoded(struct kong *kong, enum pdk_id id, const char *mimetype,
                       struct kong_value *body) {
    struct kong_value arg = kong_string(mimetype);
    int error = pdk_get(kong, id, &arg, mimetype == NULL ? 0 : 1, body);
    if (error == 0 && body->type == KONG_NIL) {
        return pdk_fail(kong, id, KONG_E_KONG, "Kong could not decode the body");
    }
    return error;
}

int kong_request_get_body(struct kong *kong, const char *mimetype, struct kong_value *body) {
    return get_decoded(kong, PDK_REQUEST_GET_BODY, mimetype, body);
}

int kong_service_response_get_body(struct kong *kong, const char *mimetype,
                                   struct kong_value *body) {
    return get_decoded(kong, PDK_SERVICE_RESPONSE_GET_BODY, mimetype, body);
}
