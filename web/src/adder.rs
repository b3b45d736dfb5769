//! Who adds films: by the account of who is logged in, or else known again by a cookie of 256 random
//! bits, which no script reads and no other site makes a browser send. What is kept of it is a hash.

use axum::http::{HeaderMap, HeaderValue, header};
use library::films::Owner;
use proto::recording::Digest;

use crate::accounts::Visitor;

/// The cookie's name.
const NAME: &str = "films";
/// It is forgotten after so many seconds: a year.
const AGE: u32 = 365 * 24 * 3_600;

/// Who asks, if they have an account or added something before.
pub(crate) fn owner(visitor: &Visitor, headers: &HeaderMap) -> Option<Owner> {
    if let Some(account) = visitor.id() {
        return Some(Owner(format!("account:{account}")));
    }
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut cookies =
        lines.flat_map(|line| line.split(';')).filter_map(|c| c.trim().split_once('='));
    let (_, token) = cookies.find(|(name, token)| *name == NAME && is_token(token))?;
    Some(of(token))
}

/// Who asks; with a cookie by which they are known again, unless they have one.
pub(crate) fn known_from_now_on(
    visitor: &Visitor,
    headers: &HeaderMap,
) -> (Owner, Option<HeaderValue>) {
    if let Some(owner) = owner(visitor, headers) {
        return (owner, None);
    }
    let token: String = rand::random::<[u8; 32]>().iter().map(|b| format!("{b:02x}")).collect();
    let cookie = format!("{NAME}={token}; Path=/; Max-Age={AGE}; HttpOnly; SameSite=Strict");
    (of(&token), HeaderValue::try_from(cookie).ok())
}

fn of(token: &str) -> Owner {
    Owner(format!("browser:{}", Digest::of(token.as_bytes())))
}

fn is_token(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::try_from(cookie).expect("a value"))])
    }

    #[test]
    fn who_has_the_cookie_is_known_again() {
        let nobody = Visitor::default();
        let (owner, cookie) = known_from_now_on(&nobody, &HeaderMap::new());
        let cookie = cookie.expect("a new one");
        let cookie = cookie.to_str().expect("text");
        assert!(cookie.ends_with("; HttpOnly; SameSite=Strict"), "{cookie}");
        let pair = cookie.split(';').next().expect("a pair");
        let again = with(&format!("a=b; {pair}; c=d"));
        assert_eq!(known_from_now_on(&nobody, &again), (owner.clone(), None));
        assert!(!owner.0.contains(&pair[NAME.len() + 1..]), "it is kept as a hash");
        for bad in
            ["films=", "films=x", "Films=a", ";;=", &format!("x{pair}"), &pair.to_uppercase()]
        {
            assert_eq!(super::owner(&nobody, &with(bad)), None, "{bad}");
        }
    }
}
