//! Compiles the wire contract in pure Rust: no protoc to install.

use std::error::Error;
use std::path::Path;

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);

    let public = protox::compile(
        [
            "payroute/v1/routing.proto",
            "payroute/v1/health.proto",
            "payroute/v1/compensation.proto",
        ],
        [root],
    )?;
    std::fs::write(out.join("payroute.v1.bin"), public.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_transport(true)
        // Personal data is not printed: `contact.rs` says how it is.
        .skip_debug(["payroute.v1.CustomerContact"])
        .compile_fds(public)?;

    // What only we read is not served: it has no place in the reflected contract.
    let internal = [
        "payroute/internal/v1/token.proto",
        "payroute/internal/v1/outcome.proto",
    ];
    let claims = protox::compile(internal, [root])?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_server(false)
        .compile_fds(claims)?;
    Ok(())
}
