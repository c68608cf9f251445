/* The upstream of a test: its answers, and what Kong makes of it when there is none. */
#include <stdio.h>
#include <time.h>

#include "kong_test_inside.h"
#include "sim_pdk_call.h"
#include "value.h"

void kong_test_upstream_answers(struct kong_test *test, kong_test_answer_fn *answers, void *ctx) {
    test->answers = answers;
    test->answers_ctx = ctx;
}

void kong_test_upstream_slow(struct kong_test *test, unsigned ms) {
    test->delay_ms = ms;
}

void kong_test_upstream_closes(struct kong_test *test) {
    test->answer = KONG_TEST_CLOSES;
}

/* How long Kong waits for an answer. */
static int64_t read_timeout(const struct sim_pdk *pdk) {
    const struct kong_value *own = value_get(&pdk->service_entity, "read_timeout");
    int64_t ms = 60000; /* Kong's default */
    if (pdk->upstream.read_timeout >= 0) {
        return pdk->upstream.read_timeout;
    }
    return own != NULL && value_to_integer(own, &ms) ? ms : 60000;
}

static void sleep_ms(unsigned ms) {
    struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0) {
    }
}

/* What the upstream does, after its time. A wait that Kong would not wait to its end is not waited
 * at all. */
static enum kong_test_answer upstream(struct kong_test *test) {
    enum kong_test_answer answer =
        test->answers == NULL ? test->answer : test->answers(test, test->answers_ctx);
    if (answer == KONG_TEST_SILENT || test->delay_ms >= read_timeout(test->pdk)) {
        return KONG_TEST_SILENT;
    }
    sleep_ms(test->delay_ms);
    test->pdk->waited_ms = test->delay_ms;
    return answer;
}

/* Kong's answer for an upstream that has none. No plugin's handler for response is called. */
static bool answer_for(struct kong_test *test, int status, bool buffered) {
    bool ok = sim_pdk_error_page(test->pdk, status);
    test->pdk->source = buffered ? SIM_SOURCE_EXIT : SIM_SOURCE_ERROR;
    return ok;
}

bool test_ask_upstream(struct kong_test *test, bool buffered, enum kong_test_outcome *outcome) {
    struct sim_pdk *pdk = test->pdk;
    const char *why = "";
    int status = 0;
    bool ok = sim_pdk_balance(pdk, &status, &why);
    if (ok && status != 0) {
        ok = sim_pdk_error_page(pdk, status);
        snprintf(test->error, sizeof test->error, "Kong cannot reach the upstream: %s", why);
        *outcome = test_worse(*outcome, KONG_TEST_FAILED);
    } else if (ok) {
        test->reached_upstream = true;
        pdk->upstream.buffered = pdk->upstream.buffered || buffered;
        enum kong_test_answer answer = upstream(test);
        status = answer == KONG_TEST_CLOSES ? 502 : answer == KONG_TEST_SILENT ? 504 : 0;
        ok = status != 0 ? answer_for(test, status, buffered)
                         : sim_pdk_upstream_answered(pdk, buffered);
    }
    if (!ok) {
        test_mistake(test, "not enough memory", NULL);
    }
    return ok && status == 0;
}
