# Real HTTP: the plugin server behind nginx with Lua, which plays Kong's part, or behind a real Kong.
# The Makefile includes this.
#
#   make demo PLUGIN=rate-card CONFIG=my.json    another plugin's server, build/rate-card-server

DEMO_PLUGINS := $(subst _,-,$(PLUGINS))
DEMO_BINARY := $(BUILD)/$(if $(filter-out api-version,$(PLUGIN)),$(PLUGIN),apiversion)-server
DEMO_ARGS    = --server $(DEMO_BINARY) $(if $(CONFIG),--config $(CONFIG)) $(if $(PORT),--port $(PORT))

.PHONY: demo run demo-kong test-http demo-build
# A second make, which sees the libraries that were just installed.
demo-build:
	@$(if $(filter $(or $(PLUGIN),api-version),$(DEMO_PLUGINS)),,echo 'no plugin "$(subst ','\'',$(PLUGIN))" in plugins/: PLUGIN= is one of $(DEMO_PLUGINS); make new-plugin NAME=... makes another' >&2; exit 2)
	@sh tests/install-deps.sh demo
	@$(MAKE) -s all $(if $(filter-out api-version,$(PLUGIN)),$(DEMO_BINARY))

demo: demo-build ## show a real HTTP response that the plugin has marked (PLUGIN=, CONFIG=, PORT=)
	@tests/gateway/demo.sh $(DEMO_ARGS)

run: demo-build ## the same, left running, with what to type (PLUGIN=, CONFIG=, PORT=)
	@tests/gateway/demo.sh --stay $(DEMO_ARGS)

demo-kong: ## the same with a real Kong, where one is on PATH
	@sh tests/install-deps.sh build
	@$(MAKE) -s all
	@tests/gateway/demo-kong.sh $(BUILD)/apiversion-server

POISON := $(BUILD)/tests/gateway/poison_server

unit-programs: $(POISON)

$(POISON): $(call obj,tests/gateway/poison_server.c) $(LIB)
	$(call say,LD,$@)
	$(Q)$(LD) -o $@ $^ $(LIBS) $(SYS_LIBS)

.PHONY: bench-poison
test-http: $(SERVER) $(POISON) ## HTTP tests through nginx, both protocols
	@tests/gateway/http_test.sh $(SERVER)
	@tests/gateway/poison.sh $(POISON)

bench-poison: $(POISON) ## measure healthy requests beside those that crash the handler
	@tests/gateway/poison.sh $(POISON) --measure
