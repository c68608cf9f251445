# A long run of everything at once. Not part of `make test`.
SOAK_S ?= 600

.PHONY: soak
soak: $(BUILD)/soak ## mixed load, peers that misbehave, requests that crash it, for twice SOAK_S seconds (600): memory and descriptors must stay flat
	@SOAK_S=$(SOAK_S) $(BUILD)/soak

$(BUILD)/soak: $(call obj,tests/soak/soak.c) $(UNIT_COMMON) $(KONG_LIB) $(LIB)
	$(call say,LD,$@)
	$(Q)$(LD) -o $@ $< $(UNIT_COMMON) $(KONG_LIB) $(LIB) -lcmocka $(LIBS) $(SYS_LIBS)
