// SPDX-License-Identifier: Apache-2.0
// Generated from include/marlin_moe.h by bindings/generate.py.

c_aliases! {
    type mmoe_status = i32;
    type mmoe_dtype = i32;
    type mmoe_device_kind = i32;
    type mmoe_cpu_tier = i32;
    type mmoe_activation = i32;
    type mmoe_gate_form = i32;
    type mmoe_projection = i32;
    type mmoe_role = i32;
    type mmoe_log_level = i32;
    type mmoe_format = i32;
    type mmoe_symmetry = i32;
    type mmoe_zero_point_form = i32;
    type mmoe_order = i32;
    type mmoe_precision = i32;
    type mmoe_scoring = i32;
    type mmoe_marlin_activation = i32;
    type mmoe_log_fn = Option<unsafe extern "C" fn(user: *mut c_void, level: mmoe_log_level, line: *const c_char)>;
    type mmoe_task_fn = Option<unsafe extern "C" fn(task_data: *mut c_void, index: u32)>;
    type mmoe_parallel_for_fn = Option<unsafe extern "C" fn(user: *mut c_void, task_count: u32, task: mmoe_task_fn, task_data: *mut c_void)>;
    type mmoe_progress_fn = Option<unsafe extern "C" fn(user: *mut c_void, done_bytes: u64, total_bytes: u64) -> i32>;
}

c_handles! {
    mmoe_context;
    mmoe_quant_config;
    mmoe_checkpoint;
    mmoe_bundle;
    mmoe_load;
    mmoe_executor;
}

c_constants! {
    MMOE_VERSION_MAJOR = 0;
    MMOE_VERSION_MINOR = 1;
    MMOE_VERSION_PATCH = 0;
    MMOE_OK = 0;
    MMOE_ERR_INVALID_ARGUMENT = 1000;
    MMOE_ERR_NULL_POINTER = 1001;
    MMOE_ERR_STRUCT_SIZE = 1002;
    MMOE_ERR_SHAPE = 1003;
    MMOE_ERR_DTYPE = 1004;
    MMOE_ERR_STATE = 1005;
    MMOE_ERR_BUSY = 1006;
    MMOE_ERR_CANCELLED = 1007;
    MMOE_ERR_OUT_OF_MEMORY = 2000;
    MMOE_ERR_DEVICE_MEMORY = 2001;
    MMOE_ERR_MEMORY_BUDGET = 2002;
    MMOE_ERR_IO = 3000;
    MMOE_ERR_NOT_FOUND = 3001;
    MMOE_ERR_FILE_CHANGED = 3002;
    MMOE_ERR_BAD_DATA = 4000;
    MMOE_ERR_TRUNCATED = 4001;
    MMOE_ERR_MISSING_TENSOR = 4002;
    MMOE_ERR_LIMIT = 4003;
    MMOE_ERR_CHECKSUM = 4004;
    MMOE_ERR_UNSUPPORTED = 5000;
    MMOE_ERR_DEVICE = 6000;
    MMOE_ERR_NO_DEVICE = 6001;
    MMOE_ERR_DRIVER_TOO_OLD = 6002;
    MMOE_ERR_INTERNAL = 7000;
    MMOE_DTYPE_F32 = 1;
    MMOE_DTYPE_F16 = 2;
    MMOE_DTYPE_BF16 = 3;
    MMOE_DTYPE_I32 = 4;
    MMOE_DTYPE_I64 = 5;
    MMOE_DTYPE_U8 = 6;
    MMOE_DTYPE_I8 = 7;
    MMOE_DTYPE_F64 = 8;
    MMOE_DTYPE_I16 = 9;
    MMOE_DTYPE_OTHER = 15;
    MMOE_DEVICE_CPU = 1;
    MMOE_DEVICE_CUDA = 2;
    MMOE_CPU_TIER_BEST = 0;
    MMOE_CPU_TIER_SCALAR = 1;
    MMOE_CPU_TIER_AVX2 = 2;
    MMOE_CPU_TIER_AVX512 = 3;
    MMOE_CPU_TIER_AVX512_BF16 = 4;
    MMOE_CPU_TIER_AVX_VNNI = 5;
    MMOE_CPU_TIER_AMX_BF16 = 6;
    MMOE_CPU_TIER_NEON = 7;
    MMOE_CPU_TIER_NEON_DOT = 8;
    MMOE_CPU_TIER_NEON_BF16 = 9;
    MMOE_ACTIVATION_SILU = 0;
    MMOE_ACTIVATION_GELU = 1;
    MMOE_ACTIVATION_GELU_TANH = 2;
    MMOE_ACTIVATION_RELU2 = 3;
    MMOE_ACTIVATION_SWIGLUOAI = 4;
    MMOE_GATE_SEPARATE = 0;
    MMOE_GATE_INTERLEAVED = 1;
    MMOE_GATE_NONE = 2;
    MMOE_PROJECTION_GATE = 1;
    MMOE_PROJECTION_UP = 2;
    MMOE_PROJECTION_DOWN = 3;
    MMOE_ROLE_WEIGHT = 1;
    MMOE_ROLE_SCALE = 2;
    MMOE_ROLE_ZERO_POINT = 3;
    MMOE_ROLE_GROUP_INDEX = 4;
    MMOE_ROLE_BIAS = 5;
    MMOE_LOG_OFF = 0;
    MMOE_LOG_WARNING = 1;
    MMOE_LOG_INFO = 2;
    MMOE_LOG_DEBUG = 3;
    MMOE_MAX_RANK = 4;
    MMOE_FORMAT_COMPRESSED_TENSORS = 0;
    MMOE_FORMAT_GPTQ = 1;
    MMOE_FORMAT_AWQ = 2;
    MMOE_SYMMETRIC = 0;
    MMOE_ASYMMETRIC = 1;
    MMOE_ZERO_POINT_PACKED = 0;
    MMOE_ZERO_POINT_INT8 = 1;
    MMOE_ZERO_POINT_MINUS_ONE = 2;
    MMOE_ZERO_POINT_MINUS_ONE_WORD = 3;
    MMOE_ORDER_NONE = 0;
    MMOE_ORDER_STATIC = 1;
    MMOE_ORDER_GROUP = 2;
    MMOE_GROUP_SIZE_CHANNEL = -1;
    MMOE_LAYER_BIAS = 1;
    MMOE_LAYER_ROUTER_WEIGHT_ON_INPUT = 2;
    MMOE_REASON_BITS = 1 << 0;
    MMOE_REASON_GROUP_SIZE = 1 << 1;
    MMOE_REASON_FORMAT = 1 << 2;
    MMOE_REASON_ORDER = 1 << 3;
    MMOE_REASON_ACTIVATION = 1 << 4;
    MMOE_REASON_SPLIT = 1 << 5;
    MMOE_REASON_DEVICE = 1 << 6;
    MMOE_REASON_SHAPE = 1 << 7;
    MMOE_REASON_ROUTER_WEIGHT = 1 << 8;
    MMOE_REASON_BIAS = 1 << 9;
    MMOE_PRECISION_DEFAULT = 0;
    MMOE_PRECISION_EXACT = 1;
    MMOE_PRECISION_INT8 = 2;
    MMOE_SCORING_SOFTMAX = 0;
    MMOE_SCORING_SIGMOID = 1;
    MMOE_MARLIN_16_BIT = 0;
    MMOE_MARLIN_8_BIT = 1;
}

c_structs! {
    struct mmoe_error {
        struct_size: u32,
        status: mmoe_status,
        os_errno: i32,
        cuda_error: i32,
        file_offset: u64,
        message: [c_char; 232],
    }
    struct mmoe_tensor {
        data: *mut c_void,
        dtype: mmoe_dtype,
        rank: i32,
        shape: [i64; MMOE_MAX_RANK as usize],
        stride: [i64; MMOE_MAX_RANK as usize],
    }
    struct mmoe_device_description {
        struct_size: u32,
        kind: mmoe_device_kind,
        index: i32,
        processor_count: i32,
        memory_bytes: u64,
        memory_free_bytes: u64,
        compute_major: i32,
        compute_minor: i32,
        cpu_tier: mmoe_cpu_tier,
        shared_memory_bytes: u32,
        uuid: [u8; 16],
        luid: [u8; 8],
        name: [c_char; 104],
    }
    struct mmoe_allocator {
        user: *mut c_void,
        allocate: Option<unsafe extern "C" fn(user: *mut c_void, size_bytes: usize, alignment_bytes: usize) -> *mut c_void>,
        release: Option<unsafe extern "C" fn(user: *mut c_void, memory: *mut c_void, size_bytes: usize)>,
    }
    struct mmoe_context_options {
        struct_size: u32,
        device_kind: mmoe_device_kind,
        device_index: i32,
        thread_count: u32,
        host_allocator: mmoe_allocator,
        device_allocator: mmoe_allocator,
        log: mmoe_log_fn,
        log_user: *mut c_void,
        parallel_for: mmoe_parallel_for_fn,
        parallel_for_user: *mut c_void,
        memory_budget_bytes: u64,
        log_level: mmoe_log_level,
        cpu_tier: mmoe_cpu_tier,
    }
    struct mmoe_quant_fields {
        struct_size: u32,
        format: mmoe_format,
        bits: i32,
        group_size: i32,
        symmetry: mmoe_symmetry,
        zero_point_form: mmoe_zero_point_form,
        order: mmoe_order,
        scale_dtype: mmoe_dtype,
    }
    struct mmoe_layer {
        struct_size: u32,
        expert_count: u32,
        hidden_size: u32,
        intermediate_size: u32,
        activation: mmoe_activation,
        gate_form: mmoe_gate_form,
        alpha: f32,
        beta: f32,
        limit: f32,
        flags: u32,
    }
    struct mmoe_checkpoint_options {
        struct_size: u32,
        reserved: u32,
        max_header_bytes: u64,
        experts_prefix: *const c_char,
        gate_name: *const c_char,
        up_name: *const c_char,
        down_name: *const c_char,
    }
    struct mmoe_tensor_info {
        struct_size: u32,
        dtype: mmoe_dtype,
        rank: i32,
        file_index: u32,
        shape: [i64; 8],
        byte_count: u64,
        file_offset: u64,
        name: *const c_char,
    }
    struct mmoe_layer_place {
        struct_size: u32,
        model_layer: u32,
        top_k: u32,
        reserved: u32,
        byte_count: u64,
        experts_prefix: *const c_char,
    }
    struct mmoe_split {
        tensor_ranks: u32,
        tensor_rank: u32,
        expert_ranks: u32,
        expert_rank: u32,
    }
    struct mmoe_support {
        struct_size: u32,
        supported: i32,
        reasons: u64,
        sentence: [c_char; 248],
        remedy: [c_char; 248],
        most_tensor_ranks: u32,
        local_intermediate_size: u32,
        padded_intermediate_size: u32,
        local_group_size: u32,
    }
    struct mmoe_memory_plan {
        struct_size: u32,
        reserved: u32,
        resident_bytes: u64,
        scratch_bytes: u64,
    }
    struct mmoe_bundle_options {
        struct_size: u32,
        slot_count: u32,
        progress: mmoe_progress_fn,
        progress_user: *mut c_void,
        split: mmoe_split,
    }
    struct mmoe_bundle_description {
        struct_size: u32,
        expert_count: u32,
        first_expert: u32,
        resident_count: u32,
        slot_count: u32,
        local_intermediate_size: u32,
        resident_bytes: u64,
        sealed: i32,
        device_kind: mmoe_device_kind,
    }
    struct mmoe_expert_tensor {
        projection: mmoe_projection,
        role: mmoe_role,
        tensor: mmoe_tensor,
    }
    struct mmoe_load_progress {
        struct_size: u32,
        finished: i32,
        done_bytes: u64,
        total_bytes: u64,
    }
    struct mmoe_bundle_open_options {
        struct_size: u32,
        skip_checksums: i32,
        progress: mmoe_progress_fn,
        progress_user: *mut c_void,
    }
    struct mmoe_executor_options {
        struct_size: u32,
        max_tokens: u32,
        max_top_k: u32,
        hidden_dtype: mmoe_dtype,
        output_dtype: mmoe_dtype,
        precision: mmoe_precision,
        skip_self_test: i32,
        reserved: u32,
        workspace: *mut c_void,
        workspace_bytes: u64,
    }
    struct mmoe_run_args {
        struct_size: u32,
        reserved: u32,
        hidden: mmoe_tensor,
        expert_ids: mmoe_tensor,
        expert_weights: mmoe_tensor,
        output: mmoe_tensor,
        expert_map: mmoe_tensor,
        token_count: mmoe_tensor,
    }
    struct mmoe_executor_findings {
        struct_size: u32,
        ids_out_of_range: i32,
    }
    struct mmoe_route_args {
        struct_size: u32,
        scoring: mmoe_scoring,
        group_count: u32,
        groups_kept: u32,
        renormalize: i32,
        scale: f32,
        logits: mmoe_tensor,
        correction_bias: mmoe_tensor,
        expert_ids: mmoe_tensor,
        expert_weights: mmoe_tensor,
    }
    struct mmoe_marlin_matrix {
        struct_size: u32,
        expert_count: u32,
        inputs: i64,
        outputs: i64,
        padded_inputs: i64,
        padded_outputs: i64,
        first_output: i64,
        activation: mmoe_marlin_activation,
        reserved: u32,
    }
    struct mmoe_marlin_description {
        struct_size: u32,
        reserved: u32,
        file: mmoe_tensor,
        marlin: mmoe_tensor,
        file_bytes: u64,
        marlin_bytes: u64,
    }
    struct mmoe_marlin_args {
        struct_size: u32,
        role: mmoe_role,
        file: mmoe_tensor,
        marlin: mmoe_tensor,
        group_index: mmoe_tensor,
    }
    struct mmoe_marlin_operand {
        weight: mmoe_tensor,
        scale: mmoe_tensor,
        zero_point: mmoe_tensor,
        bias: mmoe_tensor,
    }
    struct mmoe_marlin_experts {
        struct_size: u32,
        activation: mmoe_marlin_activation,
        w13: mmoe_marlin_operand,
        w2: mmoe_marlin_operand,
        w13_order: mmoe_tensor,
        w2_order: mmoe_tensor,
    }
}

c_functions! {
    fn mmoe_version() -> u32;
    fn mmoe_version_string() -> *const c_char;
    fn mmoe_build_describe(text: *mut c_char, capacity_bytes: usize) -> usize;
    fn mmoe_status_name(status: mmoe_status) -> *const c_char;
    fn mmoe_device_count(kind: mmoe_device_kind, count: *mut u32, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_device_info(kind: mmoe_device_kind, index: u32, description: *mut mmoe_device_description, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_context_create(options: *const mmoe_context_options, out: *mut *mut mmoe_context, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_context_info(context: *const mmoe_context, description: *mut mmoe_device_description, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_context_destroy(context: *mut mmoe_context);
    fn mmoe_quant_config_create(fields: *const mmoe_quant_fields, out: *mut *mut mmoe_quant_config, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_quant_config_load(path: *const c_char, module: *const c_char, out: *mut *mut mmoe_quant_config, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_quant_config_info(config: *const mmoe_quant_config, fields: *mut mmoe_quant_fields, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_quant_config_destroy(config: *mut mmoe_quant_config);
    fn mmoe_checkpoint_open(context: *mut mmoe_context, path: *const c_char, options: *const mmoe_checkpoint_options, out: *mut *mut mmoe_checkpoint, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_checkpoint_tensor_count(checkpoint: *const mmoe_checkpoint) -> u64;
    fn mmoe_checkpoint_tensor_at(checkpoint: *const mmoe_checkpoint, index: u64, info: *mut mmoe_tensor_info, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_checkpoint_tensor_find(checkpoint: *const mmoe_checkpoint, name: *const c_char, info: *mut mmoe_tensor_info, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_checkpoint_tensor_read(checkpoint: *const mmoe_checkpoint, name: *const c_char, data: *mut c_void, capacity_bytes: usize, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_checkpoint_layer_count(checkpoint: *const mmoe_checkpoint) -> u32;
    fn mmoe_checkpoint_layer_info(checkpoint: *const mmoe_checkpoint, layer: u32, info: *mut mmoe_layer, place: *mut mmoe_layer_place, config: *mut *mut mmoe_quant_config, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_checkpoint_dequantize(checkpoint: *const mmoe_checkpoint, layer: u32, expert: u32, projection: mmoe_projection, weights: *mut f32, weight_count: usize, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_checkpoint_destroy(checkpoint: *mut mmoe_checkpoint);
    fn mmoe_support_query(context: *const mmoe_context, config: *const mmoe_quant_config, layer: *const mmoe_layer, split: *const mmoe_split, support: *mut mmoe_support, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_bundle_plan(context: *const mmoe_context, config: *const mmoe_quant_config, layer: *const mmoe_layer, options: *const mmoe_bundle_options, plan: *mut mmoe_memory_plan, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_bundle_create(context: *mut mmoe_context, config: *const mmoe_quant_config, layer: *const mmoe_layer, options: *const mmoe_bundle_options, out: *mut *mut mmoe_bundle, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_bundle_set(bundle: *mut mmoe_bundle, expert: u32, projection: mmoe_projection, role: mmoe_role, tensor: *const mmoe_tensor, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_bundle_seal(bundle: *mut mmoe_bundle, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_bundle_load(context: *mut mmoe_context, checkpoint: *const mmoe_checkpoint, layer: u32, options: *const mmoe_bundle_options, out: *mut *mut mmoe_bundle, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_bundle_put(bundle: *mut mmoe_bundle, expert: u32, tensors: *const mmoe_expert_tensor, count: u32, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_bundle_put_from(bundle: *mut mmoe_bundle, checkpoint: *const mmoe_checkpoint, layer: u32, expert: u32, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_bundle_evict(bundle: *mut mmoe_bundle, expert: u32, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_load_start(context: *mut mmoe_context, checkpoint: *const mmoe_checkpoint, layer: u32, options: *const mmoe_bundle_options, out: *mut *mut mmoe_load, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_load_poll(load: *const mmoe_load, progress: *mut mmoe_load_progress, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_load_wait(load: *mut mmoe_load, out: *mut *mut mmoe_bundle, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_load_cancel(load: *mut mmoe_load);
    fn mmoe_load_destroy(load: *mut mmoe_load);
    fn mmoe_bundle_save(bundle: *const mmoe_bundle, path: *const c_char, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_bundle_open(context: *mut mmoe_context, path: *const c_char, options: *const mmoe_bundle_open_options, out: *mut *mut mmoe_bundle, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_bundle_info(bundle: *const mmoe_bundle, layer: *mut mmoe_layer, description: *mut mmoe_bundle_description, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_bundle_destroy(bundle: *mut mmoe_bundle);
    fn mmoe_executor_plan(context: *const mmoe_context, config: *const mmoe_quant_config, layer: *const mmoe_layer, options: *const mmoe_executor_options, plan: *mut mmoe_memory_plan, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_executor_create(context: *mut mmoe_context, bundle: *const mmoe_bundle, options: *const mmoe_executor_options, out: *mut *mut mmoe_executor, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_executor_run(executor: *mut mmoe_executor, bundle: *const mmoe_bundle, args: *const mmoe_run_args, stream: *mut c_void, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_executor_poll(executor: *mut mmoe_executor, findings: *mut mmoe_executor_findings, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_executor_explain(executor: *const mmoe_executor, bundle: *const mmoe_bundle, tokens: u32, text: *mut c_char, capacity_bytes: usize) -> usize;
    fn mmoe_executor_destroy(executor: *mut mmoe_executor);
    fn mmoe_route(context: *const mmoe_context, args: *const mmoe_route_args, stream: *mut c_void, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_marlin_describe(config: *const mmoe_quant_config, matrix: *const mmoe_marlin_matrix, role: mmoe_role, description: *mut mmoe_marlin_description, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_marlin_pack(context: *const mmoe_context, config: *const mmoe_quant_config, matrix: *const mmoe_marlin_matrix, args: *const mmoe_marlin_args, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_marlin_enqueue_pack(context: *const mmoe_context, config: *const mmoe_quant_config, matrix: *const mmoe_marlin_matrix, args: *const mmoe_marlin_args, stream: *mut c_void, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_marlin_unpack(context: *const mmoe_context, config: *const mmoe_quant_config, matrix: *const mmoe_marlin_matrix, args: *const mmoe_marlin_args, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_marlin_describe_experts(config: *const mmoe_quant_config, layer: *const mmoe_layer, split: *const mmoe_split, activation: mmoe_marlin_activation, experts: *mut mmoe_marlin_experts, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_marlin_export(bundle: *const mmoe_bundle, first_expert: u32, experts: *const mmoe_marlin_experts, error: *mut mmoe_error) -> mmoe_status;
    fn mmoe_marlin_import(context: *mut mmoe_context, config: *const mmoe_quant_config, layer: *const mmoe_layer, split: *const mmoe_split, experts: *const mmoe_marlin_experts, out: *mut *mut mmoe_bundle, error: *mut mmoe_error) -> mmoe_status;
}
