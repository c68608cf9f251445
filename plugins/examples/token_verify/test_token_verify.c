/* token-verify in a simulated gateway, with keys and tokens made by OpenSSL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <unistd.h>

#include "example.h"

#include "token_verify.c"

#define SECRET  "0123456789abcdef0123456789abcdef"
#define CLAIMS  "\"iss\":\"me\",\"aud\":[\"x\",\"shop\"],\"exp\":4102444800"
#define RS256   "{\"alg\":\"RS256\",\"kid\":\"one\"}"
#define HS256   "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define CHECKED "\"issuer\":\"me\",\"audience\":\"shop\""

static struct {
    EVP_PKEY *one, *two, *weak;
    char directory[64], file[80], config[512];
} fixture;

static void pause_ms(long ms) {
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* --- Keys and tokens -------------------------------------------------------------------------- */

/* base64url, appended to a text. */
static void append(char *to, size_t size, const void *data, size_t len) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *bytes = data;
    size_t at = strlen(to);
    assert_true(at + len / 3 * 4 + 5 < size);
    for (size_t bit = 0; bit < len * 8; bit += 6) {
        unsigned pair = (unsigned)bytes[bit / 8] << 8;
        pair |= bit / 8 + 1 < len ? bytes[bit / 8 + 1] : 0;
        to[at++] = digits[pair >> (10 - bit % 8) & 63];
    }
    to[at] = '\0';
}

static void append_text(char *to, size_t size, const char *text) {
    append(to, size, text, strlen(text));
}

static void add_jwk(FILE *file, const char *before, const char *id, EVP_PKEY *key) {
    static const char *const names[] = {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E};
    fprintf(file, "%s{\"kty\":\"RSA\",\"use\":\"sig\"", before);
    if (id != NULL) {
        fprintf(file, ",\"kid\":\"%s\"", id);
    }
    for (size_t i = 0; i < 2; i++) {
        BIGNUM *number = NULL;
        unsigned char bytes[512];
        char text[1024] = "";
        assert_int_equal(EVP_PKEY_get_bn_param(key, names[i], &number), 1);
        append(text, sizeof text, bytes, (size_t)BN_bn2bin(number, bytes));
        BN_free(number);
        fprintf(file, ",\"%s\":\"%s\"", names[i], text);
    }
    fputs("}", file);
}

/* As one step, as who writes such a file should. */
static void write_keys(const char *id_one, EVP_PKEY *one, const char *id_two, EVP_PKEY *two) {
    char name[96];
    snprintf(name, sizeof name, "%s.new", fixture.file);
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs("{\"keys\":[{\"kty\":\"EC\",\"kid\":\"one\"},{\"kty\":\"oct\",\"k\":\"AAAA\"},7", file);
    if (one != NULL) {
        add_jwk(file, ",", id_one, one);
    }
    if (two != NULL) {
        add_jwk(file, ",", id_two, two);
    }
    fputs("]}", file);
    fclose(file);
    assert_int_equal(rename(name, fixture.file), 0);
}

static void write_text(const char *text) {
    FILE *file = fopen(fixture.file, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* With a key RS256, without one HS256 with the secret. */
static void sign(char *token, size_t size, EVP_PKEY *key, const char *secret) {
    unsigned char signature[512];
    size_t len = sizeof signature;
    if (key != NULL) {
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key), 1);
        assert_int_equal(
            EVP_DigestSign(context, signature, &len, (unsigned char *)token, strlen(token)), 1);
        EVP_MD_CTX_free(context);
    } else {
        unsigned count = 0;
        HMAC(EVP_sha256(), secret, (int)strlen(secret), (unsigned char *)token, strlen(token),
             signature, &count);
        len = count;
    }
    strcat(token, ".");
    append(token, size, signature, len);
}

/* "Bearer ", and the token; lives until the next. */
static const char *make_token(const char *header, const char *claims, EVP_PKEY *key) {
    static char text[4096];
    static char token[2048];
    token[0] = '\0';
    append_text(token, sizeof token, header);
    strcat(token, ".");
    snprintf(text, sizeof text, "{%s}", claims);
    append_text(token, sizeof token, text);
    sign(token, sizeof token, key, SECRET);
    snprintf(text, sizeof text, "Bearer %s", token);
    return text;
}

static int make_fixture(void **state) {
    (void)state;
    fixture.one = EVP_RSA_gen(2048);
    fixture.two = EVP_RSA_gen(2048);
    fixture.weak = EVP_RSA_gen(1024);
    assert_true(fixture.one != NULL && fixture.two != NULL && fixture.weak != NULL);
    const char *base = getenv("TMPDIR");
    snprintf(fixture.directory, sizeof fixture.directory, "%s/jwks-test.XXXXXX",
             base == NULL ? "/tmp" : base);
    assert_non_null(mkdtemp(fixture.directory));
    snprintf(fixture.file, sizeof fixture.file, "%s/jwks.json", fixture.directory);
    return 0;
}

static int remove_fixture(void **state) {
    (void)state;
    EVP_PKEY_free(fixture.one);
    EVP_PKEY_free(fixture.two);
    EVP_PKEY_free(fixture.weak);
    unlink(fixture.file);
    return rmdir(fixture.directory);
}

/* --- The plugin ------------------------------------------------------------------------------- */

static struct kong_test *open_rs256(void **state) {
    snprintf(fixture.config, sizeof fixture.config,
             "{\"jwks\":\"%s\"," CHECKED ",\"headers\":{\"sub\":\"X-User\",\"n\":\"X-Number\","
             "\"roles\":\"X-Roles\"}}",
             fixture.file);
    return gateway_of(&plugin, state, fixture.config);
}

static struct kong_test *open_hs256(void **state) {
    return gateway_of(&plugin, state, "{\"secret\":\"" SECRET "\"," CHECKED ",\"leeway\":0}");
}

static void request(struct kong_test *test, const char *authorization) {
    kong_test_request(test, "GET", "/");
    if (authorization != NULL) {
        kong_test_request_header(test, "Authorization", authorization);
    }
}

static void assert_let_in(struct kong_test *test, const char *authorization) {
    request(test, authorization);
    assert_outcome(test, KONG_TEST_OK);
}

static void assert_refused(struct kong_test *test, const char *authorization, const char *why) {
    char challenge[256];
    snprintf(challenge, sizeof challenge,
             "Bearer realm=\"api\", error=\"invalid_token\", error_description=\"%s\"", why);
    request(test, authorization);
    assert_outcome(test, KONG_TEST_EXITED);
    assert_int_equal(kong_test_response_status(test), 401);
    assert_string_equal(kong_test_response_header(test, "WWW-Authenticate"), challenge);
    assert_false(kong_test_reached_upstream(test));
}

static void claims_become_headers(void **state) {
    write_keys("one", fixture.one, "two", fixture.two);
    struct kong_test *test = open_rs256(state);
    request(test,
            make_token(RS256, CLAIMS ",\"sub\":\"J\xc3\xbcrg\",\"n\":17,\"roles\":[\"a\",\"b\"]",
                       fixture.one));
    kong_test_request_header(test, "X-User", "root");
    assert_outcome(test, KONG_TEST_OK);
    assert_string_equal(kong_test_sent_header(test, "X-User"), "J\xc3\xbcrg");
    assert_string_equal(kong_test_sent_header(test, "X-Number"), "17");
    assert_string_equal(kong_test_sent_header(test, "X-Roles"), "[\"a\",\"b\"]");
    assert_null(kong_test_sent_header_at(test, "X-User", 1));
    kong_test_close(test);
}

/* A client cannot say by itself who it is, nor smuggle a header in by a claim. */
static void headers_are_ours(void **state) {
    static const char *const claims[] = {CLAIMS, CLAIMS ",\"sub\":null", CLAIMS ",\"sub\":\"\"",
                                         CLAIMS ",\"sub\":\"a\\r\\nX-Admin: 1\"",
                                         CLAIMS ",\"sub\":\"a\\u0000b\""};
    write_keys("one", fixture.one, NULL, NULL);
    struct kong_test *test = open_rs256(state);
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        request(test, make_token(RS256, claims[i], fixture.one));
        kong_test_request_header(test, "X-User", "root");
        assert_outcome(test, KONG_TEST_OK);
        assert_null(kong_test_sent_header(test, "X-User"));
        assert_null(kong_test_sent_header(test, "X-Admin"));
    }
    kong_test_close(test);
}

static void a_shared_secret(void **state) {
    struct kong_test *test = open_hs256(state);
    assert_let_in(test, make_token(HS256, CLAIMS, NULL));
    char *wrong = strdup(make_token(HS256, CLAIMS, NULL));
    wrong[strlen(wrong) - 2] ^= 1;
    assert_refused(test, wrong, "the signature is wrong");
    free(wrong);
    kong_test_close(test);
}

static void a_short_secret_of_a_vault(void **state) {
    struct kong_test *test =
        gateway_of(&plugin, state, "{\"secret\":\"{vault://env/key}\"," CHECKED "}");
    kong_test_secrets(test, "{\"{vault://env/key}\":\"guessed\"}");
    request(test, NULL);
    assert_outcome(test, KONG_TEST_FAILED);
    assert_non_null(strstr(kong_test_error(test), "the secret has 7 bytes, fewer than 32"));
    assert_int_equal(kong_test_response_status(test), 500);
    kong_test_close(test);
}

static void no_token(void **state) {
    static const char *const headers[] = {NULL, "", "Bearer", "Basic dXNlcjpwYXNz", "x"};
    struct kong_test *test = open_hs256(state);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        request(test, headers[i]);
        assert_outcome(test, KONG_TEST_EXITED);
        assert_int_equal(kong_test_response_status(test), 401);
        assert_string_equal(kong_test_response_header(test, "WWW-Authenticate"),
                            "Bearer realm=\"api\"");
    }
    kong_test_close(test);
}

static void what_is_no_token(void **state) {
    static const char *const tokens[] = {"Bearer ",
                                         "Bearer a.b",
                                         "Bearer ..",
                                         "Bearer e30.e30.",
                                         "Bearer e30.e30.e30.e30",
                                         "Bearer e30=.e30.e30",
                                         "Bearer e3 .e30.e30",
                                         "Bearer W10.e30.e30",
                                         "Bearer e31.e30.e30",
                                         "Bearer e30.e30.a"};
    struct kong_test *test = open_hs256(state);
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        const char *why = i == 3 ? "the token's algorithm is not accepted" : "this is no token";
        assert_refused(test, tokens[i], why);
    }
    char deep[512] = "\"a\":";
    memset(deep + 4, '[', 100);
    memset(deep + 104, ']', 100);
    assert_refused(test, make_token(HS256, deep, NULL), "this is no token");
    kong_test_close(test);
}

/* The key decides about the algorithm: a public key is no secret, and none is no signature. */
static void algorithms_are_not_mixed(void **state) {
    static const char *const headers[] = {"{\"alg\":\"none\"}",    "{\"alg\":\"None\"}",
                                          "{\"alg\":\"\"}",        "{}",
                                          "{\"alg\":\"hs256\"}",   "{\"alg\":\"HS512\"}",
                                          "{\"alg\":[\"HS256\"]}", "{\"alg\":\"RS256\"}"};
    write_keys("one", fixture.one, NULL, NULL);
    struct kong_test *test = open_hs256(state);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        char *token = strdup(make_token(headers[i], CLAIMS, NULL));
        assert_refused(test, token, "the token's algorithm is not accepted");
        *(strrchr(token, '.') + 1) = '\0'; /* without a signature */
        assert_refused(test, token, "the token's algorithm is not accepted");
        free(token);
    }
    kong_test_close(test);
    test = open_rs256(state);
    assert_refused(test, make_token("{\"alg\":\"HS256\",\"kid\":\"one\"}", CLAIMS, NULL),
                   "the token's algorithm is not accepted");
    assert_refused(test, make_token(RS256, CLAIMS, fixture.two), "the signature is wrong");
    assert_refused(test, make_token(RS256, CLAIMS, NULL), "the signature is wrong");
    kong_test_close(test);
}

static void claims_are_checked(void **state) {
    static const char *const cases[][2] = {
        {"\"iss\":\"me\",\"aud\":\"shop\",\"exp\":4102444800.5,\"nbf\":1", NULL},
        {"\"iss\":\"me\",\"aud\":\"shop\"", "the token has no time of expiry"},
        {"\"iss\":\"me\",\"aud\":\"shop\",\"exp\":\"4102444800\"",
         "the token has no time of expiry"},
        {"\"iss\":\"me\",\"aud\":\"shop\",\"exp\":1000000000", "the token has expired"},
        {"\"iss\":\"me\",\"aud\":\"shop\",\"exp\":-1e300", "the token has expired"},
        {CLAIMS ",\"nbf\":4102444799", "the token is not valid yet"},
        {CLAIMS ",\"nbf\":\"1\"", "the token is not valid yet"},
        {"\"aud\":\"shop\",\"exp\":4102444800", "the token is of another issuer"},
        {"\"iss\":\"me2\",\"aud\":\"shop\",\"exp\":4102444800", "the token is of another issuer"},
        {"\"iss\":\"me\",\"aud\":\"shop2\",\"exp\":4102444800",
         "the token is for another audience"},
        {"\"iss\":\"me\",\"aud\":[\"a\",[\"shop\"]],\"exp\":4102444800",
         "the token is for another audience"},
        {"\"iss\":\"me\",\"exp\":4102444800", "the token is for another audience"},
    };
    struct kong_test *test = open_hs256(state);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *token = make_token(HS256, cases[i][0], NULL);
        if (cases[i][1] == NULL) {
            assert_let_in(test, token);
        } else {
            assert_refused(test, token, cases[i][1]);
        }
    }
    assert_refused(test, make_token("{\"alg\":\"HS256\",\"crit\":[\"b64\"]}", CLAIMS, NULL),
                   "the token needs an extension that is not known here");
    kong_test_close(test);
}

static void keys_have_ids(void **state) {
    write_keys("one", fixture.one, NULL, NULL);
    struct kong_test *test = open_rs256(state);
    assert_let_in(test, make_token("{\"alg\":\"RS256\"}", CLAIMS, fixture.one));
    assert_refused(test, make_token("{\"alg\":\"RS256\",\"kid\":\"1\"}", CLAIMS, fixture.one),
                   "the token's key is not known");
    kong_test_close(test);
    write_keys("one", fixture.one, "two", fixture.two);
    test = open_rs256(state);
    assert_let_in(test, make_token("{\"alg\":\"RS256\",\"kid\":\"two\"}", CLAIMS, fixture.two));
    assert_refused(test, make_token("{\"alg\":\"RS256\"}", CLAIMS, fixture.one),
                   "the token's key is not known");
    kong_test_close(test);
}

/* --- The file changes ------------------------------------------------------------------------- */

static void await_status(struct kong_test *test, const char *token, int status) {
    for (int i = 0; i < 3000; i++) {
        request(test, token);
        kong_test_run(test);
        if (kong_test_response_status(test) == status) {
            return;
        }
        pause_ms(10);
    }
    fail_msg("status %d, not %d", kong_test_response_status(test), status);
}

/* A token with a new key is taken before the job's time has come; the old one when it has. */
static void keys_are_exchanged(void **state) {
    write_keys("one", fixture.one, NULL, NULL);
    struct kong_test *test = open_rs256(state);
    char *one = strdup(make_token(RS256, CLAIMS, fixture.one));
    char *two = strdup(make_token("{\"alg\":\"RS256\",\"kid\":\"two\"}", CLAIMS, fixture.two));
    assert_let_in(test, one);
    write_keys("two", fixture.two, NULL, NULL);
    await_status(test, two, 200);
    assert_refused(test, one, "the token's key is not known");

    write_keys("one", fixture.one, NULL, NULL);
    assert_int_equal(kong_test_job(test, "refresh-keys"), KONG_TEST_OK);
    assert_let_in(test, one);
    write_text("{\"keys\":");
    assert_int_equal(kong_test_job(test, "refresh-keys"), KONG_TEST_FAILED);
    assert_non_null(strstr(kong_test_error(test), "line 1"));
    assert_let_in(test, one); /* keys that are known stay */
    kong_test_close(test);
    free(one);
    free(two);
}

static void assert_fails(struct kong_test *test, const char *token, const char *text) {
    request(test, token);
    assert_outcome(test, KONG_TEST_FAILED);
    assert_int_equal(kong_test_response_status(test), 500);
    if (!kong_test_logged(test, "err", text)) {
        fail_msg("%s is not in %s", text, kong_test_error(test));
    }
}

/* Nobody is let in while there are no keys. */
static void without_keys(void **state) {
    unlink(fixture.file);
    struct kong_test *test = open_rs256(state);
    char *token = strdup(make_token(RS256, CLAIMS, fixture.one));
    assert_fails(test, token, "No such file");
    write_text("{\"keys\":\n7}");
    assert_fails(test, token, "it has no list \"keys\"");
    write_text("{\"keys\":\n[");
    assert_fails(test, token, "line 2");
    write_keys("one", fixture.weak, NULL, NULL);
    assert_fails(test, token, "it has no key for RS256");
    write_keys("one", fixture.one, NULL, NULL);
    assert_let_in(test, token);
    free(token);
    kong_test_close(test);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_BOTH(claims_become_headers),     ON_BOTH(headers_are_ours),   ON_BOTH(a_shared_secret),
        ON_BOTH(a_short_secret_of_a_vault), ON_BOTH(no_token),           ON_BOTH(what_is_no_token),
        ON_BOTH(algorithms_are_not_mixed),  ON_BOTH(claims_are_checked), ON_BOTH(keys_have_ids),
        ON_BOTH(keys_are_exchanged),        ON_BOTH(without_keys),
    };
    return cmocka_run_group_tests(tests, make_fixture, remove_fixture);
}
