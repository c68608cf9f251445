# How it is installed and managed. The Makefile includes this.
.PHONY: test-activation
test-activation: $(SERVER) ## the server on a socket that systemd passes
	@tests/packaging/activation_test.sh $(SERVER)

# DIST=… puts them elsewhere
DIST ?= $(BUILD)/dist
.PHONY: deb tarball test-packages
deb: $(SERVER) ## the Debian packages: the server, and the library for authors, in build/dist
	@sh tests/install-deps.sh deb
	+@$(MAKE) --no-print-directory installable-library PREFIX=/usr LIBDIR=/usr/lib/$$(dpkg-architecture -qDEB_HOST_MULTIARCH)
	@ARCHIVES='$(LIBS)' MAKE='$(MAKE)' server/packaging/package.sh dev $(SERVER) $(DIST)
	@server/packaging/package.sh deb $(SERVER) $(DIST)

dist: ## what a release has: tarballs and Debian packages for amd64 and arm64, SHA256SUMS, an SBOM; in build/dist
	+@sh tests/install-deps.sh dist
	+@server/packaging/dist.sh $(MAKE) $(BUILD) $(DIST)

# For sbom.py: the static libraries of the servers.
LINKED = $(filter %.a,$(LIBS)) $(if $(STATIC),$(foreach l,libc.a libgcc.a libgcc_eh.a,$(shell $(CC) -print-file-name=$(l))))
.PHONY: dist print-linked
print-linked:
	@printf '%s\n' $(LINKED)

tarball: static ## an archive to be unpacked in /usr/local of any image, with the static server, in build/dist
	@server/packaging/package.sh tarball $(STATIC_SERVER) $(DIST)

.PHONY: test-dist
test-dist: $(BUILD)/bench/load ## what `make dist` makes, and that it is the same bytes again (not in `make test`)
	@tests/packaging/dist_test.sh $(MAKE) $(BUILD) $<

test-packages: $(SERVER) ## the packages: what is in them, and that it works from there; the files for Kubernetes and GitHub
	@tests/packaging/packages_test.sh $(MAKE)
	@tests/packaging/deploy_test.sh $(SERVER)

.PHONY: test-figures
test-figures: $(BUILD)/tests/plugins/json_guard ## the dashboard and the alerts, against what a server gives
	@tests/packaging/figures_test.sh $<

.PHONY: test-completion
test-completion: $(SERVER) ## completion in bash, zsh and fish
	@tests/packaging/completion_test.sh $(SERVER)

# The server with the C library in it: BUILD/static/apiversion-server.
STATIC_BUILD := $(BUILD)/static
STATIC_SERVER := $(STATIC_BUILD)/apiversion-server
.PHONY: static test-static
static: ## a server that needs nothing but the kernel: any image, also Alpine or an empty one
	+@$(MAKE) --no-print-directory BUILD=$(STATIC_BUILD) STATIC=1 all

test-static: static $(BUILD)/bench/load ## the static server in an empty root, both protocols
	@tests/packaging/static_test.sh $(STATIC_SERVER) $(BUILD)/bench/load
