/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file marlin_moe.h
 * @brief Run quantised mixture-of-experts (MoE) layers on a GPU or on the CPU.
 *
 * Six objects, used in this order:
 *
 *     context       one device, its memory and its threads
 *     quant config  how the weights were quantised: bits, group size, symmetry
 *     checkpoint    a model directory, read-only
 *     bundle        the expert weights of one layer, repacked and resident on the device
 *     executor      plan and workspace; serves every layer of a stream
 *     run           hidden states + expert ids and weights -> output
 *
 * Letters used in every shape below. Counts are elements; a name that ends in `_bytes`
 * counts bytes.
 *
 *     T tokens in one call    E experts in the layer
 *     H hidden size           I intermediate size of one expert
 *     g group size: weights along the reduction axis that share a scale
 *
 * Shapes are row-major: `[T, H]` has H contiguous unless a stride says otherwise.
 *
 * @par Threads
 * A context, a quant config and a checkpoint are immutable: threads may share them freely. A
 * sealed bundle may be run by any number of threads; a call that changes it, a bundle that is
 * being filled, and an executor serve one call at a time and answer #MMOE_ERR_BUSY to a second.
 * No function keeps state of its own between calls or between threads.
 *
 * @par Ownership
 * A function that fills `T **out` gives the caller one object, ended with that type's
 * `_destroy`. Destroying NULL does nothing. Objects hold references to what they need, so
 * destroy them in any order; memory goes when the last user is gone. Only what a captured
 * CUDA graph still points to is the caller's to keep alive.
 *
 * @par Errors
 * Fallible functions return #mmoe_status and, if `error` is not NULL, fill it. On failure
 * `*out` is NULL (or zero) and nothing has to be freed. The library keeps no thread-local
 * error, writes to no stream, installs no signal handler and never ends the process.
 *
 * @par Option structures
 * Zero the structure, set `struct_size` to its `sizeof`, then set what differs from the
 * default. Zero is the default of every member that is not marked required. A library older
 * than the header accepts the structure as long as every member that it does not know is
 * zero, and otherwise answers #MMOE_ERR_STRUCT_SIZE. Structures that the library fills work
 * alike: it writes what fits into `struct_size` and zeroes the rest.
 */
#ifndef MARLIN_MOE_H
#define MARLIN_MOE_H

#include <stddef.h>
#include <stdint.h>

/** @def MMOE_API
 *  Marks what leaves the library. Static builds on Windows define `MMOE_STATIC`. */
#if defined(_WIN32)
    #if defined(MMOE_BUILD)
        #define MMOE_API __declspec(dllexport)
    #elif defined(MMOE_STATIC)
        #define MMOE_API
    #else
        #define MMOE_API __declspec(dllimport)
    #endif
#else
    #define MMOE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Version ----------------------------------------------------------------------- */

#define MMOE_VERSION_MAJOR 0 /**< Read by CMake and by the bindings; names the SONAME. */
#define MMOE_VERSION_MINOR 1 /**< New functions or members, while MAJOR is 0 also breaks. */
#define MMOE_VERSION_PATCH 0 /**< Fixes only. */

/** @returns the loaded library's version as `major << 16 | minor << 8 | patch`. */
MMOE_API uint32_t mmoe_version(void);

/** @returns the loaded library's version such as `"0.1.0"`; static storage, never NULL. */
MMOE_API const char* mmoe_version_string(void);

/**
 * Describes how the loaded library was built: version, compiler, CUDA toolkit and
 * architectures, CPU tiers. This is what belongs into a bug report.
 *
 * @param text            Receives NUL-terminated lines; may be NULL when `capacity_bytes` is 0.
 * @param capacity_bytes  Size of `text`; longer text is cut.
 * @returns the bytes that the whole text needs, its NUL included.
 */
MMOE_API size_t mmoe_build_describe(char* text, size_t capacity_bytes);

/* ---- Status and error text ---------------------------------------------------------- */

/** Result of a call: #MMOE_OK or one of the `MMOE_ERR_*` values. `status / 1000` is the
 *  category; later versions may add values inside a category. */
typedef int32_t mmoe_status;

/** Values of #mmoe_status. */
enum {
    MMOE_OK = 0,                      /**< Success. */
    MMOE_ERR_INVALID_ARGUMENT = 1000, /**< The call itself is wrong; retrying cannot help. */
    MMOE_ERR_NULL_POINTER = 1001,     /**< A pointer that must not be NULL is. */
    MMOE_ERR_STRUCT_SIZE = 1002,      /**< `struct_size` too small, or unknown members not zero. */
    MMOE_ERR_SHAPE = 1003,     /**< A tensor's rank, dimension or stride is not as documented. */
    MMOE_ERR_DTYPE = 1004,     /**< A tensor's element type is not as documented. */
    MMOE_ERR_STATE = 1005,     /**< The object is not in the state that the call needs. */
    MMOE_ERR_BUSY = 1006,      /**< The executor or bundle is in use by another thread. */
    MMOE_ERR_CANCELLED = 1007, /**< The caller's progress callback asked to stop. */
    MMOE_ERR_OUT_OF_MEMORY = 2000,  /**< A host allocator returned NULL. */
    MMOE_ERR_DEVICE_MEMORY = 2001,  /**< The device or its allocator has too little memory. */
    MMOE_ERR_MEMORY_BUDGET = 2002,  /**< More than the context's memory budget is needed. */
    MMOE_ERR_IO = 3000,             /**< The operating system refused a read or write. */
    MMOE_ERR_NOT_FOUND = 3001,      /**< A file or directory does not exist. */
    MMOE_ERR_FILE_CHANGED = 3002,   /**< A file became shorter while it was read. */
    MMOE_ERR_BAD_DATA = 4000,       /**< A file or tensor contradicts itself. */
    MMOE_ERR_TRUNCATED = 4001,      /**< A file ends before its header says. */
    MMOE_ERR_MISSING_TENSOR = 4002, /**< A tensor that the layer needs is not there. */
    MMOE_ERR_LIMIT = 4003,          /**< A file exceeds a limit that guards the host. */
    MMOE_ERR_CHECKSUM = 4004,       /**< A saved bundle's bytes are not those written. */
    MMOE_ERR_UNSUPPORTED = 5000,    /**< Well formed, but nothing here serves it. */
    MMOE_ERR_DEVICE = 6000,         /**< The device or its driver reported a failure. */
    MMOE_ERR_NO_DEVICE = 6001,      /**< No such device, no driver, or a CPU-only build. */
    MMOE_ERR_DRIVER_TOO_OLD = 6002, /**< The driver is older than this build's CUDA needs. */
    MMOE_ERR_INTERNAL = 7000        /**< A defect in this library. Please report it. */
};

/** What went wrong. Owned by the caller; 256 bytes; a zeroed one is valid. */
typedef struct mmoe_error {
    uint32_t struct_size; /**< `sizeof(mmoe_error)`; 0 or above 65536 is read as 256. */
    mmoe_status status;   /**< What the call returned. */
    int32_t os_errno;     /**< `errno` of a refused system call, else 0. */
    int32_t cuda_error;   /**< `cudaError_t` of a failed CUDA call, else 0. */
    uint64_t file_offset; /**< Where in the file named by `message`; UINT64_MAX: nowhere. */
    char message[232];    /**< UTF-8 sentence: which thing, what was expected, what was got. */
} mmoe_error;

/**
 * @param status  Any value.
 * @returns the constant's name such as `"MMOE_ERR_IO"`, or `"MMOE_ERR_UNKNOWN"`; never NULL.
 */
MMOE_API const char* mmoe_status_name(mmoe_status status);

/* ---- Vocabulary ---------------------------------------------------------------------- */

/** Element type of a tensor. */
typedef int32_t mmoe_dtype;
/** Values of #mmoe_dtype. */
enum {
    MMOE_DTYPE_F32 = 1,   /**< IEEE binary32. */
    MMOE_DTYPE_F16 = 2,   /**< IEEE binary16. */
    MMOE_DTYPE_BF16 = 3,  /**< bfloat16: the upper half of a binary32. */
    MMOE_DTYPE_I32 = 4,   /**< 32-bit integer; also words of packed codes. */
    MMOE_DTYPE_I64 = 5,   /**< 64-bit integer. */
    MMOE_DTYPE_U8 = 6,    /**< Unsigned byte. */
    MMOE_DTYPE_I8 = 7,    /**< Signed byte. */
    MMOE_DTYPE_F64 = 8,   /**< IEEE binary64; only as a checkpoint's tensor. */
    MMOE_DTYPE_I16 = 9,   /**< 16-bit integer; only as a checkpoint's tensor. */
    MMOE_DTYPE_OTHER = 15 /**< A safetensors type that this library names but does not read. */
};

/** Kind of device. */
typedef int32_t mmoe_device_kind;
/** Values of #mmoe_device_kind. */
enum {
    MMOE_DEVICE_CPU = 1, /**< The processor that the program runs on. */
    MMOE_DEVICE_CUDA = 2 /**< An NVIDIA GPU. */
};

/** The highest instruction set that the CPU backend may use. */
typedef int32_t mmoe_cpu_tier;
/** Values of #mmoe_cpu_tier. A processor may have several branches of this tree. */
enum {
    MMOE_CPU_TIER_BEST = 0,        /**< Everything that processor and system offer. */
    MMOE_CPU_TIER_SCALAR = 1,      /**< No vector code of our own. */
    MMOE_CPU_TIER_AVX2 = 2,        /**< AVX2, FMA and F16C. */
    MMOE_CPU_TIER_AVX512 = 3,      /**< AVX2 with AVX-512 F, BW, DQ, VL and VNNI. */
    MMOE_CPU_TIER_AVX512_BF16 = 4, /**< AVX512 with AVX512-BF16. */
    MMOE_CPU_TIER_AVX_VNNI = 5,    /**< AVX2 with AVX-VNNI. */
    MMOE_CPU_TIER_AMX_BF16 = 6,    /**< AVX512_BF16 with AMX (TILE, BF16, INT8). */
    MMOE_CPU_TIER_NEON = 7,        /**< NEON, as every 64-bit ARM processor has it. */
    MMOE_CPU_TIER_NEON_DOT = 8,    /**< NEON with dot products of bytes. */
    MMOE_CPU_TIER_NEON_BF16 = 9    /**< NEON_DOT with bf16. */
};

/** Nonlinearity between the two GEMMs. With `a` the gate (or the only) projection and `u` the
 *  up projection, after biases; `limit` clamps as #mmoe_layer says. */
typedef int32_t mmoe_activation;
/** Values of #mmoe_activation. */
enum {
    MMOE_ACTIVATION_SILU = 0,      /**< `a * sigmoid(alpha * a) * (u + beta)`. */
    MMOE_ACTIVATION_GELU = 1,      /**< `0.5 * a * (1 + erf(a / sqrt 2)) * u`. */
    MMOE_ACTIVATION_GELU_TANH = 2, /**< The tanh approximation of GELU, times `u`. */
    MMOE_ACTIVATION_RELU2 = 3,     /**< `max(a, 0)^2 * u`. */
    MMOE_ACTIVATION_SWIGLUOAI = 4  /**< SILU's formula with alpha 1.702, beta 1, limit 7
                                        (gpt-oss) where a member of #mmoe_layer is 0. */
};

/** Which projections feed the activation, and how a fused tensor orders their rows. */
typedef int32_t mmoe_gate_form;
/** Values of #mmoe_gate_form. */
enum {
    MMOE_GATE_SEPARATE = 0,    /**< Gated: gate rows, then up rows. */
    MMOE_GATE_INTERLEAVED = 1, /**< Gated: a fused tensor holds gate 0, up 0, gate 1, ... */
    MMOE_GATE_NONE = 2         /**< Not gated: `u` is 1, only the up projection exists. */
};

/** One linear layer of an expert. */
typedef int32_t mmoe_projection;
/** Values of #mmoe_projection. */
enum {
    MMOE_PROJECTION_GATE = 1, /**< `[I, H]`; absent where the layer is not gated. */
    MMOE_PROJECTION_UP = 2,   /**< `[I, H]`. */
    MMOE_PROJECTION_DOWN = 3  /**< `[H, I]`. */
};

/** What a tensor is to a projection. Shapes for N outputs, K inputs, G groups, b bits, in
 *  the packing that the quant config's format names. */
typedef int32_t mmoe_role;
/** Values of #mmoe_role. */
enum {
    MMOE_ROLE_WEIGHT = 1,      /**< Packed codes. */
    MMOE_ROLE_SCALE = 2,       /**< One scale a group and output. */
    MMOE_ROLE_ZERO_POINT = 3,  /**< One zero point a group and output. */
    MMOE_ROLE_GROUP_INDEX = 4, /**< `[K]`: the group of each input (activation order). */
    MMOE_ROLE_BIAS = 5         /**< `[N]`, added to the projection's result. */
};

/** Severity of a log line. */
typedef int32_t mmoe_log_level;
/** Values of #mmoe_log_level. */
enum {
    MMOE_LOG_OFF = 0,     /**< Nothing. */
    MMOE_LOG_WARNING = 1, /**< Something works, but not as well as it could. */
    MMOE_LOG_INFO = 2,    /**< What was opened, made and chosen. */
    MMOE_LOG_DEBUG = 3    /**< Every step. */
};

/** Largest rank of an #mmoe_tensor. */
#define MMOE_MAX_RANK 4

/** A view of memory that the caller owns. The library never keeps or frees `data`, and
 *  writes only to tensors documented as outputs. */
typedef struct mmoe_tensor {
    void* data;                    /**< Host or device address, as the call demands. */
    mmoe_dtype dtype;              /**< Element type. */
    int32_t rank;                  /**< 1 to #MMOE_MAX_RANK; 0 with NULL `data`: absent. */
    int64_t shape[MMOE_MAX_RANK];  /**< Elements along each axis; those past `rank` are 0. */
    int64_t stride[MMOE_MAX_RANK]; /**< Elements. All zero means contiguous row-major. */
} mmoe_tensor;

/* ---- Devices -------------------------------------------------------------------------- */

/** Describes a device. Filled by mmoe_device_info(). */
typedef struct mmoe_device_description {
    uint32_t struct_size;         /**< Set by the caller before the call. */
    mmoe_device_kind kind;        /**< CPU or CUDA. */
    int32_t index;                /**< CUDA ordinal; 0 on the CPU. */
    int32_t processor_count;      /**< CUDA multiprocessors; usable hardware threads on the CPU. */
    uint64_t memory_bytes;        /**< Memory in all. */
    uint64_t memory_free_bytes;   /**< Memory free at the time of the call. */
    int32_t compute_major;        /**< CUDA compute capability; 0 on the CPU. */
    int32_t compute_minor;        /**< CUDA compute capability; 0 on the CPU. */
    mmoe_cpu_tier cpu_tier;       /**< Best usable tier on the CPU; 0 on CUDA. */
    uint32_t shared_memory_bytes; /**< Largest shared memory of one CUDA block; 0 on the CPU. */
    uint8_t uuid[16];             /**< CUDA device UUID; zeros on the CPU. */
    uint8_t luid[8];              /**< CUDA device LUID (Windows); zeros elsewhere. */
    char name[104];               /**< UTF-8, such as `"NVIDIA H100 80GB HBM3"`. */
} mmoe_device_description;

/**
 * Counts the devices of one kind. Loads the CUDA driver if there is one; needs none.
 *
 * @param kind   #MMOE_DEVICE_CPU (always 1 device) or #MMOE_DEVICE_CUDA.
 * @param count  Receives the number, 0 on failure.
 * @param error  NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `count` is NULL.
 * @retval MMOE_ERR_INVALID_ARGUMENT  `kind` is not a kind of device.
 * @retval MMOE_ERR_NO_DEVICE         CUDA: no driver, no device, or a CPU-only build.
 * @retval MMOE_ERR_DRIVER_TOO_OLD    CUDA: the text names the driver's and the build's version.
 */
MMOE_API mmoe_status mmoe_device_count(mmoe_device_kind kind, uint32_t* count, mmoe_error* error);

/**
 * Describes one device.
 *
 * @param kind         Kind of device.
 * @param index        0 to mmoe_device_count() - 1.
 * @param description  Filled as far as its `struct_size` reaches.
 * @param error        NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `description` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       `description->struct_size` is too small.
 * @retval MMOE_ERR_INVALID_ARGUMENT  `kind` is not a kind of device.
 * @retval MMOE_ERR_NO_DEVICE         `index` does not exist.
 * @retval MMOE_ERR_DRIVER_TOO_OLD    As mmoe_device_count().
 */
MMOE_API mmoe_status mmoe_device_info(mmoe_device_kind kind, uint32_t index,
                                      mmoe_device_description* description, mmoe_error* error);

/* ---- Context -------------------------------------------------------------------------- */

/** One device with its memory and threads. Immutable; shared by threads. */
typedef struct mmoe_context mmoe_context;

/** Memory callbacks. All members NULL selects the library's own allocator. They may be called
 *  from any thread that uses the context or an object made with it. */
typedef struct mmoe_allocator {
    void* user; /**< Passed to both callbacks. */
    /** Returns memory aligned to `alignment_bytes` (a power of two), or NULL. */
    void* (*allocate)(void* user, size_t size_bytes, size_t alignment_bytes);
    /** Receives what `allocate` returned, with the size then asked for. */
    void (*release)(void* user, void* memory, size_t size_bytes);
} mmoe_allocator;

/** Receives one line of UTF-8 without a newline, valid during the call only. May be called
 *  from any thread that uses the context. */
typedef void (*mmoe_log_fn)(void* user, mmoe_log_level level, const char* line);

/** One piece of parallel work; see #mmoe_parallel_for_fn. */
typedef void (*mmoe_task_fn)(void* task_data, uint32_t index);

/**
 * Runs `task(task_data, index)` once for every index below `task_count` and returns when all
 * have returned. Indices may run on any thread, in any order, also one after another: no task
 * waits for another. Must not throw.
 */
typedef void (*mmoe_parallel_for_fn)(void* user, uint32_t task_count, mmoe_task_fn task,
                                     void* task_data);

/** Options of mmoe_context_create(). */
typedef struct mmoe_context_options {
    uint32_t struct_size;              /**< `sizeof(mmoe_context_options)`. */
    mmoe_device_kind device_kind;      /**< 0: CUDA if the device can be used, else the CPU; see
                                            mmoe_context_info(). */
    int32_t device_index;              /**< CUDA ordinal; 0 on the CPU. */
    uint32_t thread_count;             /**< CPU threads of one run, the caller's among them; 0: one
                                            a hardware thread that the process may use. */
    mmoe_allocator host_allocator;     /**< For weights, workspace and load scratch on the host.
                                            Handles and small tables use operator new. */
    mmoe_allocator device_allocator;   /**< For device memory; called with the context current. */
    mmoe_log_fn log;                   /**< NULL: silent. */
    void* log_user;                    /**< Passed to `log`. */
    mmoe_parallel_for_fn parallel_for; /**< NULL: a pool of the library's own, started by the
                                            first bundle or run that needs it. */
    void* parallel_for_user;           /**< Passed to `parallel_for`. */
    uint64_t memory_budget_bytes;      /**< Most bytes of bundles and workspaces at a time on this
                                            context; 0: no limit. */
    mmoe_log_level log_level;          /**< 0: off. */
    mmoe_cpu_tier cpu_tier;            /**< Highest tier to use; 0: the best there is. */
} mmoe_context_options;

/**
 * Binds the library to one device. On CUDA, to the CUDA context that is current on the calling
 * thread if it is one of this device's, and must then outlive all objects; else to the device's
 * primary context. Every later call makes it current and then the caller's again.
 *
 * @param options  NULL for all defaults.
 * @param out      Receives the context; end it with mmoe_context_destroy().
 * @param error    NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `out` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       See the rule of option structures.
 * @retval MMOE_ERR_INVALID_ARGUMENT  A member has no meaning; only one of two callbacks is set.
 * @retval MMOE_ERR_NO_DEVICE         The device does not exist or this build cannot use it.
 * @retval MMOE_ERR_DRIVER_TOO_OLD    As mmoe_device_count().
 * @retval MMOE_ERR_UNSUPPORTED       The processor lacks the tier that `cpu_tier` names, or a
 *                                    CUDA device that no kernel serves.
 * @retval MMOE_ERR_OUT_OF_MEMORY     The handle cannot be allocated.
 */
MMOE_API mmoe_status mmoe_context_create(const mmoe_context_options* options, mmoe_context** out,
                                         mmoe_error* error);

/**
 * Describes the device of a context: where tensors of a run must lie.
 *
 * @param context      The context asked.
 * @param description  Filled as far as its `struct_size` reaches, as by mmoe_device_info().
 * @param error        NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER  `context` or `description` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE   `description->struct_size` is too small.
 * @retval MMOE_ERR_DEVICE        CUDA: the device no longer answers.
 */
MMOE_API mmoe_status mmoe_context_info(const mmoe_context* context,
                                       mmoe_device_description* description, mmoe_error* error);

/** Drops the caller's reference. @param context  NULL, or a context. */
MMOE_API void mmoe_context_destroy(mmoe_context* context);

/* ---- Quant config ---------------------------------------------------------------------- */

/** How weights were quantised. Immutable; shared by threads. */
typedef struct mmoe_quant_config mmoe_quant_config;

/** Who wrote the tensors, and so how codes, scales and zero points are packed. */
typedef int32_t mmoe_format;
/** Values of #mmoe_format. N outputs, K inputs, G groups, b bits. */
enum {
    MMOE_FORMAT_COMPRESSED_TENSORS = 0, /**< "pack-quantized": weight `[N, K*b/32]`, scale
                                             `[N, G]`, zero point `[N*b/32, G]` packed along N. */
    MMOE_FORMAT_GPTQ = 1, /**< qweight `[K*b/32, N]`, scales `[G, N]`, qzeros `[G, N*b/32]`,
                               g_idx `[K]`. */
    MMOE_FORMAT_AWQ = 2   /**< gemm order: qweight `[K, N*b/32]`, scales `[G, N]`, qzeros
                               `[G, N*b/32]`, columns interleaved inside a word. */
};

/** Whether zero points are stored. */
typedef int32_t mmoe_symmetry;
/** Values of #mmoe_symmetry. */
enum {
    MMOE_SYMMETRIC = 0, /**< The zero point is `2^(bits-1)` everywhere; none is stored. */
    MMOE_ASYMMETRIC = 1 /**< One zero point a group and output. */
};

/** How zero points are stored. */
typedef int32_t mmoe_zero_point_form;
/** Values of #mmoe_zero_point_form. */
enum {
    MMOE_ZERO_POINT_PACKED = 0,        /**< True values, as the format packs them. */
    MMOE_ZERO_POINT_INT8 = 1,          /**< One signed byte each, `z - 2^(bits-1)`, `[N, G]`
                                            (compressed-tensors before 0.9.4). */
    MMOE_ZERO_POINT_MINUS_ONE = 2,     /**< GPTQ v1: each field holds the zero point minus one. */
    MMOE_ZERO_POINT_MINUS_ONE_WORD = 3 /**< GPTQ v1 of GPTQModel: one was subtracted from every
                                            field of a word at once, with borrows. */
};

/** Activation order: whether groups follow the columns of the file. */
typedef int32_t mmoe_order;
/** Values of #mmoe_order. */
enum {
    MMOE_ORDER_NONE = 0,   /**< Group of column k is `k / g`. */
    MMOE_ORDER_STATIC = 1, /**< Quantised in another order, stored in this one: as NONE. */
    MMOE_ORDER_GROUP = 2   /**< A `g_idx` tensor names each column's group. */
};

/** Group size that means one scale a channel (an output). */
#define MMOE_GROUP_SIZE_CHANNEL (-1)

/** Fields of a quant config: options of mmoe_quant_config_create(), and what
 *  mmoe_quant_config_info() fills. */
typedef struct mmoe_quant_fields {
    uint32_t struct_size;   /**< `sizeof(mmoe_quant_fields)`. */
    mmoe_format format;     /**< Packing of the tensors. */
    int32_t bits;           /**< Required: 4 or 8. */
    int32_t group_size;     /**< Required: a positive number, or #MMOE_GROUP_SIZE_CHANNEL. */
    mmoe_symmetry symmetry; /**< Whether zero points exist. */
    mmoe_zero_point_form zero_point_form; /**< How they are stored. */
    mmoe_order order;                     /**< Activation order. */
    mmoe_dtype scale_dtype; /**< F32, F16 or BF16; 0: as the checkpoint's tensors say, and
                                 BF16 for a bundle that is filled by hand. */
} mmoe_quant_fields;

/**
 * Makes a quant config from its fields.
 *
 * @param fields  `bits` and `group_size` are required.
 * @param out     Receives the config; end it with mmoe_quant_config_destroy().
 * @param error   NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `fields` or `out` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       See the rule of option structures.
 * @retval MMOE_ERR_INVALID_ARGUMENT  A member is out of range or contradicts another.
 * @retval MMOE_ERR_OUT_OF_MEMORY     The handle cannot be allocated.
 */
MMOE_API mmoe_status mmoe_quant_config_create(const mmoe_quant_fields* fields,
                                              mmoe_quant_config** out, mmoe_error* error);

/**
 * Reads the quant config that a model's `config.json` gives one module.
 *
 * @param path    UTF-8 path of a `config.json`, or of the directory that holds it.
 * @param module  Full name of a linear layer, such as
 *                `"model.layers.0.mlp.experts.0.gate_proj"`; NULL: the config must name a
 *                single scheme, which is taken.
 * @param out     Receives the config; end it with mmoe_quant_config_destroy().
 * @param error   NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER   `path` or `out` is NULL.
 * @retval MMOE_ERR_NOT_FOUND      The file does not exist.
 * @retval MMOE_ERR_IO             The file cannot be read.
 * @retval MMOE_ERR_LIMIT          The file is larger or nested deeper than the limits.
 * @retval MMOE_ERR_BAD_DATA       It is not JSON, or has no valid `quantization_config`.
 * @retval MMOE_ERR_UNSUPPORTED    The method or scheme is not one of #mmoe_quant_fields, the
 *                                 module is not quantised, or NULL met several schemes.
 * @retval MMOE_ERR_OUT_OF_MEMORY  Memory ran out.
 */
MMOE_API mmoe_status mmoe_quant_config_load(const char* path, const char* module,
                                            mmoe_quant_config** out, mmoe_error* error);

/**
 * Gives back a config's fields.
 *
 * @param config  The config asked.
 * @param fields  Filled as far as its `struct_size` reaches.
 * @param error   NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER  `config` or `fields` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE   `fields->struct_size` is too small.
 */
MMOE_API mmoe_status mmoe_quant_config_info(const mmoe_quant_config* config,
                                            mmoe_quant_fields* fields, mmoe_error* error);

/** Drops the caller's reference. @param config  NULL, or a config. */
MMOE_API void mmoe_quant_config_destroy(mmoe_quant_config* config);

/* ---- Layer: what one MoE layer computes -------------------------------------------------- */

/** Bits of `mmoe_layer.flags`. */
enum {
    MMOE_LAYER_BIAS = 1,                  /**< Gate, up and down have biases. */
    MMOE_LAYER_ROUTER_WEIGHT_ON_INPUT = 2 /**< The router weight scales the hidden state before
                                               the first GEMM, not the result (Llama-4). */
};

/**
 * Shape and arithmetic of one MoE layer:
 *
 *     out[t] = sum over j < top_k of  w[t,j] * ( down[e] . act( gate[e] . x[t] + b_gate[e],
 *                                                up[e] . x[t] + b_up[e] ) + b_down[e] )
 *     with e = ids[t,j];  act as #mmoe_activation;  where `limit` > 0, before the activation
 *     a = min(a, limit) and u = clamp(u, -limit, limit)
 *
 * An options structure, and what mmoe_checkpoint_layer_info() and mmoe_bundle_info() fill.
 */
typedef struct mmoe_layer {
    uint32_t struct_size;       /**< `sizeof(mmoe_layer)`. */
    uint32_t expert_count;      /**< Required: E. */
    uint32_t hidden_size;       /**< Required: H. */
    uint32_t intermediate_size; /**< Required: I. */
    mmoe_activation activation; /**< 0: SILU. */
    mmoe_gate_form gate_form;   /**< 0: separate gate and up. */
    float alpha;                /**< 0: 1 (SWIGLUOAI: 1.702). */
    float beta;                 /**< 0: 0 (SWIGLUOAI: 1). */
    float limit;                /**< 0: no clamp (SWIGLUOAI: 7); infinity: no clamp. */
    uint32_t flags;             /**< `MMOE_LAYER_*` bits. */
} mmoe_layer;

/* ---- Checkpoint: a model directory, read-only --------------------------------------------- */

/** An open checkpoint. Immutable; shared by threads. Files are read with positioned reads,
 *  never mapped, so a file that changes underneath is an error and not a signal. */
typedef struct mmoe_checkpoint mmoe_checkpoint;

/** Options of mmoe_checkpoint_open(). */
typedef struct mmoe_checkpoint_options {
    uint32_t struct_size;       /**< `sizeof(mmoe_checkpoint_options)`. */
    uint32_t reserved;          /**< Must be 0. */
    uint64_t max_header_bytes;  /**< Largest accepted safetensors header; 0: 100 MB. */
    const char* experts_prefix; /**< Name of the experts of layer `{l}` up to the expert number,
                                     such as `"model.layers.{l}.mlp.experts."`; NULL: the names
                                     of the known model families. */
    const char* gate_name;      /**< With `experts_prefix`; NULL: `"gate_proj"`. */
    const char* up_name;        /**< With `experts_prefix`; NULL: `"up_proj"`. */
    const char* down_name;      /**< With `experts_prefix`; NULL: `"down_proj"`. */
} mmoe_checkpoint_options;

/** Describes one tensor of a checkpoint. */
typedef struct mmoe_tensor_info {
    uint32_t struct_size; /**< Set by the caller before the call. */
    mmoe_dtype dtype;     /**< Element type. */
    int32_t rank;         /**< 0 to 8. */
    uint32_t file_index;  /**< Shard that holds the tensor. */
    int64_t shape[8];     /**< Elements along each axis; 0 past `rank`. */
    uint64_t byte_count;  /**< Size of the data. */
    uint64_t file_offset; /**< Of the data in its shard. */
    const char* name;     /**< UTF-8; owned by the checkpoint. */
} mmoe_tensor_info;

/**
 * Opens a checkpoint: a directory with `config.json` and one or several safetensors shards, or
 * a single safetensors file (which then has tensors but no layers). Reads headers only.
 *
 * @param context  Supplies allocator and log; may be destroyed first.
 * @param path     UTF-8 path of the directory or file.
 * @param options  NULL for all defaults.
 * @param out      Receives the checkpoint; end it with mmoe_checkpoint_destroy().
 * @param error    NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER   `context`, `path` or `out` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE    See the rule of option structures.
 * @retval MMOE_ERR_NOT_FOUND      The path, or a shard that the index names, does not exist.
 * @retval MMOE_ERR_IO             A file cannot be opened or read.
 * @retval MMOE_ERR_BAD_DATA       A header is malformed or contradicts its file.
 * @retval MMOE_ERR_TRUNCATED      A file is shorter than its header says.
 * @retval MMOE_ERR_LIMIT          A header exceeds a limit.
 * @retval MMOE_ERR_OUT_OF_MEMORY  Memory ran out.
 */
MMOE_API mmoe_status mmoe_checkpoint_open(mmoe_context* context, const char* path,
                                          const mmoe_checkpoint_options* options,
                                          mmoe_checkpoint** out, mmoe_error* error);

/** @param checkpoint  NULL, or the checkpoint asked.
 *  @returns the number of tensors in all shards; 0 for NULL. */
MMOE_API uint64_t mmoe_checkpoint_tensor_count(const mmoe_checkpoint* checkpoint);

/**
 * Describes the index-th tensor, in order of name.
 *
 * @param checkpoint  The checkpoint asked.
 * @param index       0 to mmoe_checkpoint_tensor_count() - 1.
 * @param info        Filled as far as its `struct_size` reaches.
 * @param error       NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `checkpoint` or `info` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       `info->struct_size` is too small.
 * @retval MMOE_ERR_INVALID_ARGUMENT  `index` is out of range.
 */
MMOE_API mmoe_status mmoe_checkpoint_tensor_at(const mmoe_checkpoint* checkpoint, uint64_t index,
                                               mmoe_tensor_info* info, mmoe_error* error);

/**
 * Describes the tensor of a name.
 *
 * @param checkpoint  The checkpoint asked.
 * @param name        UTF-8 name.
 * @param info        Filled as far as its `struct_size` reaches.
 * @param error       NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER    `checkpoint`, `name` or `info` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE     `info->struct_size` is too small.
 * @retval MMOE_ERR_MISSING_TENSOR  There is no such tensor.
 */
MMOE_API mmoe_status mmoe_checkpoint_tensor_find(const mmoe_checkpoint* checkpoint,
                                                 const char* name, mmoe_tensor_info* info,
                                                 mmoe_error* error);

/**
 * Reads the whole tensor of a name: little-endian elements, row-major.
 *
 * @param checkpoint      The checkpoint asked.
 * @param name            UTF-8 name.
 * @param data            Receives the data.
 * @param capacity_bytes  Size of `data`; at least the tensor's `byte_count`.
 * @param error           NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `checkpoint`, `name`, or `data` of a tensor that is not
 *                                    empty, is NULL.
 * @retval MMOE_ERR_INVALID_ARGUMENT  `capacity_bytes` is too small.
 * @retval MMOE_ERR_MISSING_TENSOR    There is no such tensor.
 * @retval MMOE_ERR_IO                The file cannot be read.
 * @retval MMOE_ERR_FILE_CHANGED      The file became shorter since it was opened.
 */
MMOE_API mmoe_status mmoe_checkpoint_tensor_read(const mmoe_checkpoint* checkpoint,
                                                 const char* name, void* data,
                                                 size_t capacity_bytes, mmoe_error* error);

/** @param checkpoint  NULL, or the checkpoint asked.
 *  @returns the number of MoE layers; dense layers are not counted; 0 for NULL. */
MMOE_API uint32_t mmoe_checkpoint_layer_count(const mmoe_checkpoint* checkpoint);

/** Where a MoE layer stands in its model. Filled by mmoe_checkpoint_layer_info(). */
typedef struct mmoe_layer_place {
    uint32_t struct_size;       /**< Set by the caller before the call. */
    uint32_t model_layer;       /**< The layer's number in tensor names. */
    uint32_t top_k;             /**< Experts chosen per token, from `config.json`; 0: not given. */
    uint32_t reserved;          /**< 0. */
    uint64_t byte_count;        /**< Expert tensors in the files. */
    const char* experts_prefix; /**< Names up to the expert number; owned by the checkpoint. */
} mmoe_layer_place;

/**
 * Describes one MoE layer without reading its weights.
 *
 * @param checkpoint  The checkpoint asked.
 * @param layer       0 to mmoe_checkpoint_layer_count() - 1.
 * @param info        Filled as far as its `struct_size` reaches; may be NULL.
 * @param place       Filled as far as its `struct_size` reaches; may be NULL.
 * @param config      Receives the layer's quant config, to be destroyed by the caller; may be
 *                    NULL.
 * @param error       NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `checkpoint` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       A `struct_size` is too small.
 * @retval MMOE_ERR_INVALID_ARGUMENT  `layer` is out of range.
 * @retval MMOE_ERR_UNSUPPORTED       The layer's quantisation is not supported; the text says
 *                                    what it is.
 * @retval MMOE_ERR_BAD_DATA          The layer's tensors contradict each other or the config.
 * @retval MMOE_ERR_OUT_OF_MEMORY     The config's handle cannot be allocated.
 */
MMOE_API mmoe_status mmoe_checkpoint_layer_info(const mmoe_checkpoint* checkpoint, uint32_t layer,
                                                mmoe_layer* info, mmoe_layer_place* place,
                                                mmoe_quant_config** config, mmoe_error* error);

/**
 * Unpacks one projection of one expert to plain numbers: `(code - zero point) * scale`, in
 * fp32, `[N, K]` row-major, input columns in the order of the file. For tests and oracles.
 *
 * @param checkpoint    The checkpoint asked.
 * @param layer         0 to mmoe_checkpoint_layer_count() - 1.
 * @param expert        0 to E - 1.
 * @param projection    Which linear layer.
 * @param weights       Receives N * K numbers.
 * @param weight_count  Size of `weights` in elements; exactly N * K.
 * @param error         NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `checkpoint` or `weights` is NULL.
 * @retval MMOE_ERR_INVALID_ARGUMENT  An index or `weight_count` is wrong.
 * @retval MMOE_ERR_UNSUPPORTED       As mmoe_bundle_load().
 * @retval MMOE_ERR_BAD_DATA          As mmoe_bundle_load().
 * @retval MMOE_ERR_MISSING_TENSOR    As mmoe_bundle_load().
 * @retval MMOE_ERR_IO                A file cannot be read.
 * @retval MMOE_ERR_OUT_OF_MEMORY     Memory ran out.
 */
MMOE_API mmoe_status mmoe_checkpoint_dequantize(const mmoe_checkpoint* checkpoint, uint32_t layer,
                                                uint32_t expert, mmoe_projection projection,
                                                float* weights, size_t weight_count,
                                                mmoe_error* error);

/** Drops the caller's reference. @param checkpoint  NULL, or a checkpoint. */
MMOE_API void mmoe_checkpoint_destroy(mmoe_checkpoint* checkpoint);

/* ---- Support query and memory plan ---------------------------------------------------------- */

/** How a layer is divided over parallel ranks. All zero: not divided. */
typedef struct mmoe_split {
    uint32_t tensor_ranks; /**< Ranks that share the intermediate axis; 0: 1. */
    uint32_t tensor_rank;  /**< This rank, below `tensor_ranks`. */
    uint32_t expert_ranks; /**< Ranks that share the experts, each a contiguous range; 0: 1. */
    uint32_t expert_rank;  /**< This rank, below `expert_ranks`. */
} mmoe_split;

/** Bits of `mmoe_support.reasons`: why something is not supported. */
enum {
    MMOE_REASON_BITS = 1 << 0,          /**< Neither 4 nor 8 bits. */
    MMOE_REASON_GROUP_SIZE = 1 << 1,    /**< The group size does not divide H or I. */
    MMOE_REASON_FORMAT = 1 << 2,        /**< The packing has no reader here. */
    MMOE_REASON_ORDER = 1 << 3,         /**< Activation order is not supported. */
    MMOE_REASON_ACTIVATION = 1 << 4,    /**< The activation has no kernel here. */
    MMOE_REASON_SPLIT = 1 << 5,         /**< The parallel split is not possible. */
    MMOE_REASON_DEVICE = 1 << 6,        /**< No kernel of this build runs on the device. */
    MMOE_REASON_SHAPE = 1 << 7,         /**< A dimension is zero or too large. */
    MMOE_REASON_ROUTER_WEIGHT = 1 << 8, /**< The router weight's place has no kernel here. */
    MMOE_REASON_BIAS = 1 << 9           /**< Biases have no kernel here. */
};

/** Answer of mmoe_support_query(). */
typedef struct mmoe_support {
    uint32_t struct_size;       /**< Set by the caller before the call. */
    int32_t supported;          /**< 1: a bundle can be made and run. 0: see `reasons`. */
    uint64_t reasons;           /**< `MMOE_REASON_*` bits; 0 if supported. */
    char sentence[248];         /**< Why not, for every reason; empty if supported. */
    char remedy[248];           /**< The smallest change that helps; empty if supported or none. */
    uint32_t most_tensor_ranks; /**< Tensor ranks, not above those asked about, that work;
                                     0 where the layer itself cannot run. */
    uint32_t local_intermediate_size;  /**< Intermediate channels of this rank; 0 if it is not
                                            supported, as the members below. */
    uint32_t padded_intermediate_size; /**< The same as kept on the device. */
    uint32_t local_group_size;         /**< Of these channels, those that share a scale of the
                                            down projection: less than g where groups straddle
                                            ranks, and their scales are repeated. */
} mmoe_support;

/**
 * Asks whether a layer can run on a context's device, before anything is loaded. Nothing that
 * this refuses is served by another path, and nothing that it grants is refused later for its
 * shape.
 *
 * @param context  Device asked about.
 * @param config   How the weights are quantised.
 * @param layer    The whole layer, before any split.
 * @param split    NULL: not divided.
 * @param support  Filled as far as its `struct_size` reaches.
 * @param error    NULL, or filled on failure. "Not supported" is an answer, not a failure.
 * @retval MMOE_ERR_NULL_POINTER  `context`, `config`, `layer` or `support` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE   A `struct_size` breaks the rule of option structures.
 */
MMOE_API mmoe_status mmoe_support_query(const mmoe_context* context,
                                        const mmoe_quant_config* config, const mmoe_layer* layer,
                                        const mmoe_split* split, mmoe_support* support,
                                        mmoe_error* error);

/** Bytes that an object takes. Filled by mmoe_bundle_plan() and mmoe_executor_plan(). */
typedef struct mmoe_memory_plan {
    uint32_t struct_size;    /**< Set by the caller before the call. */
    uint32_t reserved;       /**< 0. */
    uint64_t resident_bytes; /**< Kept on the context's device. */
    uint64_t scratch_bytes;  /**< Host memory at most, beside that, while it is made. */
} mmoe_memory_plan;

/* ---- Bundle: the expert weights of one layer ------------------------------------------------- */

/** Expert weights, repacked for the context's device. While it is filled, one call at a time;
 *  once sealed, shared by executors and threads, and changed by whole experts only. */
typedef struct mmoe_bundle mmoe_bundle;

/**
 * Reports progress of a long call, on the calling thread.
 *
 * @returns 0 to go on, anything else to stop with #MMOE_ERR_CANCELLED.
 */
typedef int32_t (*mmoe_progress_fn)(void* user, uint64_t done_bytes, uint64_t total_bytes);

/** Options of mmoe_bundle_create(), mmoe_bundle_load() and mmoe_bundle_plan(). */
typedef struct mmoe_bundle_options {
    uint32_t struct_size;      /**< `sizeof(mmoe_bundle_options)`. */
    uint32_t slot_count;       /**< Experts resident at a time; 0: all of the split. With fewer,
                                    the bundle starts without any: see mmoe_bundle_put(). */
    mmoe_progress_fn progress; /**< NULL: none. */
    void* progress_user;       /**< Passed to `progress`. */
    mmoe_split split;          /**< The part of the layer that this bundle holds. */
} mmoe_bundle_options;

/** Describes a bundle. Filled by mmoe_bundle_info(). */
typedef struct mmoe_bundle_description {
    uint32_t struct_size;             /**< Set by the caller before the call. */
    uint32_t expert_count;            /**< Experts of the split. */
    uint32_t first_expert;            /**< Global number of the first of them. */
    uint32_t resident_count;          /**< Experts that are here now. */
    uint32_t slot_count;              /**< Experts that can be here at a time. */
    uint32_t local_intermediate_size; /**< Intermediate channels of this tensor-parallel rank. */
    uint64_t resident_bytes;          /**< Bytes of the repacked weights on the device. */
    int32_t sealed;                   /**< 1 once every tensor is there. */
    mmoe_device_kind device_kind;     /**< Where they are. */
} mmoe_bundle_description;

/**
 * Computes the bytes of a bundle before it is made, from shapes alone.
 *
 * @param context  Device it would be made for.
 * @param config   How the weights are quantised.
 * @param layer    The whole layer, before any split.
 * @param options  NULL for all defaults.
 * @param plan     Filled as far as its `struct_size` reaches.
 * @param error    NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `context`, `config`, `layer` or `plan` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       A `struct_size` breaks the rule of option structures.
 * @retval MMOE_ERR_INVALID_ARGUMENT  A member is out of range.
 * @retval MMOE_ERR_UNSUPPORTED       As mmoe_support_query(); the text is its sentence.
 */
MMOE_API mmoe_status mmoe_bundle_plan(const mmoe_context* context, const mmoe_quant_config* config,
                                      const mmoe_layer* layer, const mmoe_bundle_options* options,
                                      mmoe_memory_plan* plan, mmoe_error* error);

/**
 * Makes an empty bundle, to be filled by mmoe_bundle_set() and ended by mmoe_bundle_seal().
 *
 * @param context  Device to repack for; kept alive by the bundle.
 * @param config   How the weights are quantised; kept alive by the bundle.
 * @param layer    The whole layer, before any split.
 * @param options  NULL for all defaults.
 * @param out      Receives the bundle; end it with mmoe_bundle_destroy().
 * @param error    NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `context`, `config`, `layer` or `out` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       A `struct_size` breaks the rule of option structures.
 * @retval MMOE_ERR_INVALID_ARGUMENT  A member is out of range.
 * @retval MMOE_ERR_UNSUPPORTED       As mmoe_support_query(); the text is its sentence.
 * @retval MMOE_ERR_OUT_OF_MEMORY     The weights do not fit on the host; the text says the bytes.
 * @retval MMOE_ERR_DEVICE_MEMORY     The weights do not fit on the device.
 * @retval MMOE_ERR_MEMORY_BUDGET     The context's budget is too small.
 */
MMOE_API mmoe_status mmoe_bundle_create(mmoe_context* context, const mmoe_quant_config* config,
                                        const mmoe_layer* layer, const mmoe_bundle_options* options,
                                        mmoe_bundle** out, mmoe_error* error);

/**
 * Gives the bundle one tensor, in the packing of its quant config's format, whole: the bundle
 * takes its own part of a split. An expert is repacked when the last tensor that it needs has
 * come; until then the bundle holds copies, and setting a tensor again replaces it. Tensors that
 * a format may leave out count only if they come before that.
 *
 * @param bundle      The bundle, not yet sealed.
 * @param expert      Global number, 0 to E - 1. One that the split leaves out is ignored.
 * @param projection  Which linear layer.
 * @param role        What the tensor is to it.
 * @param tensor      Host memory; contiguous; copied before the call returns.
 * @param error       NULL, or filled on failure; the bundle is then as before.
 * @retval MMOE_ERR_NULL_POINTER      `bundle`, `tensor` or its data is NULL.
 * @retval MMOE_ERR_INVALID_ARGUMENT  `expert`, `projection` or `role` does not exist here.
 * @retval MMOE_ERR_STATE             The bundle is sealed, or the expert is already complete.
 * @retval MMOE_ERR_BUSY              Another thread is filling the bundle.
 * @retval MMOE_ERR_SHAPE             The text says the expected and the given shape.
 * @retval MMOE_ERR_DTYPE             The text says the expected and the given type.
 * @retval MMOE_ERR_BAD_DATA          A scale is not finite, or a zero point is out of range.
 * @retval MMOE_ERR_OUT_OF_MEMORY     Memory for the copy ran out.
 * @retval MMOE_ERR_DEVICE            Copying to the device failed.
 */
MMOE_API mmoe_status mmoe_bundle_set(mmoe_bundle* bundle, uint32_t expert,
                                     mmoe_projection projection, mmoe_role role,
                                     const mmoe_tensor* tensor, mmoe_error* error);

/**
 * Ends filling: from now on the bundle can run and cannot change.
 *
 * @param bundle  The bundle.
 * @param error   NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER    `bundle` is NULL.
 * @retval MMOE_ERR_STATE           It is sealed already.
 * @retval MMOE_ERR_BUSY            Another thread is filling the bundle.
 * @retval MMOE_ERR_MISSING_TENSOR  The text names the first tensor that never came.
 */
MMOE_API mmoe_status mmoe_bundle_seal(mmoe_bundle* bundle, mmoe_error* error);

/**
 * Loads, repacks and seals one layer of a checkpoint. Equal inputs give equal bytes on every
 * machine.
 *
 * @param context     Device to repack for; kept alive by the bundle.
 * @param checkpoint  May be destroyed once this returns.
 * @param layer       0 to mmoe_checkpoint_layer_count() - 1.
 * @param options     NULL for all defaults.
 * @param out         Receives the bundle; end it with mmoe_bundle_destroy().
 * @param error       NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `context`, `checkpoint` or `out` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       See the rule of option structures.
 * @retval MMOE_ERR_INVALID_ARGUMENT  `layer` or the split is out of range.
 * @retval MMOE_ERR_UNSUPPORTED       As mmoe_support_query(); the text is its sentence.
 * @retval MMOE_ERR_BAD_DATA          A tensor has a shape, type or value that contradicts the
 *                                    config; the text names it.
 * @retval MMOE_ERR_MISSING_TENSOR    The text names the tensor.
 * @retval MMOE_ERR_IO                A file cannot be read.
 * @retval MMOE_ERR_FILE_CHANGED      A file became shorter since it was opened.
 * @retval MMOE_ERR_CANCELLED         The progress callback returned non-zero.
 * @retval MMOE_ERR_OUT_OF_MEMORY     Memory ran out on the host.
 * @retval MMOE_ERR_DEVICE_MEMORY     Memory ran out on the device.
 * @retval MMOE_ERR_MEMORY_BUDGET     The context's budget is too small.
 * @retval MMOE_ERR_DEVICE            Copying to the device failed.
 */
MMOE_API mmoe_status mmoe_bundle_load(mmoe_context* context, const mmoe_checkpoint* checkpoint,
                                      uint32_t layer, const mmoe_bundle_options* options,
                                      mmoe_bundle** out, mmoe_error* error);

/** One tensor of an expert, for mmoe_bundle_put(). */
typedef struct mmoe_expert_tensor {
    mmoe_projection projection; /**< Which linear layer. */
    mmoe_role role;             /**< What the tensor is to it. */
    mmoe_tensor tensor;         /**< Host memory; contiguous; as for mmoe_bundle_set(). */
} mmoe_expert_tensor;

/**
 * Puts one expert into a sealed bundle: over what it was, at the same address, or into a free
 * slot. Every value is checked before a byte changes. No run may use the bundle meanwhile.
 *
 * @param bundle   A sealed bundle.
 * @param expert   Global number, 0 to E - 1, of this split.
 * @param tensors  Every tensor of the expert; read before the call returns.
 * @param count    Number of `tensors`.
 * @param error    NULL, or filled on failure; the bundle is then as before, unless the text says
 *                 that the expert is gone.
 * @retval MMOE_ERR_NULL_POINTER      `bundle`, `tensors` or a tensor's data is NULL.
 * @retval MMOE_ERR_INVALID_ARGUMENT  The expert, a projection or a role does not exist here.
 * @retval MMOE_ERR_STATE             The bundle is not sealed, or every slot is taken.
 * @retval MMOE_ERR_BUSY              A run or another change uses the bundle.
 * @retval MMOE_ERR_MISSING_TENSOR    The text names the tensor.
 * @retval MMOE_ERR_SHAPE             The text says the expected and the given shape.
 * @retval MMOE_ERR_DTYPE             The text says the expected and the given type.
 * @retval MMOE_ERR_BAD_DATA          A scale or bias is not finite, or a zero point out of range.
 * @retval MMOE_ERR_OUT_OF_MEMORY     Memory for scratch ran out.
 */
MMOE_API mmoe_status mmoe_bundle_put(mmoe_bundle* bundle, uint32_t expert,
                                     const mmoe_expert_tensor* tensors, uint32_t count,
                                     mmoe_error* error);

/**
 * Puts one expert of a checkpoint into a sealed bundle; as mmoe_bundle_put(), but values are
 * checked projection by projection: if the file is bad the expert is no longer resident.
 *
 * @param bundle      A sealed bundle.
 * @param checkpoint  May be destroyed once this returns.
 * @param layer       0 to mmoe_checkpoint_layer_count() - 1; of the bundle's shape and config.
 * @param expert      Global number, 0 to E - 1, of this split.
 * @param error       NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `bundle` or `checkpoint` is NULL.
 * @retval MMOE_ERR_INVALID_ARGUMENT  The layer or expert does not exist here, or differs from the
 *                                    bundle in shape or quantisation.
 * @retval MMOE_ERR_STATE             The bundle is not sealed, or every slot is taken.
 * @retval MMOE_ERR_BUSY              A run or another change uses the bundle.
 * @retval MMOE_ERR_BAD_DATA          As mmoe_bundle_load().
 * @retval MMOE_ERR_MISSING_TENSOR    As mmoe_bundle_load().
 * @retval MMOE_ERR_IO                As mmoe_bundle_load().
 * @retval MMOE_ERR_FILE_CHANGED      As mmoe_bundle_load().
 * @retval MMOE_ERR_OUT_OF_MEMORY     Memory for scratch ran out.
 */
MMOE_API mmoe_status mmoe_bundle_put_from(mmoe_bundle* bundle, const mmoe_checkpoint* checkpoint,
                                          uint32_t layer, uint32_t expert, mmoe_error* error);

/**
 * Takes one expert out of a sealed bundle: its slot is free, and ids of it are skipped.
 *
 * @param bundle  A sealed bundle.
 * @param expert  Global number, 0 to E - 1. One that is not resident is no error.
 * @param error   NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `bundle` is NULL.
 * @retval MMOE_ERR_INVALID_ARGUMENT  `expert` does not exist.
 * @retval MMOE_ERR_STATE             The bundle is not sealed.
 * @retval MMOE_ERR_BUSY              A run or another change uses the bundle.
 */
MMOE_API mmoe_status mmoe_bundle_evict(mmoe_bundle* bundle, uint32_t expert, mmoe_error* error);

/** A load in the background. Functions on it may be called from any thread. */
typedef struct mmoe_load mmoe_load;

/** State of a background load. Filled by mmoe_load_poll(). */
typedef struct mmoe_load_progress {
    uint32_t struct_size; /**< Set by the caller before the call. */
    int32_t finished;     /**< 1: mmoe_load_wait() returns at once. */
    uint64_t done_bytes;  /**< Of the repacked weights. */
    uint64_t total_bytes; /**< 0 until the load has begun. */
} mmoe_load_progress;

/**
 * Starts mmoe_bundle_load() on a thread of its own. A `progress` callback is called there.
 *
 * @param context     As mmoe_bundle_load().
 * @param checkpoint  Kept alive by the load.
 * @param layer       As mmoe_bundle_load().
 * @param options     As mmoe_bundle_load(); read before the call returns.
 * @param out         Receives the load; end it with mmoe_load_destroy().
 * @param error       NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `context`, `checkpoint` or `out` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       See the rule of option structures.
 * @retval MMOE_ERR_INVALID_ARGUMENT  `layer` or the split is out of range.
 * @retval MMOE_ERR_OUT_OF_MEMORY     The thread cannot be started.
 */
MMOE_API mmoe_status mmoe_load_start(mmoe_context* context, const mmoe_checkpoint* checkpoint,
                                     uint32_t layer, const mmoe_bundle_options* options,
                                     mmoe_load** out, mmoe_error* error);

/**
 * Asks how far a load is, without waiting.
 *
 * @param load      The load asked.
 * @param progress  Filled as far as its `struct_size` reaches.
 * @param error     NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER  `load` or `progress` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE   `progress->struct_size` is too small.
 */
MMOE_API mmoe_status mmoe_load_poll(const mmoe_load* load, mmoe_load_progress* progress,
                                    mmoe_error* error);

/**
 * Waits for a load and takes its bundle.
 *
 * @param load   The load.
 * @param out    Receives the bundle; end it with mmoe_bundle_destroy().
 * @param error  NULL, or filled on failure.
 * @returns what mmoe_bundle_load() would have returned, and
 * @retval MMOE_ERR_NULL_POINTER  `load` or `out` is NULL.
 * @retval MMOE_ERR_STATE         The bundle was taken already.
 */
MMOE_API mmoe_status mmoe_load_wait(mmoe_load* load, mmoe_bundle** out, mmoe_error* error);

/** Asks a load to stop soon; mmoe_load_wait() then answers #MMOE_ERR_CANCELLED unless it was
 *  complete. Returns at once. @param load  NULL, or a load. */
MMOE_API void mmoe_load_cancel(mmoe_load* load);

/** Cancels a load that still runs, waits for its end, and frees it. @param load  NULL, or a
 *  load. */
MMOE_API void mmoe_load_destroy(mmoe_load* load);

/**
 * Writes a sealed bundle to one file: whole under its name, or not at all. The file has a
 * version, a layout and checksums; opening it on the same kind of device is one copy. A bundle on
 * a CUDA device is copied back expert by expert.
 *
 * @param bundle  Unchanged.
 * @param path    UTF-8; an existing file is replaced.
 * @param error   NULL, or filled on failure; no part of a file is left behind.
 * @retval MMOE_ERR_NULL_POINTER   `bundle` or `path` is NULL.
 * @retval MMOE_ERR_STATE          The bundle is not sealed.
 * @retval MMOE_ERR_UNSUPPORTED    The bundle has fewer slots than experts.
 * @retval MMOE_ERR_BUSY           The bundle is being changed.
 * @retval MMOE_ERR_NOT_FOUND      The directory does not exist.
 * @retval MMOE_ERR_IO             The directory cannot be written, or the disk is full.
 * @retval MMOE_ERR_OUT_OF_MEMORY  Memory for the header, or for one expert, ran out.
 * @retval MMOE_ERR_DEVICE         Copying from the device failed.
 */
MMOE_API mmoe_status mmoe_bundle_save(const mmoe_bundle* bundle, const char* path,
                                      mmoe_error* error);

/** Options of mmoe_bundle_open(). */
typedef struct mmoe_bundle_open_options {
    uint32_t struct_size;      /**< `sizeof(mmoe_bundle_open_options)`. */
    int32_t skip_checksums;    /**< Not 0: trust the weights; the header is always checked. */
    mmoe_progress_fn progress; /**< NULL: none. */
    void* progress_user;       /**< Passed to `progress`. */
} mmoe_bundle_open_options;

/**
 * Opens what mmoe_bundle_save() wrote, on whichever kind of device: a file of the other kind is
 * repacked, to the very bytes that loading the checkpoint would have given.
 *
 * @param context  Device to load for; kept alive by the bundle.
 * @param path     UTF-8.
 * @param options  NULL for all defaults.
 * @param out      Receives the sealed bundle; end it with mmoe_bundle_destroy().
 * @param error    NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER   `context`, `path` or `out` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE    See the rule of option structures.
 * @retval MMOE_ERR_NOT_FOUND      The file does not exist.
 * @retval MMOE_ERR_IO             The file cannot be read.
 * @retval MMOE_ERR_TRUNCATED      The file is shorter than its header says.
 * @retval MMOE_ERR_BAD_DATA       It is not a saved bundle, or contradicts itself.
 * @retval MMOE_ERR_CHECKSUM       Its bytes are not those that were written.
 * @retval MMOE_ERR_UNSUPPORTED    Another version or layout wrote it (load the checkpoint again),
 *                                 or the layer does not run on the context's device.
 * @retval MMOE_ERR_CANCELLED      The progress callback returned non-zero.
 * @retval MMOE_ERR_OUT_OF_MEMORY  The weights, or scratch for them, do not fit on the host.
 * @retval MMOE_ERR_DEVICE_MEMORY  The weights do not fit on the device.
 * @retval MMOE_ERR_MEMORY_BUDGET  The context's budget is too small.
 * @retval MMOE_ERR_DEVICE         Copying to the device failed.
 */
MMOE_API mmoe_status mmoe_bundle_open(mmoe_context* context, const char* path,
                                      const mmoe_bundle_open_options* options, mmoe_bundle** out,
                                      mmoe_error* error);

/**
 * Describes a bundle.
 *
 * @param bundle       The bundle asked.
 * @param layer        The whole layer; filled as far as its `struct_size` reaches; may be NULL.
 * @param description  Filled as far as its `struct_size` reaches; may be NULL.
 * @param error        NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER  `bundle` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE   A `struct_size` is too small.
 */
MMOE_API mmoe_status mmoe_bundle_info(const mmoe_bundle* bundle, mmoe_layer* layer,
                                      mmoe_bundle_description* description, mmoe_error* error);

/** Drops the caller's reference; a run in progress keeps the weights until it ends.
 *  @param bundle  NULL, or a bundle. */
MMOE_API void mmoe_bundle_destroy(mmoe_bundle* bundle);

/* ---- Executor: runs bundles -------------------------------------------------------------- */

/** The Marlin MoE executor: kernels chosen and workspace allocated once. One run at a time. */
typedef struct mmoe_executor mmoe_executor;

/** Which arithmetic the executor may use. */
typedef int32_t mmoe_precision;
/** Values of #mmoe_precision. */
enum {
    MMOE_PRECISION_DEFAULT = 0, /**< 16-bit activations or better: no worse than 1e-4 relative
                                     L2 on the CPU before the output is rounded; 3e-4 where
                                     single hidden values are 20 times as large as the rest. */
    MMOE_PRECISION_EXACT = 1,   /**< fp32 activations and products; 1e-5. CPU only. */
    MMOE_PRECISION_INT8 = 2     /**< 8-bit activations are permitted, on the CPU: blocks of 128
                                     integers and a scale. Measured 1.0e-2 to 1.8e-2 for a layer
                                     (6e-3 a product), 5e-2 with such hidden values. Twice as fast
                                     with many tokens, no faster with one. Where it would not pay
                                     16 bits serve; mmoe_executor_explain() tells. */
};

/** Options of mmoe_executor_create() and mmoe_executor_plan(). */
typedef struct mmoe_executor_options {
    uint32_t struct_size;     /**< `sizeof(mmoe_executor_options)`. */
    uint32_t max_tokens;      /**< Required: largest T of any run. */
    uint32_t max_top_k;       /**< Required: most experts of one token. */
    mmoe_dtype hidden_dtype;  /**< BF16, F16 or F32; 0: BF16. */
    mmoe_dtype output_dtype;  /**< BF16, F16 or F32; 0: as `hidden_dtype`. */
    mmoe_precision precision; /**< 0: default. */
    int32_t skip_self_test;   /**< CUDA, not 0: kernels are not tried against the CPU when the
                                   executor is made. */
    uint32_t reserved;        /**< Must be 0. */
    void* workspace;          /**< Memory of the context's device, aligned to 256 bytes, to be kept
                                   while the executor lives; it then keeps none of its own.
                                   NULL: it allocates one. */
    uint64_t workspace_bytes; /**< Of `workspace`; mmoe_executor_plan()'s `resident_bytes`. */
    const char* row;          /**< CUDA: part of the names of the kernels that may serve, as
                                   mmoe_executor_explain() writes them, whatever the number of
                                   tokens; read during the call. NULL: all, each where it is
                                   fastest. */
} mmoe_executor_options;

/**
 * Computes the bytes of an executor's workspace before it is made, from shapes alone: what to
 * give it as `workspace`, if it is not to allocate its own.
 *
 * @param context  Device it would be made for.
 * @param config   How the weights of the largest layer are quantised.
 * @param layer    The largest layer.
 * @param options  `max_tokens` and `max_top_k` are required; `row` changes nothing.
 * @param plan     Filled as far as its `struct_size` reaches.
 * @param error    NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `context`, `config`, `layer`, `options` or `plan` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       A `struct_size` breaks the rule of option structures.
 * @retval MMOE_ERR_INVALID_ARGUMENT  A member is out of range.
 * @retval MMOE_ERR_UNSUPPORTED       As mmoe_support_query(), or no kernel takes the types.
 */
MMOE_API mmoe_status mmoe_executor_plan(const mmoe_context* context,
                                        const mmoe_quant_config* config, const mmoe_layer* layer,
                                        const mmoe_executor_options* options,
                                        mmoe_memory_plan* plan, mmoe_error* error);

/**
 * Allocates a workspace for up to `max_tokens` tokens of layers as large as `bundle`'s, so that
 * no later call allocates.
 *
 * @param context  Device to run on; kept alive by the executor.
 * @param bundle   The layer that the workspace is sized for; read only during this call. The
 *                 executor then runs every bundle of this context that needs no more.
 * @param options  `max_tokens` and `max_top_k` are required.
 * @param out      Receives the executor; end it with mmoe_executor_destroy().
 * @param error    NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `context`, `bundle`, `options` or `out` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       See the rule of option structures.
 * @retval MMOE_ERR_INVALID_ARGUMENT  A member is out of range, the bundle belongs to another
 *                                    device, `workspace` is too small or not aligned, or `row` is
 *                                    given for the CPU.
 * @retval MMOE_ERR_UNSUPPORTED       No kernel takes these types and weights, or every one that
 *                                    does failed its self-test, or none of `row` takes the
 *                                    largest run.
 * @retval MMOE_ERR_OUT_OF_MEMORY     The workspace does not fit on the host; the text says its
 *                                    bytes.
 * @retval MMOE_ERR_DEVICE_MEMORY     The workspace does not fit on the device.
 * @retval MMOE_ERR_MEMORY_BUDGET     The context's budget is too small.
 */
MMOE_API mmoe_status mmoe_executor_create(mmoe_context* context, const mmoe_bundle* bundle,
                                          const mmoe_executor_options* options, mmoe_executor** out,
                                          mmoe_error* error);

/** Operands of mmoe_executor_run(). */
typedef struct mmoe_run_args {
    uint32_t struct_size;       /**< `sizeof(mmoe_run_args)`. */
    uint32_t reserved;          /**< Must be 0. */
    mmoe_tensor hidden;         /**< In, `[T, H]`, the executor's hidden type; H contiguous. */
    mmoe_tensor expert_ids;     /**< In, `[T, top_k]`, i32; contiguous. Global ids; one that is
                                     negative, E or more, or held by another rank is skipped. */
    mmoe_tensor expert_weights; /**< In, `[T, top_k]`, f32; contiguous. */
    mmoe_tensor output;         /**< Out, `[T, H]`, the executor's output type; H contiguous;
                                     apart from every input. A token without a valid id gets
                                     zeros. */
    mmoe_tensor expert_map;     /**< In, optional, ``[E']``, i32, contiguous: id i of `expert_ids`
                                     stands for the global expert `expert_map[i]`; negative: it
                                     is skipped. Absent: ids are global experts. */
    mmoe_tensor token_count;    /**< In, optional, `[1]`, i32: tokens of this run, 0 to T; output
                                     rows from there on are left alone. On CUDA the device reads
                                     it when the run gets there. Absent: T. */
} mmoe_run_args;

/**
 * Computes one MoE layer: the formula of #mmoe_layer. Equal inputs give equal bits, run to run
 * and at any number of threads.
 *
 * On the CPU the call returns when `output` is written. On CUDA the work is enqueued on
 * `stream` and the call returns at once: it allocates nothing and may be captured in a graph;
 * a fault during the work shows at the next synchronisation. T = 0 succeeds and does nothing.
 *
 * @param executor  Busy from this call until the work has run.
 * @param bundle    A sealed bundle of the executor's context.
 * @param args      Read before the call returns; tensors live until the work has run. On the
 *                  CPU they are host memory.
 * @param stream    CUDA: a `cudaStream_t` of the context's CUDA context, NULL for its default
 *                  stream. CPU: NULL.
 * @param error     NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `executor`, `bundle`, `args` or a tensor's data is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       See the rule of option structures.
 * @retval MMOE_ERR_SHAPE             A shape or stride differs from the above.
 * @retval MMOE_ERR_DTYPE             An element type differs from the above.
 * @retval MMOE_ERR_INVALID_ARGUMENT  T or top_k exceeds the executor's limits, `stream` is not
 *                                    NULL on the CPU or of another CUDA context, or the bundle
 *                                    needs a larger workspace or belongs to another device.
 * @retval MMOE_ERR_STATE             The bundle is not sealed.
 * @retval MMOE_ERR_BUSY              Another thread is in this executor, or changes the bundle.
 * @retval MMOE_ERR_UNSUPPORTED       No kernel serves this bundle with the executor's types.
 * @retval MMOE_ERR_OUT_OF_MEMORY     The first run could not start the library's own threads.
 * @retval MMOE_ERR_DEVICE            A launch was refused.
 */
MMOE_API mmoe_status mmoe_executor_run(mmoe_executor* executor, const mmoe_bundle* bundle,
                                       const mmoe_run_args* args, void* stream, mmoe_error* error);

/** What the runs of an executor met. Filled by mmoe_executor_poll(). */
typedef struct mmoe_executor_findings {
    uint32_t struct_size;     /**< Set by the caller before the call. */
    int32_t ids_out_of_range; /**< 1: an expert id other than -1 was negative, E or more, or
                                   outside the expert map; its slot was skipped. */
} mmoe_executor_findings;

/**
 * Asks what runs have met since this was last asked. Waits for nothing and touches no device: on
 * CUDA, first synchronise with the runs that you ask about. May be called from any thread.
 *
 * @param executor  The executor asked.
 * @param findings  Filled as far as its `struct_size` reaches.
 * @param error     NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER  `executor` or `findings` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE   `findings->struct_size` is too small.
 */
MMOE_API mmoe_status mmoe_executor_poll(mmoe_executor* executor, mmoe_executor_findings* findings,
                                        mmoe_error* error);

/**
 * Tells which kernels serve T tokens of a bundle, and why each better one was passed over; on CUDA
 * also which others could.
 *
 * @param executor        The executor asked; NULL gives an empty text.
 * @param bundle          The bundle asked about; NULL gives an empty text.
 * @param tokens          T.
 * @param text            Receives NUL-terminated lines; may be NULL when `capacity_bytes` is 0.
 * @param capacity_bytes  Size of `text`; longer text is cut.
 * @returns the bytes that the whole text needs, its NUL included.
 */
MMOE_API size_t mmoe_executor_explain(const mmoe_executor* executor, const mmoe_bundle* bundle,
                                      uint32_t tokens, char* text, size_t capacity_bytes);

/** Drops the caller's reference. @param executor  NULL, or an executor. */
MMOE_API void mmoe_executor_destroy(mmoe_executor* executor);

/* ---- Routing: from router logits to expert ids and weights ------------------------------- */

/** How a router's logits become scores. */
typedef int32_t mmoe_scoring;
/** Values of #mmoe_scoring. */
enum {
    MMOE_SCORING_SOFTMAX = 0, /**< Softmax over all E logits of a token. */
    MMOE_SCORING_SIGMOID = 1  /**< Sigmoid of each logit. */
};

/** Operands of mmoe_route(). */
typedef struct mmoe_route_args {
    uint32_t struct_size;        /**< `sizeof(mmoe_route_args)`. */
    mmoe_scoring scoring;        /**< 0: softmax. */
    uint32_t group_count;        /**< The experts form this many equal groups; 0: 1. */
    uint32_t groups_kept;        /**< Groups that experts are chosen from; 0: all. */
    int32_t renormalize;         /**< Not 0: divide the weights of a token by their sum. */
    float scale;                 /**< Multiplies every weight at the end; 0: 1. */
    mmoe_tensor logits;          /**< In, `[T, E]`, f32, f16 or bf16; E contiguous. */
    mmoe_tensor correction_bias; /**< In, optional, `[E]`, f32: added to the scores to choose
                                      groups and experts, not to the weights. */
    mmoe_tensor expert_ids;      /**< Out, `[T, top_k]`, i32; contiguous. */
    mmoe_tensor expert_weights;  /**< Out, `[T, top_k]`, f32; contiguous. */
} mmoe_route_args;

/**
 * Chooses experts as the routers of the known models do:
 *
 *     score = softmax or sigmoid of logits;   choice = score + correction_bias
 *     group value = sum of the two best choices in a group (without correction_bias: the best)
 *     keep the `groups_kept` best groups; of their experts, the top_k best choices
 *     weight = score of each; divided by their sum if `renormalize`; times `scale`
 *
 * This is softmax-top-k-renormalise (Qwen3, Mixtral), sigmoid with correction bias and groups
 * (DeepSeek-V3, GLM-4.5, Kimi-K2, MiniMax-M2) and top-1 sigmoid (Llama-4). Ids of a token fall
 * by choice; of equal ones the lower id comes first. A NaN logit is never preferred to a number.
 *
 * On the CPU the call returns when ids and weights are written. On CUDA it is enqueued on `stream`,
 * returns at once, allocates nothing and may be captured in a graph after a first call.
 *
 * @param context  Where to run; all tensors are memory of its device.
 * @param args     Read before the call returns; tensors live until the work has run.
 * @param stream   CUDA: a `cudaStream_t`, NULL for the default stream. CPU: NULL.
 * @param error    NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `context`, `args` or a tensor's data is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       See the rule of option structures.
 * @retval MMOE_ERR_SHAPE             A shape or stride differs from the above.
 * @retval MMOE_ERR_DTYPE             An element type differs from the above.
 * @retval MMOE_ERR_INVALID_ARGUMENT  top_k exceeds the experts of the kept groups, groups do not
 *                                    divide E, or a member has no meaning.
 * @retval MMOE_ERR_UNSUPPORTED       CUDA: more experts than the shared memory of a block holds
 *                                    (some 28,000 on an H100).
 * @retval MMOE_ERR_OUT_OF_MEMORY     CPU: memory for one row of scores a thread ran out.
 * @retval MMOE_ERR_DEVICE            CUDA: the launch was refused.
 */
MMOE_API mmoe_status mmoe_route(const mmoe_context* context, const mmoe_route_args* args,
                                void* stream, mmoe_error* error);

/* ---- Marlin layouts: repacking on host memory ---------------------------------------------- */

/** What the GEMM of a Marlin matrix multiplies with; it decides tiles and orders. */
typedef int32_t mmoe_marlin_activation;
/** Values of #mmoe_marlin_activation. */
enum {
    MMOE_MARLIN_16_BIT = 0, /**< f16 or bf16: tiles of 16 inputs by 64 outputs. Scales of several
                                 groups in the grouped order, one scale a channel in the single
                                 order; fields of zero points interleaved as those of codes. */
    MMOE_MARLIN_8_BIT = 1   /**< int8 or fp8: tiles of 32 inputs by 32 outputs. Scales in the single
                                 order; fields of zero points in plain order. No value is changed:
                                 what a kernel wants beside that (scales as integers, codes for fp8)
                                 is the caller's. */
};

/**
 * One GEMM operand of every expert in the Marlin layout, and the projection that fills it or a
 * part of it. An options structure.
 *
 * In a gated layer the operand of the first GEMM, w13, has gate and up side by side: with I padded
 * to P, `padded_outputs` is 2 P, gate has `first_output` 0 and up P, and each is a call of its own.
 */
typedef struct mmoe_marlin_matrix {
    uint32_t struct_size;  /**< `sizeof(mmoe_marlin_matrix)`. */
    uint32_t expert_count; /**< Required: E. */
    int64_t inputs;        /**< Required: K of the projection, the true K of this GEMM on this rank
                                (w13: H, w2: the local I). */
    int64_t outputs;       /**< Required: N of the projection. */
    int64_t padded_inputs; /**< K of the matrix: a multiple of 16 (8-bit activations: 32) and of the
                                group size; 0: `inputs`. */
    int64_t padded_outputs; /**< N of the matrix: a multiple of 64; 0: `outputs`. */
    int64_t first_output;   /**< Where the projection's outputs begin in it: a multiple of 64. */
    mmoe_marlin_activation activation; /**< 0: 16 bits. */
    uint32_t reserved;                 /**< Must be 0. */
} mmoe_marlin_matrix;

/** Both sides of one role of a matrix. Filled by mmoe_marlin_describe(). */
typedef struct mmoe_marlin_description {
    uint32_t struct_size;  /**< Set by the caller before the call. */
    uint32_t reserved;     /**< 0. */
    mmoe_tensor file;      /**< As the quantiser packs it, `data` NULL. */
    mmoe_tensor marlin;    /**< As Marlin kernels read it, `data` NULL. */
    uint64_t file_bytes;   /**< Size of `file` with that element type. */
    uint64_t marlin_bytes; /**< Size of `marlin` with that element type. */
} mmoe_marlin_description;

/**
 * Computes shapes and bytes of one role of a matrix. With N, K and G = K / g of the file and
 * N', K' and G' of the padded matrix, b bits:
 *
 *     role         file, as #mmoe_format says           marlin
 *     weight       [E, ...] i32                         [E, K'/16, N'*b/2] i32
 *     scale        [E, N, G] or [E, G, N]               [E, G', N']
 *     zero point   [E, ...] i32 (i8: the config says)   [E, G', N'*b/32] i32
 *     group index  [E, K] i32: group of each input      [E, K] i32: input at each place
 *     bias         [E, N]                               [E, N']
 *
 * Scales and biases are f32, f16 or bf16 on either side; where the types differ they are rounded to
 * nearest even. A config's `scale_dtype` binds the scales of the file and is proposed for both
 * sides; without it any type will do, and bf16 is proposed.
 *
 * @param config       How the file is packed; not the Marlin format.
 * @param matrix       The matrix.
 * @param role         Any role that config and layout have.
 * @param description  Filled as far as its `struct_size` reaches.
 * @param error        NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `config`, `matrix` or `description` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       A `struct_size` breaks the rule of option structures.
 * @retval MMOE_ERR_INVALID_ARGUMENT  A member or `role` is out of range, or the projection does not
 *                                    fit into the matrix.
 * @retval MMOE_ERR_UNSUPPORTED       A size is not a multiple of its unit; zero points of a
 *                                    symmetric config; a group index without activation order.
 */
MMOE_API mmoe_status mmoe_marlin_describe(const mmoe_quant_config* config,
                                          const mmoe_marlin_matrix* matrix, mmoe_role role,
                                          mmoe_marlin_description* description, mmoe_error* error);

/** Operands of mmoe_marlin_pack() and mmoe_marlin_unpack(). */
typedef struct mmoe_marlin_args {
    uint32_t struct_size; /**< `sizeof(mmoe_marlin_args)`. */
    mmoe_role role;       /**< Required: what the tensors are to the matrix. */
    mmoe_tensor file;     /**< All experts as the quantiser packs them; host memory, contiguous. */
    mmoe_tensor marlin;   /**< All experts as Marlin kernels read them; host memory, contiguous;
                               apart from `file`. */
    mmoe_tensor group_index; /**< `[E, K]`, i32, the file's: required for the weights of a config
                                  with activation order, else absent. */
} mmoe_marlin_args;

/**
 * Packs one role of a projection of every expert into a Marlin matrix, byte for byte as vLLM lays
 * it out: weights, scales, zero points, the order of inputs, biases. It takes
 * compressed-tensors, GPTQ (both versions) and AWQ packing; for zero points it is what
 * `moe_packed_to_marlin_zero_points` and `moe_awq_to_marlin_zero_points` do there. Where a word or
 * a scale goes is told by `docs/layouts.md`, the formulas stand in `kernels/layout/marlin.h`.
 *
 * Written are the blocks of 64 outputs from `first_output` on that the projection's outputs touch,
 * padding included, as zeros. Other blocks are left alone. Equal inputs give equal bytes on every
 * machine and at any number of threads.
 *
 * @param context  Supplies allocator and threads: experts, and parts of large ones, are packed side
 *                 by side by its `parallel_for`. NULL: the calling thread and operator new.
 * @param config   How `args->file` is packed.
 * @param matrix   The matrix.
 * @param args     Tensors of the shapes that mmoe_marlin_describe() says. `file` and `group_index`
 *                 are read, `marlin` is written. No reference is kept.
 * @param error    NULL, or filled on failure. Up to #MMOE_ERR_BAD_DATA nothing has been written.
 * @retval MMOE_ERR_NULL_POINTER      `config`, `matrix`, `args` or a tensor's data is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       A `struct_size` breaks the rule of option structures.
 * @retval MMOE_ERR_INVALID_ARGUMENT  As mmoe_marlin_describe(); a tensor is not aligned to its
 *                                    element; `group_index` is there where it has no meaning.
 * @retval MMOE_ERR_UNSUPPORTED       As mmoe_marlin_describe(); a group index has unequal groups.
 * @retval MMOE_ERR_SHAPE             The text says the expected and the given shape.
 * @retval MMOE_ERR_DTYPE             The text says the expected and the given type.
 * @retval MMOE_ERR_BAD_DATA          The text names the expert: a scale is not finite, a zero point
 *                                    is out of range, or an input has no group.
 * @retval MMOE_ERR_OUT_OF_MEMORY     Memory for scratch ran out.
 */
MMOE_API mmoe_status mmoe_marlin_pack(const mmoe_context* context, const mmoe_quant_config* config,
                                      const mmoe_marlin_matrix* matrix,
                                      const mmoe_marlin_args* args, mmoe_error* error);

/**
 * mmoe_marlin_pack() where the context is: on CUDA the tensors are device memory, and one launch
 * for all experts is enqueued, which allocates nothing and may be captured in a graph after a first
 * call. The bytes are the same. Values are not looked at there: check on the host what a stranger
 * wrote. On the CPU it is mmoe_marlin_pack().
 *
 * @param context  Where to pack.
 * @param config   How `args->file` is packed.
 * @param matrix   The matrix.
 * @param args     As mmoe_marlin_pack(); tensors live until the work has run.
 * @param stream   CUDA: a `cudaStream_t` of the context's CUDA context, NULL for its default
 *                 stream. CPU: NULL.
 * @param error    NULL, or filled on failure; nothing has been enqueued.
 * @returns what mmoe_marlin_pack() returns, and
 * @retval MMOE_ERR_NULL_POINTER      `context`, `config`, `matrix`, `args` or a tensor's data is
 *                                    NULL.
 * @retval MMOE_ERR_INVALID_ARGUMENT  `stream` is not NULL on the CPU, or of another CUDA context.
 * @retval MMOE_ERR_UNSUPPORTED       CUDA: weights in activation order, 8-bit activations, or more
 *                                    than 65,535 experts.
 * @retval MMOE_ERR_DEVICE            CUDA: a launch was refused.
 */
MMOE_API mmoe_status mmoe_marlin_enqueue_pack(const mmoe_context* context,
                                              const mmoe_quant_config* config,
                                              const mmoe_marlin_matrix* matrix,
                                              const mmoe_marlin_args* args, void* stream,
                                              mmoe_error* error);

/**
 * Inverse of mmoe_marlin_pack(), also for matrices that other programs packed: writes all of
 * `args->file` from the projection's part of `args->marlin`. Padding is not looked at.
 *
 * @param context  As mmoe_marlin_pack().
 * @param config   How `args->file` is to be packed.
 * @param matrix   The matrix.
 * @param args     Tensors of the shapes that mmoe_marlin_describe() says. `marlin` and
 *                 `group_index` are read, `file` is written. No reference is kept.
 * @param error    NULL, or filled on failure; the file's contents are then undefined.
 * @retval MMOE_ERR_NULL_POINTER      As mmoe_marlin_pack().
 * @retval MMOE_ERR_STRUCT_SIZE       As mmoe_marlin_pack().
 * @retval MMOE_ERR_INVALID_ARGUMENT  As mmoe_marlin_pack().
 * @retval MMOE_ERR_UNSUPPORTED       As mmoe_marlin_pack().
 * @retval MMOE_ERR_SHAPE             As mmoe_marlin_pack().
 * @retval MMOE_ERR_DTYPE             As mmoe_marlin_pack().
 * @retval MMOE_ERR_BAD_DATA          An order of inputs is no permutation, an input has no group,
 *                                    or a zero point is 0 for #MMOE_ZERO_POINT_MINUS_ONE.
 * @retval MMOE_ERR_OUT_OF_MEMORY     Memory for scratch ran out.
 */
MMOE_API mmoe_status mmoe_marlin_unpack(const mmoe_context* context,
                                        const mmoe_quant_config* config,
                                        const mmoe_marlin_matrix* matrix,
                                        const mmoe_marlin_args* args, mmoe_error* error);

/** One GEMM operand of several experts, as Marlin kernels read it. Host memory, contiguous. */
typedef struct mmoe_marlin_operand {
    mmoe_tensor weight;     /**< `[E, K'/16, N'*b/2]`, i32. */
    mmoe_tensor scale;      /**< `[E, G', N']`, f32, f16 or bf16. */
    mmoe_tensor zero_point; /**< `[E, G', N'*b/32]`, i32; absent where codes are symmetric. */
    mmoe_tensor bias;       /**< `[E, N']`, f32, f16 or bf16; absent where the layer has none. */
} mmoe_marlin_operand;

/**
 * Experts of one layer, as this parallel rank's Marlin kernels read them: what vLLM keeps after it
 * has repacked a layer. An options structure, and what mmoe_marlin_describe_experts() fills.
 *
 * With H padded to H' and the rank's I padded to P, w13 has K' = H' and N' = 2 P, gate outputs
 * first and up outputs from P on (P and up alone where the layer is not gated), and w2 has K' = P
 * and N' = H'. H' and P follow from the weights' shapes: multiples of 64 and of the group size, at
 * most 2^24, where groups that straddle ranks have the size that mmoe_support_query() says.
 */
typedef struct mmoe_marlin_experts {
    uint32_t struct_size;              /**< `sizeof(mmoe_marlin_experts)`. */
    mmoe_marlin_activation activation; /**< 0: 16 bits. */
    mmoe_marlin_operand w13;           /**< Gate and up, fused. */
    mmoe_marlin_operand w2;            /**< Down; its bias counts on tensor rank 0. */
    mmoe_tensor w13_order; /**< `[E, H]`, i32, of configs with activation order, else absent: the
                                hidden element that input k of w13 multiplies. */
    mmoe_tensor w2_order;  /**< `[E, I of the rank]`, i32, likewise: the intermediate channel that
                                input k of w2 multiplies, one of the rank's own, counted from 0.
                                Bundles fold it into the outputs of w13, so that exported ones are
                                0, 1, 2, ... */
} mmoe_marlin_experts;

/**
 * Computes the shapes of a rank's experts with the least padding; `data` is NULL. The element types
 * are those of the config for scales (bf16 if it leaves them open) and f32 for biases.
 *
 * @param config      How the weights are quantised. Its format matters only in which H and I it can
 *                    hold.
 * @param layer       The whole layer, before any split.
 * @param split       NULL: not divided.
 * @param activation  What the kernels multiply with.
 * @param experts     Filled as far as its `struct_size` reaches; E is the rank's experts.
 * @param error       NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `config`, `layer` or `experts` is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       A `struct_size` breaks the rule of option structures.
 * @retval MMOE_ERR_INVALID_ARGUMENT  A member or `activation` is out of range.
 * @retval MMOE_ERR_UNSUPPORTED       As mmoe_support_query() on the CPU; the text is its sentence.
 * @retval MMOE_ERR_SHAPE             H or the rank's I, padded, exceeds 2^24.
 */
MMOE_API mmoe_status mmoe_marlin_describe_experts(const mmoe_quant_config* config,
                                                  const mmoe_layer* layer, const mmoe_split* split,
                                                  mmoe_marlin_activation activation,
                                                  mmoe_marlin_experts* experts, mmoe_error* error);

/**
 * Packs experts of a bundle into Marlin matrices, from whatever layout its device runs on. All of
 * the tensors is written, padding as zeros. Scales and biases are rounded to nearest even where
 * their types differ from the bundle's.
 *
 * @param bundle        A sealed bundle, on any device; unchanged.
 * @param first_expert  Global number of the first of them; all must be resident.
 * @param experts       Host memory; E is how many to pack.
 * @param error         NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `bundle`, `experts` or a tensor's data is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       A `struct_size` breaks the rule of option structures.
 * @retval MMOE_ERR_INVALID_ARGUMENT  An expert is not in the bundle, `activation` is out of range,
 *                                    or a tensor is not aligned to its element or should be absent.
 * @retval MMOE_ERR_SHAPE             The text says the expected and the given shape.
 * @retval MMOE_ERR_DTYPE             The text says the expected and the given type.
 * @retval MMOE_ERR_STATE             The bundle is not sealed.
 * @retval MMOE_ERR_BUSY              The bundle is being changed.
 * @retval MMOE_ERR_OUT_OF_MEMORY     Memory for scratch ran out.
 * @retval MMOE_ERR_DEVICE            Copying from the device failed.
 */
MMOE_API mmoe_status mmoe_marlin_export(const mmoe_bundle* bundle, uint32_t first_expert,
                                        const mmoe_marlin_experts* experts, mmoe_error* error);

/**
 * Makes a sealed bundle from Marlin matrices, such as vLLM repacked: no file format is written in
 * between, and no value changes. It is the inverse of mmoe_marlin_export(), and gives the bytes
 * that loading the checkpoint would have given. What vLLM does to values for 8-bit activations
 * (scales as integers, codes for fp8) has to be undone before.
 *
 * @param context  Device to repack for; kept alive by the bundle.
 * @param config   How the weights are quantised. Its format matters only in which H and I it can
 *                 hold. A `scale_dtype` of 0 takes the type of `experts->w13.scale`.
 * @param layer    The whole layer, before any split.
 * @param split    The part of it that `experts` are; NULL: not divided.
 * @param experts  Every expert of the rank; read before the call returns.
 * @param out      Receives the bundle; end it with mmoe_bundle_destroy().
 * @param error    NULL, or filled on failure.
 * @retval MMOE_ERR_NULL_POINTER      `context`, `config`, `layer`, `experts`, `out` or a tensor's
 *                                    data is NULL.
 * @retval MMOE_ERR_STRUCT_SIZE       A `struct_size` breaks the rule of option structures.
 * @retval MMOE_ERR_INVALID_ARGUMENT  A member is out of range, or a tensor is not aligned to its
 *                                    element or should be absent.
 * @retval MMOE_ERR_UNSUPPORTED       As mmoe_support_query(); the text is its sentence.
 * @retval MMOE_ERR_SHAPE             The text says the expected and the given shape.
 * @retval MMOE_ERR_DTYPE             The text says the expected and the given type.
 * @retval MMOE_ERR_BAD_DATA          The text names the expert: a scale or bias is not finite, or
 *                                    an order of inputs is no permutation.
 * @retval MMOE_ERR_OUT_OF_MEMORY     The weights, or scratch for them, do not fit on the host.
 * @retval MMOE_ERR_DEVICE_MEMORY     The weights do not fit on the device.
 * @retval MMOE_ERR_MEMORY_BUDGET     The context's budget is too small.
 * @retval MMOE_ERR_DEVICE            Copying to the device failed.
 */
MMOE_API mmoe_status mmoe_marlin_import(mmoe_context* context, const mmoe_quant_config* config,
                                        const mmoe_layer* layer, const mmoe_split* split,
                                        const mmoe_marlin_experts* experts, mmoe_bundle** out,
                                        mmoe_error* error);

#ifdef __cplusplus
}
#endif

#endif /* MARLIN_MOE_H */
