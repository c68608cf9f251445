/* Words of a command as /bin/sh has them, checked against /bin/sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "shell_words.h"

/* `wanted`: the words with | between them; NULL: it is no simple command. */
static void splits(const char *command, const char *wanted) {
    struct shell_words words;
    char got[512] = "";
    size_t len = 0;
    if (wanted == NULL) {
        assert_int_equal(shell_split(&words, command), -1);
        assert_null(words.text);
        return;
    }
    assert_int_equal(shell_split(&words, command), 0);
    for (size_t i = 0; i < words.count; i++) {
        len +=
            (size_t)snprintf(got + len, sizeof got - len, "%s%s", i > 0 ? "|" : "", words.words[i]);
    }
    assert_string_equal(got, wanted);
    assert_null(words.words[words.count]);
    shell_words_free(&words);
}

static void words_of_a_command(void **state) {
    (void)state;
    splits("", "");
    splits(" /bin/x  --a=1\t-b ", "/bin/x|--a=1|-b");
    splits("'/opt/a b'/x \"c d\"e '' f\\ g", "/opt/a b/x|c de||f g");
    splits("'it'\\''s' \"a\\\"b\\c\"", "it's|a\"b\\c");
    splits("'a$b;`' x", "a$b;`|x");
}

static void what_only_a_shell_can_tell(void **state) {
    static const char *const commands[] = {"a $b",   "a `b`", "\"$a\"", "a; b", "a | b",
                                           "a && b", "a > b", "a*",     "(a)",  "'a",
                                           "\"a",    "a\\",   "a\nb",   "~/a",  "a #b"};
    (void)state;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        splits(commands[i], NULL);
    }
    char many[4 * SHELL_WORDS_MOST] = "";
    for (size_t i = 0; i < SHELL_WORDS_MOST; i++) {
        snprintf(many + 2 * i, sizeof many - 2 * i, "a ");
    }
    struct shell_words words;
    assert_int_equal(shell_split(&words, many), 0);
    assert_int_equal(words.count, SHELL_WORDS_MOST);
    shell_words_free(&words);
    snprintf(many + 2 * SHELL_WORDS_MOST, 2, "a");
    assert_int_equal(shell_split(&words, many), -1);
}

/* What is quoted comes out of both, the real shell and ours, as it was. */
static void quoted_and_back(void **state) {
    static const char *const words[] = {"/bin/echo", "",      "plain", "a b",  "it's",
                                        "a\"b",      "$HOME", "#",     "a\\b", "*;|&<",
                                        "'",         "\t",    "~",     "-x"};
    const size_t count = sizeof words / sizeof *words;
    struct shell_words back;
    struct buffer command;
    char line[256] = "";
    char wanted[256] = "";
    (void)state;
    buffer_init(&command, 4096);
    shell_append(&command, "printf");
    shell_append(&command, "[%s]");
    for (size_t i = 0; i < count; i++) {
        shell_append(&command, words[i]);
        snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), "[%s]", words[i]);
    }
    buffer_append_byte(&command, '\0');
    assert_false(command.failed);
    FILE *shell = popen((const char *)command.data, "r");
    assert_non_null(shell);
    assert_non_null(fgets(line, sizeof line, shell));
    assert_int_equal(pclose(shell), 0);
    assert_string_equal(line, wanted);
    assert_int_equal(shell_split(&back, (const char *)command.data), 0);
    assert_int_equal(back.count, count + 2);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(back.words[i + 2], words[i]);
    }
    shell_words_free(&back);
    buffer_free(&command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_a_command),
        cmocka_unit_test(what_only_a_shell_can_tell),
        cmocka_unit_test(quoted_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
