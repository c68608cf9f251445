# accept4 of the server in this test fails on command.
$(BUILD)/tests/unit/loop/test_descriptors: LD += -Wl,--wrap=accept4
