//! Requests to PostgreSQL leave at once, whatever their size.
//!
//! The driver (sqlx 0.9.0) leaves Nagle's algorithm on, so that the last segment of a large request waits for
//! the server's delayed acknowledgement of the one before: 40 ms for nothing, for every group of webhooks and
//! every batch of steps (<https://github.com/launchbadge/sqlx/issues/4335>, mended after 0.9.0). It offers no
//! way to its socket; until a release carries the repair, the socket is found among this process' own by the
//! port at its other end. This file goes when that release comes.

use sea_orm::sqlx::postgres::PgPoolOptions;

/// Turns Nagle's algorithm off for each new connection of a pool to a server at this port.
pub fn on_connect(options: PgPoolOptions, port: u16) -> PgPoolOptions {
    options.after_connect(move |_, _| {
        Box::pin(async move {
            #[cfg(target_os = "linux")]
            linux::turn_off_nagle(port);
            Ok(())
        })
    })
}

#[cfg(target_os = "linux")]
mod linux {
    use nix::sys::socket::{SockaddrStorage, getpeername, setsockopt, sockopt::TcpNoDelay};

    /// A Unix-domain socket has no port and is left alone.
    pub fn turn_off_nagle(port: u16) {
        let Ok(own) = std::fs::read_dir("/proc/self/fd") else { return };
        let descriptors =
            own.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        for descriptor in descriptors {
            let Ok(peer) = getpeername::<SockaddrStorage>(descriptor) else { continue };
            let peer_port = match (peer.as_sockaddr_in(), peer.as_sockaddr_in6()) {
                (Some(address), _) => address.port(),
                (None, Some(address)) => address.port(),
                (None, None) => continue,
            };
            if peer_port == port {
                let _closed_meanwhile = setsockopt(descriptor, TcpNoDelay, &true);
            }
        }
    }
}
