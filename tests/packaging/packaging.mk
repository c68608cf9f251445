# How it is installed and managed. The Makefile includes this.
.PHONY: test-activation
test-activation: $(SERVER) ## the server on a socket that systemd passes
	@tests/packaging/activation_test.sh $(SERVER)

# DIST=… puts them elsewhere
DIST ?= $(BUILD)/dist
.PHONY: deb tarball test-packages
deb: $(SERVER) ## a Debian package, in build/dist
	@sh tests/install-deps.sh deb
	@server/packaging/package.sh deb $(SERVER) $(DIST)

tarball: $(SERVER) ## an archive to be unpacked in /usr/local, as in Kong's image, in build/dist
	@server/packaging/package.sh tarball $(SERVER) $(DIST)

test-packages: $(SERVER) ## the packages: what is in them, and that it works from there
	@tests/packaging/packages_test.sh $(MAKE)

.PHONY: test-figures
test-figures: $(BUILD)/tests/plugins/json_guard ## the dashboard and the alerts, against what a server gives
	@tests/packaging/figures_test.sh $<

.PHONY: test-completion
test-completion: $(SERVER) ## bash completion
	@tests/packaging/completion_test.sh $(SERVER)
