//! Requests over connections that stay open, one after the other on each.

use crate::Outcome;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How many connections send at once.
pub const CONNECTIONS: usize = 64;

/// How the requests went.
pub struct Driven {
    /// How long all took.
    pub took: Duration,
    /// How long each took, in order of length.
    pub latencies: Vec<Duration>,
    /// How many were not answered with success.
    pub refused: u64,
}

impl Driven {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// The time within which this share was answered, in milliseconds.
    pub fn within_ms(&self, share: f64) -> f64 {
        percentile_ms(&self.latencies, share)
    }
}

/// A percentile of durations in order, in milliseconds.
pub fn percentile_ms(sorted: &[Duration], share: f64) -> f64 {
    let place = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(place).map_or(0.0, |duration| duration.as_secs_f64() * 1000.0)
}

/// Sends `each` requests over every connection. `request(connection, number)` makes them.
pub fn drive(
    address: SocketAddr,
    each: usize,
    request: impl Fn(usize, usize) -> Vec<u8> + Clone + Send + 'static,
) -> Outcome<Driven> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        let began = Instant::now();
        for connection in 0..CONNECTIONS {
            let request = request.clone();
            tasks.spawn(async move { one(address, each, move |number| request(connection, number)).await });
        }
        let mut driven = Driven { took: Duration::ZERO, latencies: Vec::new(), refused: 0 };
        while let Some(ended) = tasks.join_next().await {
            let (latencies, refused) = ended?.map_err(|error| format!("a connection broke: {error}"))?;
            driven.latencies.extend(latencies);
            driven.refused += refused;
        }
        driven.took = began.elapsed();
        driven.latencies.sort_unstable();
        Ok(driven)
    })
}

async fn one(
    address: SocketAddr,
    each: usize,
    request: impl Fn(usize) -> Vec<u8>,
) -> std::io::Result<(Vec<Duration>, u64)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut answer = Vec::new();
    let mut latencies = Vec::with_capacity(each);
    let mut refused = 0;
    for number in 0..each {
        let bytes = request(number);
        let began = Instant::now();
        stream.write_all(&bytes).await?;
        answer.clear();
        // The answers have no bodies, so that the end of the head is the end.
        while !answer.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(std::io::Error::other(String::from_utf8_lossy(&answer).into_owned()));
            }
        }
        latencies.push(began.elapsed());
        refused += u64::from(!answer.starts_with(b"HTTP/1.1 2"));
    }
    Ok((latencies, refused))
}
