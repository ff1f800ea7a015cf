# inferfs: build, test, install.  `make help` lists the targets.
#
# One archive of everything below src/ but the two main.c is built per variant (release in build/, asan, tsan and
# fuzz in build/NAME/); the programs are thin.  Files are found by wildcard: a new .c needs no change here.

ifeq ($(origin CC),default)
CC := gcc
endif
CLANG        ?= clang
CLANG_FORMAT ?= clang-format
CLANG_TIDY   ?= clang-tidy
JOBS         ?= $(shell n=$$(nproc 2>/dev/null || echo 1); echo $$((n > 8 ? 8 : n)))
FUZZ_SECONDS ?= 60
PREFIX       ?= /usr/local
BINDIR       ?= $(PREFIX)/bin
SBINDIR      ?= $(PREFIX)/sbin
DATADIR      ?= $(PREFIX)/share
Q            := $(if $(V),,@)
say           = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

# ---- what there is ----------------------------------------------------------------------------------------------
SRC       := $(wildcard src/*/*.c)
HDR       := $(wildcard src/*/*.h src/include/*/*.h)
LIB       := $(filter-out src/main/main.c src/ctl/main.c,$(SRC))
TESTLIB   := $(wildcard tests/lib/*.c)
UNIT      := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
PROVIDER  := $(wildcard tests/provider/*.c)
POSIX     := $(wildcard tests/posix/*.c)
TOOLS     := $(patsubst tests/tools/%.c,%,$(wildcard tests/tools/*.c))
BENCH     := $(patsubst tests/bench/%.c,%,$(wildcard tests/bench/*.c))
BENCHLIB  := $(wildcard tests/bench/lib/*.c)
FUZZ      := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
PLUGINS   := $(patsubst examples/%.c,%,$(wildcard examples/engine_*.c examples/plugin_*.c))
EXAMPLES  := $(filter-out $(PLUGINS),$(patsubst examples/%.c,%,$(wildcard examples/*.c)))
ALL_C     := $(SRC) $(wildcard tests/*/*.c examples/*.c) $(BENCHLIB)
ALL_H     := $(HDR) $(wildcard tests/*/*.h tests/bench/lib/*.h examples/*.h)
UNIT_SRC  := $(UNIT:%=tests/unit/%.c)

# ---- flags ------------------------------------------------------------------------------------------------------
PKGS      := fuse3 libcurl jansson openssl sqlite3 inih
pkg        = $(shell pkg-config $(1) 2>/dev/null)
PKG_CF    := $(call pkg,--cflags $(PKGS))
PKG_LIBS  := $(call pkg,--libs $(PKGS))
PROV_LIBS := $(call pkg,--libs libmicrohttpd jansson libcrypto)
WARN_TEST := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wvla -Wundef -Wwrite-strings
WARN      := $(WARN_TEST) -Wconversion -Wmissing-prototypes -Wcast-qual
FORTIFY   := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
BASE      := -std=gnu17 -D_GNU_SOURCE -O2 -g -pthread -fstack-protector-strong -fPIE -fvisibility=hidden
LINK      := -pthread -pie -Wl,-z,relro,-z,now -Wl,--as-needed
SAN       := -DLOCK_CHECK=1 -O1 -fno-omit-frame-pointer -U_FORTIFY_SOURCE
warn       = $(if $(filter src/%,$(1)),$(WARN),$(WARN_TEST)) $(if $(CHECK),-Werror)
inc        = -Isrc -Isrc/include $(if $(filter tests/%,$(1)),-I. -Itests -Itests/lib)
flags      = $(BASE) $(call warn,$(1)) $(call inc,$(1)) $(PKG_CF)
linkflags  = $(shell sed -n 's|^/\* LDFLAGS: \(.*\) \*/$$|\1|p' $(1))

# a file that changes only when TEXT does: $(call stamp,TEXT)
stamp      = @mkdir -p $(@D); printf '%s\n' '$(1)' | cmp -s - $@ || printf '%s\n' '$(1)' > $@

# $(call VARIANT,DIRECTORY,COMPILER,COMPILE AND LINK FLAGS)
define VARIANT
$(1)/flags: FORCE
	$$(call stamp,$(2) $(BASE) $(3) $$(CFLAGS) $$(CPPFLAGS))
$(1)/archive.list: FORCE
	$$(call stamp,$(LIB))
$(1)/obj/%.o: %.c $(1)/flags | need
	$$(call say,CC,$$@)
	$(Q)mkdir -p $$(@D) && $(2) $$(call flags,$$<) $(3) $$(CPPFLAGS) $$(CFLAGS) -MMD -MP -c -o $$@ $$<
$(1)/obj/src/core/price.o: src/core/prices.json
$(1)/libinferfs.a: $(LIB:%.c=$(1)/obj/%.o) $(1)/archive.list
	$$(call say,AR,$$@)
	$(Q)rm -f $$@ && ar rcs $$@ $$(filter %.o,$$^)
$(1)/inferfs: $(patsubst %.c,$(1)/obj/%.o,$(filter src/main/main.c,$(SRC))) $(1)/libinferfs.a
	$$(call say,LINK,$$@)
	$(Q)$(2) $(LINK) $(3) $$(LDFLAGS) -o $$@ $$^ $(PKG_LIBS) -ldl -lm
$(1)/inferctl: $(patsubst %.c,$(1)/obj/%.o,$(filter src/ctl/main.c,$(SRC))) $(1)/libinferfs.a
	$$(call say,LINK,$$@)
	$(Q)$(2) $(LINK) $(3) $$(LDFLAGS) -o $$@ $$^ $(PKG_LIBS) -ldl -lm
$(1)/unit/%: $(1)/obj/tests/unit/%.o $(TESTLIB:%.c=$(1)/obj/%.o) $(1)/libinferfs.a
	$$(call say,LINK,$$@)
	$(Q)mkdir -p $$(@D) && $(2) $(LINK) $(3) $$(LDFLAGS) -o $$@ $$^ $$(call linkflags,tests/unit/$$*.c) \
		-lcmocka $(PKG_LIBS) -ldl -lm
$(1)/provider: $(PROVIDER:%.c=$(1)/obj/%.o)
	$$(call say,LINK,$$@)
	$(Q)$(2) $(LINK) $(3) $$(LDFLAGS) -o $$@ $$^ $(PROV_LIBS)
$(1)/posixcmp: $(POSIX:%.c=$(1)/obj/%.o)
	$$(call say,LINK,$$@)
	$(Q)$(2) $(LINK) $(3) $$(LDFLAGS) -o $$@ $$^
$(1)/tools/%: $(1)/obj/tests/tools/%.o $(1)/libinferfs.a
	$$(call say,LINK,$$@)
	$(Q)mkdir -p $$(@D) && $(2) $(LINK) $(3) $$(LDFLAGS) -o $$@ $$^ $(PKG_LIBS) -ldl -lm
.PHONY: $(1)-programs $(1)-unit
$(1)-unit: $(UNIT:%=$(1)/unit/%)
$(1)-programs: $(1)/inferfs $(1)/inferctl $(if $(PROVIDER),$(1)/provider) $(if $(POSIX),$(1)/posixcmp) $(TOOLS:%=$(1)/tools/%)
-include $(ALL_C:%.c=$(1)/obj/%.d)
endef

.PHONY: FORCE
FORCE:
$(eval $(call VARIANT,build,$(CC),$(FORTIFY)))
$(eval $(call VARIANT,build/asan,$(CC),$(SAN) -fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all))
$(eval $(call VARIANT,build/tsan,$(CC),$(SAN) -fsanitize=thread))
$(eval $(call VARIANT,build/fuzz,$(CLANG),$(SAN) -fsanitize=fuzzer-no-link -fsanitize=address -fsanitize=undefined))
build/bench/bench: $(BENCHLIB:%.c=build/obj/%.o) build/libinferfs.a
build/bench/%: build/obj/tests/bench/%.o
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LINK) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -ldl -lm
build/examples/%: build/obj/examples/%.o
	$(Q)mkdir -p $(@D) && $(CC) $(LINK) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)
build/examples/%.so: examples/%.c build/flags | need
	$(Q)mkdir -p $(@D) && $(CC) $(call flags,$<) -fPIC -shared $(LDFLAGS) -o $@ $< $(PKG_LIBS)
build/fuzz/fuzz_%: build/fuzz/obj/tests/fuzz/fuzz_%.o build/fuzz/libinferfs.a
	$(call say,LINK,$@)
	$(Q)$(CLANG) $(LINK) -fsanitize=fuzzer -fsanitize=address -fsanitize=undefined -o $@ $^ $(PKG_LIBS) -ldl -lm

# ---- everyday ---------------------------------------------------------------------------------------------------
.PHONY: all need demo deps deps-test test check programs help clean dist install uninstall
all: build/inferfs build/inferctl ## build inferfs and inferctl (the default)
need:
	@tests/run/deps.sh check build
demo: ## install what is missing, build, mount the echo model, ask it something, clean up
	@tests/run/demo.sh
deps: ## install the packages the build needs (apt-get; only what is missing)
	@tests/run/deps.sh install build
deps-test: ## install the packages the tests need as well
	@tests/run/deps.sh install build test
test: ## install what is missing, run every suite, end with "N passed, N failed, N skipped"
	@tests/run/deps.sh install build test && tests/run/test.sh
check: ## the same without installing anything
	@tests/run/test.sh
programs: build-programs build-unit $(BENCH:%=build/bench/%) examples ## everything the suites run

# ---- suites (each prints ok/not ok lines; INFERFS_BUILD says which variant the mount tests run) -------------------
.PHONY: unit mount provider openapi bodies clients asan asan-unit tsan tsan-unit fuzz fuzz-programs bench bench-smoke examples
unit: build-unit ## unit tests (cmocka)
	@tests/run/unit.sh build
mount: build-programs examples ## mount tests (bats); FILES='tests/mount/2*.bats' for some of them
	@INFERFS_BUILD=build tests/run/mount.sh $(FILES)
provider: build-programs ## self test of the scripted provider server
	@tests/run/provider.sh build
openapi: build/unit/test_contract ## every body that is sent against the providers' machine-readable descriptions
	@tests/run/openapi.sh build
bodies: ## the same with every body that the last `make mount` sent
	@tests/run/openapi.sh build sent
clients: all ## what is sent against what the providers' official client libraries send for the same
	@tests/run/clients.sh build
asan-unit tsan-unit: %-unit: build/%-unit
	@tests/run/unit.sh build/$*
asan tsan: %: %-unit build/%-programs examples ## unit and mount tests under a sanitizer (asan: address and undefined, tsan: thread)
	@INFERFS_BUILD=build/$* tests/run/mount.sh $(FILES)
fuzz-programs: $(FUZZ:%=build/fuzz/%)
fuzz: fuzz-programs ## every fuzz target for FUZZ_SECONDS (60)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run/fuzz.sh $(FUZZ:%=build/fuzz/%)
bench: all $(BENCH:%=build/bench/%) build/provider ## the table of targets; ROWS=12 for some, BENCH_KEYS=1000 for a smaller sample, BENCH_QUICK=1 to see that it works
	@tests/bench/run.sh $(ROWS)
bench-smoke: all $(BENCH:%=build/bench/%) build/provider ## every row with a few operations, times not judged
	@if BENCH_QUICK=1 BENCH_CPUS=all tests/bench/run.sh; then echo "ok bench"; else echo "not ok bench"; exit 1; fi
examples: all $(EXAMPLES:%=build/examples/%) $(PLUGINS:%=build/examples/%.so) ## build the examples
ifneq ($(wildcard tests/soak/run.sh),)
.PHONY: soak
soak: build-programs ## long-running test
	@tests/soak/run.sh
endif

# ---- lint (a stamp per file below build/lint, remade when the file or a header of it changes) ---------------------
.PHONY: lint fmt fmt-check headers tidy cppcheck lint-gcc lint-clang
lint: ## every check of style, budgets and layers, both compilers, tidy, cppcheck, shellcheck
	@JOBS=$(JOBS) tests/lint/lint.sh
fmt: ## format all C files
	@$(CLANG_FORMAT) -i $(ALL_C) $(ALL_H)
fmt-check: ## say which C files are not formatted
	@$(CLANG_FORMAT) --dry-run -Werror --ferror-limit=3 $(ALL_C) $(ALL_H)
headers: $(HDR:%.h=build/lint/headers/%.ok) ## compile every header alone
tidy: $(SRC:%.c=build/lint/tidy/%.ok) ## clang-tidy over src
lint-gcc: $(ALL_C:%.c=build/lint/gcc/%.ok)
lint-clang: $(ALL_C:%.c=build/lint/clang/%.ok)
cppcheck: ## cppcheck over src
	@mkdir -p build/lint/cppcheck
	@cppcheck -q -j$(JOBS) --cppcheck-build-dir=build/lint/cppcheck --std=c11 --inline-suppr --error-exitcode=1 \
		--enable=warning,style,performance,portability --suppressions-list=tests/lint/cppcheck.txt \
		--template='{file}:{line}: {severity}: {message} [{id}]' -Isrc -Isrc/include $(SRC)
build/lint/headers/%.ok: %.h build/flags Makefile | need
	@mkdir -p $(@D)
	@printf '#include "%s"\n#include "%s"\n' $(patsubst src/%,%,$<) $(patsubst src/%,%,$<) | \
		gcc $(call flags,$<) -Werror -MMD -MP -MT $@ -MF $(@:.ok=.d) -c -o /dev/null -x c -
	@touch $@
build/lint/gcc/%.ok: build/obj/%.o Makefile
	@mkdir -p $(@D)
	@gcc $(call flags,$*.c) $(FORTIFY) $(CPPFLAGS) -Werror -c -o /dev/null $*.c && touch $@
build/lint/clang/%.ok: build/obj/%.o Makefile
	@mkdir -p $(@D)
	@$(CLANG) $(call flags,$*.c) $(CPPFLAGS) -Werror -fsyntax-only $*.c && touch $@
build/lint/tidy/%.ok: build/obj/%.o Makefile .clang-tidy
	@mkdir -p $(@D)
	@$(CLANG_TIDY) --quiet $*.c -- $(call flags,$*.c) $(CPPFLAGS) 2>$(@:.ok=.err) || \
		{ grep -v ' warnings\? generated\|treated as error' $(@:.ok=.err) >&2; exit 1; }
	@touch $@
-include $(HDR:%.h=build/lint/headers/%.d)

# ---- install ----------------------------------------------------------------------------------------------------
MAN        = $(foreach n,1 3 5,$(wildcard src/man/*.$(n)))
UNITDIR   ?= $(PREFIX)/lib/systemd/user
BASHCOMP  ?= $(DATADIR)/bash-completion/completions
PLACES     = $(BINDIR)/inferfs $(BINDIR)/inferctl $(SBINDIR)/mount.inferfs $(PREFIX)/include/inferfs/cache_engine.h \
             $(DATADIR)/inferfs/prices.json $(BASHCOMP)/inferfs $(BASHCOMP)/inferctl $(UNITDIR)/inferfs@.service \
             $(foreach m,$(MAN),$(DATADIR)/man/man$(subst .,,$(suffix $(m)))/$(notdir $(m)))
put        = install -D -m $(1) $(2) '$(DESTDIR)$(3)'
install: all ## install below PREFIX (/usr/local), DESTDIR in front; mount(8) wants SBINDIR=/sbin
	$(call put,755,build/inferfs,$(BINDIR)/inferfs)
	$(call put,755,build/inferctl,$(BINDIR)/inferctl)
	$(call put,755,mount-helpers/mount.inferfs,$(SBINDIR)/mount.inferfs)
	$(call put,644,src/include/inferfs/cache_engine.h,$(PREFIX)/include/inferfs/cache_engine.h)
	$(call put,644,src/core/prices.json,$(DATADIR)/inferfs/prices.json)
	$(call put,644,mount-helpers/inferfs.bash,$(BASHCOMP)/inferfs)
	ln -sf inferfs '$(DESTDIR)$(BASHCOMP)/inferctl'
	sed 's|@BINDIR@|$(BINDIR)|g' mount-helpers/inferfs@.service > build/inferfs@.service
	$(call put,644,build/inferfs@.service,$(UNITDIR)/inferfs@.service)
	$(foreach m,$(MAN),$(call put,644,$(m),$(DATADIR)/man/man$(subst .,,$(suffix $(m)))/$(notdir $(m))) &&) true
uninstall: ## remove what install put there
	rm -f $(PLACES:%='$(DESTDIR)%')
dist: ## build/inferfs-VERSION.tar.gz of the last commit
	@mkdir -p build; v=$$(git describe --tags --always); \
	git archive --prefix=inferfs-$$v/ HEAD | gzip -n9 > build/inferfs-$$v.tar.gz && echo build/inferfs-$$v.tar.gz
clean: ## remove build/
	rm -rf build
help: ## this list
	@awk -F ':[^#]*## ' '/^[a-z][a-z -]*:.*## / { n = split($$1, t, " "); for (i = 1; i <= n; i++) printf "  %-10s %s\n", t[i], $$2 }' Makefile
