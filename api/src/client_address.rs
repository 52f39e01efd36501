//! Which client a request comes from: the peer of the connection, or, behind proxies that are trusted, whom
//! they name in `X-Forwarded-For`. What others write there is not believed.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use ipnet::IpNet;
use poem::{
    Request,
    http::{HeaderMap, HeaderName},
};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// How many bits of an IPv6 address name a network: providers give one such network to each customer.
const NETWORK_BITS: u8 = 64;
/// How many bits name a neighbourhood: as much as somebody gets who asks for more than one network.
const NEIGHBOURHOOD_BITS: (u8, u8) = (24, 48);
/// What stands for a client without an address (a socket in a file, a test).
const UNKNOWN: &str = "unknown";

/// Which proxies stand in front of the service, each adding its peer to `X-Forwarded-For`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedProxies {
    /// So many, one behind the other. None: the header is not looked at.
    Count(usize),
    /// Those within these networks.
    Networks(Vec<IpNet>),
}

impl Default for TrustedProxies {
    fn default() -> Self {
        Self::Count(0)
    }
}

/// It is neither a number nor a list of networks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a number of proxies nor a network such as 10.0.0.0/8")]
pub struct NoProxies(String);

impl FromStr for TrustedProxies {
    type Err = NoProxies;

    fn from_str(text: &str) -> Result<Self, NoProxies> {
        if let Ok(count) = text.trim().parse() {
            return Ok(Self::Count(count));
        }
        let networks = text.split(',').map(str::trim).map(|part| {
            let network =
                part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| NoProxies(part.to_owned()))
        });
        networks.collect::<Result<_, _>>().map(Self::Networks)
    }
}

impl TrustedProxies {
    /// The client of a request: its address, or, in IPv6, its network.
    pub fn client_of(&self, request: &Request) -> String {
        self.address_of(request).map_or_else(|| UNKNOWN.to_owned(), network)
    }

    /// The neighbourhood of a request's client, `/24` or, in IPv6, `/48`: somebody may have all of it.
    pub fn neighbourhood_of(&self, request: &Request) -> Option<String> {
        self.address_of(request).map(neighbourhood)
    }

    fn address_of(&self, request: &Request) -> Option<IpAddr> {
        let peer = request.remote_addr().as_socket_addr().map(|peer| peer.ip());
        self.address(peer, &hops(request.headers()))
    }

    fn address(&self, peer: Option<IpAddr>, hops: &[Option<IpAddr>]) -> Option<IpAddr> {
        let peer = peer.map(|peer| peer.to_canonical());
        self.pick(peer, hops)
    }

    /// Each proxy adds its peer at the end, so that the end is to be believed and the beginning is not.
    fn pick(&self, peer: Option<IpAddr>, hops: &[Option<IpAddr>]) -> Option<IpAddr> {
        let mut client = peer;
        for (passed, hop) in hops.iter().rev().enumerate() {
            let by_a_proxy_of_ours = match self {
                Self::Count(count) => passed < *count,
                Self::Networks(networks) => {
                    client.is_some_and(|ip| networks.iter().any(|network| network.contains(&ip)))
                }
            };
            match hop {
                Some(hop) if by_a_proxy_of_ours => client = Some(*hop),
                _ => break,
            }
        }
        client
    }
}

/// The addresses of the header, as far as they are any, in all of its lines. What a client wrote before them may
/// be anything, and must not hide them.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let lines = headers.get_all(FORWARDED_FOR).into_iter();
    let lines = lines.map(|line| String::from_utf8_lossy(line.as_bytes()));
    let hops =
        lines.flat_map(|line| line.split(',').map(|hop| address(hop.trim())).collect::<Vec<_>>());
    hops.collect()
}

/// An address as proxies write it: with a port or without.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let ip = bare.parse::<IpAddr>().or_else(|_| hop.parse::<SocketAddr>().map(|at| at.ip()));
    ip.ok().map(|ip| ip.to_canonical())
}

fn network(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => first_bits(ip, NETWORK_BITS),
    }
}

fn neighbourhood(ip: IpAddr) -> String {
    let (of_v4, of_v6) = NEIGHBOURHOOD_BITS;
    match ip {
        IpAddr::V4(ip) => {
            let left_out = 32 - u32::from(of_v4);
            format!("{}/{of_v4}", Ipv4Addr::from(u32::from(ip) >> left_out << left_out))
        }
        IpAddr::V6(ip) => first_bits(ip, of_v6),
    }
}

fn first_bits(ip: Ipv6Addr, bits: u8) -> String {
    let left_out = 128 - u32::from(bits);
    format!("{}/{bits}", Ipv6Addr::from(u128::from(ip) >> left_out << left_out))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use poem::http::HeaderValue;

    fn client(trusted: &str, peer: &str, forwarded: &[&str]) -> String {
        let value = |line: &&str| HeaderValue::from_bytes(line.as_bytes()).unwrap();
        let lines = forwarded.iter().map(|line| (FORWARDED_FOR, value(line)));
        let headers: HeaderMap = lines.fold(HeaderMap::new(), |mut headers, (name, line)| {
            headers.append(name, line);
            headers
        });
        let trusted: TrustedProxies = trusted.parse().unwrap();
        let address = trusted.address(peer.parse().ok(), &hops(&headers));
        address.map_or_else(|| UNKNOWN.to_owned(), network)
    }

    #[test]
    fn only_proxies_of_ours_are_believed() {
        let spoofed = ["6.6.6.6, 203.0.113.7"];
        for (trusted, peer, forwarded, expected) in [
            ("0", "198.51.100.1", &spoofed[..], "198.51.100.1"),
            ("1", "10.0.0.1", &spoofed, "203.0.113.7"),
            ("1", "10.0.0.1", &[], "10.0.0.1"),
            ("2", "10.0.0.1", &["6.6.6.6, 203.0.113.7, 10.0.0.2"], "203.0.113.7"),
            ("2", "10.0.0.1", &["6.6.6.6, 203.0.113.7", "10.0.0.2"], "203.0.113.7"),
            ("2", "10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
            ("1", "10.0.0.1", &["203.0.113.7, nonsense"], "10.0.0.1"),
            ("1", "", &["203.0.113.7"], "203.0.113.7"),
            ("0", "", &["203.0.113.7"], "unknown"),
            ("10.0.0.0/8", "10.0.0.1", &spoofed, "203.0.113.7"),
            ("10.0.0.0/8", "198.51.100.1", &spoofed, "198.51.100.1"),
            ("10.0.0.0/8", "10.0.0.1", &["6.6.6.6, 203.0.113.7, 10.9.9.9"], "203.0.113.7"),
            ("10.0.0.0/8, ::1", "::1", &["203.0.113.7:443, 10.0.0.3:80"], "203.0.113.7"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
            ("1", "10.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7"),
            ("1", "10.0.0.1", &["[2001:db8:1:2:3:4:5:6]:443"], "2001:db8:1:2::/64"),
            ("1", "10.0.0.1", &["[2001:db8:1:2:3:4:5:6]"], "2001:db8:1:2::/64"),
            ("0", "2001:db8:1:2:ffff::1", &[], "2001:db8:1:2::/64"),
            // Bytes that are no ASCII are the client's own, and hide nothing.
            ("1", "10.0.0.1", &["\u{e9}, 203.0.113.7"], "203.0.113.7"),
        ] {
            let seen = client(trusted, peer, forwarded);
            assert_eq!(seen, expected, "{trusted} {peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_neighbourhood_is_what_one_may_have() {
        for (ip, expected) in
            [("203.0.113.7", "203.0.113.0/24"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48")]
        {
            assert_eq!(neighbourhood(ip.parse().unwrap()), expected);
        }
    }

    #[test]
    fn what_is_neither_a_number_nor_networks_is_refused() {
        for text in ["", "-1", "1.2.3.4.5", "10.0.0.0/33", "10.0.0.0/8,", "everybody"] {
            assert!(text.parse::<TrustedProxies>().is_err(), "{text:?}");
        }
        assert_eq!(" 2 ".parse(), Ok(TrustedProxies::Count(2)));
    }
}
