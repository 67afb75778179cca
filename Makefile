# vmabak: GNU make, no configure step. "make help" lists what there is.
#
#   make [VARIANT=release|asan|tsan] [CC=...] [CFLAGS=...] [V=1]

VERSION := 0.1.0
VARIANT ?= release
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
MANDIR  ?= $(PREFIX)/share/man
COMPDIR ?= $(PREFIX)/share/bash-completion/completions
DOCDIR  ?= $(PREFIX)/share/doc/vmabak
DESTDIR ?=

B := build/$(VARIANT)
PKG_CONFIG ?= pkg-config

# What must be there, and what is used when it is.
PACKAGES := libzstd libxxhash libcrypto libarchive zlib jansson libcurl fuse3
OPTIONAL := libnbd gnutls libvirt libxml-2.0

ifeq ($(VARIANT),release)
VARIANT_FLAGS := -O2
else ifeq ($(VARIANT),asan)
# Lines are what reports of sanitizers need to tell: less than -g, and sooner compiled.
VARIANT_FLAGS := -O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DWITHOUT_SANDBOX=1
else ifeq ($(VARIANT),tsan)
# -Wno-tsan: fences, which it cannot see, stand between atomic accesses.
VARIANT_FLAGS := -O1 -g1 -fsanitize=thread $(if $(findstring clang,$(CC)),,-Wno-tsan) -DWITHOUT_SANDBOX=1
else ifeq ($(VARIANT),fuzz)
VARIANT_FLAGS := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
else ifeq ($(VARIANT),coverage)
VARIANT_FLAGS := -O1 --coverage -DWITHOUT_SANDBOX=1
else
$(error VARIANT is release, asan, tsan, fuzz or coverage)
endif

HAVE_LIBNBD := $(shell $(PKG_CONFIG) --exists libnbd 2>/dev/null && echo 1)
HAVE_GNUTLS := $(shell $(PKG_CONFIG) --exists gnutls 2>/dev/null && echo 1)
# libvirt writes everything in XML.
HAVE_LIBVIRT := $(shell $(PKG_CONFIG) --exists libvirt libxml-2.0 2>/dev/null && echo 1)
LIBRARIES   := $(PACKAGES) $(if $(HAVE_LIBNBD),libnbd) $(if $(HAVE_GNUTLS),gnutls) \
	$(if $(HAVE_LIBVIRT),libvirt libxml-2.0)
MISSING     := $(shell for p in $(PACKAGES); do $(PKG_CONFIG) --exists $$p 2>/dev/null || echo $$p; done)
# Every object depends on this: it changes when a library comes, goes or is another version.
VERSIONS    := $(shell for p in $(LIBRARIES); do echo $$p $$($(PKG_CONFIG) --modversion $$p 2>/dev/null); done)

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
STRICT   := -Wconversion
BASE_CPPFLAGS := -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DVERSION='"$(VERSION)"' \
	$(if $(HAVE_LIBNBD),-DHAVE_LIBNBD=1,-DHAVE_LIBNBD=0) \
	$(if $(HAVE_GNUTLS),-DHAVE_GNUTLS=1,-DHAVE_GNUTLS=0) \
	$(if $(HAVE_LIBVIRT),-DHAVE_LIBVIRT=1,-DHAVE_LIBVIRT=0)
# The plain MD5 function takes no memory: without any a good archive would look damaged.
BASE_CPPFLAGS += -DOPENSSL_SUPPRESS_DEPRECATED
BASE_CFLAGS := -std=c11 -g -pthread $(WARNINGS) $(VARIANT_FLAGS) \
	$(shell $(PKG_CONFIG) --cflags $(LIBRARIES) 2>/dev/null)
# These are loaded when they are needed (base/library.h), by the name that programs linked with them use.
LOADED := libvirt libarchive libnbd gnutls libxml-2.0 libcurl fuse3
LIBS := $(shell $(PKG_CONFIG) --libs $(filter-out $(LOADED),$(LIBRARIES)) 2>/dev/null) -ldl -pthread
soname = $(or $(shell readelf -d "$$($(CC) -print-file-name=$(1).so)" 2>/dev/null | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p'),$(1).so)
loaded = -DFILE_$(1)='"$(call soname,lib$(1))"' -DVERSION_$(1)='"$(shell $(PKG_CONFIG) --modversion $(2) 2>/dev/null)"'
BASE_CPPFLAGS += $(call loaded,archive,libarchive) $(call loaded,nbd,libnbd) $(call loaded,gnutls,gnutls) \
	$(call loaded,xml2,libxml-2.0) $(call loaded,virt,libvirt) $(call loaded,curl,libcurl) \
	$(call loaded,fuse3,fuse3)

# The rooms of the house below the command line (CONTRIBUTING.md).
ROOMS := device archive machine cow reader writer store drive nbd format base
LIB_SOURCES := $(sort $(foreach room,$(ROOMS),$(wildcard $(room)/*.c $(room)/*/*.c)))
LIB_SOURCES := $(filter-out $(if $(HAVE_LIBVIRT),,machine/libvirt/%),$(LIB_SOURCES))
CLI_SOURCES := $(sort $(wildcard cli/*.c))
UNIT_SOURCES := $(sort $(wildcard tests/unit/*.c))
LIB_OBJECTS  := $(LIB_SOURCES:%.c=$(B)/%.o)
CLI_OBJECTS  := $(CLI_SOURCES:%.c=$(B)/%.o)
UNIT_OBJECTS := $(UNIT_SOURCES:%.c=$(B)/%.o)
LIVE_OBJECTS := $(patsubst %,$(B)/tests/live/%.o,chain options replay)

# The parts between the bytes of an archive and a verified cluster.
AUDIT_SOURCES := base/error.c format/checksum.c format/parse.c format/vmab_parse.c \
	format/vma1_parse.c reader/reader.c reader/extent.c
AUDIT_HEADERS := base/error.h base/grain.h base/text.h format/format.h base/bytes.h format/layout.h reader/reader.h

Q := $(if $(V),,@)

.PHONY: all
all: $(B)/vmabak

$(B)/vmabak: $(CLI_OBJECTS) $(B)/libvmabak.a
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/libvmabak.a: $(LIB_OBJECTS)
	@$(if $(V),,echo "  AR    $@")
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/format/%.o $(B)/reader/%.o: BASE_CFLAGS += $(STRICT)

.PHONY: FORCE
FORCE:

$(B)/libraries: FORCE
	@$(if $(MISSING),tests/missing.sh $(MISSING))
	@mkdir -p $(@D)
	@echo '$(VERSIONS)' | cmp -s - $@ || echo '$(VERSIONS)' >$@

$(B)/%.o: %.c Makefile $(B)/libraries
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC    $<")
	$(Q)$(CC) $(BASE_CPPFLAGS) $(CPPFLAGS) $(BASE_CFLAGS) -MMD -MP $(CFLAGS) -c -o $@ $<

$(B)/unit: LDFLAGS += -Wl,--wrap=qmp_open,--wrap=qmp_close,--wrap=bits_harvest
$(B)/unit: $(UNIT_OBJECTS) $(LIVE_OBJECTS) $(B)/libvmabak.a
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) $$($(PKG_CONFIG) --libs cunit)

# An NBD server for a file or memory: for tests of the server alone.
$(B)/nbd-serve: $(B)/tests/nbd/nbd_serve.o $(B)/libvmabak.a
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

-include $(B)/tests/nbd/nbd_serve.d

# Targets for fuzzers: each file fuzz_NAME.c is one, and the others help them. Under another variant
# than fuzz they only replay files.
FUZZ_NAMES   := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_HELPERS := $(filter-out tests/fuzz/fuzz_% tests/fuzz/replay.c tests/fuzz/mutate.c,$(sort $(wildcard tests/fuzz/*.c))) tests/unit/repair.c tests/unit/nbd_disk.c
FUZZ_OBJECTS := $(FUZZ_HELPERS:%.c=$(B)/%.o) $(FUZZ_NAMES:%=$(B)/tests/fuzz/fuzz_%.o) $(B)/tests/fuzz/replay.o

.SECONDARY: $(FUZZ_OBJECTS)

$(B)/libcli.a: $(filter-out $(B)/cli/main.o,$(CLI_OBJECTS))
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/libfuzz.a: $(FUZZ_HELPERS:%.c=$(B)/%.o)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# A mutator that makes checksums right is only for the targets that read whole archives.
$(B)/fuzz_salvage $(B)/fuzz_view $(B)/fuzz_web_view: $(B)/tests/fuzz/repairing.o
$(B)/fuzz_web_view: LDFLAGS += -Wl,--wrap=http_do -Wl,--wrap=retry_wait
$(B)/fuzz_restore: $(B)/tests/fuzz/repairing.o $(B)/tests/fuzz/quick.o
$(B)/fuzz_restore: LDFLAGS += $(QUICK)
# The other side is played by the input, and the clock is its own.
$(B)/fuzz_qmp: $(B)/tests/fuzz/script_peer.o
$(B)/fuzz_qmp: LDFLAGS += $(SCRIPTED)
$(B)/fuzz_control: LDFLAGS += -Wl,--wrap=buffer_new
$(B)/fuzz_live: LDFLAGS += -Wl,--wrap=connect
$(B)/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(if $(filter-out fuzz,$(VARIANT)),$(B)/tests/fuzz/replay.o) \
		$(B)/libcli.a $(B)/libfuzz.a $(B)/libvmabak.a
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(BASE_CFLAGS) $(if $(filter fuzz,$(VARIANT)),-fsanitize=fuzzer) $(CFLAGS) $(LDFLAGS) -o $@ \
		$(filter %.o,$^) $(B)/libcli.a $(B)/libfuzz.a $(B)/libvmabak.a $(LIBS)

# Programs that write to drives while they are backed up, and judge what was restored.
LIVE_TOOLS   := $(B)/replay-check $(B)/gwriter $(if $(HAVE_LIBNBD),$(B)/writers) $(B)/tape.so $(B)/journal.so $(B)/cut $(B)/fault.so

.PHONY: live-tools
live-tools: $(LIVE_TOOLS)

$(B)/replay-check: $(B)/tests/live/replay_check.o $(LIVE_OBJECTS)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^

$(B)/cut: $(B)/tests/fault/cut.o $(B)/libvmabak.a
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/writers: $(B)/tests/live/writers.o $(LIVE_OBJECTS)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $$($(PKG_CONFIG) --libs libnbd)

# For a guest that has no libraries.
$(B)/gwriter: $(B)/tests/live/gwriter.o $(LIVE_OBJECTS)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LDFLAGS) $(if $(filter release,$(VARIANT)),-static) -o $@ $^

-include $(wildcard $(B)/tests/live/*.d)
-include $(LIB_OBJECTS:.o=.d) $(CLI_OBJECTS:.o=.d) $(UNIT_OBJECTS:.o=.d) $(FUZZ_OBJECTS:.o=.d)

# ---- tests ----

# Installing comes first, then make anew: what pkg-config finds is decided when make starts.
.PHONY: check
check:
	tests/install-dependencies.sh
	tests/live/guest/kernel.sh --fetch $(if $(shell command -v apt-get),,|| true)
	VMABAK_INSTALLED=$(shell command -v apt-get) $(MAKE) check-installed

.PHONY: check-installed
check-installed:
	@tests/run.sh $(if $(VECTORS),--vectors "$(VECTORS)")

.PHONY: unit
unit: $(B)/unit
	$(B)/unit

SCRIPTED := $(foreach name,connect poll clock_gettime nanosleep rundir_make rundir_open \
	rundir_remove receiver_listen receiver_users,-Wl,--wrap=$(name))
QUICK := -Wl,--wrap=malloc,--wrap=calloc,--wrap=free,--wrap=pthread_create,--wrap=pthread_join

# Every bit and every length of small archives; STEP=: fewer of them. The short form salvages few of them, and
# under a sanitizer tries each fifth.
$(B)/mutate: $(B)/tests/fuzz/mutate.o $(B)/tests/fuzz/quick.o $(B)/libfuzz.a $(B)/libvmabak.a
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LDFLAGS) $(QUICK) -o $@ $^ $(LIBS)

MUTATED := vmab-nothing vmab-frame-with-checksum golden-vmab-incremental \
	vma-checksums-one-block vma-garbage-in-last-block
STEP ?= 1
.PHONY: mutation mutation-short
mutation: $(B)/mutate
	@tests/fuzz/mutation.sh $(B)/mutate $(STEP) $(MUTATED:%=good-%)

mutation-short: $(B)/mutate
	@tests/fuzz/mutation.sh $(B)/mutate $(if $(filter release,$(VARIANT)),1/50,5/13) \
		good-vmab-frame-with-checksum good-vma-checksums-one-block good-golden-vmab-incremental

# Each fuzz target for SECONDS; what they find is kept in build/fuzz/found. Needs clang, or AFL++:
# FUZZ_CC=afl-clang-fast builds the same programs for it.
SECONDS ?= 60
FUZZ_CC ?= clang
.PHONY: fuzz fuzz-programs
fuzz:
	$(MAKE) --no-print-directory VARIANT=fuzz CC="$(FUZZ_CC)" fuzz-programs
	tests/fuzz/fuzz.sh build/fuzz $(SECONDS) $(FUZZ_NAMES)

fuzz-programs: $(FUZZ_NAMES:%=$(B)/fuzz_%)

# The same without a fuzzer, over what they begin with.
.PHONY: fuzz-replay
fuzz-replay: fuzz-programs
	@tests/fuzz/replay.sh $(B)

# What makes calls of the program fail, and what makes a file a tape, by being preloaded.
$(B)/fault.so: tests/fault/interpose.c Makefile
$(B)/tape.so: tests/fault/tape.c Makefile
$(B)/journal.so: tests/fault/journal.c tests/fault/journal.h Makefile
$(B)/%.so:
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) -std=c11 -g -O1 $(WARNINGS) -D_FILE_OFFSET_BITS=64 -I. -fPIC -shared -o $@ $<

# Each call of each kind fails once; FAULTS=--long: really each.
.PHONY: faults
faults: $(B)/vmabak $(B)/fault.so
	tests/fault/sweep.py $(FAULTS) $(B)/vmabak $(B)/fault.so

# The same with a sanitizer in the program, which also sees what is not freed; a sample.
.PHONY: leaks
leaks: $(B)/vmabak $(B)/fault.so
	tests/fault/sweep.py --sanitized $(FAULTS) $(B)/vmabak $(B)/fault.so backup-force restore verify-quick convert

# KILLS backups and KILLS restores are killed at moments chosen by chance.
KILLS ?= 20
.PHONY: kills
kills: $(B)/vmabak
	tests/fault/kill.py $(B)/vmabak $(KILLS)

# Lines that the tests reach: of the parsers, builders and the core of the reader at least 90 in 100, of each
# folder 85.
COVERED := $(sort $(AUDIT_SOURCES) $(wildcard format/*.c))
.PHONY: coverage coverage-programs
coverage: live-tools
	$(MAKE) --no-print-directory VARIANT=coverage coverage-programs
	tests/coverage.sh build/coverage $(COVERED) -- $(patsubst %/,%,$(sort $(dir $(CLI_SOURCES) $(LIB_SOURCES))))

coverage-programs: $(B)/vmabak $(B)/unit fuzz-programs

# Random steps on folders of chains, each with other choices.
STEPS ?= 2000
.PHONY: chains
chains: $(B)/vmabak
	@tests/chains.sh $(B)/vmabak $(STEPS)

# Object stores that others have made, which it installs.
.PHONY: check-stores
check-stores: $(B)/vmabak
	@tests/stores/check.sh $(B)/vmabak

# The long forms of all that, in turn.
MINUTES ?= 60
.PHONY: soak
soak:
	@tests/soak.sh $(MINUTES)

# Arrows between the folders point one way (CONTRIBUTING.md); and what proves it does see one that does not.
.PHONY: arrows arrows-self-test
arrows: $(B)/vmabak
	@tests/arrows.sh $(B)

arrows-self-test: $(B)/vmabak
	@tests/arrows.sh --self-test $(B)

# Lines between the bytes of an archive and a verified cluster, blank lines and comments not
# counted, declarations in public headers neither. That nothing else is needed is shown by linking.
.PHONY: audit-size
audit-size: $(B)/libvmabak.a
	@tests/audit-size.sh $(B) $(AUDIT_SOURCES)

# The demo and all tests on a fresh Debian 13, in a folder. Needs root and debootstrap; SUITE=sid or
# trixie-backports: on a newer QEMU and libvirt.
.PHONY: check-debian13
check-debian13:
	tests/debian13.sh

.PHONY: demo
demo:
	tests/install-dependencies.sh --demo
	$(MAKE) all
	tests/demo.sh $(B)/vmabak

.PHONY: bench
bench: all
	tests/bench/bench.sh $(B)/vmabak

.PHONY: bench-live
bench-live: all
	tests/bench/bench-live.sh $(B)/vmabak

# Live backup at length: 200 backups, ten of a real machine, then as many as take as long under sanitizers.
.PHONY: check-live
check-live: all live-tools
	tests/live/check.sh $(or $(BACKUPS),200) $(B)/vmabak
	GUEST_BACKUPS=10 tests/cli/run.sh $(B)/vmabak live-guest
	$(MAKE) VARIANT=tsan all
	tests/live/check.sh $(or $(BACKUPS),60) build/tsan/vmabak
	$(MAKE) VARIANT=asan all
	tests/live/check.sh $(or $(BACKUPS),60) build/asan/vmabak

.PHONY: check-qemu
check-qemu:
	tests/install-dependencies.sh
	$(MAKE) all live-tools
	tests/qemu/check.sh $(or $(BACKUPS),100) $(or $(KILLS),20) $(B)/vmabak

.PHONY: bench-qemu
bench-qemu: all
	tests/qemu/bench.py $(B)/vmabak

.PHONY: bench-libvirt
bench-libvirt: all
	tests/qemu/bench-libvirt.sh $(B)/vmabak 5

.PHONY: profile
profile: all
	tests/bench/profile.sh $(B)/vmabak

# ---- installing ----

MAN_PAGES := $(sort $(wildcard man/*.1 man/*.5))

EXAMPLES := $(sort $(wildcard examples/*))

.PHONY: install
install: $(B)/vmabak
	install -d "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(MANDIR)/man1" "$(DESTDIR)$(MANDIR)/man5" \
		"$(DESTDIR)$(COMPDIR)" "$(DESTDIR)$(DOCDIR)/examples"
	install -m 755 $(B)/vmabak "$(DESTDIR)$(BINDIR)/vmabak"
	install -m 644 $(filter %.1,$(MAN_PAGES)) "$(DESTDIR)$(MANDIR)/man1"
	install -m 644 $(filter %.5,$(MAN_PAGES)) "$(DESTDIR)$(MANDIR)/man5"
	install -m 644 LICENSE spec/vmab.md spec/vma1.md spec/map.md spec/sums.md spec/changes.md spec/overlay.md spec/live.md spec/tape.md "$(DESTDIR)$(DOCDIR)"
	sed -E -e 's,\]\(spec/,](,g' -e 's,\[([^]]*)\]\((tests/[^)]*|CONTRIBUTING.md)\),`\1` (in the source),g' \
		README.md > "$(DESTDIR)$(DOCDIR)/README.md"
	chmod 644 "$(DESTDIR)$(DOCDIR)/README.md"
	install -m 755 spec/restore.py "$(DESTDIR)$(DOCDIR)"
	install -m 755 $(filter %.sh,$(EXAMPLES)) "$(DESTDIR)$(DOCDIR)/examples"
	install -m 644 $(filter-out %.sh,$(EXAMPLES)) "$(DESTDIR)$(DOCDIR)/examples"
	$(B)/vmabak completion bash > "$(DESTDIR)$(COMPDIR)/vmabak"

# Takes away what install put there, and those folders that are empty then.
.PHONY: uninstall
uninstall:
	! cd "$(DESTDIR)$(BINDIR)" 2>/dev/null || rm -f vmabak
	! cd "$(DESTDIR)$(COMPDIR)" 2>/dev/null || rm -f vmabak
	! cd "$(DESTDIR)$(MANDIR)/man1" 2>/dev/null || rm -f $(notdir $(filter %.1,$(MAN_PAGES)))
	! cd "$(DESTDIR)$(MANDIR)/man5" 2>/dev/null || rm -f $(notdir $(filter %.5,$(MAN_PAGES)))
	! cd "$(DESTDIR)$(DOCDIR)" 2>/dev/null || rm -f README.md LICENSE vmab.md vma1.md map.md sums.md changes.md overlay.md live.md tape.md restore.py $(EXAMPLES)
	for folder in $(BINDIR) $(MANDIR)/man1 $(MANDIR)/man5 $(COMPDIR) $(DOCDIR)/examples; do \
		folder="$(DESTDIR)$$folder"; \
		while [ "$$folder" != "$(DESTDIR)" ] && rmdir "$$folder" 2>/dev/null; do \
			folder=$$(dirname "$$folder"); \
		done; \
	done; true

.PHONY: clean
clean:
	rm -rf build

.PHONY: help
help:
	@echo "make               build $(B)/vmabak"
	@echo "make check         install what is missing, build, run every test"
	@echo "make demo          install what is missing, build, back up and restore real drives"
	@echo "make bench         compare the speed with other tools that are installed"
	@echo "make bench-live    what serve costs a guest and a backup, beside other NBD servers"
	@echo "make check-stores  object stores: Ceph and Swift, which it installs and starts; needs root"
	@echo "make check-debian13   the demo and every test on a fresh Debian 13, in a folder"
	@echo "make check-live    live backups at length, also under sanitizers: some minutes"
	@echo "make check-qemu    backups of a running QEMU at length"
	@echo "make bench-qemu    what a backup of a running QEMU costs"
	@echo "make bench-libvirt beside virtnbdbackup, on a domain of libvirt"
	@echo "make profile       where the time goes"
	@echo "make unit          the unit tests alone"
	@echo "make arrows        what uses what it must not, by room"
	@echo "make audit-size    lines of code between archive bytes and verified clusters"
	@echo "make fuzz          each fuzz target for SECONDS=60"
	@echo "make coverage      lines that tests reach, by folder"
	@echo "make mutation      every bit and every length of small archives, with VARIANT=asan"
	@echo "make chains        STEPS=2000, random, on folders of chains"
	@echo "make faults kills  each call fails once; runs are killed"
	@echo "make soak          the long forms of these, for MINUTES=60"
	@echo "make install uninstall   DESTDIR= PREFIX="
	@echo "VARIANT=release|asan|tsan|fuzz|coverage, CC=, CFLAGS=, V=1"
