// SPDX-License-Identifier: Apache-2.0
//! What a layer computes, whether it can run, and how many bytes it takes.

use crate::bundle::BundleOptions;
use crate::config::QuantConfig;
use crate::context::Context;
use crate::error::{check, text_of, Result};
use crate::executor::ExecutorOptions;
use crate::sys;
use crate::types::{Activation, GateForm};

/// Shape and arithmetic of one MoE layer; `mmoe_layer` in the C header has the formula.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    /// E.
    pub experts: u32,
    /// H.
    pub hidden_size: u32,
    /// I.
    pub intermediate_size: u32,
    /// The nonlinearity.
    pub activation: Activation,
    /// Whether and how the layer is gated.
    pub gate_form: GateForm,
    /// 0: the activation's own.
    pub alpha: f32,
    /// 0: the activation's own.
    pub beta: f32,
    /// 0: the activation's own, which for most is none.
    pub limit: f32,
    /// Gate, up and down have biases.
    pub bias: bool,
    /// The router weight scales the hidden state, not the result.
    pub router_weight_on_input: bool,
}

impl Default for Layer {
    fn default() -> Self {
        Layer {
            experts: 0,
            hidden_size: 0,
            intermediate_size: 0,
            activation: Activation::Silu,
            gate_form: GateForm::Separate,
            alpha: 0.0,
            beta: 0.0,
            limit: 0.0,
            bias: false,
            router_weight_on_input: false,
        }
    }
}

impl Layer {
    pub(crate) fn to_raw(self) -> sys::mmoe_layer {
        let flag = |set, bit: i32| if set { bit as u32 } else { 0 };
        sys::mmoe_layer {
            struct_size: std::mem::size_of::<sys::mmoe_layer>() as u32,
            expert_count: self.experts,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            activation: self.activation.to_raw(),
            gate_form: self.gate_form.to_raw(),
            alpha: self.alpha,
            beta: self.beta,
            limit: self.limit,
            flags: flag(self.bias, sys::MMOE_LAYER_BIAS)
                | flag(self.router_weight_on_input, sys::MMOE_LAYER_ROUTER_WEIGHT_ON_INPUT),
        }
    }

    pub(crate) fn from_raw(raw: &sys::mmoe_layer) -> Layer {
        Layer {
            experts: raw.expert_count,
            hidden_size: raw.hidden_size,
            intermediate_size: raw.intermediate_size,
            activation: Activation::from_raw(raw.activation),
            gate_form: GateForm::from_raw(raw.gate_form),
            alpha: raw.alpha,
            beta: raw.beta,
            limit: raw.limit,
            bias: raw.flags & sys::MMOE_LAYER_BIAS as u32 != 0,
            router_weight_on_input: raw.flags & sys::MMOE_LAYER_ROUTER_WEIGHT_ON_INPUT as u32 != 0,
        }
    }
}

/// How a layer is divided over parallel ranks. The default is not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Ranks that share the intermediate axis; 0: 1.
    pub tensor_ranks: u32,
    /// This rank.
    pub tensor_rank: u32,
    /// Ranks that share the experts; 0: 1.
    pub expert_ranks: u32,
    /// This rank.
    pub expert_rank: u32,
}

impl Split {
    pub(crate) fn to_raw(self) -> sys::mmoe_split {
        sys::mmoe_split {
            tensor_ranks: self.tensor_ranks,
            tensor_rank: self.tensor_rank,
            expert_ranks: self.expert_ranks,
            expert_rank: self.expert_rank,
        }
    }
}

/// Answer of [`support`].
#[derive(Clone, Debug)]
pub struct Support {
    /// Whether a bundle can be made and run.
    pub supported: bool,
    /// `sys::MMOE_REASON_*` bits.
    pub reasons: u64,
    /// Why not; empty if supported.
    pub sentence: String,
    /// The smallest change that helps; may be empty.
    pub remedy: String,
    /// Tensor ranks, not above those asked about, that work; 0 where the layer itself cannot run.
    pub most_tensor_ranks: u32,
    /// Intermediate channels of this rank; 0 if it is not supported, as the members below.
    pub local_intermediate_size: u32,
    /// The same as kept on the device.
    pub padded_intermediate_size: u32,
    /// Of these channels, those that share a scale of the down projection.
    pub local_group_size: u32,
}

/// Bytes that an object takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Kept on the context's device.
    pub resident_bytes: u64,
    /// Host memory at most, beside that, while it is made.
    pub scratch_bytes: u64,
}

/// Asks whether a layer can run, before anything is loaded.
pub fn support(
    context: &Context,
    config: &QuantConfig,
    layer: &Layer,
    split: Split,
) -> Result<Support> {
    let mut raw = sys::mmoe_support {
        struct_size: std::mem::size_of::<sys::mmoe_support>() as u32,
        ..Default::default()
    };
    let (layer, split) = (layer.to_raw(), split.to_raw());
    // SAFETY: all pointers are valid during the call.
    check(|error| unsafe {
        (context.api().mmoe_support_query)(
            context.inner.raw,
            config.raw,
            &layer,
            &split,
            &mut raw,
            error,
        )
    })?;
    Ok(Support {
        supported: raw.supported != 0,
        reasons: raw.reasons,
        sentence: text_of(&raw.sentence),
        remedy: text_of(&raw.remedy),
        most_tensor_ranks: raw.most_tensor_ranks,
        local_intermediate_size: raw.local_intermediate_size,
        padded_intermediate_size: raw.padded_intermediate_size,
        local_group_size: raw.local_group_size,
    })
}

fn plan_of(
    call: impl FnOnce(*mut sys::mmoe_memory_plan, *mut sys::mmoe_error) -> sys::mmoe_status,
) -> Result<MemoryPlan> {
    let mut raw = sys::mmoe_memory_plan {
        struct_size: std::mem::size_of::<sys::mmoe_memory_plan>() as u32,
        ..Default::default()
    };
    check(|error| call(&mut raw, error))?;
    Ok(MemoryPlan { resident_bytes: raw.resident_bytes, scratch_bytes: raw.scratch_bytes })
}

/// The bytes of a bundle before it is made.
pub fn bundle_plan(
    context: &Context,
    config: &QuantConfig,
    layer: &Layer,
    options: impl Into<BundleOptions>,
) -> Result<MemoryPlan> {
    let (layer, options) = (layer.to_raw(), options.into().to_raw());
    // SAFETY: all pointers are valid during the call.
    plan_of(|plan, error| unsafe {
        (context.api().mmoe_bundle_plan)(
            context.inner.raw,
            config.raw,
            &layer,
            &options,
            plan,
            error,
        )
    })
}

/// The bytes of an executor's workspace before it is made.
pub fn executor_plan(
    context: &Context,
    config: &QuantConfig,
    layer: &Layer,
    options: &ExecutorOptions,
) -> Result<MemoryPlan> {
    let (layer, options) = (layer.to_raw(), options.to_raw());
    // SAFETY: all pointers are valid during the call.
    plan_of(|plan, error| unsafe {
        (context.api().mmoe_executor_plan)(
            context.inner.raw,
            config.raw,
            &layer,
            &options,
            plan,
            error,
        )
    })
}
