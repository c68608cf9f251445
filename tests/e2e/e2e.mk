# The documented flow against a real Kong. The Makefile includes this.
.PHONY: test-e2e
test-e2e: $(SERVER) $(BUILD)/tests/gateway/three_server ## the README's flow against a real Kong (KONG_ADMIN_URL and KONG_PROXY_URL, or a kong on PATH)
	@tests/e2e/e2e_test.sh $^
