// SPDX-License-Identifier: Apache-2.0
//! With the feature `link`: finds the library by MARLIN_MOE_LIB_DIR, else by the program
//! pkg-config. Without it there is nothing to do.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=MARLIN_MOE_LIB_DIR");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    if std::env::var_os("CARGO_FEATURE_LINK").is_none() {
        return;
    }
    if let Ok(folder) = std::env::var("MARLIN_MOE_LIB_DIR") {
        println!("cargo:rustc-link-search=native={folder}");
        println!("cargo:rustc-link-lib=dylib=marlin_moe");
        return;
    }
    let answer = Command::new("pkg-config").args(["--libs", "marlin_moe"]).output();
    let flags = match answer {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).into_owned()
        }
        _ => panic!(
            "feature `link`: pkg-config does not find marlin_moe; \
             set MARLIN_MOE_LIB_DIR to the folder of libmarlin_moe.so"
        ),
    };
    for flag in flags.split_whitespace() {
        if let Some(folder) = flag.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={folder}");
        } else if let Some(name) = flag.strip_prefix("-l") {
            println!("cargo:rustc-link-lib=dylib={name}");
        }
    }
}
