# Fuzzers. The Makefile includes this.
#
#   make fuzz FUZZ_S=60          each fuzzer for so many seconds (FUZZERS="frame rpc": only these)
#   make fuzz-replay             the committed corpus, with any compiler, in any build

FUZZERS      ?= frame msgpack protobuf rpc config pattern json
FUZZ_S       ?= 60
FUZZ_JOBS    ?= 2
FUZZ_BUILD   := $(BUILD)/fuzz
# what they find, kept from run to run
FUZZ_FOUND   ?= $(FUZZ_BUILD)/corpus
FUZZ_COMMON  := $(call obj,tests/fuzz/common.c tests/kong/sim_protobuf.c tests/unit/common/value_equal.c \
                             tests/unit/common/msgpack_value.c)
FUZZ_LINK    := -Wl,--wrap=getrandom
FUZZ_BINARY  := $(FUZZERS:%=$(BUILD)/tests/fuzz/fuzz_%)
FUZZ_REPLAY  := $(FUZZERS:%=$(BUILD)/tests/fuzz/replay_%)

.PHONY: fuzz fuzz-replay fuzz-programs replay-programs
fuzz: ## run each fuzzer for FUZZ_S seconds (clang)
	+@$(MAKE) --no-print-directory BUILD=$(FUZZ_BUILD) CC=clang SAN=address,undefined \
		CFLAGS="-O1 -g -fsanitize=fuzzer-no-link -DLUA_PATTERN_STEPS=1000000" fuzz-programs
	@tests/fuzz/run --build $(FUZZ_BUILD) --found $(FUZZ_FOUND) --seconds $(FUZZ_S) --jobs $(FUZZ_JOBS) $(FUZZERS)

fuzz-replay: $(FUZZ_REPLAY) ## run the fuzzers' functions over the committed corpus
	@set -e; for f in $(FUZZERS); do $(TEST_WRAPPER) $(BUILD)/tests/fuzz/replay_$$f tests/fuzz/corpus/$$f; done

replay-programs: $(FUZZ_REPLAY)

fuzz-programs: $(FUZZ_BINARY) $(BUILD)/tests/fuzz/seeds

# the plugin and the Kong of the connection fuzzer
FUZZ_RPC := $(call obj,tests/fuzz/rpc_plugin.c tests/fuzz/rpc_kong.c)
$(BUILD)/tests/fuzz/fuzz_rpc $(BUILD)/tests/fuzz/replay_rpc: $(FUZZ_RPC)

$(FUZZ_BINARY): $(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(FUZZ_COMMON) $(LIB)
	$(call say,LD,$@)
	$(Q)$(LD) -fsanitize=fuzzer $(FUZZ_LINK) -o $@ $(filter-out $(LIB),$^) $(LIB) $(LIBS) $(SYS_LIBS)

$(FUZZ_REPLAY): $(BUILD)/tests/fuzz/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o $(call obj,tests/fuzz/replay.c) $(FUZZ_COMMON) $(LIB)
	$(call say,LD,$@)
	$(Q)$(LD) $(FUZZ_LINK) -o $@ $(filter-out $(LIB),$^) $(LIB) $(LIBS) $(SYS_LIBS)

# Inputs to begin with, made from the recorded conversations.
$(BUILD)/tests/fuzz/seeds: $(call obj,tests/fuzz/seeds.c tests/fuzz/seeds_hand.c tests/unit/common/trace.c) $(LIB)
	$(call say,LD,$@)
	$(Q)$(LD) -o $@ $(filter-out $(LIB),$^) $(LIB) $(LIBS) $(SYS_LIBS)
