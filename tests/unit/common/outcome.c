#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "outcome.h"

void outcome_read_back(FILE *file, char *text, size_t size) {
    rewind(file);
    size_t len = fread(text, 1, size - 1, file);
    text[len] = '\0';
    fclose(file);
}

int outcome_status(pid_t child) {
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

void outcome_of(struct outcome *outcome, int (*program)(void *data), void *data, const char *input,
                size_t len, const char *path) {
    FILE *in = tmpfile();
    FILE *out = path == NULL ? tmpfile() : fopen(path, "r+");
    FILE *err = tmpfile();
    assert_true(in != NULL && out != NULL && err != NULL);
    assert_int_equal(fwrite(input, 1, len, in), len);
    assert_int_equal(fflush(in), 0);
    rewind(in);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(fileno(in), STDIN_FILENO);
        dup2(fileno(out), STDOUT_FILENO);
        dup2(fileno(err), STDERR_FILENO);
        int status = program(data);
        fflush(NULL);
        _exit(status);
    }
    outcome->status = outcome_status(child);
    outcome_read_back(out, outcome->out, sizeof outcome->out);
    outcome_read_back(err, outcome->err, sizeof outcome->err);
    fclose(in);
}

pid_t outcome_execute_self(char *const argv[]) {
    char self[PATH_MAX] = "";
    int told[2];
    char byte;
    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(told[1], STDOUT_FILENO);
        execv(self, argv);
        _exit(127);
    }
    close(told[1]);
    assert_int_equal(read(told[0], &byte, 1), 1);
    close(told[0]);
    return child;
}
