# Which lines the tests reach. The Makefile includes this.
#
#   make coverage        build/coverage/lines.txt; fails below the thresholds of tests/coverage/report

# Tests of the tools that measure, which reach no line of either directory.
COVERAGE_SKIP := test_bench
COVERAGE_UNIT  = $(filter-out $(COVERAGE_SKIP:%=$(BUILD)/tests/unit/%),$(UNIT) $(PLUGIN_UNIT))

.PHONY: coverage coverage-run
coverage: ## lines of proto/ and server/ that the tests reach, with thresholds
	+@$(MAKE) --no-print-directory BUILD=$(BUILD)/coverage CFLAGS="-O0 -g --coverage" coverage-run

coverage-run: $(SERVER) unit-programs fault-programs replay-programs
	@tests/coverage/report --build $(BUILD) --make $(MAKE) $(COVERAGE_UNIT) $(FAULTS)
