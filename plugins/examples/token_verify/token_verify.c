/* token-verify: lets in who shows a JSON Web Token (RFC 7519) that is signed with a known key, and
 * tells the upstream what the token claims. An example of a plugin with a library that computes
 * (OpenSSL), of a job that refreshes what instances share, and of one that fails closed.
 *
 *     {"jwks": "/etc/keys/jwks.json", "issuer": "https://id.example.com/", "audience": "shop",
 *      "headers": {"sub": "X-User", "scope": "X-Scope"}}
 *
 * The key decides about the algorithm, never the token alone: RS256 with a public key of the file,
 * HS256 with the configuration's secret, nothing else. The file is read every ten seconds, and when
 * a token names a key that is not known. */
#include "key_set.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define LEAST_SECRET 32 /* bytes: as many as the digest has (RFC 7518, 3.2) */

KONG_ENTRY(forward, const char *); /* a claim, and the header that carries it */

struct config {
    const char *jwks;
    struct kong_str secret;
    const char *issuer, *audience, *realm;
    int64_t leeway;
    KONG_MAP_OF_ENTRIES(struct forward) headers;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, jwks, .starts_with = "/",
                      .description = "File with the public keys for RS256, a JWKS."),
    KONG_STRING_FIELD(struct config, secret, .len_min = LEAST_SECRET, .referenceable = true,
                      .encrypted = true, .description = "Key for HS256, 32 bytes or more."),
    KONG_STRING_FIELD(struct config, issuer, .description = "What a token's iss must be."),
    KONG_STRING_FIELD(struct config, audience, .description = "What a token's aud must contain."),
    KONG_STRING_FIELD(struct config, realm, .required = true, .default_json = KONG_TEXT("api"),
                      .match = "^[%w ._-]+$", .description = "Named in WWW-Authenticate."),
    KONG_INTEGER_FIELD(struct config, leeway, .required = true, .default_json = "10",
                       .between = KONG_BETWEEN(0, 3600),
                       .description = "How far clocks may differ, in seconds."),
    KONG_MAP_FIELD(struct config, headers, KONG_STRING_ITEM(),
                   KONG_STRING_ITEM(.match = "^[%w-]+$"),
                   .description = "Headers for the upstream, by claim."),
};

static const struct kong_schema schema =
    KONG_SCHEMA(struct config, fields, .no_consumer = true,
                KONG_CONFIG_CHECKS(KONG_AT_LEAST_ONE_OF("jwks", "secret")));

/* --- The signature ---------------------------------------------------------------------------- */

struct token {
    struct kong_str header, payload, signature; /* as they stand there */
    struct kong_str signed_text;                /* header and payload */
    struct kong_value head, claims;             /* both are maps */
    struct kong_str signature_bytes;
};

static bool split(struct kong_str text, struct token *token) {
    const char *end = text.data + text.len;
    const char *first = memchr(text.data, '.', text.len);
    const char *second = first == NULL ? NULL : memchr(first + 1, '.', (size_t)(end - first - 1));
    if (second == NULL || memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL) {
        return false;
    }
    token->header = (struct kong_str){text.data, (size_t)(first - text.data)};
    token->payload = (struct kong_str){first + 1, (size_t)(second - first - 1)};
    token->signed_text = (struct kong_str){text.data, (size_t)(second - text.data)};
    token->signature = (struct kong_str){second + 1, (size_t)(end - second - 1)};
    return true;
}

static int decode_map(struct kong *kong, struct kong_str part, struct kong_value *map) {
    struct kong_str text;
    int error = base64url_decode(kong, part, &text);
    if (error == 0) {
        error = kong_json_parse(kong, text, text.len, map);
    }
    return error == 0 && map->type != KONG_MAP ? KONG_E_INVALID : error;
}

/* KONG_E_INVALID, KONG_E_TOO_BIG: it is no token. */
static int decode(struct kong *kong, struct kong_str text, struct token *token) {
    int error = split(text, token) ? decode_map(kong, token->header, &token->head) : KONG_E_INVALID;
    if (error == 0) {
        error = decode_map(kong, token->payload, &token->claims);
    }
    return error != 0 ? error : base64url_decode(kong, token->signature, &token->signature_bytes);
}

static bool is_signed_rs256(const struct token *token, EVP_PKEY *key) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good =
        context != NULL && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestVerify(context, (const unsigned char *)token->signature_bytes.data,
                         token->signature_bytes.len, (const unsigned char *)token->signed_text.data,
                         token->signed_text.len) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

static bool is_signed_hs256(const struct token *token, struct kong_str secret) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    return HMAC(EVP_sha256(), secret.data, (int)secret.len,
                (const unsigned char *)token->signed_text.data, token->signed_text.len, digest,
                &len) != NULL &&
           token->signature_bytes.len == len &&
           CRYPTO_memcmp(digest, token->signature_bytes.data, len) == 0;
}

/* *why: NULL when it is signed with a key of ours, else what is wrong. */
static int check_signature(struct kong *kong, const struct config *config,
                           const struct token *token, const char **why) {
    struct kong_str algorithm = kong_to_str(kong_map_get(&token->head, "alg"));
    struct key_set *keys = kong_instance_state(kong);
    *why = NULL;
    if (kong_map_get(&token->head, "crit") != NULL) {
        *why = "the token needs an extension that is not known here";
    } else if (kong_str_equal(algorithm, kong_str("HS256")) && config->secret.len > 0) {
        *why = is_signed_hs256(token, config->secret) ? NULL : "the signature is wrong";
    } else if (kong_str_equal(algorithm, kong_str("RS256")) && keys != NULL) {
        struct kong_str id = kong_to_str(kong_map_get(&token->head, "kid"));
        EVP_PKEY *key;
        int error = key_set_find(kong, keys, id, &key);
        *why = error != 0 || key == NULL     ? "the token's key is not known"
               : is_signed_rs256(token, key) ? NULL
                                             : "the signature is wrong";
        return error;
    } else {
        *why = "the token's algorithm is not accepted";
    }
    return 0;
}

/* --- The claims ------------------------------------------------------------------------------- */

/* The text itself, or a list that has it. */
static bool has_text(const struct kong_value *value, const char *text) {
    if (value == NULL || value->type != KONG_LIST) {
        return value != NULL && kong_str_equal(kong_to_str(value), kong_str(text));
    }
    for (size_t i = 0; i < value->list.count; i++) {
        if (kong_str_equal(kong_to_str(&value->list.items[i]), kong_str(text))) {
            return true;
        }
    }
    return false;
}

/* NULL: they hold now and here. */
static const char *check_claims(const struct config *config, const struct kong_value *claims) {
    const struct kong_value *begin = kong_map_get(claims, "nbf");
    const struct kong_value *issuer = kong_map_get(claims, "iss");
    double now = (double)time(NULL);
    double leeway = (double)config->leeway;
    double at;
    if (!kong_to_number(kong_map_get(claims, "exp"), &at)) {
        return "the token has no time of expiry";
    }
    if (now >= at + leeway) {
        return "the token has expired";
    }
    if (begin != NULL && (!kong_to_number(begin, &at) || now < at - leeway)) {
        return "the token is not valid yet";
    }
    if (config->issuer != NULL && !kong_str_equal(kong_to_str(issuer), kong_str(config->issuer))) {
        return "the token is of another issuer";
    }
    if (config->audience != NULL && !has_text(kong_map_get(claims, "aud"), config->audience)) {
        return "the token is for another audience";
    }
    return NULL;
}

/* A text may have escaped line ends in it, which would begin another header. */
static bool fits_header(struct kong_str text) {
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* Each of the headers is ours: without the claim it is taken away from what the client sent. */
static int forward_claims(struct kong *kong, const struct config *config,
                          const struct kong_value *claims) {
    int error = 0;
    for (size_t i = 0; error == 0 && i < config->headers.count; i++) {
        const struct forward *forward = &config->headers.entries[i];
        const struct kong_value *claim = kong_map_get(claims, forward->key);
        struct kong_str text = kong_to_str(claim);
        if (claim != NULL && claim->type != KONG_NIL && text.data == NULL) {
            error = kong_json(kong, *claim, &text);
        }
        if (error == 0) {
            error = text.len > 0 && fits_header(text)
                        ? kong_service_request_set_header(kong, forward->value, text.data)
                        : kong_service_request_clear_header(kong, forward->value);
        }
    }
    return error;
}

/* --- The handler ------------------------------------------------------------------------------ */

/* why: NULL when no token was shown. Its text needs no escapes. */
static int refuse(struct kong *kong, const struct config *config, const char *why) {
    struct kong_str challenge = why == NULL
                                    ? kong_printf(kong, "Bearer realm=\"%s\"", config->realm)
                                    : kong_printf(kong,
                                                  "Bearer realm=\"%s\", error=\"invalid_token\", "
                                                  "error_description=\"%s\"",
                                                  config->realm, why);
    struct kong_pair header = kong_pair("WWW-Authenticate", kong_string(challenge.data));
    struct kong_pair body = kong_pair("message", kong_string(why == NULL ? "Unauthorized" : why));
    return kong_response_exit_json(kong, 401, kong_map(&body, 1), kong_map(&header, 1));
}

static int verify(struct kong *kong, const void *data) {
    const struct config *config = data;
    struct token token;
    struct kong_str header;
    const char *why;
    int error = kong_request_get_header(kong, "Authorization", &header);
    if (error != 0) {
        return error;
    }
    if (header.len < 7 || strncasecmp(header.data, "Bearer ", 7) != 0) {
        return refuse(kong, config, NULL);
    }
    error = decode(kong, (struct kong_str){header.data + 7, header.len - 7}, &token);
    if (error == KONG_E_INVALID || error == KONG_E_TOO_BIG) {
        return refuse(kong, config, "this is no token");
    }
    if (error == 0) {
        error = check_signature(kong, config, &token, &why);
    }
    if (error != 0) {
        return error;
    }
    if (why == NULL) {
        why = check_claims(config, &token.claims);
    }
    return why != NULL ? refuse(kong, config, why) : forward_claims(kong, config, &token.claims);
}

/* --- Process and instances -------------------------------------------------------------------- */

static int open_process(void **data, char *error, size_t error_size) {
    *data = calloc(1, sizeof(struct key_sets));
    snprintf(error, error_size, "not enough memory");
    return *data != NULL ? 0 : KONG_E_NOMEM;
}

static int refresh(struct kong *kong) {
    return key_sets_refresh(kong, kong_process_data(kong));
}

static int configure(const void *data, void **state, char *error, size_t error_size,
                     void *process_data) {
    const struct config *config = data;
    /* Kong applies len_min to a vault reference, not to the secret behind it; "" is none */
    if (config->secret.len > 0 && config->secret.len < LEAST_SECRET) {
        snprintf(error, error_size, "the secret has %zu bytes, fewer than %d", config->secret.len,
                 LEAST_SECRET);
        return KONG_E_INVALID;
    }
    *state = config->jwks == NULL ? NULL : key_set_open(process_data, config->jwks);
    snprintf(error, error_size, "not enough memory");
    return config->jwks == NULL || *state != NULL ? 0 : KONG_E_NOMEM;
}

static void destroy(const void *config, void *state) {
    (void)config;
    key_set_close(state);
}

static const struct kong_plugin plugin = {
    .name = "token-verify",
    .version = "0.1.0",
    .priority = 1450, /* as Kong's jwt */
    .on_error = KONG_FAIL_CLOSED,
    .schema = &schema,
    .handlers = {[KONG_PHASE_ACCESS] = verify},
    .jobs = {{"refresh-keys", 10000, refresh}},
    .open = open_process,
    .close = free,
    .configure = configure,
    .destroy = destroy,
};

KONG_MAIN(plugin)
