# The load tool for authors, which is installed as kong-pdk-load. The Makefile includes this.
LOAD_TOOL := $(BUILD)/kong-pdk-load

$(LOAD_TOOL): $(call obj,$(wildcard tests/load/*.c) tests/bench/wire.c tests/bench/histogram.c) $(KONG_LIB) $(LIB)
	$(call say,LD,$@)
	$(Q)$(LD) -o $@ $(filter %.o,$^) $(KONG_LIB) $(LIB) $(LIBS) $(SYS_LIBS)

test-programs: $(LOAD_TOOL)

.PHONY: load
# A second make: only then is it known that there is such a plugin.
load: $(LOAD_TOOL) plugin-is-here ## measure a plugin: events a second and latency (PLUGIN=, CONFIG= JSON or a file)
	@$(MAKE) -s $(DEMO_BINARY)
	@$(LOAD_TOOL) $(if $(CONFIG),--config $(call shell_word,$(CONFIG))) $(DEMO_BINARY)

# Its Kong is tested with the rest.
LOAD_KONG := $(call obj,$(addprefix tests/load/,load_answers.c load_oracle.c load_recording.c) tests/bench/wire.c)
$(BUILD)/tests/unit/kit/test_load_kong: UNIT_COMMON := $(UNIT_COMMON) $(LOAD_KONG)
$(BUILD)/tests/unit/kit/test_load_kong: $(LOAD_KONG)
