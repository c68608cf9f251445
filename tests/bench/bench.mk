# Measurements. Nothing here is part of `make test` but what is counted rather than timed.
BENCH_COMMON := $(call obj,$(addprefix tests/bench/,histogram.c wire.c script.c learn.c))
BENCH_BIN    := $(BUILD)/bench/load $(BUILD)/bench/limit_server

$(BUILD)/bench/load: $(call obj,tests/bench/load.c tests/bench/load_conn.c) $(BENCH_COMMON)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(LD) -o $@ $^

$(BUILD)/bench/limit_server: $(call obj,tests/bench/limit_server.c) $(BENCH_COMMON)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(LD) -o $@ $^

# The tools are tested with the rest.
$(BUILD)/tests/unit/test_bench: UNIT_COMMON := $(UNIT_COMMON) $(BENCH_COMMON)
$(BUILD)/tests/unit/test_bench: $(BENCH_COMMON) | $(BENCH_BIN)
