// kong.h alone, and each of its types by its bare name.
#include <kong.h>

static int access(kong *k, const void *) {
    kong_str name = "a name";
    kong_value value = kong_integer(1);
    kong_pair pair = kong_pair("key", value);
    kong_phase phase = kong_get_phase(k);
    value = kong_map(&pair, phase == KONG_PHASE_ACCESS ? 1 : 0);
    return kong_response_exit(k, 200, name, value);
}

kong_plugin plugin_of_header() {
    kong_plugin plugin;
    plugin.name = "header";
    plugin.handlers = {{KONG_PHASE_ACCESS, access}};
    return plugin;
}
