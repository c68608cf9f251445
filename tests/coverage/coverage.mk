# Which lines the tests reach. The Makefile includes this.
#
#   make coverage        build/coverage/lines.txt; fails below the thresholds of tests/coverage/report

# Tests of the tools that measure, which reach no line of either directory.
COVERAGE_SKIP  := test_bench
COVERAGE_UNIT   = $(filter-out $(addprefix %/,$(COVERAGE_SKIP)),$(UNIT) $(PLUGIN_UNIT) $(FAULTS))

.PHONY: coverage coverage-run
coverage: ## lines of proto/ and server/ that the tests reach, with thresholds
	+@$(MAKE) --no-print-directory BUILD=$(BUILD)/coverage LTO=no CFLAGS=-O0 COVER=--coverage LDFLAGS=--coverage coverage-run

coverage-run: $(SERVER) unit-programs fault-programs replay-programs
	@find $(BUILD) -name '*.gcda' -delete
	@{ printf 'tests/operator/operator_test.sh %s\n' $(SERVER); \
	   printf '%s\n' $(call longest_first,$(COVERAGE_UNIT)); \
	   for f in $(FUZZERS); do printf '%s tests/fuzz/corpus/%s\n' $(BUILD)/tests/fuzz/replay_$$f $$f; done; } | tests/parallel
	@tests/coverage/report $(BUILD)
