/* Several threads write to one log: whole lines, in the order of each thread, none unaccounted for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "log_ends.h"

#define THREADS 3
#define EACH    3000

struct writer {
    struct log *log;
    unsigned number;
    pthread_t thread;
};

static void *write_many(void *arg) {
    struct writer *writer = arg;

    for (unsigned i = 0; i < EACH; i++)
        log_write(writer->log, LOG_LEVEL_INFO, "thread %u line %u .", writer->number, i);
    return NULL;
}

struct tally {
    unsigned next[THREADS]; /* the least number that may come */
    unsigned arrived;
    unsigned long lost;
    unsigned wrong;
};

static void count_line(struct tally *tally, const char *line) {
    const char *text = strstr(line, "]: ");
    unsigned thread, number;
    unsigned long lost;
    char dot;

    if (text && sscanf(text, "]: %lu lines lost", &lost) == 1) {
        tally->lost += lost;
    } else if (text && sscanf(text, "]: thread %u line %u %c", &thread, &number, &dot) == 3 &&
               thread < THREADS && number >= tally->next[thread] && dot == '.') {
        tally->next[thread] = number + 1;
        tally->arrived++;
    } else {
        tally->wrong++;
    }
}

static void test_threads(void **state) {
    struct ends ends = open_pipe();
    struct log *log = log_create(ends.writer, LOG_LEVEL_DEBUG, "api-version");
    struct writer writers[THREADS];
    struct tally tally = {0};
    FILE *reader;
    char line[LINE_MAX_BYTES + 1];

    (void)state;
    alarm(60);
    for (unsigned i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){.log = log, .number = i};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_many, &writers[i]), 0);
    }
    reader = fdopen(ends.reader, "r");
    for (unsigned i = 0; i < 500; i++) { /* the threads outrun this reader now and then */
        assert_non_null(fgets(line, sizeof line, reader));
        count_line(&tally, line);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(writers[i].thread, NULL);
    uint64_t dropped = log_dropped(log);
    log_destroy(log);
    close(ends.writer);
    while (fgets(line, sizeof line, reader))
        count_line(&tally, line);
    alarm(0);
    assert_int_equal(tally.wrong, 0);
    assert_int_equal(tally.arrived + dropped, THREADS * EACH);
    assert_true(tally.lost <= dropped);
    fclose(reader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
