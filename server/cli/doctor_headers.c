/* Whether clients get a header of the same name twice: the plugin's and the upstream's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buffer.h"
#include "declarative.h"
#include "doctor.h"
#include "response_header.h"

#define MOST_FILE ((size_t)64 << 20)

/* Names behind proxy_hide_header, in one of Kong's settings: "A; proxy_hide_header B". */
static bool setting_hides(const struct patient *p, const char *key, const char *header) {
    static const char between[] = "; \t\"'";
    size_t len = strlen(header);
    const char *word = doctor_get(p, key, "");
    while (*(word += strspn(word, between)) != '\0') {
        size_t word_len = strcspn(word, between);
        if (word_len == len && strncasecmp(word, header, len) == 0) {
            return true;
        }
        word += word_len;
    }
    return false;
}

static bool is_hidden(const struct patient *p, const char *header) {
    return setting_hides(p, "nginx_proxy_proxy_hide_header", header) ||
           setting_hides(p, "nginx_http_proxy_hide_header", header) ||
           setting_hides(p, "nginx_location_proxy_hide_header", header);
}

static void read_file(struct patient *p, const char *usual, struct header_names *names) {
    const char *plugin = p->plugin->name;
    const char *path = doctor_get(p, "declarative_config", "");
    struct buffer text;
    size_t len;
    FILE *file = path[0] == '\0' ? NULL : fopen(path, "re");
    if (file == NULL) {
        if (path[0] != '\0') {
            doctor_fail(p, "declarative_config = FILE, with one that Kong may read",
                        "declarative_config %s: %s", path, strerror(errno));
        }
        return;
    }
    buffer_init(&text, MOST_FILE);
    do {
        len = buffer_reserve(&text, 65536) ? fread(text.data + text.len, 1, 65535, file) : 0;
        text.len += len;
    } while (len > 0);
    fclose(file);
    buffer_append_byte(&text, '\0');
    if (!text.failed &&
        !declarative_read_json((const char *)text.data, text.len - 1, plugin, usual, names)) {
        declarative_read_yaml((const char *)text.data, plugin, usual, names);
    }
    buffer_free(&text);
}

/* The list of plugins: its first 1000. */
static void ask_admin(struct patient *p, const char *usual, struct header_names *names) {
    const char *url = p->options->admin_url;
    char command[512];
    struct doctor_output said;
    if (url == NULL) {
        return;
    }
    snprintf(command, sizeof command, "curl -sS -f -m 8 '%s/plugins?size=1000'", url);
    doctor_shell(command, DOCTOR_SHELL_MS, &said);
    if (said.text == NULL || said.status != 0 ||
        !declarative_read_json(said.text, strlen(said.text), p->plugin->name, usual, names)) {
        doctor_fail(p, "--admin-url URL, as curl URL/status reaches it", "Admin API %s: %s", url,
                    said.text == NULL        ? said.reason
                    : said.errors[0] != '\0' ? said.errors
                                             : "no answer of Kong");
    }
    free(said.text);
}

static const char hide_key[] = "nginx_proxy_proxy_hide_header";

/* What hides all of the names, and what is hidden already. Kong writes `proxy_hide_header VALUE;`
 * for the one setting, so a second name takes a directive of its own. */
static const char *hide_all(struct patient *p, const struct header_names *names) {
    struct buffer hidden;
    buffer_init(&hidden, DOCTOR_MOST);
    buffer_printf(&hidden, "%s", doctor_get(p, hide_key, ""));
    for (size_t i = 0; i < names->count; i++) {
        if (!is_hidden(p, names->names[i])) {
            buffer_printf(&hidden, "%s%s", hidden.len > 0 ? "; proxy_hide_header " : "",
                          names->names[i]);
        }
    }
    return doctor_mend_list(p, hide_key, &hidden);
}

static void say_hidden(struct patient *p, const struct header_names *names, const char *usual) {
    const char *mend = hide_all(p, names);
    bool alone = names->count == 1 && doctor_get(p, hide_key, "")[0] == '\0';
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->names[i];
        bool as_usual = strcasecmp(name, usual) == 0;
        if (is_hidden(p, name)) {
            doctor_ok(p, "header %s: one that an upstream sends is dropped", name);
            continue;
        }
        doctor_note(p,
                    "header %s: where an upstream sends one too, clients get both; %s drops the "
                    "upstream's%s%s%s%s",
                    name, mend, alone ? " (--print-conf --replace-upstream-header" : "",
                    alone && !as_usual ? "=" : "", alone && !as_usual ? name : "",
                    alone ? ")" : "");
    }
}

void doctor_headers(struct patient *p) {
    char usual[RESPONSE_HEADER] = "";
    struct header_names *names = calloc(1, sizeof *names);
    const unsigned buffering = KONG_PHASE_BIT(KONG_PHASE_RESPONSE);
    if (names == NULL || !response_header_default(p->plugin, usual, sizeof usual) ||
        p->phases == 0 || (p->phases & buffering) != 0) {
        free(names);
        return;
    }
    read_file(p, usual, names);
    ask_admin(p, usual, names);
    if (names->configurations == 0) {
        header_names_add(names, usual, strlen(usual));
    }
    say_hidden(p, names, usual);
    free(names);
}
