// SPDX-License-Identifier: Apache-2.0
//! A model directory, read-only.

use std::path::Path;

use crate::config::{c_path, c_text, QuantConfig};
use crate::context::Context;
use crate::error::{check, text_at, Result};
use crate::layer::Layer;
use crate::library::Library;
use crate::sys;
use crate::types::{DType, Projection};

/// An open checkpoint. Immutable.
pub struct Checkpoint {
    pub(crate) raw: *mut sys::mmoe_checkpoint,
    context: Context,
}

// SAFETY: a checkpoint is immutable and shared by threads.
unsafe impl Send for Checkpoint {}
unsafe impl Sync for Checkpoint {}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        // SAFETY: made by mmoe_checkpoint_open, destroyed once.
        unsafe { (self.context.api().mmoe_checkpoint_destroy)(self.raw) };
    }
}

/// One tensor of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name in the file.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Elements along each axis.
    pub shape: Vec<i64>,
    /// Size of the data.
    pub byte_count: u64,
}

/// One MoE layer of a checkpoint.
pub struct CheckpointLayer {
    /// Its shape and arithmetic.
    pub layer: Layer,
    /// How its weights are quantised.
    pub config: QuantConfig,
    /// Its number in tensor names.
    pub model_layer: u32,
    /// Experts chosen per token; `None`: the checkpoint does not say.
    pub top_k: Option<u32>,
}

impl Checkpoint {
    /// Opens a directory with `config.json` and safetensors shards, or one safetensors file.
    pub fn open(context: &Context, path: &Path) -> Result<Checkpoint> {
        let path = c_path(path)?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: all pointers are valid during the call.
        check(|error| unsafe {
            (context.api().mmoe_checkpoint_open)(
                context.inner.raw,
                path.as_ptr(),
                std::ptr::null(),
                &mut raw,
                error,
            )
        })?;
        Ok(Checkpoint { raw, context: context.clone() })
    }

    fn library(&self) -> &Library {
        &self.context.inner.library
    }

    /// Every tensor, in order of name.
    pub fn tensors(&self) -> Result<Vec<TensorInfo>> {
        // SAFETY: the checkpoint is valid; so are all pointers during the calls.
        let count = unsafe { (self.library().api.mmoe_checkpoint_tensor_count)(self.raw) };
        (0..count)
            .map(|index| {
                let mut raw = sys::mmoe_tensor_info {
                    struct_size: std::mem::size_of::<sys::mmoe_tensor_info>() as u32,
                    ..Default::default()
                };
                check(|error| unsafe {
                    (self.library().api.mmoe_checkpoint_tensor_at)(self.raw, index, &mut raw, error)
                })?;
                Ok(TensorInfo {
                    // SAFETY: the name belongs to the checkpoint.
                    name: unsafe { text_at(raw.name) },
                    dtype: DType::from_raw(raw.dtype),
                    shape: raw.shape[..raw.rank as usize].to_vec(),
                    byte_count: raw.byte_count,
                })
            })
            .collect()
    }

    /// Reads a tensor whole: little-endian elements, row-major.
    pub fn read(&self, info: &TensorInfo) -> Result<Vec<u8>> {
        let name = c_text(&info.name)?;
        let mut data = vec![0u8; info.byte_count as usize];
        // SAFETY: `data` has the size that is passed.
        check(|error| unsafe {
            (self.library().api.mmoe_checkpoint_tensor_read)(
                self.raw,
                name.as_ptr(),
                data.as_mut_ptr().cast(),
                data.len(),
                error,
            )
        })?;
        Ok(data)
    }

    /// The number of MoE layers; dense layers are not counted.
    pub fn layer_count(&self) -> u32 {
        // SAFETY: the checkpoint is valid.
        unsafe { (self.library().api.mmoe_checkpoint_layer_count)(self.raw) }
    }

    /// Describes one MoE layer without reading its weights.
    pub fn layer(&self, index: u32) -> Result<CheckpointLayer> {
        let mut layer = Layer::default().to_raw();
        let mut place = sys::mmoe_layer_place {
            struct_size: std::mem::size_of::<sys::mmoe_layer_place>() as u32,
            ..Default::default()
        };
        let mut config = std::ptr::null_mut();
        // SAFETY: all pointers are valid during the call.
        check(|error| unsafe {
            (self.library().api.mmoe_checkpoint_layer_info)(
                self.raw,
                index,
                &mut layer,
                &mut place,
                &mut config,
                error,
            )
        })?;
        Ok(CheckpointLayer {
            layer: Layer::from_raw(&layer),
            config: QuantConfig::from_raw(self.library(), config),
            model_layer: place.model_layer,
            top_k: Some(place.top_k).filter(|&top_k| top_k != 0),
        })
    }

    /// One projection of one expert as plain numbers, `[N, K]`.
    pub fn dequantize(&self, layer: u32, expert: u32, projection: Projection) -> Result<Vec<f32>> {
        let shape = self.layer(layer)?.layer;
        let mut weights = vec![0f32; shape.hidden_size as usize * shape.intermediate_size as usize];
        // SAFETY: `weights` has the size that is passed.
        check(|error| unsafe {
            (self.library().api.mmoe_checkpoint_dequantize)(
                self.raw,
                layer,
                expert,
                projection.to_raw(),
                weights.as_mut_ptr(),
                weights.len(),
                error,
            )
        })?;
        Ok(weights)
    }
}
