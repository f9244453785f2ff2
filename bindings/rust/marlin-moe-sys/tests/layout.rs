// SPDX-License-Identifier: Apache-2.0
//! Rust's idea of every size, offset and constant, against the table that the C tests freeze.

use std::collections::HashMap;

use marlin_moe_sys as sys;

const FROZEN: &str = include_str!("../../../../tests/abi/frozen.txt");

#[test]
fn layout_is_that_of_the_header() {
    let mut numbers: HashMap<String, i64> =
        sys::layout().into_iter().map(|(name, value)| (name, value as i64)).collect();
    numbers
        .extend(sys::CONSTANTS.iter().map(|(name, value)| (name.to_string(), i64::from(*value))));

    let mut checked = 0;
    for line in FROZEN.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.split_once(' ').expect("name and number");
        let value: i64 = value.parse().expect("a number");
        assert_eq!(numbers.get(name), Some(&value), "{name}");
        checked += 1;
    }
    let versions = numbers.keys().filter(|name| name.starts_with("MMOE_VERSION_")).count();
    assert_eq!(checked + versions, numbers.len(), "a name is not frozen");
}
