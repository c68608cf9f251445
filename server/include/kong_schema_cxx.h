/* The rows of kong_schema.h in C++20: the same macros, with these differences: rules stand in the
 * order in which kong_schema.h declares them, KONG_CONFIG_CHECKS before the flags of KONG_SCHEMA.
 * Tables are made when the program starts. Part of kong.h. */
#ifndef KONG_SCHEMA_CXX_H
#define KONG_SCHEMA_CXX_H

#include "kong_schema.h"

#if defined(__cplusplus) && __cplusplus >= 202002L

#include <array>
#include <initializer_list>
#include <type_traits>
#include <utility>

/* Not for use: what the macros below are made of. */
namespace kong_cxx {

template <class Place, class Value> constexpr kong_form value_form() {
    static_assert(std::is_same_v<Place, Value> || std::is_same_v<Place, const Value *>,
                  "the struct's member has not the type of its row");
    return std::is_pointer_v<Place> ? KONG_FORM_POINTER : KONG_FORM_VALUE;
}

struct string_rules {
    const kong_field *rules;
    template <class Place> static constexpr kong_form form() {
        static_assert(std::is_same_v<Place, const char *> || std::is_same_v<Place, kong_str>,
                      "the struct's member has not the type of its row");
        return std::is_pointer_v<Place> ? KONG_FORM_TEXT : KONG_FORM_BYTES;
    }
};

template <class Value> struct value_rules {
    const kong_field *rules;
    template <class Place> static constexpr kong_form form() {
        return value_form<Place, Value>();
    }
};

/* A list in a list. */
template <class List> struct list_rules {
    const kong_field *rules;
    template <class Place> static constexpr kong_form form() {
        static_assert(std::is_same_v<Place, List>, "the list has not the type of its row");
        return KONG_FORM_VALUE;
    }
};

template <class Struct> struct record { const kong_record *fields; };

/* A row of the table of Struct. */
template <class Struct> struct row : kong_field {};
static_assert(sizeof(row<int>) == sizeof(kong_field), "rows lie as fields do");

/* An error here means: the fields are not those of the struct. */
template <class Struct, std::size_t count>
constexpr const kong_field *rows(const row<Struct> (&fields)[count]) {
    return fields;
}

template <class Place, class Rules>
kong_field field(const char *name, kong_field_type type, std::size_t offset, kong_field rules) {
    rules.member = name;
    rules.type = type;
    rules.slot = {Rules::template form<Place>(), offset, sizeof(Place)};
    return rules;
}

template <class List>
using item_of = std::remove_cv_t<std::remove_reference_t<decltype(*std::declval<List>().items)>>;

template <class List, class Rules>
kong_field list(const char *name, kong_field_type type, std::size_t offset, Rules item,
                kong_field rules) {
    static_assert(sizeof(List) == sizeof(void *) + sizeof(std::size_t),
                  "the struct's member is no KONG_ARRAY_OF");
    rules.member = name;
    rules.type = type;
    rules.slot = {KONG_FORM_VALUE, offset, sizeof(List)};
    rules.elements = item.rules;
    rules.item = {Rules::template form<item_of<List>>(), 0, sizeof(item_of<List>)};
    rules.item_size = sizeof(item_of<List>);
    return rules;
}

template <class Map, class Keys, class Values>
kong_field map(const char *name, std::size_t offset, Keys keys, Values values, kong_field rules) {
    using entry = std::remove_cv_t<std::remove_reference_t<decltype(*std::declval<Map>().entries)>>;
    using key = std::remove_cv_t<decltype(entry::key)>;
    using value = std::remove_cv_t<decltype(entry::value)>;
    static_assert(sizeof(Map) == sizeof(void *) + sizeof(std::size_t),
                  "the struct's member is no KONG_MAP_OF");
    rules.member = name;
    rules.type = KONG_FIELD_MAP;
    rules.slot = {KONG_FORM_VALUE, offset, sizeof(Map)};
    rules.keys = keys.rules;
    rules.values = values.rules;
    rules.item_key = {Keys::template form<key>(), offsetof(entry, key), sizeof(key)};
    rules.item = {Values::template form<value>(), offsetof(entry, value), sizeof(value)};
    rules.item_size = sizeof(entry);
    return rules;
}

template <class Place, class Struct>
kong_field record_field(const char *name, std::size_t offset, record<Struct> of, kong_field rules) {
    rules = field<Place, value_rules<Struct>>(name, KONG_FIELD_RECORD, offset, rules);
    rules.record = of.fields;
    return rules;
}

template <class Struct> kong_field with_record(record<Struct> of, kong_field rules) {
    rules.type = KONG_FIELD_RECORD;
    rules.record = of.fields;
    return rules;
}

template <class Struct>
value_rules<Struct> record_rules(record<Struct> /* tells the type */, const kong_field *rules) {
    return {rules};
}

/* Each place that calls it with a lambda has a value of its own. */
template <class Make> auto keep(Make make) {
    static const auto made = make();
    return &made;
}

template <class Make> auto keep_array(Make make) {
    static const auto made = make();
    return made.data();
}

/* What KONG_SCHEMA takes behind the fields. */
struct schema_rules {
    const kong_check *checks = {};
    std::size_t check_count = {};
    bool no_consumer = {}, no_route = {}, no_service = {};
    const char *const *protocols = {};
};

template <class Struct, std::size_t count>
kong_schema schema(const row<Struct> (&fields)[count], schema_rules rules) {
    kong_schema made;
    made.config.size = sizeof(Struct);
    made.config.fields = fields;
    made.config.field_count = count;
    made.config.checks = rules.checks;
    made.config.check_count = rules.check_count;
    made.no_consumer = rules.no_consumer;
    made.no_route = rules.no_route;
    made.no_service = rules.no_service;
    made.protocols = rules.protocols;
    return made;
}

} // namespace kong_cxx

/* Values of their own that live as long as the program. */
#define KONG_CXX_STATIC_(...) kong_cxx::keep([] { return __VA_ARGS__; })
#define KONG_CXX_ARRAY_(type_, ...)                                                                \
    kong_cxx::keep_array([] { return std::to_array<type_>({__VA_ARGS__}); })

/* The type of a table of fields. */
#define KONG_FIELDS(type_) kong_cxx::row<type_>

#define KONG_CXX_ROW_(type_, ...)                                                                  \
    kong_cxx::row<type_> {                                                                         \
        __VA_ARGS__                                                                                \
    }

/* A member's type. */
#define KONG_CXX_PLACE_(type_, member_) decltype(std::declval<type_ &>().member_)

#define KONG_CXX_FIELD_(type_, member_, field_type_, rules_, ...)                                  \
    KONG_CXX_ROW_(type_,                                                                           \
                  kong_cxx::field<KONG_CXX_PLACE_(type_, member_), rules_>(                        \
                      #member_, field_type_, offsetof(type_, member_), kong_field{__VA_ARGS__}))

#define KONG_STRING_FIELD(type_, member_, ...)                                                     \
    KONG_CXX_FIELD_(type_, member_, KONG_FIELD_STRING, kong_cxx::string_rules, __VA_ARGS__)
#define KONG_INTEGER_FIELD(type_, member_, ...)                                                    \
    KONG_CXX_FIELD_(type_, member_, KONG_FIELD_INTEGER, kong_cxx::value_rules<int64_t>, __VA_ARGS__)
#define KONG_NUMBER_FIELD(type_, member_, ...)                                                     \
    KONG_CXX_FIELD_(type_, member_, KONG_FIELD_NUMBER, kong_cxx::value_rules<double>, __VA_ARGS__)
#define KONG_BOOLEAN_FIELD(type_, member_, ...)                                                    \
    KONG_CXX_FIELD_(type_, member_, KONG_FIELD_BOOLEAN, kong_cxx::value_rules<bool>, __VA_ARGS__)
#define KONG_CXX_LIST_FIELD_(type_, member_, field_type_, item_, ...)                              \
    KONG_CXX_ROW_(type_, kong_cxx::list<KONG_CXX_PLACE_(type_, member_)>(                          \
                             #member_, field_type_, offsetof(type_, member_), item_,               \
                             kong_field{__VA_ARGS__}))
#define KONG_ARRAY_FIELD(type_, member_, item_, ...)                                               \
    KONG_CXX_LIST_FIELD_(type_, member_, KONG_FIELD_ARRAY, item_, __VA_ARGS__)
#define KONG_SET_FIELD(type_, member_, item_, ...)                                                 \
    KONG_CXX_LIST_FIELD_(type_, member_, KONG_FIELD_SET, item_, __VA_ARGS__)
#define KONG_MAP_FIELD(type_, member_, keys_, values_, ...)                                        \
    KONG_CXX_ROW_(                                                                                 \
        type_, kong_cxx::map<KONG_CXX_PLACE_(type_, member_)>(                                     \
                   #member_, offsetof(type_, member_), keys_, values_, kong_field{__VA_ARGS__}))
#define KONG_RECORD_FIELD(type_, member_, record_, ...)                                            \
    KONG_CXX_ROW_(type_,                                                                           \
                  kong_cxx::record_field<KONG_CXX_PLACE_(type_, member_)>(                         \
                      #member_, offsetof(type_, member_), record_, kong_field{__VA_ARGS__}))
#define KONG_RECORD_OF(type_, fields_, ...)                                                        \
    kong_cxx::record<type_> {                                                                      \
        KONG_CXX_STATIC_(                                                                          \
            kong_record{.size = sizeof(type_),                                                     \
                        .fields = kong_cxx::rows<type_>(fields_),                                  \
                        .field_count = KONG_CXX_COUNT_(fields_) __VA_OPT__(, ) __VA_ARGS__})       \
    }

#define KONG_STRING_ITEM(...)                                                                      \
    kong_cxx::string_rules {                                                                       \
        KONG_RULES(.type = KONG_FIELD_STRING __VA_OPT__(, ) __VA_ARGS__)                           \
    }
#define KONG_CXX_ITEM_(value_, type_, ...)                                                         \
    kong_cxx::value_rules<value_> {                                                                \
        KONG_RULES(.type = type_ __VA_OPT__(, ) __VA_ARGS__)                                       \
    }
#define KONG_INTEGER_ITEM(...) KONG_CXX_ITEM_(int64_t, KONG_FIELD_INTEGER, __VA_ARGS__)
#define KONG_NUMBER_ITEM(...)  KONG_CXX_ITEM_(double, KONG_FIELD_NUMBER, __VA_ARGS__)
#define KONG_BOOLEAN_ITEM(...) KONG_CXX_ITEM_(bool, KONG_FIELD_BOOLEAN, __VA_ARGS__)
#define KONG_RECORD_ITEM(record_, ...)                                                             \
    kong_cxx::record_rules(                                                                        \
        record_, KONG_CXX_STATIC_(kong_cxx::with_record(record_, kong_field{__VA_ARGS__})))
#define KONG_CXX_LIST_ITEM_(field_type_, list_type_, item_, ...)                                   \
    kong_cxx::list_rules<list_type_> {                                                             \
        KONG_CXX_STATIC_(                                                                          \
            kong_cxx::list<list_type_>(nullptr, field_type_, 0, item_, kong_field{__VA_ARGS__}))   \
    }
#define KONG_ARRAY_ITEM(list_type_, item_, ...)                                                    \
    KONG_CXX_LIST_ITEM_(KONG_FIELD_ARRAY, list_type_, item_, __VA_ARGS__)
#define KONG_SET_ITEM(list_type_, item_, ...)                                                      \
    KONG_CXX_LIST_ITEM_(KONG_FIELD_SET, list_type_, item_, __VA_ARGS__)

#define KONG_CXX_COUNT_(array_) (sizeof(array_) / sizeof((array_)[0]))
#define KONG_TEXT(literal_)     "\"" literal_ "\""
#define KONG_STRINGS(...)       KONG_CXX_ARRAY_(char const *, __VA_ARGS__, nullptr)
#define KONG_PATTERNS(...)      KONG_CXX_ARRAY_(kong_pattern, __VA_ARGS__, {nullptr, nullptr})
#define KONG_NUMBERS(...)                                                                          \
    { KONG_CXX_ARRAY_(double, __VA_ARGS__), std::initializer_list<double>{__VA_ARGS__}.size() }
#define KONG_GT(limit_)                                                                            \
    { true, limit_ }
#define KONG_BETWEEN(min_, max_)                                                                   \
    { true, min_, max_ }
#define KONG_RULES(...) KONG_CXX_STATIC_(kong_field{__VA_ARGS__})

#define KONG_CHECKS(...)                                                                           \
    .checks = KONG_CXX_ARRAY_(kong_check, __VA_ARGS__),                                            \
    .check_count = std::initializer_list<kong_check>{__VA_ARGS__}.size()
#define KONG_CONFIG_CHECKS(...) KONG_CHECKS(__VA_ARGS__)
#define KONG_CXX_CHECK_(check_type_, ...)                                                          \
    kong_check {                                                                                   \
        .type = check_type_, .fields = KONG_STRINGS(__VA_ARGS__)                                   \
    }
#define KONG_AT_LEAST_ONE_OF(...)    KONG_CXX_CHECK_(KONG_CHECK_AT_LEAST_ONE_OF, __VA_ARGS__)
#define KONG_ONLY_ONE_OF(...)        KONG_CXX_CHECK_(KONG_CHECK_ONLY_ONE_OF, __VA_ARGS__)
#define KONG_DISTINCT(...)           KONG_CXX_CHECK_(KONG_CHECK_DISTINCT, __VA_ARGS__)
#define KONG_MUTUALLY_REQUIRED(...)  KONG_CXX_CHECK_(KONG_CHECK_MUTUALLY_REQUIRED, __VA_ARGS__)
#define KONG_MUTUALLY_EXCLUSIVE(...) KONG_CXX_CHECK_(KONG_CHECK_MUTUALLY_EXCLUSIVE, __VA_ARGS__)
#define KONG_CONDITIONAL(if_field_, if_rules_, then_field_, then_rules_, ...)                      \
    kong_check {                                                                                   \
        .type = KONG_CHECK_CONDITIONAL, .if_field = if_field_, .if_match = if_rules_,              \
        .then_field = then_field_, .then_match = then_rules_ __VA_OPT__(, ) __VA_ARGS__            \
    }

#define KONG_SCHEMA(type_, fields_, ...)                                                           \
    kong_cxx::schema<type_>(fields_, kong_cxx::schema_rules{__VA_ARGS__})

#endif

#endif
