//! What stands between the hub and the chain's RPC: nothing, a distance, or a load balancer that hangs up.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// How an RPC behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As Anvil on the same machine.
    Direct,
    /// Each answer takes this many milliseconds.
    Distant(u64),
    /// All connections are closed every so many milliseconds.
    HangsUp(u64),
}

/// Starts it; returns the URL that the hub gets.
pub async fn start(target: &str, manner: Manner) -> String {
    if manner == Manner::Direct {
        return target.to_owned();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let target = target.trim_start_matches("http://").to_owned();
    let (hang_up, _) = tokio::sync::broadcast::channel::<()>(1);
    if let Manner::HangsUp(every) = manner {
        let hang_up = hang_up.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(every)).await;
                let _ = hang_up.send(());
            }
        });
    }
    tokio::spawn(async move {
        loop {
            let Ok((near, _)) = listener.accept().await else { continue };
            let (target, mut ended) = (target.clone(), hang_up.subscribe());
            tokio::spawn(async move {
                tokio::select! {
                    () = join(near, target, manner) => {}
                    _ = ended.recv() => {}
                }
            });
        }
    });
    url
}

async fn join(near: TcpStream, target: String, manner: Manner) {
    let Ok(far) = TcpStream::connect(target).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    tokio::select! {
        () = requests(&mut near_in, &mut far_out, manner) => {}
        _ = tokio::io::copy(&mut far_in, &mut near_out) => {}
    }
}

async fn requests(near: &mut OwnedReadHalf, far: &mut OwnedWriteHalf, manner: Manner) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count) = near.read(&mut buffer).await {
        if count == 0 {
            return;
        }
        if let Manner::Distant(delay) = manner
            && buffer.starts_with(b"POST")
        {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        if far.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
