#include "trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The whole file with a NUL behind it; NULL, with the reason on stderr. */
static char *read_file(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return NULL;
    }
    char *text = NULL;
    long size = -1;
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 &&
        fseek(file, 0, SEEK_SET) == 0 && (text = malloc((size_t)size + 1)) != NULL) {
        *len = fread(text, 1, (size_t)size, file);
        text[*len] = '\0';
    }
    if (text == NULL || *len != (size_t)size) {
        fprintf(stderr, "%s: cannot be read\n", path);
        free(text);
        text = NULL;
    }
    fclose(file);
    return text;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes a line's hex to `out`; false unless it is one or more whole bytes of it. */
static bool read_hex(const char *text, uint8_t *out, size_t *len) {
    *len = 0;
    while (*text != '\0') {
        int high = hex_digit(text[0]);
        int low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0) {
            return false;
        }
        out[(*len)++] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    return *len > 0;
}

/* "N open", "N close", "N > hex", "N < hex". Bytes go to `out`. */
static bool read_event(const char *line, uint8_t *out, struct trace_event *event) {
    char *rest = NULL;
    unsigned long connection = strtoul(line, &rest, 10);
    if (rest == line || rest[0] != ' ' || connection > 1000) {
        return false;
    }
    event->connection = (unsigned)connection;
    rest++;
    if (strcmp(rest, "open") == 0 || strcmp(rest, "close") == 0) {
        event->kind = rest[0] == 'o' ? TRACE_OPEN : TRACE_CLOSE;
        return true;
    }
    if ((rest[0] != '>' && rest[0] != '<') || rest[1] != ' ') {
        return false;
    }
    event->kind = rest[0] == '>' ? TRACE_KONG : TRACE_SERVER;
    event->data = out;
    return read_hex(rest + 2, out, &event->len);
}

static bool read_lines(struct trace *trace, const char *path) {
    const char *scene = "";
    size_t used = 0;
    unsigned number = 0;
    for (char *line = trace->text, *next; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        number++;
        if (line[0] == '\0' || line[0] == '#' || line[0] == ';') {
            continue;
        }
        struct trace_event *event = &trace->events[trace->count];
        *event = (struct trace_event){.line = number};
        if (strncmp(line, "== ", 3) == 0) {
            scene = line + 3;
            event->kind = TRACE_SCENE;
        } else if (!read_event(line, trace->bytes + used, event)) {
            fprintf(stderr, "%s:%u: not a line of a trace\n", path, number);
            return false;
        }
        event->scene = scene;
        used += event->len;
        trace->count++;
    }
    return true;
}

bool trace_read(struct trace *trace, const char *name) {
    const char *dir = getenv("TRACES");
    char path[4096];
    size_t len = 0;
    *trace = (struct trace){0};
    int printed = snprintf(path, sizeof path, "%s/%s", dir == NULL ? "tests/traces" : dir, name);
    if (printed < 0 || (size_t)printed >= sizeof path) {
        fprintf(stderr, "%s: path too long\n", name);
        return false;
    }
    trace->text = read_file(path, &len);
    if (trace->text == NULL) {
        return false;
    }
    size_t lines = 1;
    for (size_t i = 0; i < len; i++) {
        lines += trace->text[i] == '\n';
    }
    trace->events = calloc(lines, sizeof *trace->events);
    trace->bytes = malloc(len / 2 + 1);
    if (trace->events == NULL || trace->bytes == NULL || !read_lines(trace, path)) {
        trace_free(trace);
        return false;
    }
    return true;
}

void trace_free(struct trace *trace) {
    free(trace->events);
    free(trace->bytes);
    free(trace->text);
    *trace = (struct trace){0};
}

uint8_t *trace_stream(const struct trace *trace, unsigned connection, enum trace_kind side,
                      size_t *len) {
    size_t total = 0;
    for (size_t i = 0; i < trace->count; i++) {
        total += trace->events[i].len;
    }
    uint8_t *stream = malloc(total + 1);
    *len = 0;
    for (size_t i = 0; i < trace->count && stream != NULL; i++) {
        const struct trace_event *event = &trace->events[i];
        if (event->kind == side && event->connection == connection) {
            memcpy(stream + *len, event->data, event->len);
            *len += event->len;
        }
    }
    return stream;
}

unsigned trace_last_connection(const struct trace *trace) {
    unsigned last = 0;
    for (size_t i = 0; i < trace->count; i++) {
        last = trace->events[i].connection > last ? trace->events[i].connection : last;
    }
    return last;
}
