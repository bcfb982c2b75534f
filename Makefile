# SPDX-License-Identifier: Apache-2.0
# Bare `make` shows the verbs. Objects under build/<variant>/; V=1 shows the commands.

MAKEFLAGS += --no-builtin-rules
VARIANT ?= release
B       := build/$(VARIANT)
CC      ?= gcc
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)
HUSH    := $(if $(filter 1,$(V)),,>/dev/null)

# Libraries are the system's; where these are missing and a bundle (make bundle) is unpacked, the bundle's. ONEDNN=0: own CPU kernels alone.
PKGS    := hdf5 jansson libsodium libpng libjpeg zlib
BUNDLE  ?= $(if $(shell pkg-config --cflags $(PKGS) 2>/dev/null),,$(wildcard build/bundle))
ifneq ($(BUNDLE),)
ONEDNN  ?= 0
DEPFLAGS := -isystem $(BUNDLE)/include
LIBS     = $(addprefix $(BUNDLE)/lib/lib,hdf5.a sz.a aec.a config.a jansson.a sodium.a png.a jpeg.a z.a) -lm -lpthread -ldl
CMOCKA   = -L$(BUNDLE)/lib -Wl,-rpath,$(abspath $(BUNDLE))/lib -l:libcmocka.so.0
else
ONEDNN  ?= 1
DEPFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS     = $(shell pkg-config --libs jansson libsodium libpng libjpeg zlib) $(shell pkg-config --libs hdf5) -lconfig $(if $(filter 1,$(ONEDNN)),-ldnnl) -lm -lpthread
CMOCKA   = -lcmocka
endif

STRICT  := -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
WERROR  ?= # tools/test.sh sets -Werror: a new compiler's new warning may stop a test, never a user's build
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
NOSRC   := $(if $(filter 1,$(ONEDNN)),kernels/onednn_absent.c,kernels/onednn.c kernels/conv2d_onednn.c kernels/linear_dw_onednn.c)
SRC     := $(filter-out $(NOSRC),$(sort $(wildcard src/*/*.c kernels/*.c)))
LIBSRC  := $(filter-out src/cli/% src/backend/devices.c,$(SRC))
CLISRC  := $(filter src/cli/%,$(SRC))
TESTSRC := $(sort $(wildcard tests/*.c tests/*/*.c))
CUSRC   := $(sort $(wildcard kernels/*.cu))
EMUSRC  := $(CUSRC) $(sort $(wildcard tests/*/*.cu))
OBJ      = $(patsubst %.c,$(B)/%.o,$(1))
EMUOBJ  := $(EMUSRC:%.cu=$(B)/emu/%.o)
$(B)/kernels/%.o: CPUFLAGS := $(if $(filter release,$(VARIANT)),-O3) -ffp-contract=fast
$(B)/kernels/%_avx2.o:   CPUFLAGS := -O3 -mavx2 -mfma -ffp-contract=fast
$(B)/kernels/%_avx512.o: CPUFLAGS := -O3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -ffp-contract=fast

# CUDA (docs/guide/gpu.md): built in where this machine has a GPU and the toolkit, or with CUDA=1; CUDA=0 leaves it out.
CUDA_HOME ?= /usr/local/cuda
CUDA_HAVE := $(shell test -x $(CUDA_HOME)/bin/nvcc && test -e $(CUDA_HOME)/include/cublasLt.h && \
               awk '$$2 == "CUDNN_MAJOR" { a = $$3 } $$2 == "CUDNN_MINOR" { b = $$3 } END { exit !(a > 9 || (a == 9 && b >= 11)) }' \
               $(CUDA_HOME)/include/cudnn_version.h 2>/dev/null && echo 1)
CUDA    ?= $(if $(wildcard /dev/nvidiactl),$(CUDA_HAVE),0)
CUDA_ON := $(and $(filter 1,$(CUDA)),$(filter release,$(VARIANT)))
ifneq ($(CUDA_ON),)
ifeq ($(CUDA_HAVE),)
$(error CUDA=1, and $(CUDA_HOME) has no nvcc, cuBLASLt and cuDNN 9.11 or newer: CUDA_HOME=...)
endif
DEVSRC  := $(sort $(wildcard src/backend/cuda/*.c))
CUOBJ   := $(CUSRC:%.cu=$(B)/cuda/%.o)
CUDALIBS := -L$(CUDA_HOME)/lib64 -Wl,-rpath,$(CUDA_HOME)/lib64 -lcublasLt -lcudnn -lcudart -lstdc++
$(B)/src/backend/cuda/%.o: CPUFLAGS := -isystem $(CUDA_HOME)/include
endif
# The toolkit's kernels of sm_80 and sm_90, and PTX for what comes after.
NVCCFLAGS = -std=c++17 -O3 -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90 -gencode arch=compute_90,code=compute_90 \
            -Werror all-warnings -Xptxas -v -Xcompiler -Wall,-Wextra $(INC)

help:
	@echo "make demo       install what is missing, build, and run a synthetic experiment (CPU)"
	@echo "make test       install what is missing, build, and pass the tests"
	@echo "make all        build build/dorsum"
	@echo "make check      the quick tests (under a minute)"
	@echo "make deps       install the packages that are missing"
	@echo "make bench      time dorsum beside PyTorch (PYTHON=/path/to/python with torch)"
	@echo "make lint floors size docs   the house rules, the reference pages"
	@echo "make mutants    break the code in small ways: do the tests notice?"
	@echo "make ptxas     the CUDA kernels by nvcc: warnings, spills, registers (no GPU needed)"
	@echo "make gpu-check OUT=folder   everything that can be checked on a GPU, on one (8 minutes)"
	@echo "make gpu-bench PART=silhouette|conv|block|pose|fleet   beside PyTorch on a GPU (PYTHON=/path/to/python with torch)"
	@echo "make bundle    the libraries that the build needs in one archive, for a machine without packages and network"
	@echo "make cudnn-plans   can cuDNN serve every graph of the models on an H200? (minutes; no GPU needed)"
	@echo "make asan       the tests under the address and undefined-behaviour sanitizers"
	@echo "make reproduce EXP=name   an experiment of experiments/ against its expect.cfg"
	@echo "make install clean"

all: build/dorsum
build/dorsum: $(B)/dorsum
	@mkdir -p build && ln -sf $(VARIANT)/dorsum $@

$(B)/libdorsum.a: $(call OBJ,$(LIBSRC))
	$(Q)rm -f $@; ar rcs $@ $^
$(B)/dorsum: $(call OBJ,$(CLISRC) $(DEVSRC)) $(CUOBJ) $(B)/devices.o $(B)/libdorsum.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -fopenmp $^ $(CUDALIBS) $(LIBS) -o $@
	@echo "built $@"

# The tests register themselves: TEST(name) anywhere under tests/.
$(B)/tests.def: $(TESTSRC)
	@mkdir -p $(dir $@); grep -ho '^TEST([a-z0-9_]*)' $(TESTSRC) | sort > $@.tmp; cmp -s $@.tmp $@ && rm $@.tmp || mv $@.tmp $@
$(B)/tests/main.o: $(B)/tests.def
$(B)/check: $(call OBJ,$(TESTSRC)) $(EMUOBJ) $(B)/emu/devices.o $(B)/libdorsum.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -fopenmp $^ $(LIBS) $(CMOCKA) -o $@

# A fuzz target is fuzz_NAME() to the tests; only libFuzzer wants them all under one name.
$(filter-out build/fuzz/%,$(B))/tests/fuzz/fuzz_%.o: DEFS = -DLLVMFuzzerTestOneInput=$(notdir $*)

# Which devices are linked: a list each for the program and for the tests.
$(B)/devices/devices.def: always
	@mkdir -p $(dir $@); echo '$(if $(CUDA_ON),BACKEND(cuda))' | cmp -s - $@ || echo '$(if $(CUDA_ON),BACKEND(cuda))' >$@
$(B)/emu/devices/devices.def:
	@mkdir -p $(dir $@); : >$@
$(B)/devices.o $(B)/emu/devices.o: $(B)/%.o: src/backend/devices.c $(B)/%/devices.def
	$(Q)$(CC) $(ALLFLAGS) -I$(B)/$* -MMD -MP -c $< -o $@

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

# ... and for a GPU; what ptxas says of registers and spills lies beside each object.
$(B)/cuda/%.o: %.cu
	@mkdir -p $(dir $@)
	$(Q)$(CUDA_HOME)/bin/nvcc $(NVCCFLAGS) -MD -MP -MF $(@:.o=.d) -c $< -o $@ 2>$(@:.o=.ptxas) || { cat $(@:.o=.ptxas) >&2; exit 1; }

# gpu-check: the tests of the emulated device on a GPU (tools/gpu_check.c), one for each op, and what else says that it is of a device.
GPUSRC  := $(wildcard tests/ops/device.c tests/ops/emu_*.c tests/ops/trial.c tests/ops/tolerance.c tests/ops/reference.c tests/e2e/emu_*.c tests/e2e/run_fixture.c)
$(B)/gpu/tests.def: $(GPUSRC) src/ops/ops.def tools/gpu_check.c
	@mkdir -p $(dir $@); { grep -ho '^TEST([a-z0-9_]*)' $(GPUSRC) tools/gpu_check.c; sed -n 's/^OP(\([a-z0-9_]*\),.*/TEST(device_op_\1)/p' src/ops/ops.def; } | grep -v lost | sort >$@
$(B)/gpu/main.o: tests/main.c $(B)/gpu/tests.def
	$(Q)$(CC) -I$(B)/gpu $(ALLFLAGS) -c $< -o $@
$(B)/tools/gpu_check.o: CPUFLAGS := -isystem $(CUDA_HOME)/include
$(B)/gpu-check: $(call OBJ,$(GPUSRC) tools/gpu_check.c $(DEVSRC)) $(B)/gpu/main.o $(CUOBJ) $(B)/devices.o $(B)/libdorsum.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -fopenmp $^ $(CUDALIBS) $(LIBS) $(CMOCKA) -o $@

gpu-check:
	$(Q)tools/gpu_check.sh
gpu-bench:
	$(Q)tools/gpu_bench.sh

cuda-kernels: $(CUSRC:%.cu=$(B)/cuda/%.o)
ptxas:
	$(Q)tools/ptxas.sh

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
bundle:
	$(Q)tools/bundle.sh
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
floors: # from a clean tree it builds everything: by all cores
	$(Q)$(MAKE) $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc)) --no-print-directory all
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

-include $(patsubst %.c,$(B)/%.d,$(SRC) $(TESTSRC)) $(EMUOBJ:.o=.d) $(CUSRC:%.cu=$(B)/cuda/%.d) $(B)/tools/gpu_check.d $(DEVSRC:%.c=$(B)/%.d) $(B)/devices.d $(B)/emu/devices.d
.PHONY: always help all gpu-check gpu-bench cuda-kernels ptxas check test demo deps bundle asan fuzz bench floors lint size mutants docs reproduce install clean

# Has cuDNN a plan for every graph that the models ask for? tools/cudnn_plans.c, wherever CUDA's and cuDNN's files are; no driver is needed.
CUDA_HOME ?= /usr/local/cuda
PLANSRC   := src/backend/cuda/descriptor.c $(sort $(wildcard src/backend/cuda/dnn*.c)) tools/cudnn_plans.c
$(call OBJ,$(PLANSRC)): CPUFLAGS = -isystem $(CUDA_HOME)/include -DDOR_CUDA_STUB='"$(CUDA_HOME)/lib64/stubs/libcuda.so"'
$(B)/cudnn-plans: $(call OBJ,$(PLANSRC)) $(CUSRC:%.cu=$(B)/emu/%.o) $(B)/emu/devices.o $(B)/libdorsum.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -fopenmp $^ $(LIBS) -L$(CUDA_HOME)/lib64 -Wl,-rpath,$(CUDA_HOME)/lib64 -lcudnn -lcudart -ldl -o $@
cudnn-plans: $(B)/cudnn-plans
	$(Q)$< tests/fixtures/h200.json all
.PHONY: cudnn-plans
-include $(PLANSRC:%.c=$(B)/%.d)
