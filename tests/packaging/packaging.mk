# How it is installed and managed. The Makefile includes this.
.PHONY: test-activation
test-activation: $(SERVER) ## the server on a socket that systemd passes
	@tests/packaging/activation_test.sh $(SERVER)
