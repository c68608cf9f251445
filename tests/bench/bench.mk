# Measurements. Nothing that depends on time is part of `make test`.
BENCH_COMMON := $(call obj,$(addprefix tests/bench/,histogram.c wire.c script.c learn.c))
BENCH_TOOLS  := $(addprefix $(BUILD)/bench/,load limit_server startup)
GETTERS      := $(BUILD)/bench/bench-getters
AHEAD        := $(BUILD)/bench/bench-ten $(BUILD)/bench/bench-body
BUSY         := $(BUILD)/bench/bench-busy
PEERS        := $(BUILD)/peers

.PHONY: bench bench-peers bench-http bench-kong bench-instructions
bench: $(SERVER) $(GETTERS) $(AHEAD) $(BUSY) $(BENCH_TOOLS) ## measure: speed against the limit, memory, starts
	@tests/bench/run bench --build $(BUILD)

bench-peers: $(SERVER) $(GETTERS) $(BENCH_TOOLS) ## measure against go-pdk, JavaScript and Python
	@tests/bench/peers/install $(PEERS)
	@tests/bench/run peers --build $(BUILD)

bench-http: $(SERVER) ## measure requests through nginx: no plugin, Lua, ours
	@tests/bench/run http --build $(BUILD)

bench-kong: $(SERVER) $(GETTERS) $(AHEAD) $(BENCH_TOOLS) ## measure requests through the Kong on PATH: no plugin, Lua, ours, the limit, go-pdk
	@tests/bench/run kong --build $(BUILD)

bench-instructions: $(SERVER) $(GETTERS) $(BENCH_TOOLS) ## count instructions per event
	@tests/bench/run instructions --build $(BUILD)

$(BUILD)/bench/load: $(call obj,tests/bench/load.c tests/bench/load_conn.c) $(BENCH_COMMON)
$(BUILD)/bench/limit_server: $(call obj,tests/bench/limit_server.c) $(BENCH_COMMON)
$(BUILD)/bench/startup: $(call obj,tests/bench/startup.c) $(BENCH_COMMON)
$(BENCH_TOOLS):
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(LD) -o $@ $^

$(GETTERS) $(AHEAD) $(BUSY): LTO_LINK := $(if $(LTO_CC),-flto=auto)
$(GETTERS) $(AHEAD) $(BUSY): $(BUILD)/bench/bench-%: $(BUILD)/tests/bench/peers/ours/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(LD) -o $@ $^ $(LIBS) $(SYS_LIBS)

test-programs: $(BENCH_TOOLS) $(GETTERS)

# The tools are tested with the rest.
$(BUILD)/tests/unit/bench/test_bench: UNIT_COMMON := $(UNIT_COMMON) $(BENCH_COMMON)
$(BUILD)/tests/unit/bench/test_bench: $(BENCH_COMMON) | $(BENCH_TOOLS)
