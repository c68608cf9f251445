# The unit tests on 32 bits, on 64-bit ARM, and where bytes are in the other order. The Makefile includes this.
#
#   tests/install-deps.sh other      the compilers, and qemu's user mode
#   make unit-i386 unit-arm64 unit-s390x        each says so when it is skipped

# What takes time of its own, and tells nothing of the machine.
OTHER_SKIP  := test_bench test_reload
# Under an emulator a program cannot start itself again, as all do that serve in a process of their own, and it is not what /proc/self/exe is.
OTHER_START := $(basename $(notdir $(shell grep -lE 'process_serves|process_start|"own_path\.h"' $(UNIT_SRC))))
OTHER_ALL   := $(filter-out $(addprefix %/,$(OTHER_SKIP)),$(UNIT) $(PLUGIN_UNIT))
# There the rooms in which bytes, registers and memory are looked at.
OTHER_ROOMS := $(addprefix $(BUILD)/tests/unit/,$(addsuffix /%,proto msgpack protobuf base schema runtime pdk rpc loop)) %/test_recordings
OTHER_UNIT   = $(if $(TEST_WRAPPER),$(filter-out $(addprefix %/,$(OTHER_START)),$(filter $(OTHER_ROOMS),$(OTHER_ALL))),$(OTHER_ALL))

.PHONY: unit-i386 unit-s390x unit-arm64 unit-other-run
unit-i386: ## the unit tests on 32 bits (a cross compiler, or gcc -m32)
	+@tests/other/unit i386 $(BUILD)/i386 $(MAKE)

unit-s390x: ## the unit tests on a big-endian machine (a cross compiler and qemu's user mode)
	+@tests/other/unit s390x $(BUILD)/s390x $(MAKE)

unit-arm64: ## the unit tests on 64-bit ARM (a cross compiler and qemu's user mode)
	+@tests/other/unit arm64 $(BUILD)/arm64 $(MAKE)

unit-other-run: $(SERVER) $(OTHER_UNIT)
	@printf '$(TEST_WRAPPER) %s\n' $(call longest_first,$(OTHER_UNIT)) | tests/parallel
