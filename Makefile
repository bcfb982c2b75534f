# SPDX-License-Identifier: Apache-2.0
# Bare `make` shows the verbs. Objects under build/<variant>/; V=1 shows the commands.

MAKEFLAGS += --no-builtin-rules
VARIANT ?= release
B       := build/$(VARIANT)
CC      ?= gcc
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)
HUSH    := $(if $(filter 1,$(V)),,>/dev/null)

PKGS    := hdf5 jansson libsodium libpng libjpeg zlib
DEPFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS     = $(shell pkg-config --libs jansson libsodium libpng libjpeg zlib) $(shell pkg-config --libs hdf5) -lconfig -ldnnl -lm -lpthread

STRICT  := -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
WERROR  ?= -Werror
OPT.release := -O2 -g -fno-math-errno -fno-trapping-math
OPT.asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -DDOR_FAULTS
OPT.fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined
OPT.fault   := -O1 -g -DDOR_FAULTS
CFLAGS  ?= $(OPT.$(VARIANT))
LDFLAGS ?= $(if $(filter asan,$(VARIANT)),-fsanitize=address$(comma)undefined)
comma   := ,
INC     := -Isrc -I. -I$(B)
ALLFLAGS = $(STRICT) $(WERROR) $(CFLAGS) -fopenmp $(DEPFLAGS) $(INC)

# Kernels in src/ and kernels/ are compiled once for any x86-64; files named *_avx2.c and *_avx512.c for that CPU only, chosen at run time.
SRC     := $(sort $(wildcard src/*/*.c kernels/*.c))
LIBSRC  := $(filter-out src/cli/%,$(SRC))
CLISRC  := $(filter src/cli/%,$(SRC))
TESTSRC := $(sort $(wildcard tests/*.c tests/*/*.c))
CUSRC   := $(sort $(wildcard kernels/*.cu))
EMUSRC  := $(CUSRC) $(sort $(wildcard tests/*/*.cu))
OBJ      = $(patsubst %.c,$(B)/%.o,$(1))
EMUOBJ  := $(EMUSRC:%.cu=$(B)/emu/%.o)
$(B)/kernels/%.o: CPUFLAGS := $(if $(filter release,$(VARIANT)),-O3) -ffp-contract=fast
$(B)/kernels/%_avx2.o:   CPUFLAGS := -O3 -mavx2 -mfma -ffp-contract=fast
$(B)/kernels/%_avx512.o: CPUFLAGS := -O3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -ffp-contract=fast

help:
	@echo "make demo       install what is missing, build, and run a synthetic experiment (CPU)"
	@echo "make test       install what is missing, build, and pass the tests"
	@echo "make all        build build/dorsum"
	@echo "make check      the quick tests (under a minute)"
	@echo "make deps       install the packages that are missing"
	@echo "make bench      time dorsum beside PyTorch (PYTHON=/path/to/python with torch)"
	@echo "make lint floors size docs   the house rules, the reference pages"
	@echo "make mutants    break the code in small ways: do the tests notice?"
	@echo "make cudnn-plans   can cuDNN serve every graph of the models on an H200? (minutes; no GPU needed)"
	@echo "make asan       the tests under the address and undefined-behaviour sanitizers"
	@echo "make reproduce EXP=name   an experiment of experiments/ against its expect.cfg"
	@echo "make install clean"

all: build/dorsum
build/dorsum: $(B)/dorsum
	@mkdir -p build && ln -sf $(VARIANT)/dorsum $@

$(B)/libdorsum.a: $(call OBJ,$(LIBSRC))
	$(Q)rm -f $@; ar rcs $@ $^
$(B)/dorsum: $(call OBJ,$(CLISRC)) $(B)/libdorsum.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -fopenmp $^ $(LIBS) -o $@
	@echo "built $@"

# The tests register themselves: TEST(name) anywhere under tests/.
$(B)/tests.def: $(TESTSRC)
	@mkdir -p $(dir $@); grep -ho '^TEST([a-z0-9_]*)' $(TESTSRC) | sort > $@.tmp; cmp -s $@.tmp $@ && rm $@.tmp || mv $@.tmp $@
$(B)/tests/main.o: $(B)/tests.def
$(B)/check: $(call OBJ,$(TESTSRC)) $(EMUOBJ) $(B)/libdorsum.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -fopenmp $^ $(LIBS) -lcmocka -o $@

# A fuzz target is fuzz_NAME() to the tests; only libFuzzer wants them all under one name.
$(filter-out build/fuzz/%,$(B))/tests/fuzz/fuzz_%.o: DEFS = -DLLVMFuzzerTestOneInput=$(notdir $*)

# The commit goes into one small object, which is built again when it changes.
GIT := $(shell git describe --always --dirty --exclude='*' 2>/dev/null)
$(B)/git.txt: always
	@mkdir -p $(dir $@); echo '$(GIT)' | cmp -s - $@ || echo '$(GIT)' >$@
$(B)/src/base/version.o: $(B)/git.txt
$(B)/src/base/version.o: DEFS := -DDOR_GIT='"$(GIT)"'

$(B)/%.o: %.c
	@mkdir -p $(dir $@)
	$(Q)$(CC) $(ALLFLAGS) $(CPUFLAGS) $(DEFS) -MMD -MP -c $< -o $@

# CUDA kernels for the tests: built for this machine over kernels/cuemu.h.
CXX     ?= g++
CXXFLAGS_EMU = -std=c++17 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wconversion -Wno-unknown-pragmas $(WERROR) $(CFLAGS) $(EMU.$(VARIANT)) \
               -fno-exceptions -fno-rtti -fno-threadsafe-statics $(INC)
EMU.asan := -fsanitize-sections=cuemu_shared
$(B)/emu/%.o: %.cu
	@mkdir -p $(dir $@)
	$(Q)$(CXX) -x c++ $(CXXFLAGS_EMU) -MMD -MP -c $< -o $@

check: all $(B)/check
	$(Q)$(B)/check
test:
	$(Q)tools/deps.sh ffmpeg python3 g++
	$(Q)tools/test.sh
demo:
	$(Q)tools/deps.sh
	$(Q)tools/demo.sh
deps:
	$(Q)tools/deps.sh ffmpeg
asan:
	$(Q)$(MAKE) --no-print-directory VARIANT=asan check
# libFuzzer targets, tests/fuzz/fuzz_*.c, for FUZZ_S seconds each; needs clang.
FUZZ_S ?= 60
FUZZ_SEEDS := tests/golden/weights tests/fixtures/configs
FUZZ   := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
build/fuzz/parsers.a: $(call OBJ,$(filter-out kernels/% src/backend/% src/report/%,$(LIBSRC)))
	$(Q)rm -f $@; ar rcs $@ $^
build/fuzz/fuzz_%: build/fuzz/tests/fuzz/fuzz_%.o build/fuzz/parsers.a
	$(Q)clang -fsanitize=fuzzer,address,undefined $^ $(LIBS) -o $@
fuzz:
	$(Q)$(MAKE) --no-print-directory VARIANT=fuzz CC=clang WERROR= $(FUZZ:%=build/fuzz/%)
	$(Q)for f in $(FUZZ); do mkdir -p build/fuzz/$$f.corpus; build/fuzz/$$f -max_total_time=$(FUZZ_S) -timeout=5 build/fuzz/$$f.corpus $(FUZZ_SEEDS) || exit 1; done
bench: all
	$(Q)tools/bench.sh
floors: all
	$(Q)tools/floors.sh
	$(Q)B=$(B) tools/floors_nm.sh
lint:
	$(Q)tools/lint.sh
size:
	$(Q)tools/size.sh
mutants:
	$(Q)tools/mutants.sh $(ONLY)
docs: all
	$(Q)tools/docs.sh
reproduce: all
	$(Q)build/dorsum reproduce $(EXP)
install: all
	install -D build/dorsum $(DESTDIR)$(or $(PREFIX),/usr/local)/bin/dorsum
clean:
	$(Q)rm -rf build

-include $(patsubst %.c,$(B)/%.d,$(SRC) $(TESTSRC)) $(EMUOBJ:.o=.d)
.PHONY: always help all check test demo deps asan fuzz bench floors lint size mutants docs reproduce install clean

# Has cuDNN a plan for every graph that the models ask for? tools/cudnn_plans.c, wherever CUDA's and cuDNN's files are; no driver is needed.
CUDA_HOME ?= /usr/local/cuda
PLANSRC   := src/backend/cuda/descriptor.c $(sort $(wildcard src/backend/cuda/dnn*.c)) tools/cudnn_plans.c
$(call OBJ,$(PLANSRC)): CPUFLAGS = -isystem $(CUDA_HOME)/include -DDOR_CUDA_STUB='"$(CUDA_HOME)/lib64/stubs/libcuda.so"'
$(B)/cudnn-plans: $(call OBJ,$(PLANSRC)) $(CUSRC:%.cu=$(B)/emu/%.o) $(B)/libdorsum.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -fopenmp $^ $(LIBS) -L$(CUDA_HOME)/lib64 -Wl,-rpath,$(CUDA_HOME)/lib64 -lcudnn -lcudart -ldl -o $@
cudnn-plans: $(B)/cudnn-plans
	$(Q)$< tests/fixtures/h200.json all
.PHONY: cudnn-plans
-include $(PLANSRC:%.c=$(B)/%.d)
