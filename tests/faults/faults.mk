# Calls that fail, each in turn. The Makefile includes this.
#
#   make faults          every tests/faults/test_X.c, built and run

FAULTS_SRC   := $(wildcard tests/faults/test_*.c)
FAULTS       := $(FAULTS_SRC:%.c=$(BUILD)/%)
FAULTS_KIT   := $(call obj,tests/faults/seam.c)
# the plugin and the Kong of the connection fuzzer
FAULTS_RPC   := $(call obj,tests/fuzz/rpc_plugin.c tests/fuzz/rpc_kong.c tests/fuzz/common.c)
$(BUILD)/tests/faults/test_rpc_faults: $(FAULTS_RPC)
FAULTS_CALLS := malloc calloc realloc strdup mmap asprintf __asprintf_chk read write writev recv send socket_recv socket_send \
                uv_accept uv_async_init uv_fileno uv_listen uv_loop_init uv_pipe_init uv_pipe_open uv_poll_init uv_poll_start \
                uv_read_start uv_tcp_bind uv_tcp_init uv_signal_init uv_signal_start uv_timer_init uv_timer_start \
                uv_write pthread_create

.PHONY: faults fault-programs
fault-programs: $(FAULTS)

faults: $(FAULTS) ## memory, libuv and sockets that fail, call by call
	@$(call each_of,$(FAULTS))

$(FAULTS): $(BUILD)/tests/faults/%: $(BUILD)/tests/faults/%.o $(FAULTS_KIT) $(UNIT_COMMON) $(KONG_LIB) $(LIB)
	$(call say,LD,$@)
	$(Q)$(LD) $(FAULTS_CALLS:%=-Wl,--wrap=%) -o $@ $(filter-out %.a,$^) $(KONG_LIB) $(LIB) -lcmocka $(LIBS) $(SYS_LIBS)
