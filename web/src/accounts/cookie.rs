//! How a browser shows that it is logged in: 256 random bits in a cookie that no script reads and no
//! other site makes it send. What is kept of them is a hash: who reads the database is not logged in.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::limits;

/// The cookie's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// Over HTTPS one that pages of neighbouring names cannot set (RFC 6265bis §4.1.3.2).
    Secure,
    Plain,
}

impl Name {
    const ALL: [Self; 2] = [Self::Secure, Self::Plain];

    /// For the page that asks. One that came over HTTPS (through a proxy) says so by its `Origin`, which
    /// browsers send with what changes something: such a cookie never goes over anything else.
    pub(super) fn of_page(asked: &HeaderMap) -> Self {
        let origin = asked.get(header::ORIGIN).map_or(&b""[..], HeaderValue::as_bytes);
        if origin.starts_with(b"https:") { Self::Secure } else { Self::Plain }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Secure => "__Host-session",
            Self::Plain => "session",
        }
    }
}

/// What the browser has.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(String);

/// What is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenHash(pub(super) String);

impl Token {
    pub(super) fn random() -> Self {
        let bytes: [u8; 32] = rand::random();
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub(super) fn hash(&self) -> TokenHash {
        TokenHash(blake3::hash(self.0.as_bytes()).to_hex().to_string())
    }

    /// What a request shows, and under which name; what nobody else can set counts first.
    pub(super) fn of(headers: &HeaderMap) -> Option<(Name, Self)> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let cookies =
            lines.flat_map(|line| line.split(';')).filter_map(|it| it.trim().split_once('='));
        let found = cookies.filter(|(_, token)| is_token(token)).filter_map(|(text, token)| {
            Some((Name::ALL.into_iter().find(|name| name.text() == text)?, token))
        });
        let (name, token) = found.min_by_key(|(name, _)| *name)?;
        Some((name, Self(token.to_owned())))
    }
}

fn is_token(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

/// Sets or, without a token, removes it.
pub(super) fn set(name: Name, token: Option<&Token>) -> Option<HeaderValue> {
    let secure = if name == Name::Secure { "; Secure" } else { "" };
    let name = name.text();
    let (token, age) = match token {
        Some(Token(token)) => (token.as_str(), limits::SESSION.as_secs()),
        None => ("", 0),
    };
    let cookie =
        format!("{name}={token}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::try_from(cookie).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::try_from(value).expect("a value"))])
    }

    #[test]
    fn what_is_set_is_found_again_among_others() {
        let token = Token::random();
        let of = |line: String| {
            Token::of(&headers(header::COOKIE, &line)).map(|(name, token)| (name, token.0))
        };
        let plain = Some((Name::Plain, token.0.clone()));
        assert_eq!(of(format!("a=b; session={}; c=d", token.0)), plain);
        let other = Token::random();
        let both = format!("session={}; __Host-session={}", other.0, token.0);
        let secure = Some((Name::Secure, token.0.clone()));
        assert_eq!(of(both), secure, "what nobody else can set counts");
        for bad in ["", "session=", "session=xyz", "Session=a", "xsession=", ";;;==;"] {
            assert_eq!(of(bad.to_owned()), None, "{bad}");
        }
        assert_eq!(of(format!("session={}", token.0.to_uppercase())), None);
        assert!(!token.hash().0.contains(&token.0));
        assert_ne!(Token::random().0, token.0);
    }

    #[test]
    fn scripts_and_other_sites_do_not_get_it() {
        let of = |origin: &str| {
            let name = Name::of_page(&headers(header::ORIGIN, origin));
            let set = set(name, Some(&Token::random())).expect("a cookie");
            set.to_str().expect("text").to_owned()
        };
        let plain = of("http://relay:8080");
        assert!(plain.starts_with("session=") && !plain.contains("Secure"), "{plain}");
        assert!(plain.contains("HttpOnly; SameSite=Strict"), "{plain}");
        let secure = of("https://relay");
        assert!(secure.starts_with("__Host-session=") && secure.ends_with("Secure"), "{secure}");
    }
}
