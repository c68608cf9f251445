#include "response_header.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "kong.h"
#include "schema.h"

bool response_header_default(const struct kong_plugin *plugin, char *out, size_t size) {
    const struct kong_schema *schema = plugin->schema;
    const struct kong_field *field =
        schema == NULL ? NULL : schema_field(&schema->config, "response_header", 15);
    const char *text = field == NULL ? NULL : field->default_json;
    json_t *json = text == NULL ? NULL : json_loads(text, JSON_DECODE_ANY, NULL);
    const char *name = json_string_value(json);
    bool fits = name != NULL && name[0] != '\0' && strlen(name) < size;
    if (fits) {
        snprintf(out, size, "%s", name);
    }
    json_decref(json);
    return fits;
}
