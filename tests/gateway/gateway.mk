# Real HTTP: the plugin server behind nginx with Lua, which plays Kong's part, or behind a real Kong.
# The Makefile includes this.
#
#   make demo PLUGIN=rate-card CONFIG='{"rate": 3}'    another plugin's server, build/rate-card-server;
#                                                      CONFIG= is JSON or a file

DEMO_PLUGINS := $(subst _,-,$(PLUGINS))
DEMO_BINARY := $(BUILD)/$(if $(filter-out api-version,$(PLUGIN)),$(PLUGIN),apiversion)-server
shell_word   = '$(subst ','\'',$(1))'
DEMO_ARGS    = $(if $(CONFIG),--config $(call shell_word,$(CONFIG))) $(if $(PORT),--port $(PORT)) $(DEMO_BINARY)

.PHONY: demo run demo-kong test-http demo-build plugin-is-here
plugin-is-here:
	@$(if $(filter $(or $(PLUGIN),api-version),$(DEMO_PLUGINS)),,echo 'no plugin "$(subst ','\'',$(PLUGIN))" in plugins/: PLUGIN= is one of $(DEMO_PLUGINS); make new-plugin NAME=... makes another' >&2; exit 2)

# A second make, which sees the libraries that were just installed.
demo-build: plugin-is-here
	@sh tests/install-deps.sh demo
	@$(MAKE) -s all $(if $(filter-out api-version,$(PLUGIN)),$(DEMO_BINARY))

demo: demo-build ## show a real HTTP response that the plugin has marked (PLUGIN=, CONFIG= JSON or a file, PORT=)
	@tests/gateway/kong-pdk-demo $(DEMO_ARGS)

run: demo-build ## the demo, left running, with what to type (PLUGIN=, CONFIG=, PORT=)
	@tests/gateway/kong-pdk-demo --stay $(DEMO_ARGS)

# A build of its own, which is not optimised as a whole: what follows an edit is one object and a link.
.PHONY: dev
dev: plugin-is-here ## the demo, for after each edit: builds that plugin alone, and fast (PLUGIN=, CONFIG=, PORT=)
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/dev LTO=no CFLAGS='-O1 -g' dev-run

.PHONY: dev-run
dev-run: $(DEMO_BINARY)
	@tests/gateway/kong-pdk-demo $(DEMO_ARGS)

demo-kong: demo-build ## the demo with a real Kong, where one is on PATH (PLUGIN=, CONFIG=)
	@tests/gateway/demo-kong.sh $(if $(CONFIG),--config $(call shell_word,$(CONFIG))) $(DEMO_BINARY)

POISON := $(BUILD)/tests/gateway/poison_server

THREE  := $(BUILD)/tests/gateway/three_server

unit-programs: $(POISON) $(THREE)

$(THREE): $(call obj,tests/unit/common/three.c)
$(POISON) $(THREE): %: %.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(LD) -o $@ $(filter %.o,$^) $(LIB) $(LIBS) $(SYS_LIBS)

.PHONY: bench-poison
test-http: $(SERVER) $(POISON) $(THREE) $(BUILD)/kong-pdk-load ## HTTP tests through nginx, both protocols
	@tests/gateway/http_test.sh $(SERVER)
	@tests/gateway/poison.sh $(POISON)
	@tests/gateway/several.sh $(THREE) $(BUILD)/kong-pdk-load

bench-poison: $(POISON) ## measure healthy requests beside those that crash the handler
	@tests/gateway/poison.sh $(POISON) --measure
