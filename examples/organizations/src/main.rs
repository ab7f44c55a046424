//! Serves the application: `organizations [ADDRESS]`, configured by the environment and `.env` as rowhouse is.
use anyhow::Context as _;
use organizations::app;
use rowhouse::ConnectionManager;
use std::io::Write as _;
use std::net::SocketAddr;

/// Where it is served unless somebody says otherwise.
const ADDRESS: &str = "127.0.0.1:8000";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| ADDRESS.to_owned());
    let manager = ConnectionManager::from_environment()?.open().await?;
    let listener = tokio::net::TcpListener::bind(&address).await.context("cannot listen")?;
    writeln!(std::io::stdout(), "served on {}", listener.local_addr()?)?;
    let service = app(&manager).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(told_to_stop()).await?;
    manager.shut_down().await;
    Ok(())
}

async fn told_to_stop() {
    // Without a signal to wait for, it goes on until it is killed.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
