// A plugin in C++20: greets by a list of names in its configuration, and refuses bad ones. See
// test_greeter.c.
#include <kong.h>

#include <stdexcept>
#include <string>

namespace {

struct config {
    const char *greeting;
    KONG_ARRAY_OF(const char *) names;
    int64_t limit;
};

const KONG_FIELDS(config) fields[] = {
    KONG_STRING_FIELD(config, greeting, .default_json = KONG_TEXT("Hello")),
    KONG_ARRAY_FIELD(config, names, KONG_STRING_ITEM(.len_max = 20), .required = true,
                     .len_max = 8),
    KONG_INTEGER_FIELD(config, limit, .default_json = "100", .between = KONG_BETWEEN(1, 1000)),
};

const kong_schema schema = KONG_SCHEMA(config, fields, .no_consumer = true);

// Throws what on_error logs.
std::string greet(const config &wanted) {
    std::string text;
    for (size_t i = 0; i < wanted.names.count; i++) {
        text += std::string(i == 0 ? wanted.greeting : ",") + " " + wanted.names.items[i];
    }
    if (text.size() > static_cast<size_t>(wanted.limit)) {
        throw std::length_error("the greeting is too long");
    }
    return text;
}

int access(kong *k, const void *data) {
    const std::string text = greet(*static_cast<const config *>(data));
    return kong_response_set_header(k, "X-Greeting", text.c_str());
}

} // namespace

extern "C" const kong_plugin greeter;
extern "C" const kong_plugin greeter = {
    .name = "greeter",
    .version = "1.0.0",
    .on_error = KONG_FAIL_CLOSED,
    .schema = &schema,
    .handlers = {{KONG_PHASE_ACCESS, access}},
};

#ifdef PROGRAM
int main(int argc, char **argv) {
    return kong_main(argc, argv, &greeter);
}
#endif
