/* batch-log: sends what Kong logs of requests to an HTTP server, many at a time. An example of a
 * plugin of the phase log, of a job, and of a client library with sockets of its own (libcurl's
 * multi interface) on kong_wait_fd.
 *
 *     {"url": "http://127.0.0.1:9000/logs", "batch": 100, "queue": 10000}
 *
 * The handler puts each entry into its instance's queue. The job "flush" sends the queues, each as
 * lists in JSON, one batch after the other, all queues at the same time. What the server does not
 * take stays, and is sent again; a queue that is full takes no more, which is counted and logged.
 * The job runs once more when the process ends, within --drain-timeout: then the queues are empty,
 * or a line says how many entries are lost. */
#include <kong.h>

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TRIES    3   /* of one run of the job */
#define PAUSE_MS 200 /* before the second try; twice as long before the third */
#define EVENTS   16

struct config {
    const char *url;
    int64_t batch, queue, timeout;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, url, .required = true, .match = "^https?://",
                      .description = "Where to send entries, by POST as a list in JSON."),
    KONG_INTEGER_FIELD(struct config, batch, .required = true, .default_json = "100",
                       .between = KONG_BETWEEN(1, 10000),
                       .description = "Entries in one request, at most."),
    KONG_INTEGER_FIELD(struct config, queue, .required = true, .default_json = "10000",
                       .between = KONG_BETWEEN(1, 1000000),
                       .description = "Entries that are kept while the server does not take them."),
    KONG_INTEGER_FIELD(struct config, timeout, .required = true, .default_json = "5000",
                       .between = KONG_BETWEEN(1, 60000),
                       .description = "How long a request may take, in milliseconds."),
};

static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

/* Of one instance, and of the process: it outlives its instance until it is empty. */
struct queue {
    struct queue *next;
    bool closed; /* its instance is gone */
    size_t batch, room;
    struct kong_str *entries; /* a ring; each is of malloc */
    size_t first, count;
    size_t refused; /* entries, since this was logged: the queue was full */

    CURL *easy;     /* URL and time limit are set; copies, as the configuration goes */
    char *body;     /* of the batch under way, else NULL */
    size_t sending; /* entries in it, the first ones of the queue */
    char error[CURL_ERROR_SIZE + 64];
};

/* What `open` leaves. Handlers, hooks and the job take turns on one thread: no lock. */
struct sender {
    struct queue *queues;
    CURLM *multi;
    int epoll; /* all sockets of libcurl: one descriptor to wait for */
    struct curl_slist *headers;
};

static const char *const header_lines[] = {"Content-Type: application/json",
                                           "Expect:" /* none: large bodies go out at once */};

/* --- Queues ----------------------------------------------------------------------------------- */

static void drop_entries(struct queue *queue, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free((char *)queue->entries[queue->first].data);
        queue->first = (queue->first + 1) % queue->room;
    }
    queue->count -= count;
}

static void free_queue(struct queue *queue) {
    if (queue != NULL) {
        drop_entries(queue, queue->count);
        curl_easy_cleanup(queue->easy);
        free(queue->body);
        free(queue->entries);
        free(queue);
    }
}

static void free_closed(struct sender *sender) {
    struct queue **at = &sender->queues;
    while (*at != NULL) {
        struct queue *queue = *at;
        if (queue->closed && queue->count == 0) {
            *at = queue->next;
            free_queue(queue);
        } else {
            at = &queue->next;
        }
    }
}

static int put_entry(struct kong *kong, const void *config) {
    struct queue *queue = kong_instance_state(kong);
    struct kong_str entry;
    (void)config;
    int error = kong_log_serialize(kong, &entry);
    if (error != 0) {
        return error;
    }
    if (queue->count == queue->room) {
        queue->refused++;
        return 0;
    }
    char *copy = malloc(entry.len + 1);
    if (copy == NULL) {
        return KONG_E_NOMEM;
    }
    memcpy(copy, entry.data, entry.len + 1);
    queue->entries[(queue->first + queue->count++) % queue->room] =
        (struct kong_str){copy, entry.len};
    return 0;
}

/* --- Batches ---------------------------------------------------------------------------------- */

/* The first entries as a list in JSON. NULL: not enough memory. */
static char *make_body(const struct queue *queue, size_t count, size_t *len) {
    size_t room = 2;
    for (size_t i = 0; i < count; i++) {
        room += queue->entries[(queue->first + i) % queue->room].len + 1;
    }
    char *body = malloc(room);
    *len = 0;
    for (size_t i = 0; body != NULL && i < count; i++) {
        struct kong_str entry = queue->entries[(queue->first + i) % queue->room];
        body[(*len)++] = i == 0 ? '[' : ',';
        memcpy(body + *len, entry.data, entry.len);
        *len += entry.len;
    }
    if (body != NULL) {
        body[(*len)++] = ']';
    }
    return body;
}

static void begin_batch(struct sender *sender, struct queue *queue) {
    size_t count = queue->count < queue->batch ? queue->count : queue->batch;
    size_t len;
    if (count == 0) {
        return;
    }
    queue->body = make_body(queue, count, &len);
    if (queue->body == NULL) {
        snprintf(queue->error, sizeof queue->error, "not enough memory");
        return;
    }
    queue->sending = count;
    curl_easy_setopt(queue->easy, CURLOPT_POSTFIELDS, queue->body);
    curl_easy_setopt(queue->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    curl_multi_add_handle(sender->multi, queue->easy);
}

static void end_batch(struct sender *sender, struct queue *queue) {
    curl_multi_remove_handle(sender->multi, queue->easy);
    free(queue->body);
    queue->body = NULL;
}

/* The server has the batch, or will never take it: 408 and 429 it may take later. */
static bool is_over(struct kong *kong, struct queue *queue, CURLcode result) {
    long status = 0;
    curl_easy_getinfo(queue->easy, CURLINFO_RESPONSE_CODE, &status);
    if (result != CURLE_OK) {
        return false; /* queue->error has the text */
    }
    snprintf(queue->error, sizeof queue->error, "the server answers %ld", status);
    if (status >= 400 && status < 500 && status != 408 && status != 429) {
        kong_log_err(kong, "%s: %zu entries are lost", queue->error, queue->sending);
        return true;
    }
    return status >= 200 && status < 300;
}

/* --- libcurl on the loop ---------------------------------------------------------------------- */

/* libcurl says what it waits for. */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *unused) {
    struct sender *sender = data;
    struct epoll_event event = {.data.fd = fd,
                                .events = ((what & CURL_POLL_IN) != 0 ? (uint32_t)EPOLLIN : 0) |
                                          ((what & CURL_POLL_OUT) != 0 ? (uint32_t)EPOLLOUT : 0)};
    (void)easy;
    (void)unused;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(sender->epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    return epoll_ctl(sender->epoll, EPOLL_CTL_MOD, fd, &event) == 0 ||
                   epoll_ctl(sender->epoll, EPOLL_CTL_ADD, fd, &event) == 0
               ? 0
               : -1;
}

/* Waits until one of its sockets is ready, or its time has come, and tells it. */
static int drive(struct kong *kong, struct sender *sender) {
    struct epoll_event events[EVENTS];
    long timeout = -1;
    unsigned ready;
    int running;
    curl_multi_timeout(sender->multi, &timeout);
    int error = kong_wait_fd(kong, sender->epoll, KONG_READABLE,
                             timeout < 0 ? KONG_NO_LIMIT : (uint64_t)timeout, &ready);
    if (error != 0) {
        return error;
    }
    int count = ready == 0 ? 0 : epoll_wait(sender->epoll, events, EVENTS, 0);
    for (int i = 0; i < count; i++) {
        uint32_t is = events[i].events;
        curl_multi_socket_action(sender->multi, events[i].data.fd,
                                 ((is & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                                     ((is & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                                     ((is & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0),
                                 &running);
    }
    if (count <= 0) {
        curl_multi_socket_action(sender->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    return 0;
}

/* --- The job ---------------------------------------------------------------------------------- */

/* Batches that have come to their end. A queue goes on until it is empty, or a batch fails. */
static void take_results(struct kong *kong, struct sender *sender) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(sender->multi, &left)) != NULL) {
        struct queue *queue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&queue);
        bool over = is_over(kong, queue, message->data.result);
        end_batch(sender, queue);
        if (over) {
            drop_entries(queue, queue->sending);
            begin_batch(sender, queue);
        }
    }
}

static bool is_sending(const struct sender *sender) {
    const struct queue *queue = sender->queues;
    while (queue != NULL && queue->body == NULL) {
        queue = queue->next;
    }
    return queue != NULL;
}

/* All queues, until each is empty or has failed. *failed: a queue that is not empty, or NULL. */
static int send_queues(struct kong *kong, struct sender *sender, const struct queue **failed) {
    int error = 0;
    for (struct queue *queue = sender->queues; queue != NULL; queue = queue->next) {
        begin_batch(sender, queue);
    }
    while (error == 0 && is_sending(sender)) {
        error = drive(kong, sender);
        take_results(kong, sender);
    }
    *failed = NULL;
    for (struct queue *queue = sender->queues; queue != NULL; queue = queue->next) {
        if (queue->body != NULL) { /* the job's time is up: the entries stay */
            end_batch(sender, queue);
        }
        *failed = queue->count > 0 ? queue : *failed;
    }
    return error;
}

static void tell_refused(struct kong *kong, struct sender *sender) {
    for (struct queue *queue = sender->queues; queue != NULL; queue = queue->next) {
        if (queue->refused > 0) {
            kong_log_err(kong, "the queue was full: %zu entries are lost", queue->refused);
            queue->refused = 0;
        }
    }
}

static int flush(struct kong *kong) {
    struct sender *sender = kong_process_data(kong);
    const struct queue *failed;
    int error = send_queues(kong, sender, &failed);
    for (int try = 1; error == 0 && failed != NULL && try < TRIES; try++) {
        error = kong_sleep(kong, (uint64_t)PAUSE_MS << (try - 1));
        if (error == 0) {
            error = send_queues(kong, sender, &failed);
        }
    }
    tell_refused(kong, sender);
    if (error == 0 && failed != NULL) {
        error = kong_fail(kong, "%zu entries wait: %s", failed->count, failed->error);
    }
    free_closed(sender);
    return error;
}

/* --- Process and instances -------------------------------------------------------------------- */

static void close_process(void *data) {
    struct sender *sender = data;
    size_t lost = 0;
    while (sender->queues != NULL) {
        struct queue *queue = sender->queues;
        sender->queues = queue->next;
        lost += queue->count + queue->refused;
        free_queue(queue);
    }
    if (lost > 0) {
        kong_process_log(KONG_LOG_ERROR, "batch-log: %zu entries are lost", lost);
    }
    curl_multi_cleanup(sender->multi);
    curl_slist_free_all(sender->headers);
    if (sender->epoll >= 0) {
        close(sender->epoll);
    }
    free(sender);
    curl_global_cleanup();
}

static int open_process(void **data, char *error, size_t error_size) {
    struct sender *sender = calloc(1, sizeof *sender);
    snprintf(error, error_size, "libcurl does not start");
    if (sender == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        free(sender);
        return KONG_E_NOMEM;
    }
    sender->epoll = epoll_create1(EPOLL_CLOEXEC);
    sender->multi = curl_multi_init();
    for (size_t i = 0; i < sizeof header_lines / sizeof *header_lines; i++) {
        sender->headers = curl_slist_append(sender->headers, header_lines[i]);
    }
    if (sender->epoll < 0 || sender->multi == NULL || sender->headers == NULL) {
        close_process(sender);
        return KONG_E_NOMEM;
    }
    curl_multi_setopt(sender->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(sender->multi, CURLMOPT_SOCKETDATA, sender);
    *data = sender;
    return 0;
}

static size_t ignore_answer(char *data, size_t size, size_t count, void *unused) {
    (void)data;
    (void)unused;
    return size * count;
}

static int configure(const void *data, void **state, char *error, size_t error_size,
                     void *process_data) {
    const struct config *config = data;
    struct sender *sender = process_data;
    struct queue *queue = calloc(1, sizeof *queue);
    snprintf(error, error_size, "not enough memory");
    if (queue == NULL) {
        return KONG_E_NOMEM;
    }
    queue->batch = (size_t)config->batch;
    queue->room = (size_t)config->queue;
    queue->entries = calloc(queue->room, sizeof *queue->entries);
    queue->easy = curl_easy_init();
    if (queue->entries == NULL || queue->easy == NULL ||
        curl_easy_setopt(queue->easy, CURLOPT_URL, config->url) != CURLE_OK) {
        free_queue(queue);
        return KONG_E_NOMEM;
    }
    curl_easy_setopt(queue->easy, CURLOPT_HTTPHEADER, sender->headers);
    curl_easy_setopt(queue->easy, CURLOPT_TIMEOUT_MS, (long)config->timeout);
    curl_easy_setopt(queue->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(queue->easy, CURLOPT_WRITEFUNCTION, ignore_answer);
    curl_easy_setopt(queue->easy, CURLOPT_ERRORBUFFER, queue->error);
    curl_easy_setopt(queue->easy, CURLOPT_PRIVATE, queue);
    queue->next = sender->queues;
    sender->queues = queue;
    *state = queue;
    return 0;
}

/* The job sends what is left. */
static void destroy(const void *config, void *state) {
    struct queue *queue = state;
    (void)config;
    queue->closed = true;
}

static const struct kong_plugin plugin = {
    .name = "batch-log",
    .version = "0.1.0",
    .priority = 12, /* as Kong's http-log */
    .schema = &schema,
    .handlers = {[KONG_PHASE_LOG] = put_entry},
    .jobs = {{"flush", 1000, flush}},
    .open = open_process,
    .close = close_process,
    .configure = configure,
    .destroy = destroy,
};

KONG_MAIN(plugin)
