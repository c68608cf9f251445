#include "load_options.h"

#include <getopt.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CONNECTIONS_MOST 4096

static void usage(FILE *to) {
    fputs(
        "usage: kong-pdk-load [OPTION…] SERVER [-- SERVER-OPTION…]\n"
        "\n"
        "Measures a plugin: starts SERVER (a program made with kong.h), plays Kong, and has the\n"
        "plugin handle one event after the other on each connection, as fast as it can. What the\n"
        "handler asks Kong for is answered by the simulated Kong of the test kit the first time, "
        "and\n"
        "from memory after that, so that little but the server is measured. It shows events a "
        "second\n"
        "and how long events take, in microseconds.\n"
        "\n"
        "  --config JSON|FILE     the plugin's configuration: a JSON object, or a file with one\n"
        "                         (default: {}, the schema's defaults)\n"
        "  --protocol P           ProtoBuf:1 or MsgPack:1 (default: both, one after the other)\n"
        "  --phase PHASE          whose handler runs (default: access, else the plugin's first)\n"
        "  --connections N        so many at once, each with one event (default: 1, then 16)\n"
        "  --seconds S            of each measurement (default: 2)\n"
        "  --warmup S             before it (default: 0.3)\n"
        "  --recording FILE       answers out of a file that a server's --record has written in "
        "front\n"
        "                         of a real Kong, where the same calls are in it\n"
        "  --path PATH            of the request (default: /hello)\n"
        "  -X METHOD, -H HEADER, -d DATA\n"
        "                         more of the request; -H may be given several times\n"
        "  --json                 one JSON object a line, for programs\n"
        "  -h, --help             this text\n"
        "  -- SERVER-OPTION…      for the server: kong-pdk-load ./hello -- --threads 2\n"
        "                         and for a program with several plugins: -- --plugin NAME\n"
        "\n"
        "Compare only runs on one machine that does nothing else. With one connection most of the\n"
        "time is the kernel's. Exit status: 0; 1 when the handler fails, or the server does; 2 "
        "for\n"
        "wrong options.\n",
        to);
}

__attribute__((noreturn, format(printf, 1, 2))) static void wrong(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("kong-pdk-load: ", stderr);
    vfprintf(stderr, format, args);
    fputs(" (kong-pdk-load --help)\n", stderr);
    va_end(args);
    exit(2);
}

static double number(const char *name, const char *text, double least, double most) {
    char *end;
    double value = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(value >= least && value <= most)) {
        wrong("--%s is a number from %g to %g, not %s", name, least, most, text);
    }
    return value;
}

/* --- Options --- */

static char *read_file(const char *path) {
    char *text = NULL;
    size_t len = 0;
    FILE *file = fopen(path, "re");
    FILE *copy = file == NULL ? NULL : open_memstream(&text, &len);
    int c;
    while (copy != NULL && (c = fgetc(file)) != EOF) {
        fputc(c, copy);
    }
    if (copy != NULL) {
        fclose(copy);
    }
    if (file != NULL) {
        fclose(file);
    }
    return text;
}

/* The JSON text as it is given, or that of the file; an object, on one line. */
static char *read_config(const char *given) {
    json_error_t error;
    bool is_json = given[strspn(given, " \t\r\n")] == '{';
    char *text = is_json ? strdup(given) : read_file(given);
    if (text == NULL) {
        wrong("--config is a JSON object or a file with one: cannot read %s", given);
    }
    json_t *object = json_loads(text, 0, &error);
    if (!json_is_object(object)) {
        wrong("--config: %s", object == NULL ? error.text : "no JSON object");
    }
    free(text);
    text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

static enum kong_phase find_phase(const char *name) {
    for (unsigned i = 0; i < KONG_PHASE_COUNT; i++) {
        if (strcmp(name, kong_phase_name((enum kong_phase)i)) == 0) {
            return (enum kong_phase)i;
        }
    }
    wrong("there is no phase %s: certificate, rewrite, access, response, preread or log", name);
}

enum { CONFIG = 256, PROTOCOL, PHASE, CONNECTIONS, SECONDS, WARMUP, RECORDING, URL, JSON };

static const struct option known[] = {{"config", required_argument, NULL, CONFIG},
                                      {"protocol", required_argument, NULL, PROTOCOL},
                                      {"phase", required_argument, NULL, PHASE},
                                      {"connections", required_argument, NULL, CONNECTIONS},
                                      {"seconds", required_argument, NULL, SECONDS},
                                      {"warmup", required_argument, NULL, WARMUP},
                                      {"recording", required_argument, NULL, RECORDING},
                                      {"path", required_argument, NULL, URL},
                                      {"json", no_argument, NULL, JSON},
                                      {"help", no_argument, NULL, 'h'},
                                      {NULL, 0, NULL, 0}};

static void take_request(struct load_options *options, int option) {
    struct load_request *request = &options->request;
    if (option == 'X') {
        request->method = optarg;
    } else if (option == 'd') {
        request->body = optarg;
    } else if (option == URL) {
        request->path = optarg;
    } else if (strchr(optarg, ':') == NULL || request->header_count == HEADERS_MOST) {
        wrong("-H is \"Name: value\", at most %d times", HEADERS_MOST);
    } else {
        options->headers[request->header_count++] = optarg;
    }
}

static void take_option(struct load_options *options, int option) {
    switch (option) {
    case CONFIG:
        free(options->config);
        options->config = read_config(optarg);
        break;
    case PROTOCOL:
        options->protocols[0] = strcmp(optarg, "ProtoBuf:1") == 0;
        options->protocols[1] = strcmp(optarg, "MsgPack:1") == 0;
        if (!options->protocols[0] && !options->protocols[1]) {
            wrong("--protocol is ProtoBuf:1 or MsgPack:1, not %s", optarg);
        }
        break;
    case PHASE:
        options->phase = find_phase(optarg);
        break;
    case CONNECTIONS:
        options->connections = (size_t)number("connections", optarg, 1, CONNECTIONS_MOST);
        break;
    case SECONDS:
        options->seconds = number("seconds", optarg, 0.01, 86400);
        break;
    case WARMUP:
        options->warmup = number("warmup", optarg, 0, 3600);
        break;
    case RECORDING:
        options->recording = optarg;
        break;
    case JSON:
        options->json = true;
        break;
    case 'h':
        usage(stdout);
        exit(0);
    default:
        take_request(options, option);
    }
}

void load_options_parse(struct load_options *options, int argc, char **argv) {
    *options = (struct load_options){.request = {.method = "GET", .path = "/hello"},
                                     .phase = KONG_PHASE_COUNT,
                                     .protocols = {true, true},
                                     .seconds = 2,
                                     .warmup = 0.3};
    int option;
    int own = 1; /* what stands in front of -- is for us */
    while (own < argc && strcmp(argv[own], "--") != 0) {
        own++;
    }
    opterr = 0;
    while ((option = getopt_long(own, argv, "X:H:d:h", known, NULL)) != -1) {
        if (option == '?') {
            wrong("there is no option %s, or its value is missing", argv[optind - 1]);
        }
        take_option(options, option);
    }
    if (optind != own - 1) {
        wrong("%s", optind == own ? "which server? Give the program of your plugin, such as ./hello"
                                  : "one server; its options stand behind --");
    }
    options->program = argv[optind];
    options->server_options = own < argc ? argv + own + 1 : argv + argc;
    if (access(options->program, X_OK) != 0) {
        wrong("%s is not there, or no program that can be run", options->program);
    }
    if (options->config == NULL) {
        options->config = strdup("{}");
    }
    options->request.headers = options->headers;
}
