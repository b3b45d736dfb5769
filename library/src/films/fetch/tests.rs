//! Against hosts of this test, on loopback addresses of which some count as inside.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;

/// Stands for the whole world; every other address is inside.
const WORLD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const INSIDE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn only_world(ip: IpAddr) -> bool {
    ip == IpAddr::from(WORLD)
}

/// A host that answers each connection with the next of its answers; how often it was asked.
fn host(ip: impl Into<IpAddr>, answers: Vec<String>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((ip.into(), 0)).expect("a free port");
    let address = listener.local_addr().expect("is bound");
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = asked.clone();
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((mut socket, _)) = listener.accept() else { return };
            counts.fetch_add(1, Ordering::SeqCst);
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && socket.read(&mut byte).is_ok_and(|n| n > 0) {
                head.push(byte[0]);
            }
            let _ = socket.write_all(answer.as_bytes());
        }
    });
    (address, asked)
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn to(url: &str) -> String {
    format!(
        "HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

fn fetched(fetcher: &Fetcher, url: &str) -> Result<String, String> {
    let mut all = Vec::new();
    fetcher.fetch(
        url,
        |_| Ok(()),
        |bytes| {
            all.extend_from_slice(bytes);
            Ok(())
        },
    )?;
    Ok(String::from_utf8(all).expect("UTF-8"))
}

fn usual() -> Fetcher {
    Fetcher::with(DefaultResolver::default(), only_world)
}

/// Names with addresses of the test's own, which are given one after the other.
#[derive(Debug)]
struct Names {
    answers: Mutex<Vec<Vec<SocketAddr>>>,
    asked: Arc<AtomicUsize>,
}

impl Resolver for Names {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().expect("unpoisoned");
        let mut found = self.empty();
        answers.remove(0).into_iter().for_each(|address| found.push(address));
        Ok(found)
    }
}

fn named(answers: Vec<Vec<SocketAddr>>) -> (Fetcher, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let names = Names { answers: Mutex::new(answers), asked: asked.clone() };
    (Fetcher::with(names, only_world), asked)
}

#[test]
fn what_is_there_is_fetched() {
    let (there, _) = host(WORLD, vec![ok("a film")]);
    assert_eq!(fetched(&usual(), &format!("http://{there}/film.mp4")), Ok("a film".to_owned()));
    let (there, _) = host(WORLD, vec![to("/b"), to("c"), ok("behind two redirects")]);
    let url = format!("http://{there}/a");
    assert_eq!(fetched(&usual(), &url), Ok("behind two redirects".to_owned()));
}

#[test]
fn hosts_inside_are_not_asked_whatever_they_are_called() {
    let (inside, asked) = host(INSIDE, vec![ok("secret")]);
    let (all, asked_by_all) = host(Ipv4Addr::UNSPECIFIED, vec![ok("secret")]);
    let (six, asked_by_six) = host(Ipv6Addr::UNSPECIFIED, vec![ok("secret")]);
    let (port, all, six) = (inside.port(), all.port(), six.port());
    for address in [
        format!("127.0.0.2:{port}"),
        format!("[::ffff:127.0.0.2]:{port}"),
        format!("2130706434:{port}"),
        format!("0x7f000002:{port}"),
        format!("127.2:{port}"),
        format!("0177.0.0.02:{port}"),
        format!("[::1]:{six}"),
        format!("0.0.0.0:{all}"),
        format!("[::]:{six}"),
    ] {
        let error = fetched(&usual(), &format!("http://{address}/")).expect_err(&address);
        assert!(error.contains(" is in a network that is not everybody's"), "{address}: {error}");
    }
    let error = fetched(&usual(), &format!("http://{inside}/")).expect_err("inside");
    assert!(error.contains("'127.0.0.2' is in a network that is not everybody's"), "{error}");
    // All that is fetched for everybody is this machine here, whatever it is called.
    for host in ["localhost", "127.0.0.1"] {
        let error = fetched(&Fetcher::new(false), &format!("http://{host}:{all}/"));
        let error = error.expect_err("this machine");
        assert!(error.contains(" is in a network that is not everybody's"), "{error}");
    }
    for asked in [&asked, &asked_by_all, &asked_by_six] {
        assert_eq!(asked.load(Ordering::SeqCst), 0, "nobody knocked");
    }
    assert_eq!(fetched(&Fetcher::new(true), &format!("http://{inside}/")), Ok("secret".to_owned()));
    let there = format!("http://127.0.0.1:{all}/");
    assert_eq!(fetched(&usual(), &there), Ok("secret".to_owned()), "it was there to be asked");
}

#[test]
fn a_host_that_drips_is_given_up() {
    let began = Instant::now();
    let mut pace = Pace { since: began, bytes: 0 };
    assert!(pace.is_kept(began + limits::PACE / 2, 1), "there is time yet");
    assert!(pace.is_kept(began + limits::PACE, limits::PACE_BYTES - 1));
    // What it sent before does not help it for ever.
    let later = began + limits::PACE + limits::PACE;
    assert!(pace.is_kept(later - Duration::from_secs(1), 1));
    assert!(!pace.is_kept(later, 1));
}

#[test]
fn redirects_lead_neither_inside_nor_to_other_schemes() {
    let (inside, asked) = host(INSIDE, vec![ok("secret")]);
    for target in [
        format!("http://{inside}/"),
        format!("//{inside}/"),
        format!("http://[::ffff:127.0.0.2]:{}/", inside.port()),
        format!("http://me:secret@127.0.0.1:{}/", inside.port()),
        "file:///etc/hostname".to_owned(),
        "ftp://127.0.0.1/".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
    ] {
        let (there, _) = host(WORLD, vec![to(&target)]);
        assert!(fetched(&usual(), &format!("http://{there}/")).is_err(), "{target}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0, "nobody knocked");
    let (there, asked) = host(WORLD, vec![to("/again"); 20]);
    let error = fetched(&usual(), &format!("http://{there}/")).expect_err("without end");
    assert!(error.contains("without end"), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), limits::REDIRECTS as usize + 1);
}

#[test]
fn one_address_inside_is_one_too_many() {
    let (world, asked) = host(WORLD, vec![ok("a film")]);
    let (inside, _) = host(INSIDE, vec![ok("secret")]);
    for both in [vec![world, inside], vec![inside, world]] {
        let (fetcher, _) = named(vec![both]);
        let error = fetched(&fetcher, "http://films.example/").expect_err("inside");
        assert!(error.contains("'films.example'"), "{error}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

/// The name is looked up once; what it would be a moment later does not matter.
#[test]
fn a_name_that_changes_its_mind_changes_nothing() {
    let (world, _) = host(WORLD, vec![ok("a film")]);
    let (inside, asked) = host(INSIDE, vec![ok("secret")]);
    let (fetcher, looked_up) = named(vec![vec![world], vec![inside]]);
    assert_eq!(fetched(&fetcher, "http://films.example/"), Ok("a film".to_owned()));
    assert_eq!(looked_up.load(Ordering::SeqCst), 1);
    // A second connection is a second look.
    assert!(fetched(&fetcher, "http://films.example/").is_err());
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn answers_that_are_no_film_are_said() {
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\
                Content-Length: 6\r\nConnection: close\r\n\r\n<html>";
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 600\r\nConnection: close\r\n\r\nonly this";
    for (answer, words) in [
        (page, "a page at this address"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "404"),
        (cut, "broke; try again later"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "does not give it"),
        ("", "broke; try again later"),
    ] {
        let (there, _) = host(WORLD, vec![answer.to_owned()]);
        let error = fetched(&usual(), &format!("http://{there}/")).expect_err(words);
        assert!(error.contains(words), "{error}");
    }
    let (there, _) = host(WORLD, vec![ok("too much")]);
    let stop = |_: &[u8]| Err("that is enough".to_owned());
    let stopped = usual().fetch(&format!("http://{there}/"), |_| Ok(()), stop);
    assert_eq!(stopped, Err("that is enough".to_owned()));
}

#[test]
fn addresses_become_titles_and_nothing_else() {
    for (url, expected) in [
        ("https://example.org/a/B%C3%BCcher%20%26%20mehr.mp4?key=1#t=5", "Bücher & mehr.mp4"),
        ("http://example.org:8080", "example.org"),
        ("http://example.org/films/", "example.org"),
        ("http://example.org/..%2f..%2fetc%2fpasswd", "../../etc/passwd"),
        ("http://example.org/100%", "100%"),
    ] {
        assert_eq!(title(url).expect(url), expected);
    }
    let long = format!("http://example.org/{}", "a".repeat(limits::URL));
    for bad in [
        "",
        "film.mp4",
        "/etc/passwd",
        "file:///etc/passwd",
        "ftp://example.org/a",
        "javascript:alert(1)",
        "http://",
        "http:///a",
        "http://me@example.org/",
        "http://me:word@example.org/",
        "http://exa mple.org/",
        "http://example.org/\r\nHost: inside",
        long.as_str(),
    ] {
        assert!(title(bad).is_err(), "{bad}");
    }
}
