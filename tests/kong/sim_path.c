/* Paths as Kong normalizes and escapes them, and addresses in blocks. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "sim_pdk_call.h"

struct kong_str raw_path(struct kong_str request_uri) {
    /* Kong looks for '?' from the second byte on. */
    for (size_t i = 1; i < request_uri.len; i++) {
        if (request_uri.data[i] == '?') {
            return (struct kong_str){request_uri.data, i};
        }
    }
    return request_uri;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static char upper(char c) {
    return c >= 'a' && c <= 'f' ? (char)(c - 'a' + 'A') : c;
}

/* Decodes "%41" but for reserved characters, whose digits it writes in upper case. */
static size_t decode_unreserved(const struct kong_str path, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < path.len; i++) {
        if (path.data[i] != '%' || i + 2 >= path.len || hex_digit(path.data[i + 1]) < 0 ||
            hex_digit(path.data[i + 2]) < 0) {
            out[n++] = path.data[i];
            continue;
        }
        int c = hex_digit(path.data[i + 1]) * 16 + hex_digit(path.data[i + 2]);
        if (c != 0 && strchr("!*'();:@&=+$,/?%#[]", c) != NULL) {
            out[n++] = '%';
            out[n++] = upper(path.data[i + 1]);
            out[n++] = upper(path.data[i + 2]);
        } else {
            out[n++] = (char)c;
        }
        i += 2;
    }
    return n;
}

/* Removes "." and "..", merges slashes, in place: segments start with their slash. */
static size_t remove_dots(char *path, size_t len) {
    size_t out = 0;
    size_t at = 0;
    while (at < len) {
        size_t end = at + 1;
        while (end < len && path[end] != '/') {
            end++;
        }
        size_t segment = end - at;
        bool last = end == len;
        bool dot = segment == 2 && path[at] == '/' && path[at + 1] == '.';
        bool dots = segment == 3 && path[at] == '/' && path[at + 1] == '.' && path[at + 2] == '.';
        if (dots) {
            while (out > 0 && path[--out] != '/') {
            }
        }
        if (dot || dots) {
            if (last) {
                path[out++] = '/';
            }
        } else if (segment > 1 || last) {
            memmove(path + out, path + at, segment);
            out += segment;
        }
        at = end;
    }
    return out;
}

struct kong_str path_normalize(struct arena *arena, struct kong_str path) {
    char *out = arena_alloc(arena, path.len + 1);
    if (out == NULL) {
        return (struct kong_str){NULL, 0};
    }
    size_t len = remove_dots(out, decode_unreserved(path, out));
    out[len] = '\0';
    return (struct kong_str){out, len};
}

struct kong_str uri_unescape(struct arena *arena, struct kong_str text, bool plus) {
    char *out = arena_alloc(arena, text.len + 1);
    size_t n = 0;
    if (out == NULL) {
        return (struct kong_str){NULL, 0};
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '%' && i + 2 < text.len && hex_digit(text.data[i + 1]) >= 0 &&
            hex_digit(text.data[i + 2]) >= 0) {
            c = (char)(hex_digit(text.data[i + 1]) * 16 + hex_digit(text.data[i + 2]));
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        out[n++] = c;
    }
    out[n] = '\0';
    return (struct kong_str){out, n};
}

struct kong_str path_decode(struct arena *arena, struct kong_str path) {
    struct kong_str text = uri_unescape(arena, path, false);
    if (text.data != NULL) {
        char *own = (char *)(uintptr_t)text.data;
        text.len = remove_dots(own, text.len);
        own[text.len] = '\0';
    }
    return text;
}

struct kong_str path_escape(struct arena *arena, struct kong_str path) {
    static const char digits[] = "0123456789ABCDEF";
    static const char kept[] = "!#$&'()*+,/:;=?@[]-_.~%";
    char *out = arena_array(arena, path.len + 1, 3);
    size_t n = 0;
    if (out == NULL) {
        return (struct kong_str){NULL, 0};
    }
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.data[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c != 0 && strchr(kept, c) != NULL);
        if (plain) {
            out[n++] = (char)c;
        } else {
            out[n++] = '%';
            out[n++] = digits[c >> 4];
            out[n++] = digits[c & 15];
        }
    }
    out[n] = '\0';
    return (struct kong_str){out, n};
}

/* An address of either family in 16 bytes; its bits, or 0 when it is none. */
static unsigned parse_ip(const char *text, unsigned char bytes[16]) {
    if (inet_pton(AF_INET, text, bytes) == 1) {
        return 32;
    }
    return inet_pton(AF_INET6, text, bytes) == 1 ? 128 : 0;
}

static bool in_block(const char *ip, const char *block) {
    unsigned char address[16] = {0};
    unsigned char network[16] = {0};
    char text[64];
    const char *slash = strchr(block, '/');
    size_t len = slash == NULL ? strlen(block) : (size_t)(slash - block);
    if (len >= sizeof text) {
        return false;
    }
    memcpy(text, block, len);
    text[len] = '\0';
    unsigned bits = parse_ip(text, network);
    if (bits == 0 || parse_ip(ip, address) != bits) {
        return false;
    }
    unsigned long prefix = slash == NULL ? bits : strtoul(slash + 1, NULL, 10);
    if (prefix > bits) {
        return false;
    }
    for (unsigned long i = 0; i < prefix; i++) {
        unsigned char mask = (unsigned char)(0x80u >> (i % 8));
        if ((address[i / 8] & mask) != (network[i / 8] & mask)) {
            return false;
        }
    }
    return true;
}

bool ip_trusted(const struct sim_pdk *pdk, struct kong_str ip) {
    char text[64];
    if (ip.data == NULL || ip.len >= sizeof text || pdk->trusted_ips.type != KONG_LIST) {
        return false;
    }
    memcpy(text, ip.data, ip.len);
    text[ip.len] = '\0';
    for (size_t i = 0; i < pdk->trusted_ips.list.count; i++) {
        const struct kong_value *block = &pdk->trusted_ips.list.items[i];
        if (block->type == KONG_STRING && in_block(text, block->string.data)) {
            return true;
        }
    }
    return false;
}
