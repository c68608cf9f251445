/* Recordings of a real Kong (tests/recordings/), and their values compared with the simulated
 * one's. Included behind <cmocka.h>. */
#ifndef TESTS_UNIT_KONG_RECORDING_H
#define TESTS_UNIT_KONG_RECORDING_H

#include "kong_test_inside.h"

struct replay {
    struct arena memory;     /* of the recording */
    struct arena scratch;    /* of one scenario */
    struct kong_value lines; /* list of maps */
    struct kong_test test;   /* a gateway without a plugin: only its request and its PDK are used */
    const struct kong_value *request, *scenario;
    bool protobuf;
    size_t compared, differences;
};

/* A file of tests/recordings, or of the directory that RECORDINGS names; the caller frees it. */
char *recording_text(const char *name, size_t *len);

/* The lines of kong-3.9.1.jsonl. */
void replay_read(struct replay *replay);

/* Members of a line. */
const char *replay_text(const struct kong_value *map, const char *key); /* NULL: not there */
int64_t replay_integer(const struct kong_value *map, const char *key);
/* The line of a kind with a name. */
const struct kong_value *replay_named(const struct replay *replay, const char *kind,
                                      const char *name);

/* A value as JSON, in the scratch arena. */
struct kong_str replay_shown(struct replay *replay, const struct kong_value *value);

/* Counts a comparison; prints the text where something differs. */
void replay_check(struct replay *replay, bool same, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A plain value; a table of headers or arguments; paths in a JSON text ("request.headers.host"). */
void compare_value(struct replay *replay, const char *what, const struct kong_value *wanted,
                   const struct kong_value *got);
void compare_table(struct replay *replay, const char *what, const struct kong_value *wanted,
                   const struct kong_value *got);
void compare_json(struct replay *replay, const char *what, const struct kong_value *wanted,
                  struct kong_str text);

#endif
