#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kong_retry.h"

#include <stdio.h>

#define MOST_SECONDS 60.0

static bool prepare(const struct kong_retry *request, struct kong_peer *peer) {
    char vars[128] = "{}";
    if (request->old_kong && request->request_id != NULL) {
        snprintf(vars, sizeof vars, "{\"connection\":\"17\",\"connection_requests\":\"%s\"}",
                 request->request_id);
    } else if (request->request_id != NULL) {
        snprintf(vars, sizeof vars, "{\"kong_request_id\":\"%s\"}", request->request_id);
    }
    bool ready = sim_pdk_reset(peer->pdk) && sim_pdk_set_request(peer->pdk, "GET", "/p");
    if (request->request_id == NULL || request->old_kong) {
        peer->pdk->request_id = (struct kong_str){NULL, 0};
    }
    return ready && sim_pdk_set_json(peer->pdk, &peer->pdk->ngx_vars, vars) &&
           (request->mode == NULL ||
            sim_pdk_add_request_header(peer->pdk, "X-Mode", request->mode));
}

static enum sim_event_outcome try_once(struct kong_retry *request, struct kong_peer *peer) {
    const char *phase = request->phase != NULL ? request->phase : "access";
    if (request->instance == 0) {
        enum sim_event_outcome outcome =
            sim_client_start(peer->client, "hurt", request->config, &request->instance);
        request->not_started = outcome != SIM_EVENT_OK;
        if (request->not_started) {
            request->instance = 0;
            return outcome;
        }
    }
    return prepare(request, peer) ? sim_client_event(peer->client, request->instance, phase, NULL)
                                  : SIM_EVENT_REFUSED;
}

static void note(struct kong_retry *request, const struct kong_peer *peer) {
    const struct sim_pdk *pdk = peer->pdk;
    request->status = pdk->exited ? pdk->client.status : 0;
    request->asked = (unsigned)pdk->called[PDK_NGINX_GET_VAR];
    for (size_t i = 0; i < pdk->log_count; i++) {
        if (kong_str_equal(pdk->logs[i].level, kong_str("err"))) {
            snprintf(request->said, sizeof request->said, "%.*s", (int)pdk->logs[i].text.len,
                     pdk->logs[i].text.data);
        }
    }
}

static bool is_sent_again(const struct kong_retry *request) {
    return !request->not_started &&
           (request->outcome == SIM_EVENT_NO_INSTANCE ||
            (request->outcome == SIM_EVENT_CLOSED && request->protocol == PROTOCOL_PROTOBUF &&
             !request->old_kong));
}

void kong_retry_run(struct kong_retry *request) {
    struct kong_peer own;
    struct kong_peer *peer = request->peer != NULL ? request->peer : &own;
    double begin = seconds_now();
    if (request->peer == NULL) {
        kong_peer_open(&own, request->process, request->protocol);
    }
    do {
        request->outcome = try_once(request, peer);
        request->again += is_sent_again(request);
        if (request->outcome == SIM_EVENT_CLOSED || request->outcome == SIM_EVENT_NO_INSTANCE) {
            request->instance = 0;
        }
    } while (is_sent_again(request) && seconds_now() - begin < MOST_SECONDS);
    request->seconds = seconds_now() - begin;
    if (request->outcome != SIM_EVENT_CLOSED) {
        note(request, peer);
    }
    request->status = request->not_started ? 500 : request->status;
    snprintf(request->text, sizeof request->text, "%s",
             request->outcome == SIM_EVENT_OK ? "" : sim_client_text(peer->client));
    if (request->peer == NULL) {
        kong_peer_close(&own);
        request->instance = 0;
    }
}

static void *run(void *arg) {
    kong_retry_run(arg);
    return NULL;
}

void kong_retry_start(struct kong_retry *request) {
    assert_int_equal(pthread_create(&request->thread, NULL, run, request), 0);
}

void kong_retry_join(struct kong_retry *request) {
    pthread_join(request->thread, NULL);
}
