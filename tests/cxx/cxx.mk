# Plugins in C++: the headers, exceptions, a schema table, an example. Left out where there is no C++ compiler; the
# Makefile includes this.
ifeq ($(origin CXX),default)
CXX := $(if $(findstring clang,$(CC)),clang++,g++)
endif
# <regex> of g++ 12 has warnings of its own under a sanitizer
HAVE_CXX := $(shell echo 'int main() { return 0; }' | $(CXX) -std=c++20 -x c++ -fsyntax-only - 2>/dev/null && echo yes)
CXX_WARN := -Wall -Wextra -Wconversion -Wshadow -Wformat=2 -Wpedantic -Wold-style-cast $(if $(SAN),,$(WERROR))
CXX_BASE  = $(MAP) -pthread $(CFLAGS) $(HARDEN) $(SANFLAGS) -MMD -MP $(CXX_WARN) $(TEST_SEES) $(PC_CFLAGS)
CXX_OBJ  := $(patsubst %.cc,$(BUILD)/%.o,$(wildcard tests/cxx/*.cc))
CXX_TEST := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/cxx/test_*.c))
CXX_LD    = $(CXX) $(CFLAGS) $(SANFLAGS) $(LDHARDEN) -pthread $(LTO_LINK) $(LDFLAGS)

# The headers as an author's oldest and newest standards see them.
CXX_STD  := c++14 c++17 c++20
CXX_SEEN := $(CXX_STD:%=$(BUILD)/tests/cxx/kong.h.%.seen)

$(CXX_SEEN): $(BUILD)/tests/cxx/kong.h.%.seen: tests/cxx/header.cc $(PDK_HEADERS) $(FLAGS)
	@mkdir -p $(@D)
	$(call say,CXX,'kong.h as $*')
	$(Q)$(CXX) -std=$* $(filter-out -MMD -MP --coverage,$(CXX_BASE)) -Wundef -fsyntax-only $< && touch $@

$(CXX_OBJ): $(BUILD)/%.o: %.cc $(FLAGS) | $(GEN)/pluginsocket.pb-c.h
	@mkdir -p $(@D)
	$(call say,CXX,$@)
	$(Q)$(CXX) -std=c++20 $(CXX_BASE) -c -o $@ $<

$(CXX_TEST): $(BUILD)/%: $(BUILD)/%.o $(KONG_LIB) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CXX_LD) -o $@ $(filter %.o,$^) $(KONG_LIB) $(LIB) -lcmocka $(LIBS) $(SYS_LIBS)

# The example as a program.
$(BUILD)/tests/cxx/greeter-server: tests/cxx/greeter.cc $(LIB)
	$(call say,CXX,$@)
	$(Q)$(CXX) -std=c++20 $(filter-out -MMD -MP,$(CXX_BASE)) -DPROGRAM $(LDHARDEN) $(LTO_LINK) $(LDFLAGS) -o $@ $< $(LIB) $(LIBS) $(SYS_LIBS)

$(BUILD)/tests/cxx/test_exceptions: $(BUILD)/tests/cxx/exceptions.o
$(BUILD)/tests/cxx/test_greeter: $(BUILD)/tests/cxx/greeter.o
$(BUILD)/tests/cxx/test_table: $(BUILD)/tests/cxx/table.o

ifeq ($(HAVE_CXX),yes)
unit-programs: $(CXX_TEST) $(CXX_SEEN) $(BUILD)/tests/cxx/greeter-server
PLUGIN_UNIT += $(CXX_TEST)
endif
