//! The local socket of a daemon: only its owner may open it, a dead daemon's is replaced, and it goes with its daemon.

use crate::listen::Connections;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// The longest path of a socket, in bytes: the least that a Unix gives, without the closing zero.
pub const PATH_BYTES_MAX: usize = 103;
/// How many connections may be open at once.
pub const CONNECTIONS_MAX: usize = 64;
/// How many connections may wait to be taken.
const WAITING_MAX: u32 = 64;

/// Why a daemon has no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The system cannot name it.
    #[error(
        "the path of its socket is longer than {PATH_BYTES_MAX} bytes: {path}. Name a shorter one with `[store] socket`"
    )]
    TooLong {
        /// The path.
        path: String,
    },
    /// A living process answers there.
    #[error("another process listens on {path}. Give this one another socket with `[store] socket`")]
    Taken {
        /// The path.
        path: String,
    },
    /// Something stands there that is no socket.
    #[error("{path} is no socket and is left alone. Remove it, or name another place with `[store] socket`")]
    NoSocket {
        /// The path.
        path: String,
    },
    /// The system says no.
    #[error(
        "there can be no socket at {path}: {source}. Name a folder that this user may write to with `[store] socket`"
    )]
    Unusable {
        /// The path.
        path: String,
        /// The system's word.
        source: io::Error,
    },
}

/// A socket that somebody listens on. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct LocalSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and number of its file: another daemon's is not removed.
    file: (u64, u64),
}

/// Listens at `path`, with a file that only this user may open (mode 0600). What a dead process has left there is replaced.
/// Must be called within a runtime.
pub fn bind(path: &Path) -> Result<LocalSocket, SocketError> {
    let shown = || path.display().to_string();
    if path.as_os_str().len() > PATH_BYTES_MAX {
        return Err(SocketError::TooLong { path: shown() });
    }
    let unusable = |source| SocketError::Unusable { path: shown(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Held while this looks and binds, so that two that start together do not take each other's for a dead one.
    let folder = File::open(folder).map_err(unusable)?;
    // Where folders cannot be locked, two starts at the same moment are the only harm.
    let _ = folder.lock();
    make_room(path)?;
    let socket = UnixSocket::new_stream().map_err(unusable)?;
    socket.bind(path).map_err(unusable)?;
    // Nobody can connect before it listens, so nobody slips in before its mode is right.
    let listening = std::fs::set_permissions(path, Permissions::from_mode(0o600))
        .and_then(|()| Ok((std::fs::symlink_metadata(path)?, socket.listen(WAITING_MAX)?)));
    match listening {
        Ok((file, listener)) => {
            Ok(LocalSocket { listener, path: path.to_owned(), file: (file.dev(), file.ino()) })
        }
        Err(source) => {
            let _ = std::fs::remove_file(path);
            Err(unusable(source))
        }
    }
}

/// Removes the socket of a dead process.
fn make_room(path: &Path) -> Result<(), SocketError> {
    let shown = || path.display().to_string();
    let unusable = |source| SocketError::Unusable { path: shown(), source };
    let kind = match std::fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(error)),
    };
    if !kind.is_socket() {
        return Err(SocketError::NoSocket { path: shown() });
    }
    match BlockingStream::connect(path) {
        Ok(_) => Err(SocketError::Taken { path: shown() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(unusable)
        }
        Err(error) => Err(unusable(error)),
    }
}

impl Connections for LocalSocket {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        let is_ours =
            std::fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.file);
        if is_ours {
            // A file that stays is replaced by the next daemon.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
