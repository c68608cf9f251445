# Writing a plugin, as its author does it, and plugins to learn from. The Makefile includes this.
EXAMPLE_TEST := $(wildcard tests/plugins/test_*.c)
EXAMPLE_SRC  := $(filter-out $(EXAMPLE_TEST),$(wildcard tests/plugins/*.c))
EXAMPLES     := $(EXAMPLE_SRC:%.c=$(BUILD)/%)
EXAMPLE_UNIT := $(EXAMPLE_TEST:%.c=$(BUILD)/%)
PLUGIN_UNIT  += $(EXAMPLE_UNIT)
TIDY_FILES   += $(EXAMPLE_SRC)

.PHONY: examples test-author
examples: $(EXAMPLES) ## build the example plugins' servers

unit-programs: $(EXAMPLES) $(EXAMPLE_UNIT)

$(EXAMPLES): $(BUILD)/%: $(BUILD)/%.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(LD) -o $@ $< $(LIB) $(LIBS) $(SYS_LIBS)

$(EXAMPLE_UNIT): $(BUILD)/%: $(BUILD)/%.o $(KONG_LIB) $(LIB)
	$(call say,LD,$@)
	$(Q)$(LD) -o $@ $< $(KONG_LIB) $(LIB) -lcmocka $(LIBS) $(SYS_LIBS)

test-author: all $(KONG_LIB) docs ## what an author of plugins does, in this tree and outside
	@tests/plugins/docs_test.sh $(BUILD)
	@tests/plugins/new_plugin_test.sh $(MAKE) $(BUILD)
	@tests/plugins/out_of_tree_test.sh $(MAKE)
