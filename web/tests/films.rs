//! Films that are added by HTTP: uploads that go on after a broken connection, whose they are, and
//! what strangers try.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod common;

use std::time::Duration;

use common::{Answer, Site, within};
use library::films::{Films, Settings};
use library::{Library, Settings as Folder};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::watch;

const MOST: u64 = 8 << 20;

struct Cinema {
    site: Site,
    folder: TempDir,
    stop: watch::Sender<bool>,
    _library: Library,
}

fn city() -> Vec<u8> {
    let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples");
    std::fs::read(samples.join("city-360p-7s-silent.mp4")).unwrap()
}

/// Who asks, as a browser shows it; nobody yet.
#[derive(Clone, Default)]
struct Browser(Option<String>);

impl Cinema {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(folder.path().to_owned(), MOST, false);
        let films = Films::open(Settings { reserve: 0, ..settings }, &Handle::current()).unwrap();
        let options = web::Options { films: Some(films.clone()), ..web::Options::default() };
        let site = Site::start_with(options).await;
        let (stop, stopped) = watch::channel(false);
        let work = Some(films.incoming());
        let every = Duration::from_secs(600);
        let of = Folder { folder: folder.path().to_owned(), work, every };
        let library = Library::start(of, Some(films), &site.node, stopped, &Handle::current());
        Self { site, folder, stop, _library: library.unwrap() }
    }

    /// A request with a body, as this browser sends it.
    async fn ask(
        &self,
        who: &Browser,
        method: &str,
        path: &str,
        more: &[&str],
        body: &[u8],
    ) -> Answer {
        let mut headers = vec![format!("Content-Length: {}", body.len())];
        headers.extend(who.0.iter().map(|cookie| format!("Cookie: {cookie}")));
        headers.extend(more.iter().map(|header| (*header).to_owned()));
        let mut socket = TcpStream::connect(self.site.address).await.unwrap();
        let mut head = format!("{method} {path} HTTP/1.0\r\nHost: {}\r\n", self.site.address);
        headers.iter().for_each(|header| head.push_str(&format!("{header}\r\n")));
        socket.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        // Who is refused early does not hear the rest.
        let _ = socket.write_all(body).await;
        let mut all = Vec::new();
        let _ = within(socket.read_to_end(&mut all)).await;
        Answer::parse(&all)
    }

    async fn post(&self, who: &Browser, path: &str, json: &str) -> Answer {
        self.ask(who, "POST", path, &["Content-Type: application/json"], json.as_bytes()).await
    }

    async fn begin(&self, who: &mut Browser, name: &str, size: usize) -> String {
        let json = serde_json::json!({ "name": name, "size": size }).to_string();
        let answer = self.post(who, "/films", &json).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        if let Some(cookie) = header(&answer, "set-cookie") {
            assert!(cookie.contains("httponly; samesite=strict"), "{cookie}");
            who.0 = cookie.split(';').next().map(str::to_owned);
        }
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    async fn patch(&self, who: &Browser, id: &str, offset: usize, bytes: &[u8]) -> Answer {
        let offset = format!("Upload-Offset: {offset}");
        self.ask(who, "PATCH", &format!("/films/{id}"), &[&offset], bytes).await
    }

    async fn list(&self, who: &Browser) -> serde_json::Value {
        self.ask(who, "GET", "/films.json", &[], b"").await.json()
    }

    async fn ready(&self, who: &Browser, id: &str) -> serde_json::Value {
        within(async {
            loop {
                let list = self.list(who).await;
                let films = list["films"].as_array().unwrap().clone();
                let film = films.into_iter().find(|film| film["id"] == id).unwrap();
                if film["stream"].is_string() || film["stage"] == "failed" {
                    return film;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.site.stop().await;
    }
}

fn header(answer: &Answer, name: &str) -> Option<String> {
    let line = answer.head.lines().find(|line| line.starts_with(&format!("{name}: ")))?;
    line.split_once(": ").map(|(_, value)| value.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_is_gone_on_with_and_the_film_plays() {
    let cinema = Cinema::start().await;
    let (city, mut ana) = (city(), Browser::default());
    let id = cinema.begin(&mut ana, "City Trip.mp4", city.len()).await;
    // A request that promises all and breaks in the middle.
    let mut socket = TcpStream::connect(cinema.site.address).await.unwrap();
    let head = format!(
        "PATCH /films/{id} HTTP/1.1\r\nHost: x\r\nCookie: {}\r\nUpload-Offset: 0\r\nContent-Length: {}\r\n\r\n",
        ana.0.clone().unwrap(),
        city.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&city[..city.len() / 3]).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let _ = within(socket.read_to_end(&mut rest)).await;
    let answer = cinema.ask(&ana, "HEAD", &format!("/films/{id}"), &[], b"").await;
    let here: usize = header(&answer, "upload-offset").unwrap().parse().unwrap();
    assert_eq!(here, city.len() / 3, "all that came is here");
    assert_eq!(header(&answer, "upload-length").unwrap(), city.len().to_string());
    // Somewhere else it is not taken, and where it belongs is said.
    let wrong = cinema.patch(&ana, &id, here - 1, &city[here - 1..]).await;
    assert_eq!((wrong.status, header(&wrong, "upload-offset")), (409, Some(here.to_string())));
    let taken = cinema.patch(&ana, &id, here, &city[here..]).await;
    assert_eq!(
        (taken.status, header(&taken, "upload-offset")),
        (204, Some(city.len().to_string()))
    );
    // Who did not hear that says it again.
    let again = cinema.patch(&ana, &id, city.len(), b"").await;
    assert_eq!(
        (again.status, header(&again, "upload-offset")),
        (204, Some(city.len().to_string()))
    );
    let film = cinema.ready(&ana, &id).await;
    assert_eq!(
        (film["stage"].as_str(), film["stream"].as_str()),
        (Some("ready"), Some("City Trip"))
    );
    assert_eq!(cinema.site.get("/movies/City%20Trip.jpg").await.status, 200, "it has a poster");
    assert_eq!(cinema.site.get("/movies/City%20Trip.0.m4s").await.status, 200, "it plays");
    let renamed = cinema.post(&ana, &format!("/films/{id}"), r#"{"title":"<b>Rom</b>"}"#).await;
    assert_eq!(renamed.status, 204);
    within(async {
        while cinema.site.get("/streams.json").await.json()[0]["title"] != "<b>Rom</b>" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(cinema.ask(&ana, "DELETE", &format!("/films/{id}"), &[], b"").await.status, 204);
    within(async {
        while cinema.site.get("/movies/City%20Trip.json").await.status != 404 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    cinema.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_belongs_to_who_added_it() {
    let cinema = Cinema::start().await;
    let (mut ana, mut ben) = (Browser::default(), Browser::default());
    let of_ana = cinema.begin(&mut ana, "a.mp4", 100).await;
    cinema.begin(&mut ben, "b.mp4", 100).await;
    assert_ne!(ana.0, ben.0);
    let path = format!("/films/{of_ana}");
    for other in [&ben, &Browser::default(), &Browser(Some("films=nobody".to_owned()))] {
        assert_eq!(cinema.patch(other, &of_ana, 0, b"x").await.status, 403);
        assert_eq!(cinema.ask(other, "HEAD", &path, &[], b"").await.status, 403);
        assert_eq!(cinema.ask(other, "DELETE", &path, &[], b"").await.status, 403);
        assert_eq!(cinema.post(other, &path, r#"{"title":"mine"}"#).await.status, 403);
    }
    let list = cinema.list(&ben).await;
    let mine: Vec<bool> =
        list["films"].as_array().unwrap().iter().map(|film| film["mine"] == true).collect();
    assert_eq!(mine.iter().filter(|mine| **mine).count(), 1);
    assert_eq!(list["most"], MOST);
    assert!(!list.to_string().contains("browser:"), "who added it is not said");
    cinema.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_change_nothing() {
    let cinema = Cinema::start().await;
    let mut ana = Browser::default();
    let id = cinema.begin(&mut ana, "a.mp4", 100).await;
    let path = format!("/films/{id}");
    for origin in ["http://evil.example", "null", "https://127.0.0.1"] {
        let origin = format!("Origin: {origin}");
        let json = "Content-Type: application/json";
        for (method, path, body) in [
            ("POST", "/films", r#"{"name":"b.mp4","size":9}"#),
            ("POST", "/films", r#"{"url":"http://example.org/a.mp4"}"#),
            ("POST", path.as_str(), r#"{"title":"pwned"}"#),
            ("PATCH", path.as_str(), "x"),
            ("DELETE", path.as_str(), ""),
        ] {
            let more = [origin.as_str(), json, "Upload-Offset: 0"];
            let answer = cinema.ask(&ana, method, path, &more, body.as_bytes()).await;
            assert_eq!(answer.status, 403, "{method} {path}");
        }
    }
    // What a form of another site can send without asking is no JSON.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let kind = format!("Content-Type: {kind}");
        let body = br#"{"name":"b.mp4","size":9}"#;
        assert_eq!(cinema.ask(&ana, "POST", "/films", &[&kind], body).await.status, 400);
    }
    let own = format!("Origin: http://{}", cinema.site.address);
    let more = [own.as_str(), "Content-Type: application/json"];
    let renamed = cinema.ask(&ana, "POST", &path, &more, br#"{"title":"mine"}"#).await;
    assert_eq!(renamed.status, 204);
    assert_eq!(cinema.list(&ana).await["films"].as_array().unwrap().len(), 1);
    cinema.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_and_bodies_are_text_or_refused() {
    let cinema = Cinema::start().await;
    let mut ana = Browser::default();
    for name in [
        "../../../../tmp/pwned.mp4",
        "..\\..\\pwned.mp4",
        "/etc/cron.d/pwned",
        "a\u{0}b.mp4",
        "<script>alert(1)</script>.mp4",
        "\u{202e}4pm.exe",
        "CON.mp4",
        &"x".repeat(2000),
    ] {
        let id = cinema.begin(&mut ana, name, 10).await;
        let of = cinema.list(&ana).await["films"][0]["title"].as_str().unwrap().to_owned();
        assert!(!of.contains(['/', '\\', '\u{0}']) && of.len() <= 512, "{of}");
        assert_eq!(cinema.ask(&ana, "DELETE", &format!("/films/{id}"), &[], b"").await.status, 204);
    }
    for id in ["..", "..%2f..%2fetc%2fpasswd", "%00", &"f".repeat(31), &"0".repeat(32), "lock"] {
        for (method, body) in [("HEAD", ""), ("DELETE", ""), ("PATCH", "x")] {
            let answer = cinema
                .ask(&ana, method, &format!("/films/{id}"), &["Upload-Offset: 0"], body.as_bytes())
                .await;
            assert!(matches!(answer.status, 400 | 404), "{method} {id}: {}", answer.status);
        }
    }
    let long = format!(r#"{{"name":"{}","size":9}}"#, "x".repeat(10_000));
    for (body, status) in [
        ("", 400),
        ("[]", 400),
        ("{}", 400),
        (r#"{"name":"a","size":-1}"#, 400),
        (r#"{"name":"a","size":1e99}"#, 400),
        (r#"{"name":"a","size":0}"#, 400),
        (r#"{"name":"a","size":18446744073709551615}"#, 413),
        (r#"{"url":"file:///etc/passwd"}"#, 400),
        (r#"{"url":"http://me:word@example.org/a.mp4"}"#, 400),
        (long.as_str(), 400),
    ] {
        let answer = cinema.post(&ana, "/films", body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
    let id = cinema.begin(&mut ana, "a.mp4", 10).await;
    for (more, status) in
        [(&[][..], 400), (&["Upload-Offset: -1"], 400), (&["Upload-Offset: 99"], 409)]
    {
        let answer = cinema.ask(&ana, "PATCH", &format!("/films/{id}"), more, b"x").await;
        assert_eq!(answer.status, status, "{more:?}");
    }
    let much = vec![0; 100_000];
    assert_eq!(cinema.patch(&ana, &id, 0, &much).await.status, 413, "more than was said");
    let outside: Vec<_> = std::fs::read_dir(cinema.folder.path()).unwrap().flatten().collect();
    assert_eq!(outside.len(), 2, "nothing beside what is ours: {outside:?}");
    cinema.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_folder_there_are_no_films() {
    let site = Site::start().await;
    assert_eq!(site.get("/films.json").await.status, 404);
    site.stop().await;
}
