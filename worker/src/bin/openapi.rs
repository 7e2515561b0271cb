//! `openapi FILE`: writes the OpenAPI document, which the Worker serves as a static asset.

fn main() -> std::io::Result<()> {
    let file = std::env::args_os().nth(1).ok_or(std::io::ErrorKind::InvalidInput)?;
    std::fs::write(file, format!("{}\n", keyward_worker::openapi::document()))
}
