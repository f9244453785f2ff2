// SPDX-License-Identifier: Apache-2.0
//! Quantised mixture-of-experts (MoE) layers from Rust, on libmarlin_moe.
//!
//! The objects are those of the C interface, in the order of use: [`Library`], [`Context`],
//! [`QuantConfig`], [`Checkpoint`], [`Bundle`], [`Executor`]. Each keeps alive what it needs, so
//! they may be dropped in any order. All but the executor and a [`BundleBuilder`] are shared by
//! threads.
//!
//! ```
//! use marlin_moe::*;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let library = Library::load()?;
//!     let cpu = ContextOptions { device: Some(DeviceKind::Cpu), ..Default::default() };
//!     let context = Context::new(&library, cpu)?;
//!     let fields = QuantFields {
//!         bits: 4,
//!         group_size: Some(32),
//!         scale_dtype: Some(DType::F32),
//!         ..Default::default()
//!     };
//!     let config = QuantConfig::new(&library, &fields)?;
//!
//!     // One expert with H = 64 and I = 32. All codes are 9, the zero point is 8, all scales are
//!     // 1/64: every weight is 1/64.
//!     let (hidden_size, intermediate_size) = (64, 32);
//!     let layer = Layer { experts: 1, hidden_size, intermediate_size, ..Default::default() };
//!     let mut builder = BundleBuilder::new(&context, &config, &layer, Split::default())?;
//!     for (projection, outputs, inputs) in
//!         [(Projection::Gate, 32, 64), (Projection::Up, 32, 64), (Projection::Down, 64, 32)]
//!     {
//!         let codes = vec![0x9999_9999_u32 as i32; outputs * inputs / 8];
//!         let scales = vec![1.0_f32 / 64.0; outputs * inputs / 32];
//!         let codes = Tensor::new(&codes, &[outputs, inputs / 8]);
//!         builder.set(0, projection, Role::Weight, codes)?;
//!         builder.set(0, projection, Role::Scale, Tensor::new(&scales, &[outputs, inputs / 32]))?;
//!     }
//!     let bundle = builder.seal()?;
//!
//!     let options = ExecutorOptions {
//!         max_tokens: 4,
//!         max_top_k: 1,
//!         hidden: DType::F32,
//!         ..Default::default()
//!     };
//!     let mut executor = Executor::new(&context, &bundle, &options)?;
//!     let mut output = vec![0.0_f32; 64];
//!     executor.run(&bundle, Run {
//!         hidden: &vec![1.0_f32; 64],
//!         expert_ids: &[0],
//!         expert_weights: &[1.0],
//!         top_k: 1,
//!         expert_map: None,
//!         output: &mut output,
//!     })?;
//!     // gate = up = 1, act = 1 * sigmoid(1) * 1, down adds 32 of them times 1/64.
//!     let expected = 32.0 / 64.0 / (1.0 + (-1.0_f32).exp());
//!     assert!(output.iter().all(|value| (value - expected).abs() < 1e-4 * expected));
//!     Ok(())
//! }
//! ```
#![deny(missing_docs)]

mod bundle;
mod checkpoint;
mod config;
mod context;
mod error;
mod executor;
mod layer;
mod library;
mod load;
mod tensor;
mod types;

pub use bundle::{Bundle, BundleBuilder, BundleInfo, BundleOptions, ExpertTensor};
pub use checkpoint::{Checkpoint, CheckpointLayer, TensorInfo};
pub use config::{QuantConfig, QuantFields};
pub use context::{Context, ContextOptions, LogFn, Route};
pub use error::{Error, ErrorKind, Result};
pub use executor::{Executor, ExecutorOptions, Run};
pub use layer::{bundle_plan, executor_plan, support, Layer, MemoryPlan, Split, Support};
pub use library::{Device, Library};
pub use load::{Load, LoadProgress};
pub use marlin_moe_sys as sys;
pub use sys::LoadError;
pub use tensor::{Bf16, Element, Tensor, F16};
pub use types::*;
