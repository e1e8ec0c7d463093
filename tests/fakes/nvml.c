/* A stand-in for the NVIDIA driver's library, at the C boundary that nvidia-ml-py loads.
 * What it has comes from the environment: FAKE_NVML_DEVICES (a count), FAKE_NVML_INIT (the code that
 * nvmlInit returns), FAKE_NVML_LOST (an index that does not answer), FAKE_NVML_MIG (an index with MIG on,
 * which has a 1g.3gb in place 0, nothing in 1, a 3g.12gb in 2 and a shared compute instance in 3).
 * Figures are invented; nothing here is a recording of real hardware. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, GPU_IS_LOST = 15 };
enum { INSTANCE = 1000 };

typedef struct { unsigned long long total, free, used; } memory_t;

static int number(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

int nvmlInitWithFlags(unsigned int flags) { (void)flags; return number("FAKE_NVML_INIT", SUCCESS); }
int nvmlInit_v2(void) { return number("FAKE_NVML_INIT", SUCCESS); }
int nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(int code) { (void)code; return "an invented error"; }

int nvmlSystemGetDriverVersion(char *out, unsigned int length) {
    snprintf(out, length, "615.00.01");
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned int *count) {
    *count = (unsigned int)number("FAKE_NVML_DEVICES", 2);
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **handle) {
    if ((int)index >= number("FAKE_NVML_DEVICES", 2)) return INVALID_ARGUMENT;
    if ((int)index == number("FAKE_NVML_LOST", -1)) return GPU_IS_LOST;
    *handle = (void *)(size_t)(index + 1);
    return SUCCESS;
}

static int index_of(void *handle) { return (int)(size_t)handle - 1; }

int nvmlDeviceGetUUID(void *handle, char *out, unsigned int length) {
    if (index_of(handle) >= INSTANCE) {
        snprintf(out, length, "MIG-00000000-0000-0000-0000-%012d", index_of(handle) - INSTANCE);
        return SUCCESS;
    }
    snprintf(out, length, "GPU-00000000-0000-0000-0000-%012d", index_of(handle));
    return SUCCESS;
}

int nvmlDeviceGetName(void *handle, char *out, unsigned int length) {
    (void)handle;
    snprintf(out, length, "Imaginary A9000");
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *handle, memory_t *memory) {
    (void)handle;
    memory->total = 24ULL << 30;
    memory->free = 23ULL << 30;
    memory->used = 1ULL << 30;
    return SUCCESS;
}

int nvmlDeviceGetMigMode(void *handle, unsigned int *current, unsigned int *pending) {
    int sliced = number("FAKE_NVML_MIG", -1);
    if (sliced < 0) return NOT_SUPPORTED;
    *current = *pending = index_of(handle) == sliced;
    return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned int *count) {
    (void)handle;
    *count = 7;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned int index, void **handle) {
    (void)device;
    if (index == 1 || index > 3) return NOT_FOUND;
    *handle = (void *)(size_t)(INSTANCE + index + 1);
    return SUCCESS;
}

typedef struct {
    unsigned int multiprocessors, copy, decoders, encoders, jpeg, ofa, gpu_slices, compute_slices;
    unsigned long long memory_mb;
} attributes_t;

int nvmlDeviceGetAttributes_v2(void *handle, attributes_t *found) {
    int index = index_of(handle) - INSTANCE;
    memset(found, 0, sizeof *found);
    found->gpu_slices = index == 0 ? 1 : 3;
    found->compute_slices = index == 3 ? 1 : found->gpu_slices;
    found->memory_mb = index == 0 ? 2944 : 11968;
    return SUCCESS;
}
