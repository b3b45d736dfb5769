//! Which site a request comes from.

use axum::http::{HeaderMap, header};

/// Browsers say which site a page came from; those of other sites may neither look in here nor change
/// anything. Programs say nothing.
pub(crate) fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => true,
        (Some(origin), Some(host)) => {
            let site = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            site == Some(host)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn pages_of_other_sites_are_told_apart() {
        let asked = |origin: Option<&'static str>, host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            is_ours(&headers)
        };
        assert!(asked(None, "relay:8080"));
        assert!(asked(Some("http://relay:8080"), "relay:8080"));
        assert!(asked(Some("https://relay"), "relay"));
        for foreign in [
            "http://relay",
            "http://relay:8081",
            "http://evil.example",
            "null",
            "http://relay:8080.evil",
        ] {
            assert!(!asked(Some(foreign), "relay:8080"), "{foreign}");
        }
    }
}
