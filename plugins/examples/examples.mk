# Plugins to learn from, with libraries of others. The Makefile includes this.
#
# Each folder has a plugin, X.c (other .c files are linked with it), its test with the kit, test_X.c, its test through
# nginx, gateway_test.sh, and in plugin.mk the libraries that it needs, by their names in pkg-config. `make all` does
# not build them.
EX_DIR   := plugins/examples
EX_ALL   := $(sort $(patsubst $(EX_DIR)/%/,%,$(dir $(wildcard $(EX_DIR)/*/*.c))))
# $(call ex_libraries,X)
ex_libraries = $(shell sed -n 's/^LIBRARIES *:= *//p' $(EX_DIR)/$(1)/plugin.mk 2>/dev/null)
ex_missing   = $(strip $(foreach l,$(call ex_libraries,$(1)),$(if $(shell $(PKG_CONFIG) --exists $(l) 2>/dev/null && echo yes),,$(l))))
ex_sources   = $(filter-out $(EX_DIR)/$(1)/test_%,$(wildcard $(EX_DIR)/$(1)/*.c))
ex_server    = $(BUILD)/$(EX_DIR)/$(subst _,-,$(1))-server
ex_test      = $(BUILD)/$(EX_DIR)/$(1)/test_$(1)
EX_HERE  := $(foreach e,$(EX_ALL),$(if $(call ex_missing,$(e)),,$(e)))
EX_TESTS := $(foreach e,$(EX_HERE),$(call ex_test,$(e)))
C_FILES  += $(wildcard $(EX_DIR)/*/*.[ch])
TIDY_FILES += $(foreach e,$(EX_HERE),$(call ex_sources,$(e)))

define ex_rules
$(BUILD)/$(EX_DIR)/$(1)/%.o: OWN += -Itests/kong -Itests/plugins $(shell $(PKG_CONFIG) --cflags $(2) 2>/dev/null)
$(call ex_server,$(1)) $(call ex_test,$(1)): LIBS := $(shell $(PKG_CONFIG) --libs $(2) 2>/dev/null) $(LIBS)
$(call ex_server,$(1)): $(call obj,$(call ex_sources,$(1))) $(LIB)
	$$(call say,LD,$$@)
	$$(Q)$$(LD) -o $$@ $$^ $$(LIBS) $$(SYS_LIBS)
$(call ex_test,$(1)): $(BUILD)/$(EX_DIR)/$(1)/test_$(1).o $(filter-out %/$(1).o,$(call obj,$(call ex_sources,$(1)))) $(KONG_LIB) $(LIB)
	$$(call say,LD,$$@)
	$$(Q)$$(LD) -o $$@ $$^ -lcmocka $$(LIBS) $$(SYS_LIBS)
endef
$(foreach e,$(EX_HERE),$(eval $(call ex_rules,$(e),$(call ex_libraries,$(e)))))

.PHONY: plugin-examples test-examples
plugin-examples: $(foreach e,$(EX_HERE),$(call ex_server,$(e))) ## build the plugins in plugins/examples

test-examples: plugin-examples $(EX_TESTS) ## their tests, with a real Redis and so on
	@$(foreach e,$(filter-out $(EX_HERE),$(EX_ALL)),echo 'SKIPPED: the example $(e): not here: $(call ex_missing,$(e))';)
	@$(call each_of,$(EX_TESTS) $(foreach e,$(EX_HERE),'$(EX_DIR)/$(e)/gateway_test.sh $(call ex_server,$(e))'))
