# What an operator does, with the program itself. The Makefile includes this.
.PHONY: test-operator
test-operator: $(SERVERS) examples $(BUILD)/tests/gateway/three_server ## --print-conf, --doctor, --status with made-up settings of Kong
	@tests/operator/operator_test.sh $(SERVER)
	@tests/operator/lua_schema_test.sh $(SERVERS) $(EXAMPLES)
