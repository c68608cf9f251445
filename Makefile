# apiversion-server. `make help` lists the targets.
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:

# As many jobs as there are processors, for one target and unless -j says otherwise.
ifeq ($(MAKELEVEL)$(filter-out 0 1,$(words $(MAKECMDGOALS))),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 1)
endif

# --- What can be set ----------------------------------------------------------
ifeq ($(origin CC),default)
CC      := $(or $(shell command -v gcc >/dev/null && echo gcc),$(shell command -v clang >/dev/null && echo clang),gcc)
endif
BUILD   ?= build
CFLAGS  ?= -O2 -g
SAN     ?=
FIBER   ?= auto
LTO     ?= auto
WERROR  ?= -Werror
STATIC  ?=
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
DESTDIR ?=

# --- Libraries: linked statically where their .a exist, so that the binary can be copied into Kong's image ---
PKG_CONFIG ?= pkg-config
MSGPACK_PC := $(shell for p in msgpack-c msgpack; do { $(PKG_CONFIG) --exists $$p; } 2>/dev/null && echo $$p && break; done)
PC_NAMES   := libuv $(MSGPACK_PC) libprotobuf-c jansson
PC_CFLAGS  := $(shell $(PKG_CONFIG) --cflags $(PC_NAMES) 2>/dev/null)
libdir      = $(shell $(PKG_CONFIG) --variable=libdir $(1) 2>/dev/null)
# $(call lib,pkg-config name,archive names,-l flag)
lib         = $(or $(firstword $(foreach d,$(call libdir,$(1)) $(call libdir,libuv),$(foreach a,$(2),$(wildcard $(d)/$(a))))),$(3))
LIBS       := $(call lib,$(MSGPACK_PC),libmsgpackc.a libmsgpack-c.a,$(shell $(PKG_CONFIG) --libs $(MSGPACK_PC) 2>/dev/null)) \
              $(call lib,libprotobuf-c,libprotobuf-c.a,-lprotobuf-c) $(call lib,jansson,libjansson.a,-ljansson) \
              $(call lib,libuv,libuv_a.a libuv.a,-luv)
BOOST_A    := $(firstword $(wildcard $(call libdir,libuv)/libboost_context.a /usr/lib/libboost_context.a /usr/lib64/libboost_context.a))
# auto: the assembly where it was tried
ifeq ($(FIBER),auto)
FIBER_BACKEND := $(if $(BOOST_A),$(if $(filter x86_64-% aarch64-%,$(shell $(CC) -dumpmachine)),fcontext),)
FIBER_BACKEND := $(or $(FIBER_BACKEND),ucontext)
else
FIBER_BACKEND := $(FIBER)
endif
ifeq ($(FIBER_BACKEND),fcontext)
LIBS += $(BOOST_A)
endif
SYS_LIBS := -lpthread -ldl -lrt -lm

# --- Flags -------------------------------------------------------------------
WARN     := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla $(WERROR)
# a frame larger than a guard page must not step over it
CLASH    := $(shell echo 'int main(void) { return 0; }' | $(CC) -Werror -fstack-clash-protection -x c -c -o /dev/null - 2>/dev/null && echo -fstack-clash-protection)
# unwind tables: exceptions of plugins in C++ pass through our frames
HARDEN   := -fstack-protector-strong $(CLASH) -funwind-tables -fPIC -fno-semantic-interposition $(if $(SAN),,$(if $(findstring -O0,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2))
# STATIC=1: with the C library in it, so that it runs in any image: Alpine, older distributions, an empty one
LDHARDEN := $(if $(STATIC),-static-pie,-pie) -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
ifneq ($(SAN),)
SANFLAGS := -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
endif
# Whole-program optimisation of the servers (make bench: 4 to 5 % less CPU time for an event). The objects serve for
# everything else as they are: -fno-lto at the link.
ifeq ($(LTO)$(SAN),auto)
# gcc's: clang 19 has these two as well, and not $(MAP_AS).
LTO_CC   := $(shell echo 'int main(void) { return 0; }' | $(CC) -Werror -O2 -flto=auto -ffat-lto-objects -Wa,--debug-prefix-map=/a=. -x c -o /dev/null - 2>/dev/null && echo -flto=auto -ffat-lto-objects)
endif
LTO_LINK := $(if $(LTO_CC),-fno-lto)
# The same bytes each time: names that gcc makes up, and the directory, of which it does not tell the assembler here.
MAP_AS   := "-Wa,--debug-prefix-map=$(CURDIR)=."
LTO_SAME  = $(if $(LTO_CC),-frandom-seed=$< $(MAP_AS))
# The same bytes wherever it is built (the build-id is made of the debugging information too).
MAP      := "-fdebug-prefix-map=$(CURDIR)=."
BASE     := $(MAP) -std=gnu11 -D_GNU_SOURCE -pthread $(CFLAGS) $(HARDEN) $(SANFLAGS) -MMD -MP
OWN      := $(BASE) $(WARN) $(PC_CFLAGS)
# $(MAP) here too: it is at the link that whole programs are compiled
LD        = $(CC) $(CFLAGS) $(SANFLAGS) $(LDHARDEN) -pthread $(MAP) $(LTO_LINK) $(LDFLAGS)

# `make V=1` shows the commands.
ifeq ($(V),)
Q := @
say = @printf '  %-5s %s\n' $(1) $(2)
endif

# --- Rooms: each folder of code, and what it may include ---------------------------
# This table is all that the compiler is told: a room sees itself and the rooms named here, no other.
CODECS                := proto/msgpack proto/protobuf
SEES_proto            :=
SEES_proto/msgpack    := proto
SEES_proto/protobuf   := proto $(BUILD)/gen
SEES_server/include   := proto
SEES_server/base      := server/include proto
SEES_server/schema    := server/base $(SEES_server/base)
SEES_server/runtime   := server/schema $(SEES_server/schema)
SEES_server/pdk       := server/runtime server/base server/include proto
SEES_server/rpc       := server/runtime server/base server/include proto $(CODECS)
SEES_server/process   := server/runtime server/base server/include proto
SEES_server/loop      := server/rpc server/process server/runtime server/base server/include proto
SEES_server/cli       := server/loop server/rpc server/process server/pdk server/runtime server/schema server/base server/include proto $(CODECS)
SEES_plugins          := server/include proto
SERVER_ROOMS          := $(addprefix server/,include base schema runtime pdk rpc process loop cli)
ROOMS                 := proto $(CODECS) $(SERVER_ROOMS)
# $(call sees,room): the compiler's options
sees                   = $(addprefix -I,$(filter-out plugins,$(1)) $(SEES_$(1)))
# Tests see all of it, and go on after a signal.
TEST_SEES             := $(addprefix -I,$(ROOMS) tests/kong tests/unit/common $(BUILD)/gen)
RETRY                 := -include tests/unit/common/retry.h

PDK_VERSION := 0.1.0

# --- Sources -------------------------------------------------------------------
PROTO_SRC   := $(wildcard $(addsuffix /*.c,proto $(CODECS)))
# each in some builds only
SOME_BUILDS := %/fiber_fcontext.c %/fiber_ucontext.c %/static_users.c
SERVER_SRC  := $(filter-out $(SOME_BUILDS),$(wildcard $(SERVER_ROOMS:%=%/*.c))) \
               server/runtime/fiber_$(FIBER_BACKEND).c $(if $(STATIC),server/base/static_users.c)
# Each plugins/rate_card/ is a program, rate-card-server; its test_*.c are programs of their own.
PLUGINS     := $(sort $(patsubst plugins/%/,%,$(dir $(wildcard plugins/*/*.c))))
PLUGIN_TEST := $(wildcard plugins/*/test_*.c)
PLUGIN_SRC  := $(filter-out $(PLUGIN_TEST),$(wildcard plugins/*/*.c))
plugin_src   = $(filter plugins/$(1)/%,$(PLUGIN_SRC))
server_of    = $(BUILD)/$(if $(filter api_version,$(1)),apiversion,$(subst _,-,$(1)))-server
KONG_SRC    := $(wildcard tests/kong/*.c)
# plugins/rate_card/plugin.mk may have the line `LIBRARIES := hiredis openssl`: pkg-config names of what its sources use,
# in all builds of them.
define plugin_libraries
LIBRARIES :=
-include plugins/$(1)/plugin.mk
LIBRARIES_$(1) := $$(LIBRARIES)
endef
$(foreach p,$(PLUGINS),$(eval $(call plugin_libraries,$(p))))
obj          = $(patsubst %.c,$(BUILD)/%.o,$(1))
GEN         := $(BUILD)/gen
GEN_OBJ     := $(GEN)/pluginsocket.pb-c.o
LIB         := $(BUILD)/libkongpdk.a
KONG_LIB    := $(BUILD)/libkongtest.a
SERVER      := $(BUILD)/apiversion-server
SERVERS     := $(foreach p,$(PLUGINS),$(call server_of,$(p)))
UNIT_SRC    := $(wildcard tests/unit/*/test_*.c)
UNIT        := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT_SRC))
PLUGIN_UNIT := $(PLUGIN_TEST:%.c=$(BUILD)/%)
# $(call unit_program,test_X test_Y): the programs of these names, in whichever room
unit_program = $(filter $(addprefix %/,$(1)),$(UNIT))
UNIT_COMMON := $(call obj,$(wildcard tests/unit/common/*.c))

.PHONY: all help clean unit deps
all: $(SERVERS) ## build the servers of all plugins

deps: ## install what the commands of README.md need, by apt-get
	@sh tests/install-deps.sh deps

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sort | awk -f server/template/help.awk

# --- What was built with other flags is built again ---------------------------------
.PHONY: FORCE
FORCE:
FLAGS := $(BUILD)/flags
# fiber.c tells valgrind of its stacks where that is installed, which may be later than the first build
HASH       := \#
BUILT_WITH := $(CC) $(OWN) $(COVER) $(LTO_CC) $(if $(STATIC),static) $(if $(shell echo '$(HASH)include <valgrind/memcheck.h>' | $(CC) -E - >/dev/null 2>&1 && echo yes),and valgrind)
$(FLAGS): FORCE
	@test -n "$(MSGPACK_PC)" && { command -v protoc-c || command -v protoc-gen-c; } >/dev/null && $(PKG_CONFIG) --exists $(PC_NAMES) || \
		{ echo 'A tool or a library that the build needs is not here: `make deps` installs them, or names them' >&2; exit 1; }
	@mkdir -p $(@D)
	@echo '$(BUILT_WITH)' | cmp -s - $@ || echo '$(BUILT_WITH)' >$@

# --- Generated code ---------------------------------------------------------
# GNU Make 4.4 takes these for intermediate files, which it removes.
.SECONDARY: $(GEN)/pluginsocket.pb-c.c $(GEN)/pluginsocket.pb-c.h
# protobuf-c 1.5 warns of protoc-c where protoc is there.
PROTOC := $(if $(shell command -v protoc && command -v protoc-gen-c),protoc,protoc-c)

$(GEN)/%.pb-c.c $(GEN)/%.pb-c.h &: proto/protobuf/%.proto | $(FLAGS)
	@mkdir -p $(GEN)
	$(call say,GEN,$@)
	$(Q)$(PROTOC) --proto_path=$(<D) --c_out=$(GEN) $<

$(GEN)/%.o: $(GEN)/%.c $(FLAGS)
	$(call say,CC,$@)
	$(Q)$(CC) $(BASE) -w -fvisibility=hidden $(PC_CFLAGS) -I$(GEN) -c -o $@ $<

# The servers' version, of the commit. Not in the library, which would be made anew with each commit.
VERSION_OBJ := $(GEN)/version.o
$(GEN)/version.c: FORCE | $(FLAGS)
	@mkdir -p $(@D)
	@set -- $$(server/packaging/version.sh) && \
		printf 'const char *build_version(void);\nconst char *build_version(void) {\n    return "server %s (commit %s)";\n}\n' "$$1" "$$2" >$@.$$$$ && \
		{ cmp -s $@.$$$$ $@ && rm $@.$$$$ || mv $@.$$$$ $@; }

# --- Objects ---------------------------------------------------------------------
# $(call compile,options)
define compile
@mkdir -p $(@D)
$(call say,CC,$@)
$(Q)$(CC) $(OWN) $(1) -c -o $@ $<
endef

define room_rule
$(BUILD)/$(1)/%.o: $(1)/%.c $(FLAGS)
	$$(call compile,$$(LTO_CC) $$(LTO_SAME) $$(COVER) $$(call sees,$(1)) -DFIBER_BACKEND_$(FIBER_BACKEND))
endef
$(foreach r,$(ROOMS),$(eval $(call room_rule,$(r))))

# Their authors may define _GNU_SOURCE themselves.
GNU_SOURCE := -U_GNU_SOURCE -include server/template/gnu_source.h

$(BUILD)/plugins/%.o: plugins/%.c $(FLAGS)
	$(call compile,$(LTO_CC) $(LTO_SAME) $(call sees,plugins) $(GNU_SOURCE) $(PLUGIN_CFLAGS))

$(PLUGIN_UNIT:%=%.o): $(BUILD)/%.o: %.c $(FLAGS)
	$(call compile,$(call sees,plugins) -Itests/kong $(GNU_SOURCE) $(PLUGIN_CFLAGS))

$(BUILD)/tests/%.o: tests/%.c $(FLAGS)
	$(call compile,$(if $(filter tests/plugins/%,$<),,$(RETRY)) $(TEST_SEES))

$(call obj,$(PROTO_SRC) $(wildcard tests/*/*.c tests/unit/*/*.c)): | $(GEN)/pluginsocket.pb-c.h

# --- Libraries and programs ------------------------------------------------------
$(LIB): $(call obj,$(PROTO_SRC) $(SERVER_SRC)) $(GEN_OBJ)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)ar rcs $@ $^

$(KONG_LIB): $(call obj,$(KONG_SRC))
	@rm -f $@
	$(call say,AR,$@)
	$(Q)ar rcs $@ $^

# A test includes the file of its plugin's name, with the main function; other files it is linked with.
plugin_tests = $(patsubst %.c,$(BUILD)/%,$(filter plugins/$(1)/%,$(PLUGIN_TEST)))
define plugin_rules
$(call server_of,$(1)): $(call obj,$(call plugin_src,$(1)))
$(call plugin_tests,$(1)): $(call obj,$(filter-out plugins/$(1)/$(1).c,$(call plugin_src,$(1))))
endef
$(foreach p,$(PLUGINS),$(eval $(call plugin_rules,$(p))))

# Of a plugin with libraries: what the compiler is told of them, and that they are here.
define library_rules
$(BUILD)/plugins/$(1)/%.o: PLUGIN_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(LIBRARIES_$(1)) 2>/dev/null)
$(call server_of,$(1)) $(call plugin_tests,$(1)): PLUGIN_LIBS := $(shell $(PKG_CONFIG) $(if $(STATIC),--static) --libs $(LIBRARIES_$(1)) 2>/dev/null)
$(call obj,$(filter plugins/$(1)/%,$(PLUGIN_SRC) $(PLUGIN_TEST))): $(BUILD)/plugins/$(1)/libraries
$(BUILD)/plugins/$(1)/libraries: FORCE
	@mkdir -p $$(@D)
	@CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' STATIC='$(STATIC)' tests/plugins/libraries.sh plugins/$(1)/plugin.mk $$@ $(LIBRARIES_$(1))
endef
$(foreach p,$(PLUGINS),$(if $(LIBRARIES_$(p)),$(eval $(call library_rules,$(p)))))

$(SERVERS): LTO_LINK := $(if $(LTO_CC),-flto=auto)
$(BUILD)/server/cli/build_version.o: OWN += -DKONG_PDK_VERSION='"$(PDK_VERSION)"'
$(SERVERS): $(VERSION_OBJ) $(LIB)
	$(call say,LD,$@)
	$(Q)$(LD) -o $@ $(filter %.o,$^) $(LIB) $(PLUGIN_LIBS) $(LIBS) $(SYS_LIBS)

$(PLUGIN_UNIT): $(BUILD)/%: $(BUILD)/%.o $(KONG_LIB) $(LIB)
	$(call say,LD,$@)
	$(Q)$(LD) -o $@ $(filter %.o,$^) $(KONG_LIB) $(LIB) -lcmocka $(PLUGIN_LIBS) $(LIBS) $(SYS_LIBS)

# --- Unit tests: each tests/unit/ROOM/test_X.c is a program ------------------------------
$(UNIT): $(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(UNIT_COMMON) $(if $(KONG_SRC),$(KONG_LIB)) $(LIB)
	$(call say,LD,$@)
	$(Q)$(LD) -o $@ $< $(UNIT_COMMON) $(if $(KONG_SRC),$(KONG_LIB)) $(LIB) -lcmocka $(LIBS) $(SYS_LIBS)

.PHONY: unit-programs test-programs
unit-programs: $(UNIT) $(PLUGIN_UNIT)

# All that tests/run-all uses of this build: its steps build nothing more here, and so may run at the same time.
test-programs: all unit-programs

# all of them, also when one fails
each_of = bad=; for t in $(1); do echo "== $$t"; tests/leaves-nothing $(TEST_WRAPPER) $$t || bad="$$bad $$t"; done; \
          [ -z "$$bad" ] || { echo "FAILED:$$bad"; exit 1; }

# some at a time (PARALLEL=yes), but for those that need the machine for themselves
ALONE := $(call unit_program,test_bench test_reload)
# Those that take longest begin first, for nothing to wait for them at the end.
LONGEST := $(addprefix %/,test_reload test_server_failures test_take_over test_server_faults test_poison test_doctor_probe test_supervised_connections \
           test_server_events test_quarantine_end test_server_drain test_descriptors test_relay_address test_supervisor_end test_end test_threads test_threads_shared)
longest_first = $(foreach l,$(LONGEST),$(filter $(l),$(1))) $(filter-out $(LONGEST),$(1))

unit: unit-programs ## build and run the unit tests, those of the plugins too
	@$(if $(PARALLEL),printf '$(TEST_WRAPPER) %s\n' $(call longest_first,$(filter-out $(ALONE),$(UNIT) $(PLUGIN_UNIT))) | tests/parallel $(AT_ONCE),$(call each_of,$(UNIT) $(PLUGIN_UNIT)))

.PHONY: unit-alone
unit-alone: unit-programs
	@$(call each_of,$(ALONE))

# --- The same tests in other builds ------------------------------------------------
# without the pipes for a debugger, which stay when a process is killed
VALGRIND := valgrind --quiet --vgdb=no --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,possible \
            --errors-for-leak-kinds=definite,possible

# `make -n` runs a line with $(MAKE) or + too: before a script, that it does nothing then.
script = $(if $(findstring n,$(firstword -$(MAKEFLAGS))),: )

.PHONY: test test-all unit-clang unit-asan unit-ucontext unit-ucontext-programs unit-valgrind lint format test-install
test: ## install what is missing and run all tests
	@sh tests/install-deps.sh test
	@$(MAKE) --no-print-directory test-all

test-all: ## all tests, with what is installed
	+@$(script)tests/run-all $(MAKE)

unit-clang: ## the unit tests, built with clang
	+$(MAKE) BUILD=$(BUILD)/clang CC=clang CFLAGS=-O2 all unit

unit-asan: ## the unit tests under AddressSanitizer and UBSan
	+$(MAKE) BUILD=$(BUILD)/asan SAN=address,undefined CFLAGS="-O1 -g1" all unit

# Those in which more than one thread runs our code.
TSAN_TESTS := $(call unit_program,test_log test_log_threads test_stall test_wait test_wait_fd test_waiter test_wait_server test_fiber test_fiber_guard test_fiber_memory test_server_events \
              test_threads test_threads_shared test_threads_load)

.PHONY: unit-tsan tsan-programs
tsan-programs: $(TSAN_TESTS)
	@$(if $(PARALLEL),printf '%s\n' $^ | tests/parallel,$(call each_of,$^))

unit-tsan: ## the unit tests that use threads, under ThreadSanitizer
	+$(MAKE) BUILD=$(BUILD)/tsan SAN=thread CFLAGS="-O1 -g1" tsan-programs

# Those whose code switches fibers.
UCONTEXT_TESTS := $(filter $(foreach r,runtime pdk rpc loop,$(BUILD)/tests/unit/$(r)/%),$(UNIT))

unit-ucontext: ## the unit tests of what runs in fibers, with the portable ones
	+$(MAKE) BUILD=$(BUILD)/ucontext FIBER=ucontext LTO=no unit-ucontext-programs

unit-ucontext-programs: $(UCONTEXT_TESTS)
	@$(if $(PARALLEL),printf '%s\n' $^ | tests/parallel,$(call each_of,$^))

# fewer at once than otherwise: valgrind computes
unit-valgrind: unit-programs ## the unit tests under valgrind
	+$(MAKE) unit PARALLEL=yes AT_ONCE=$$(($$(nproc) * 3 / 2)) TEST_WRAPPER="$(VALGRIND)" UNIT="$(filter-out %/test_reload %/test_threads_load %/test_bench,$(UNIT))"

test-install: all ## what `make install` leaves: the files, and a binary that needs libc only
	@$(script)tests/install_test.sh $(MAKE)

# --- Lint ------------------------------------------------------------------------------
C_FILES := $(wildcard $(ROOMS:%=%/*.[ch]) plugins/*/*.[ch] tests/*/*.[ch] tests/unit/*/*.[ch])
TIDY_FILES := $(PROTO_SRC) $(SERVER_SRC) $(PLUGIN_SRC)

TIDY_FLAGS = -DKONG_PDK_VERSION='"$(PDK_VERSION)"' -std=gnu11 -D_GNU_SOURCE $(TEST_SEES) -DFIBER_BACKEND_$(FIBER_BACKEND) $(PC_CFLAGS) \
             $(foreach p,$(PLUGINS),$(if $(LIBRARIES_$(p)),$(shell $(PKG_CONFIG) --cflags $(LIBRARIES_$(p)) 2>/dev/null)))

with_tool = tests/lint/with-tool.sh $(1) $(BUILD)/lint-tools
# for check-rooms.sh: each room and the options that it is compiled with
ROOMS_SEEN = $(foreach r,$(ROOMS) plugins,'$(r) $(call sees,$(r))')

# those for users
DOCUMENTS := README.md SECURITY.md .github/CONTRIBUTING.md kong.conf.example $(wildcard server/docs/*.md server/packaging/*/README.md plugins/*/README.md)
# in which options stand, too
SETTINGS := $(wildcard server/packaging/docker/* server/packaging/systemd/* server/packaging/debian/* server/packaging/kubernetes/*/*.y*ml .github/workflows/*)

lint: $(GEN)/pluginsocket.pb-c.h $(LIB) $(SERVER) ## formatting, clang-tidy, dependency rules
	@test $(words $(C_FILES)) -gt 20 || { echo "lint saw no files"; exit 1; }
	@test "$$(wc -l <README.md)" -le 130 || { echo "README.md has more than 130 lines: move some to server/docs" >&2; exit 1; }
	@codespell *.md .github Makefile kong.conf.example proto server plugins tests
	@echo "codespell: no mistake that it knows"
	@tests/lint/check-bytes.py server/docs/protocol.md tests/traces/*.trace
	@for d in README.md server/docs/authors.md; do tests/lint/check-code.sh '$(CC)' $$d -Iserver/include -Iproto -Itests/kong || exit 1; done
	@tests/lint/check-commands.py tests/lint/commands.txt server/cli/options_table.c $(DOCUMENTS) $(SETTINGS)
	@tests/lint/check-defaults.py $(SERVER) $(DOCUMENTS) server/packaging/debian/README.Debian
	@tests/lint/check-paths.py $(wildcard *.md .github/*.md server/*/*.md plugins/*/*.md tests/*/*.md)
	@tests/bench/pictures_test.py --quiet
	@tests/lint/check-pictures.py server/docs/*.svg
	@$(call with_tool,clang-format) clang-format --dry-run --Werror $(C_FILES)
	@echo "clang-format: $(words $(C_FILES)) files"
	@! grep -nP '^\t\+?+@?+(?!\$$\((MAKE|script)\)|server/packaging/as-owner\.sh).*\$$\(MAKE\)' Makefile || { echo "make -n would run this: see \$$(script)" >&2; exit 1; }
	@tests/lint/check-includes.sh
	@tests/lint/check-run-all.sh
	@tests/lint/check-pipes.sh
	@printf '%s\n' $(ROOMS_SEEN) | CC='$(CC)' tests/lint/check-rooms.sh $(PC_CFLAGS)
	@CC='$(CC)' CXX='$(CXX)' tests/lint/check-nonnull.sh
	@tests/lint/check-rows.sh '$(CC)' '$(if $(filter yes,$(HAVE_CXX)),$(CXX))'
	@tests/lint/check-lengths.sh $(PROTO_SRC) $(SERVER_SRC) $(PLUGIN_SRC) $(KONG_SRC) $(wildcard tests/load/*.c)
	@tests/lint/check-circles.py $(BUILD) $(PROTO_SRC) $(SERVER_SRC)
	@printf '%s\n' $(TIDY_FILES) | $(call with_tool,clang-tidy) xargs -P "$$(nproc)" -n 6 tests/lint/tidy.sh $(TIDY_FLAGS) --
	@echo "clang-tidy: $(words $(TIDY_FILES)) files"

format: ## format all C files
	$(call with_tool,clang-format) clang-format -i $(C_FILES)

# --- The library as it is installed ------------------------------------------------------
# kong.h and what it includes: all that begins with kong_ is public
PDK_HEADERS := server/include/kong.h $(wildcard $(foreach h,$(shell sed -n 's/^\#include "\(.*\)"/\1/p' server/include/kong.h),server/include/$(h) proto/$(h)))
PDK_SO      := libkongpdk.so.$(firstword $(subst ., ,$(PDK_VERSION)))
PDK_REAL    := libkongpdk.so.$(PDK_VERSION)
PDK_OUT     := $(BUILD)/install
PDK_FILES   := $(addprefix $(PDK_OUT)/,$(PDK_REAL) libkongpdk.a libkongtest.a kong-pdk.pc kong-pdk-static.pc kong-pdk-test.pc)
LIB_OBJ     := $(call obj,$(PROTO_SRC) $(SERVER_SRC)) $(GEN_OBJ)

# The shared library needs its own libraries at run time, as usual; the fibers' assembly it contains.
$(PDK_OUT)/$(PDK_REAL): $(LIB_OBJ) server/packaging/kongpdk.map
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(SANFLAGS) -shared $(LTO_LINK) -pthread -Wl,-soname,$(PDK_SO) -Wl,--version-script,server/packaging/kongpdk.map \
		-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,defs $(LDFLAGS) -o $@ $(LIB_OBJ) \
		$(shell $(PKG_CONFIG) --libs $(PC_NAMES) 2>/dev/null) $(if $(filter fcontext,$(FIBER_BACKEND)),$(BOOST_A)) $(SYS_LIBS)

# Archives of one object in which only kong_* are global: what they contain meets no name of the author's.
$(PDK_OUT)/libkongpdk.a: $(LIB_OBJ)
$(PDK_OUT)/libkongtest.a: $(LIB_OBJ) $(call obj,$(KONG_SRC))
$(PDK_OUT)/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)$(CC) -r -nostdlib $(LTO_LINK) -o $(@:.a=.o) $^
	$(Q)$(shell $(CC) -print-prog-name=objcopy) --remove-section='.gnu.lto*' --remove-section='.gnu.debuglto*' --localize-hidden --wildcard --keep-global-symbol='kong_*' $(@:.a=.o)
	$(Q)ar rcs $@ $(@:.a=.o)

# Where the loader does not look by itself, programs know where the library is.
PDK_RPATH := $(if $(filter /usr/lib /usr/lib64 /usr/lib/% /lib /lib64 /lib/%,$(LIBDIR)),,-Wl,-rpath,$${libdir})

# Made anew each time: PREFIX may be another one than before.
.PHONY: always
always:
$(PDK_OUT)/%.pc: server/packaging/%.pc.in always
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(PDK_VERSION)|' -e 's| @RPATH@|$(PDK_RPATH:%= %)|' -e 's| @CLASH@|$(CLASH:%= %)|' \
		-e 's|@STATIC_LIBS@|$(strip $(LIBS:$(PKG_CONFIG_SYSROOT_DIR)%=%) $(SYS_LIBS))|' $< >$@

# --- The library's reference, out of its headers ------------------------------------------
DOCS        := $(addprefix $(BUILD)/docs/,kong-pdk.md kong-pdk.3)
DOC_FIRST   := server/include/kong.h server/include/kong_event.h proto/kong_value.h proto/kong_phase.h
DOC_LAST    := server/include/kong_schema.h tests/kong/kong_test.h
# what kong_schema.h says of C++ is enough of that
DOC_HEADERS := $(DOC_FIRST) $(filter-out $(DOC_FIRST) $(DOC_LAST) %_schema_cxx.h,$(PDK_HEADERS)) $(DOC_LAST)
# that of the release
DOC_DATE    := $(shell date -u -d "$$(sed -n 's/^ -- .*>  //p' server/packaging/debian/changelog | head -n 1)" +%Y-%m-%d)

.PHONY: docs
docs: $(DOCS) ## write the reference of the library for authors: Markdown and a man page

$(BUILD)/docs/kong-pdk.md: format := md
$(BUILD)/docs/kong-pdk.3: format := man
$(DOCS): $(DOC_HEADERS) server/template/docs.awk
	@mkdir -p $(@D)
	$(call say,DOC,$@)
	$(Q)awk -f server/template/docs.awk -v format=$(format) -v version=$(PDK_VERSION) -v date=$(DOC_DATE) $(DOC_HEADERS) >$@

# --- Install --------------------------------------------------------------------------
INSTALL := install
SERVICE_UNIT := $(PDK_OUT)/apiversion-server.service
$(SERVICE_UNIT): server/packaging/systemd/apiversion-server.service.in always
	@mkdir -p $(@D)
	$(Q)sed 's|@bindir@|$(PREFIX)/bin|' $< >$@

$(SERVERS:%=%.1): %.1: %
	$(Q)$< --man >$@

TOOLS     := $(BUILD)/kong-pdk-load tests/gateway/kong-pdk-demo
TOOL_MANS := $(PDK_OUT)/kong-pdk-load.1 $(PDK_OUT)/kong-pdk-demo.1
# where tools are that run here, when BUILD has those of another machine
TOOLS_HERE ?= $(TOOLS)
$(PDK_OUT)/kong-pdk-load.1: tool_about := measures a plugin for Kong
$(PDK_OUT)/kong-pdk-demo.1: tool_about := shows a plugin for Kong at work on real HTTP
$(TOOL_MANS): $(PDK_OUT)/%.1: $(TOOLS) server/template/man.awk
	@mkdir -p $(@D)
	$(Q)$(filter %/$*,$(TOOLS_HERE)) --help | awk -f server/template/man.awk -v name=$* -v about='$(tool_about)' -v version=$(PDK_VERSION) -v date=$(DOC_DATE) >$@

.PHONY: installable-server installable-library install install-server install-library uninstall
installable-server: all $(SERVERS:%=%.1) $(SERVICE_UNIT)
installable-library: $(PDK_FILES) $(DOCS) $(TOOLS) $(TOOL_MANS)

# All that is built is built by the owner of the tree, whoever installs: nothing of root's is left in it.
install: ## install servers, library and tools into $(DESTDIR)$(PREFIX)
	+@server/packaging/as-owner.sh $(MAKE) --no-print-directory installable-server installable-library
	+@$(MAKE) --no-print-directory install-server install-library

# where files go: $(call into,directory below PREFIX)
into = $(DESTDIR)$(PREFIX)/$(1)
# The next two install what is built.
install-server:
	$(INSTALL) -d $(foreach d,bin share/man/man1,$(call into,$(d)))
	$(INSTALL) -m 755 $(SERVERS) $(call into,bin/)
	$(INSTALL) -m 644 $(SERVERS:%=%.1) $(call into,share/man/man1/)
	$(INSTALL) -d $(foreach d,share/bash-completion/completions share/zsh/site-functions share/fish/vendor_completions.d,$(call into,$(d)))
	$(INSTALL) -m 644 server/packaging/zsh-completion $(call into,share/zsh/site-functions/_apiversion-server)
	$(INSTALL) -m 644 server/packaging/fish-completion $(call into,share/fish/vendor_completions.d/apiversion-server.fish)
	$(INSTALL) -m 644 server/packaging/bash-completion $(call into,share/bash-completion/completions/apiversion-server)
	server/packaging/documents.sh all $(call into,share/doc/apiversion-server)
	$(INSTALL) -d $(foreach d,lib/systemd/system share/apiversion-server/grafana share/apiversion-server/prometheus share/apiversion-server/logrotate,$(call into,$(d)))
	$(INSTALL) -m 644 server/packaging/logrotate $(call into,share/apiversion-server/logrotate/apiversion-server)
	$(INSTALL) -m 644 $(SERVICE_UNIT) server/packaging/systemd/apiversion-server.socket $(call into,lib/systemd/system/)
	$(INSTALL) -m 644 $(wildcard server/packaging/grafana/*) $(call into,share/apiversion-server/grafana/)
	$(INSTALL) -m 644 $(wildcard server/packaging/prometheus/*) $(call into,share/apiversion-server/prometheus/)

# What authors of plugins need: the headers, the library, the kit, the tools.
GATEWAY_LUA := $(wildcard tests/gateway/lua/*.lua tests/gateway/lua/*/*.lua)
install-library:
	$(INSTALL) -d $(foreach d,bin include/kong-pdk share/man/man1 share/man/man3 share/doc/apiversion-server share/kong-pdk/gateway,$(call into,$(d))) $(DESTDIR)$(LIBDIR)/pkgconfig
	$(INSTALL) -m 644 $(PDK_HEADERS) tests/kong/kong_test.h $(call into,include/kong-pdk/)
	$(INSTALL) -m 644 $(BUILD)/docs/kong-pdk.3 $(call into,share/man/man3/)
	$(INSTALL) -m 644 $(BUILD)/docs/kong-pdk.md $(call into,share/doc/apiversion-server/)
	$(INSTALL) -m 755 $(TOOLS) $(call into,bin/)
	$(INSTALL) -m 644 $(TOOL_MANS) $(call into,share/man/man1/)
	$(INSTALL) -m 644 tests/gateway/gateway.sh tests/gateway/nginx.conf.in $(call into,share/kong-pdk/gateway/)
	$(foreach f,$(GATEWAY_LUA),$(INSTALL) -D -m 644 $(f) $(call into,share/kong-pdk/$(f:tests/%=%)) &&) true
	$(INSTALL) -m 644 $(filter %.a,$(PDK_FILES)) $(DESTDIR)$(LIBDIR)/
	$(INSTALL) -m 755 $(PDK_OUT)/$(PDK_REAL) $(DESTDIR)$(LIBDIR)/
	ln -sf $(PDK_REAL) $(DESTDIR)$(LIBDIR)/$(PDK_SO)
	ln -sf $(PDK_SO) $(DESTDIR)$(LIBDIR)/libkongpdk.so
	$(INSTALL) -m 644 $(filter %.pc,$(PDK_FILES)) $(DESTDIR)$(LIBDIR)/pkgconfig/
	$(if $(DESTDIR),,$(if $(filter /usr/lib /usr/local/lib,$(LIBDIR)),[ "$$(id -u)" != 0 ] || ldconfig))

uninstall: ## remove what install has put into $(DESTDIR)$(PREFIX)
	@$(script)server/packaging/uninstall.sh '$(MAKE)' '$(PREFIX)' '$(LIBDIR)' '$(DESTDIR)'

# --- A new plugin ------------------------------------------------------------------------
.PHONY: new-plugin
new-plugin: ## make plugins/rate_card/ of a template (NAME=rate-card)
	@NAME='$(subst ','\'',$(NAME))' server/template/new-plugin.sh

clean: ## remove what was built
	rm -rf $(BUILD)

-include $(wildcard tests/*/*.mk tests/unit/*/*.mk) plugins/examples/examples.mk
# not those of other builds below this one, which may be compiling now
-include $(shell find $(addprefix $(BUILD)/,proto server plugins tests gen) -name '*.d' -type f 2>/dev/null)
