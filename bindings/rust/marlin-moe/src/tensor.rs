// SPDX-License-Identifier: Apache-2.0
//! Borrowed views of host memory.

use std::marker::PhantomData;

use crate::sys;
use crate::types::DType;

/// The bits of an IEEE binary16 number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct F16(pub u16);

/// The bits of a bfloat16 number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that is an element type of the library.
pub trait Element: Copy + sealed::Sealed {
    /// The library's name for it.
    const DTYPE: DType;
}

macro_rules! elements {
    ($($type:ty => $dtype:ident,)*) => {
        $(impl sealed::Sealed for $type {}
        impl Element for $type {
            const DTYPE: DType = DType::$dtype;
        })*
    };
}

elements! {
    f32 => F32,
    F16 => F16,
    Bf16 => Bf16,
    i32 => I32,
    i64 => I64,
    u8 => U8,
    i8 => I8,
}

/// A contiguous row-major tensor in memory that the caller owns, and that it outlives:
///
/// ```compile_fail
/// use marlin_moe::Tensor;
/// let dangling = {
///     let codes = vec![0i32; 8];
///     Tensor::new(&codes, &[8])
/// };
/// let copy = dangling;
/// ```
#[derive(Clone, Copy)]
pub struct Tensor<'a> {
    pub(crate) raw: sys::mmoe_tensor,
    memory: PhantomData<&'a [u8]>,
}

impl<'a> Tensor<'a> {
    /// Views `data` as a tensor of `shape`.
    ///
    /// # Panics
    /// If the shape has another number of elements than `data`, or a rank outside 1 to 4.
    pub fn new<T: Element>(data: &'a [T], shape: &[usize]) -> Tensor<'a> {
        Tensor { raw: raw_tensor(data.as_ptr(), data.len(), shape), memory: PhantomData }
    }
}

/// The C form of a view; the caller keeps the memory alive.
pub(crate) fn raw_tensor<T: Element>(
    data: *const T,
    length: usize,
    shape: &[usize],
) -> sys::mmoe_tensor {
    assert!((1..=sys::MMOE_MAX_RANK as usize).contains(&shape.len()), "rank {}", shape.len());
    assert_eq!(shape.iter().product::<usize>(), length, "elements of shape {shape:?}");
    let mut raw = sys::mmoe_tensor {
        data: data as *mut std::ffi::c_void,
        dtype: T::DTYPE.to_raw(),
        rank: shape.len() as i32,
        ..Default::default()
    };
    for (axis, &size) in shape.iter().enumerate() {
        raw.shape[axis] = size as i64;
    }
    raw
}
