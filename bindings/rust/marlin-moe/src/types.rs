// SPDX-License-Identifier: Apache-2.0
//! The enumerations of the C interface. A value that this crate does not know, from a newer
//! library, becomes the variant `Unknown`.

use crate::sys;

macro_rules! c_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $value:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A value that this crate does not know.
            Unknown(i32),
        }

        impl $name {
            #[allow(dead_code)] // not every enumeration is read back
            pub(crate) fn from_raw(value: i32) -> Self {
                match value {
                    $(sys::$value => $name::$variant,)*
                    other => $name::Unknown(other),
                }
            }

            pub(crate) fn to_raw(self) -> i32 {
                match self {
                    $($name::$variant => sys::$value,)*
                    $name::Unknown(value) => value,
                }
            }
        }
    };
}

c_enum! {
    /// Element type of a tensor.
    DType {
        /// IEEE binary32.
        F32 = MMOE_DTYPE_F32,
        /// IEEE binary16.
        F16 = MMOE_DTYPE_F16,
        /// bfloat16.
        Bf16 = MMOE_DTYPE_BF16,
        /// 32-bit integer; also words of packed codes.
        I32 = MMOE_DTYPE_I32,
        /// 64-bit integer.
        I64 = MMOE_DTYPE_I64,
        /// Unsigned byte.
        U8 = MMOE_DTYPE_U8,
        /// Signed byte.
        I8 = MMOE_DTYPE_I8,
        /// IEEE binary64.
        F64 = MMOE_DTYPE_F64,
        /// 16-bit integer.
        I16 = MMOE_DTYPE_I16,
        /// A type that the library names but does not read.
        Other = MMOE_DTYPE_OTHER,
    }
}

c_enum! {
    /// Kind of device.
    DeviceKind {
        /// The processor that the program runs on.
        Cpu = MMOE_DEVICE_CPU,
        /// An NVIDIA GPU.
        Cuda = MMOE_DEVICE_CUDA,
    }
}

c_enum! {
    /// The highest instruction set that the CPU backend may use.
    CpuTier {
        /// Everything that processor and system offer.
        Best = MMOE_CPU_TIER_BEST,
        /// No vector code.
        Scalar = MMOE_CPU_TIER_SCALAR,
        /// AVX2, FMA and F16C.
        Avx2 = MMOE_CPU_TIER_AVX2,
        /// AVX-512 F, BW, DQ, VL and VNNI.
        Avx512 = MMOE_CPU_TIER_AVX512,
        /// The same with AVX512-BF16.
        Avx512Bf16 = MMOE_CPU_TIER_AVX512_BF16,
        /// AVX2 with AVX-VNNI.
        AvxVnni = MMOE_CPU_TIER_AVX_VNNI,
        /// AVX512-BF16 with AMX (TILE, BF16, INT8).
        AmxBf16 = MMOE_CPU_TIER_AMX_BF16,
        /// NEON, as every 64-bit ARM processor has it.
        Neon = MMOE_CPU_TIER_NEON,
        /// NEON with dot products of bytes.
        NeonDot = MMOE_CPU_TIER_NEON_DOT,
        /// NEON with dot products of bytes and bf16.
        NeonBf16 = MMOE_CPU_TIER_NEON_BF16,
    }
}

c_enum! {
    /// Nonlinearity between the two GEMMs.
    Activation {
        /// `a * sigmoid(alpha * a) * (u + beta)`.
        Silu = MMOE_ACTIVATION_SILU,
        /// `0.5 * a * (1 + erf(a / sqrt 2)) * u`.
        Gelu = MMOE_ACTIVATION_GELU,
        /// The tanh approximation of GELU, times `u`.
        GeluTanh = MMOE_ACTIVATION_GELU_TANH,
        /// `max(a, 0)^2 * u`.
        Relu2 = MMOE_ACTIVATION_RELU2,
        /// SILU's formula with the constants of gpt-oss.
        SwigluOai = MMOE_ACTIVATION_SWIGLUOAI,
    }
}

c_enum! {
    /// Which projections feed the activation.
    GateForm {
        /// Gate rows, then up rows.
        Separate = MMOE_GATE_SEPARATE,
        /// Gate 0, up 0, gate 1, ...
        Interleaved = MMOE_GATE_INTERLEAVED,
        /// Not gated.
        None = MMOE_GATE_NONE,
    }
}

c_enum! {
    /// One linear layer of an expert.
    Projection {
        /// `[I, H]`; absent where the layer is not gated.
        Gate = MMOE_PROJECTION_GATE,
        /// `[I, H]`.
        Up = MMOE_PROJECTION_UP,
        /// `[H, I]`.
        Down = MMOE_PROJECTION_DOWN,
    }
}

c_enum! {
    /// What a tensor is to a projection.
    Role {
        /// Packed codes.
        Weight = MMOE_ROLE_WEIGHT,
        /// One scale a group and output.
        Scale = MMOE_ROLE_SCALE,
        /// One zero point a group and output.
        ZeroPoint = MMOE_ROLE_ZERO_POINT,
        /// The group of each input.
        GroupIndex = MMOE_ROLE_GROUP_INDEX,
        /// Added to the projection's result.
        Bias = MMOE_ROLE_BIAS,
    }
}

c_enum! {
    /// Severity of a log line.
    LogLevel {
        /// Nothing.
        Off = MMOE_LOG_OFF,
        /// Something works, but not as well as it could.
        Warning = MMOE_LOG_WARNING,
        /// What was opened, made and chosen.
        Info = MMOE_LOG_INFO,
        /// Every step.
        Debug = MMOE_LOG_DEBUG,
    }
}

c_enum! {
    /// Who wrote the tensors, and so how they are packed.
    Format {
        /// compressed-tensors "pack-quantized".
        CompressedTensors = MMOE_FORMAT_COMPRESSED_TENSORS,
        /// GPTQ.
        Gptq = MMOE_FORMAT_GPTQ,
        /// AWQ.
        Awq = MMOE_FORMAT_AWQ,
    }
}

c_enum! {
    /// How zero points are stored.
    ZeroPointForm {
        /// As the format packs them; true values.
        Packed = MMOE_ZERO_POINT_PACKED,
        /// One signed byte each.
        Int8 = MMOE_ZERO_POINT_INT8,
        /// Packed, one less than the value in each field.
        MinusOne = MMOE_ZERO_POINT_MINUS_ONE,
        /// Packed, one less in each field, subtracted from the whole word.
        MinusOneWord = MMOE_ZERO_POINT_MINUS_ONE_WORD,
    }
}

c_enum! {
    /// Activation order: whether groups follow the columns of the file.
    Order {
        /// Group of column k is `k / g`.
        None = MMOE_ORDER_NONE,
        /// Quantised in another order, stored in this one.
        Static = MMOE_ORDER_STATIC,
        /// A tensor names each column's group.
        Group = MMOE_ORDER_GROUP,
    }
}

c_enum! {
    /// Which arithmetic the executor may use.
    Precision {
        /// 16-bit activations or better.
        Default = MMOE_PRECISION_DEFAULT,
        /// fp32 activations and products.
        Exact = MMOE_PRECISION_EXACT,
        /// 8-bit activations are permitted, on the CPU.
        Int8 = MMOE_PRECISION_INT8,
    }
}

c_enum! {
    /// How a router's logits become scores.
    Scoring {
        /// Softmax over all experts.
        Softmax = MMOE_SCORING_SOFTMAX,
        /// Sigmoid of each logit.
        Sigmoid = MMOE_SCORING_SIGMOID,
    }
}
