//! The tables of the file in which rooms are kept: what is written into them and read from them.

use proto::Message;
use proto::recording::RecordingId;
use proto::room::{Film, Line, RoomCode};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{Change, Stored};
use crate::rooms::rules::{About, Kept, KeptMember, LINES_KEPT};

/// The version of the tables; an older file is none, as there was no older one.
pub(super) const VERSION: i64 = 1;
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS room (
        code TEXT PRIMARY KEY, stream TEXT NOT NULL, film BLOB, film_us INTEGER,
        settings TEXT NOT NULL, pin TEXT, host INTEGER NOT NULL, owner INTEGER NOT NULL,
        next_id INTEGER NOT NULL, timeline TEXT NOT NULL, bans TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS member (
        room TEXT NOT NULL REFERENCES room (code) ON DELETE CASCADE,
        id INTEGER NOT NULL, name TEXT NOT NULL, token BLOB NOT NULL, copy TEXT NOT NULL,
        PRIMARY KEY (room, id)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS line (
        room TEXT NOT NULL REFERENCES room (code) ON DELETE CASCADE,
        number INTEGER NOT NULL, message BLOB NOT NULL,
        PRIMARY KEY (room, number)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;";

/// Makes those that are not there.
pub(super) async fn make(file: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(TABLES).execute(file).await?;
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

fn of_json<T: serde::de::DeserializeOwned>(
    row: &SqliteRow,
    column: &str,
) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// Writes down what changed of a room.
pub(super) async fn write(file: &mut SqliteConnection, change: &Change) -> Result<(), sqlx::Error> {
    let code = change.code.to_string();
    if let Some(room) = &change.room {
        let film = room.about.film;
        let duration = film.and_then(|film| i64::try_from(film.duration_us).ok());
        sqlx::query(
            "INSERT INTO room VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (code) DO UPDATE \
             SET host = excluded.host, owner = excluded.owner, next_id = excluded.next_id, \
             timeline = excluded.timeline, bans = excluded.bans",
        )
        .bind(&code)
        .bind(&room.about.stream)
        .bind(film.map(|film| film.id.0.to_vec()))
        .bind(duration)
        .bind(json(&room.about.settings)?)
        .bind(change.pin.as_deref())
        .bind(room.host)
        .bind(room.owner)
        .bind(room.next_id)
        .bind(json(&room.timeline)?)
        .bind(json(&room.bans)?)
        .execute(&mut *file)
        .await?;
    }
    if let Some(members) = &change.members {
        let remove = sqlx::query("DELETE FROM member WHERE room = ?");
        remove.bind(&code).execute(&mut *file).await?;
        for member in members {
            sqlx::query("INSERT INTO member VALUES (?, ?, ?, ?, ?)")
                .bind(&code)
                .bind(member.id)
                .bind(&member.name)
                .bind(member.token.to_vec())
                .bind(json(&member.copy)?)
                .execute(&mut *file)
                .await?;
        }
    }
    write_lines(file, &code, change).await
}

/// Removes a room and all that is its.
pub(super) async fn remove(file: &mut SqliteConnection, code: RoomCode) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM room WHERE code = ?").bind(code.to_string()).execute(file).await?;
    Ok(())
}

async fn write_lines(
    file: &mut SqliteConnection,
    code: &str,
    change: &Change,
) -> Result<(), sqlx::Error> {
    if change.whole {
        let remove = sqlx::query("DELETE FROM line WHERE room = ?");
        remove.bind(code).execute(&mut *file).await?;
    }
    for line in &change.lines {
        let number = i64::try_from(line.number).unwrap_or(i64::MAX);
        // As on the wire: compact, and read with all its bounds.
        let message = Message::Lines(vec![line.clone()]).encode();
        sqlx::query("INSERT OR REPLACE INTO line VALUES (?, ?, ?)")
            .bind(code)
            .bind(number)
            .bind(&message[proto::frame::LENGTH_PREFIX..])
            .execute(&mut *file)
            .await?;
        // The oldest make way, now and then.
        if line.number % 100 == 0 {
            sqlx::query("DELETE FROM line WHERE room = ? AND number <= ?")
                .bind(code)
                .bind(number - LINES_KEPT as i64)
                .execute(&mut *file)
                .await?;
        }
    }
    Ok(())
}

/// All rooms that can be read; one that cannot is passed over and said.
pub(super) async fn load(file: &mut SqliteConnection) -> Result<Vec<Stored>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM room").fetch_all(&mut *file).await?;
    let mut rooms = Vec::with_capacity(rows.len());
    for row in rows {
        let code: String = row.try_get("code")?;
        match load_room(file, &row, &code).await {
            Ok(room) => rooms.push(room),
            Err(error) => tracing::warn!("a kept room cannot be read and is lost: {error}"),
        }
    }
    Ok(rooms)
}

async fn load_room(
    file: &mut SqliteConnection,
    row: &SqliteRow,
    code: &str,
) -> Result<Stored, sqlx::Error> {
    let wrong = |what: &str| sqlx::Error::Decode(what.into());
    let id = row.try_get::<Option<Vec<u8>>, _>("film")?;
    let duration = row.try_get::<Option<i64>, _>("film_us")?;
    let film = match (id, duration.and_then(|us| u64::try_from(us).ok())) {
        (Some(id), Some(duration_us)) => {
            let id = id.try_into().map_err(|_| wrong("a recording's number"))?;
            Some(Film { id: RecordingId(id), duration_us })
        }
        _ => None,
    };
    let pin = row.try_get::<Option<String>, _>("pin")?;
    let about = About {
        code: code.parse().map_err(|_| wrong("a code"))?,
        stream: row.try_get("stream")?,
        film,
        settings: of_json(row, "settings")?,
        pin: pin.is_some(),
    };
    let members = sqlx::query("SELECT * FROM member WHERE room = ? ORDER BY id");
    let members = members.bind(code).fetch_all(&mut *file).await?;
    let lines = sqlx::query("SELECT message FROM line WHERE room = ? ORDER BY number");
    let lines = lines.bind(code).fetch_all(file).await?;
    let room = Kept {
        about,
        host: row.try_get("host")?,
        owner: row.try_get("owner")?,
        next_id: row.try_get("next_id")?,
        timeline: of_json(row, "timeline")?,
        members: members.iter().map(member).collect::<Result<_, _>>()?,
        bans: of_json(row, "bans")?,
        lines: lines.iter().map(line).collect::<Result<_, _>>()?,
    };
    Ok(Stored { room, pin: pin.map(Into::into) })
}

fn member(row: &SqliteRow) -> Result<KeptMember, sqlx::Error> {
    let token: Vec<u8> = row.try_get("token")?;
    Ok(KeptMember {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        token: token.try_into().map_err(|_| sqlx::Error::Decode("a token".into()))?,
        copy: of_json(row, "copy")?,
    })
}

fn line(row: &SqliteRow) -> Result<Line, sqlx::Error> {
    let bytes: Vec<u8> = row.try_get("message")?;
    match Message::decode(bytes.into()) {
        Ok(Message::Lines(mut lines)) if lines.len() == 1 => Ok(lines.remove(0)),
        Ok(_) => Err(sqlx::Error::Decode("a line".into())),
        Err(error) => Err(sqlx::Error::Decode(error.into())),
    }
}
