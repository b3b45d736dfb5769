//! What somebody would try who has no business here.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod common;

use common::people::{Person, site};
use common::{Loop, within};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, http};
use web::accounts::Policy;

const JSON: &str = "Content-Type: application/json";

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_change_nothing() {
    let (site, _folder) = site(Policy::Optional).await;
    let mut ana = Person::nobody(&site);
    ana.says("register", json!({"name": "Ana", "password": "correct horse"})).await;
    let cookie = format!("Cookie: {}", ana.cookie);
    let delete = json!({"password": "correct horse"}).to_string();
    for origin in ["http://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1"] {
        let origin = format!("Origin: {origin}");
        for path in
            ["/account/delete", "/account/log-out", "/account/log-in", "/streams.json", "/x"]
        {
            for method in ["POST", "PUT", "PATCH", "DELETE"] {
                let answer = site.send(method, path, &[JSON, &cookie, &origin], &delete).await;
                assert_eq!(answer.status, 403, "{method} {path} of {origin}");
                assert!(!answer.head.contains("set-cookie"));
            }
        }
    }
    // What a form of another site can send without asking first is never taken, whatever it says it is.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        let kind = format!("Content-Type: {kind}");
        let answer = site.send("POST", "/account/delete", &[&kind, &cookie], &delete).await;
        assert_eq!(answer.status, 400, "{kind}");
    }
    // Nothing of it happens by following a link.
    for path in ["/account/log-out", "/account/delete"] {
        assert_eq!(ana.get(path).await.status, 405);
    }
    assert_eq!(ana.who().await["name"], "Ana");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_of_another_site_is_refused_with_a_cookie_too() {
    let (site, _folder) = site(Policy::Required).await;
    let mut ana = Person::nobody(&site);
    ana.says("register", json!({"name": "Ana", "password": "correct horse"})).await;
    for origin in ["http://evil.example", "null"] {
        let mut request = format!("ws://{}/socket", site.address).into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        request.headers_mut().insert("cookie", ana.cookie.parse().unwrap());
        let refused = within(connect_async(request)).await.unwrap_err();
        let Error::Http(response) = refused else { panic!("{refused}") };
        assert_eq!(response.status(), http::StatusCode::FORBIDDEN);
    }
    site.stop().await;
}

/// Somebody has the browser of another use a session they know, and waits for a log-in.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_foisted_on_a_browser_is_worth_nothing() {
    let (site, _folder) = site(Policy::Optional).await;
    let mut ana = Person::nobody(&site);
    ana.says("register", json!({"name": "Ana", "password": "correct horse"})).await;
    ana.says("log-out", json!({})).await;
    let mut eve = Person::nobody(&site);
    eve.says("register", json!({"name": "Eve", "password": "evil horse"})).await;
    for foisted in [eve.cookie.clone(), format!("session={}", "a".repeat(64))] {
        let mut victim = Person::with(&site, foisted.clone());
        assert_eq!(victim.logs_in("Ana", "correct horse").await.status, 200);
        assert_ne!(victim.cookie, foisted);
        assert_eq!(victim.who().await["name"], "Ana");
        let who = Person::with(&site, foisted).who().await;
        assert_eq!(who["name"], json!(null), "what was known before is nobody's now");
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_cannot_be_guessed_and_names_not_be_found_out() {
    let (site, _folder) = site(Policy::Optional).await;
    let mut ana = Person::nobody(&site);
    ana.says("register", json!({"name": "Ana", "password": "correct horse"})).await;
    let mut eve = Person::nobody(&site);
    let wrong = eve.logs_in("Ana", "wrong horse").await;
    let unknown = eve.logs_in("Bob", "wrong horse").await;
    assert_eq!((wrong.status, wrong.body), (unknown.status, unknown.body), "the same answer");
    let length = |head: &str| head.lines().filter(|line| !line.starts_with("date")).count();
    assert_eq!(length(&wrong.head), length(&unknown.head));

    // All at once, so that the growing delays are waited for together.
    let guess = |n: usize| {
        let site = &site;
        async move { Person::nobody(site).logs_in("Ana", &format!("guess number {n}")).await.status }
    };
    let statuses = futures_util::future::join_all((0..40).map(guess)).await;
    let heard = statuses.iter().filter(|status| **status == 403).count();
    // Two are compared at a time: one more may have come in before the last was counted.
    assert!((8..=9).contains(&heard), "ten in all are heard: {statuses:?}");
    assert!(statuses.iter().all(|status| [403, 429].contains(status)));
    let right = eve.logs_in("Ana", "correct horse").await;
    assert_eq!(right.status, 429, "also the right one would be told apart");
    assert!(right.text().contains("in 10 minutes"), "{}", right.text());
    let basic = "Authorization: Basic QW5hOmNvcnJlY3QgaG9yc2U="; // Ana:correct horse
    assert_eq!(site.ask("GET", "/streams.json", &[basic]).await.status, 200, "open to all");
    assert_eq!(ana.who().await["name"], "Ana", "who is logged in notices nothing");
    site.stop().await;
}

/// Who does not wait for the answer guesses no more than others.
#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_has_guessed() {
    let (site, _folder) = site(Policy::Optional).await;
    let mut ana = Person::nobody(&site);
    ana.says("register", json!({"name": "Ana", "password": "correct horse"})).await;
    let guess = json!({"name": "Ana", "password": "wrong horse"}).to_string();
    let head = format!(
        "POST /account/log-in HTTP/1.1\r\nHost: a\r\n{JSON}\r\nContent-Length: {}\r\n\r\n",
        guess.len()
    );
    let shut = async {
        loop {
            let mut socket = TcpStream::connect(site.address).await.unwrap();
            socket.write_all(format!("{head}{guess}").as_bytes()).await.unwrap();
            // What is answered in between gives it the time to be taken up; one that was not is no guess.
            site.get("/account.json").await;
            drop(socket);
            // The right password is no guess either.
            let status = Person::nobody(&site).logs_in("Ana", "correct horse").await.status;
            if status != 200 {
                break status;
            }
        }
    };
    assert_eq!(within(shut).await, 429);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_cannot_guess_either() {
    let (site, _folder) = site(Policy::Required).await;
    Person::nobody(&site)
        .says("register", json!({"name": "Ana", "password": "correct horse"}))
        .await;
    let wrong = "Authorization: Basic QW5hOndyb25n"; // Ana:wrong
    let wrong = [wrong];
    let guess = |_| site.ask("GET", "/streams.json", &wrong);
    let answers = futures_util::future::join_all((0..30).map(guess)).await;
    let heard = answers.iter().filter(|answer| answer.status == 401).count();
    assert!((10..=11).contains(&heard), "{heard} were heard");
    assert!(answers.iter().all(|answer| [401, 429].contains(&answer.status)));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_not_made_by_the_thousand() {
    let (site, _folder) = site(Policy::Optional).await;
    let make = |n: usize| {
        let site = &site;
        let words = json!({"name": format!("Eve {n}"), "password": "evil horse"});
        async move { Person::nobody(site).says("register", words).await.status }
    };
    let statuses = futures_util::future::join_all((0..60).map(make)).await;
    let made = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(made, web::limits::REGISTERED as usize, "{statuses:?}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_much_are_refused() {
    let (site, _folder) = site(Policy::Optional).await;
    let long = json!({"name": "Ana", "password": "x".repeat(100_000)}).to_string();
    let deep = "[".repeat(4_000);
    for body in [long.as_str(), deep.as_str(), "{", "null", "\u{0}", "{\"name\":1}", "{}"] {
        for path in ["/account/register", "/account/log-in", "/account/log-out"] {
            let answer = site.send("POST", path, &[JSON], body).await;
            let fine = answer.status == 400 || (body, path) == ("{}", "/account/log-out");
            assert!(fine, "{path}: {}", answer.status);
        }
    }
    // Chunks without end.
    let mut socket = TcpStream::connect(site.address).await.unwrap();
    let head = format!(
        "POST /account/log-in HTTP/1.1\r\nHost: a\r\n{JSON}\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    let sent = async {
        // It is closed, or answered and then closed.
        while socket.write_all(chunk.as_bytes()).await.is_ok() {}
    };
    within(sent).await;
    // A body that never comes.
    let mut socket = TcpStream::connect(site.address).await.unwrap();
    let head = format!(
        "POST /account/log-in HTTP/1.1\r\nHost: a\r\n{JSON}\r\nConnection: close\r\n\
         Content-Length: 100\r\n\r\n{{"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    within(socket.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(site.get("/account.json").await.status, 200);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_nonsense_are_nobodys() {
    let (site, _folder) = site(Policy::Required).await;
    let long = format!("Cookie: {}", "session=x; ".repeat(1_000));
    for header in [
        "Cookie: session=' OR 1=1 --",
        "Cookie: session=",
        "Cookie: =;=;=;;;",
        "Cookie: session=\u{fc}\u{fc}",
        long.as_str(),
        "Authorization: Basic ////",
        "Authorization: Basic Og==",
        "Authorization: Basic",
        "Authorization: Digest username=\"Ana\"",
        "X-Forwarded-For: 127.0.0.1",
        "Host: evil.example",
    ] {
        let answer = site.ask("GET", "/streams.json", &[header]).await;
        assert!([400, 401].contains(&answer.status), "{header}: {}", answer.status);
        assert!(!answer.head.contains("set-cookie"), "{header}");
    }
    site.stop().await;
}

/// Names of streams and people are data of JSON wherever they are said, never markup.
#[tokio::test(flavor = "multi_thread")]
async fn script_in_a_name_stays_text() {
    let (site, _folder) = site(Policy::Optional).await;
    let script = "<script>alert(1)<x>";
    Loop::sound().play(&site.node, script);
    let streams = site.get("/streams.json").await;
    assert_eq!(streams.json()[0]["name"], script);
    let mut ana = Person::nobody(&site);
    let name = "Ana O'Neil";
    ana.says("register", json!({"name": name, "password": "correct horse"})).await;
    assert_eq!(ana.who().await["name"], name);
    for path in ["/streams.json", "/account.json"] {
        let answer = ana.get(path).await;
        assert!(answer.head.contains("content-type: application/json"), "{path}");
        assert!(answer.head.contains("x-content-type-options: nosniff"), "{path}");
    }
    // What was asked for is said in answers: as text.
    for path in ["/page/%3Cscript%3E", "/streams/%3Cscript%3E.mp4", "/movies/%3Cscript%3E"] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, 404);
        assert!(answer.head.contains("content-type: text/plain"), "{path}: {}", answer.head);
    }
    for words in [json!({"name": script, "password": "correct horse"}), json!({"name": "<b>"})] {
        let answer = ana.says("log-in", words).await;
        assert!(answer.head.contains("content-type: text/plain"), "{}", answer.head);
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_in_addresses_are_never_paths() {
    let (site, _folder) = site(Policy::Optional).await;
    for place in ["/page/", "/streams/", "/movies/", "/account/", "/"] {
        for hostile in [
            "../Cargo.toml",
            "..%2fCargo.toml",
            "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
            "..%5c..%5cetc%5cpasswd.jpg",
            "....//....//etc/passwd.mp4",
            "%00.mp4",
            "%ff.mp4",
            "%0d%0aSet-Cookie:%20a=b.mp4",
            "accounts.sqlite",
            "%252e%252e%252fCargo.toml",
        ] {
            let answer = site.get(&format!("{place}{hostile}")).await;
            let fine = matches!(answer.status, 400 | 404);
            assert!(fine, "{place}{hostile}: {}", answer.status);
            assert!(!answer.head.contains("set-cookie"), "{place}{hostile}");
            assert!(!answer.text().contains("root:") && !answer.text().contains("[package]"));
        }
    }
    site.stop().await;
}
