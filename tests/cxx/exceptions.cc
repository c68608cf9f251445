#include "exceptions.h"

#include <atomic>
#include <cstdio>
#include <regex>
#include <stdexcept>
#include <string>

namespace {

std::atomic<int> live;

struct object {
    object() {
        live++;
    }
    ~object() {
        live--;
    }
    object(const object &) = delete;
    object &operator=(const object &) = delete;
};

void wait(const thrower *self) {
    fiber_park(fiber_current(self->pool));
}

struct waits_at_the_end {
    thrower *self;
    ~waits_at_the_end() {
        self->uncaught = std::uncaught_exceptions();
        wait(self);
    }
};

int throws(kong *, const void *) {
    const object here;
    throw std::runtime_error("the redis is down");
}

int throws_int(kong *, const void *) {
    throw 17;
}

void work(void *) {
    const object here;
    throw std::runtime_error("the thread gave up");
}

int throws_elsewhere(kong *k, const void *) {
    const object here;
    return kong_run_blocking(k, work, nullptr);
}

int match(kong *, const void *) {
    const std::string text(500, 'x');
    return std::regex_match(text, std::regex("(x|y)*")) ? 0 : KONG_E_FAILED;
}

int fine(kong *, const void *) {
    return 0;
}

int configure(const void *, void **, char *, size_t, void *) {
    throw std::runtime_error("no such table");
}

int open(void **, char *, size_t) {
    throw std::runtime_error("no such file");
}

} // namespace

void throw_on_after_wait(void *arg) {
    thrower *self = static_cast<thrower *>(arg);
    try {
        try {
            throw std::runtime_error(self->text);
        } catch (const std::exception &) {
            wait(self);
            self->uncaught = std::uncaught_exceptions();
            throw;
        }
    } catch (const std::exception &caught) {
        std::snprintf(self->caught, sizeof self->caught, "%s", caught.what());
    }
}

void wait_while_unwinding(void *arg) {
    thrower *self = static_cast<thrower *>(arg);
    try {
        const waits_at_the_end here{self};
        throw std::runtime_error(self->text);
    } catch (const std::exception &caught) {
        std::snprintf(self->caught, sizeof self->caught, "%s", caught.what());
    }
}

int live_objects() {
    return live;
}

const kong_plugin throws_in_handler = {.name = "throws",
                                       .version = "1.0",
                                       .on_error = KONG_FAIL_CLOSED,
                                       .handlers = {{KONG_PHASE_ACCESS, throws}}};
const kong_plugin throws_a_number = {
    .name = "throws", .version = "1.0", .handlers = {{KONG_PHASE_ACCESS, throws_int}}};
const kong_plugin throws_in_thread = {
    .name = "throws", .version = "1.0", .handlers = {{KONG_PHASE_ACCESS, throws_elsewhere}}};
const kong_plugin throws_in_configure = {.name = "throws",
                                         .version = "1.0",
                                         .handlers = {{KONG_PHASE_ACCESS, fine}},
                                         .configure = configure};
const kong_plugin matches = {.name = "matches",
                             .version = "1.0",
#ifdef __SANITIZE_ADDRESS__
                             .stack_size = 16 << 20, // its frames are several times as large
#endif
                             .handlers = {{KONG_PHASE_ACCESS, match}}};
const kong_plugin throws_in_open = {
    .name = "throws", .version = "1.0", .handlers = {{KONG_PHASE_ACCESS, fine}}, .open = open};
