//! `keyward-bindgen TARGET INPUT.wasm OUT_DIR OUT_NAME`: writes the JavaScript glue of one wasm file.
//!
//! TARGET is `worker` (an ES module that imports the compiled module, with the state-reset function that the Worker's
//! entry needs to recover from a panic) or `web` (an ES module whose initialisation the importer drives).

use anyhow::{Result, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [target, input, out_dir, out_name] = args.as_slice() else {
        bail!("usage: keyward-bindgen worker|web INPUT.wasm OUT_DIR OUT_NAME");
    };
    let mut bindgen = Bindgen::new();
    match target.as_str() {
        "worker" => bindgen.module(true)?.reset_state_function(true),
        "web" => bindgen.web(true)?.typescript(true),
        other => bail!("unknown target {other}: worker or web"),
    };
    bindgen.input_path(input).out_name(out_name).generate(out_dir)
}
