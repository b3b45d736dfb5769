//! Every bound of what is served by HTTP, with its reason.

use std::time::Duration;

/// Most connections at a time: a browser opens up to six for a page.
pub const CONNECTIONS: usize = 2_048;
/// Most connections of one IP address: a class behind one router fits.
pub const CONNECTIONS_PER_ADDRESS: usize = 256;
/// A request's head must be here within this, from the first byte or from the last answer on.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// Longest head of a request, bytes.
pub const HEAD: usize = 16 << 10;
/// A peer that takes nothing for this long is gone.
pub const STALL: Duration = Duration::from_secs(30);
/// Connections that are answered when the node ends have so long.
pub const GOODBYE: Duration = Duration::from_secs(1);

/// Longest message of a page, bytes.
pub const WORD: usize = 4 << 10;
/// A page says within this what it wants to watch.
pub const FIRST_WORD: Duration = Duration::from_secs(10);
/// Messages of a page in a row, without a pause of a second between them, before it is closed.
pub const WORDS: u32 = 64;
/// So many of them come back each second: in a room it reports, asks what time it is and is used.
pub const WORDS_BACK: u32 = 16;
/// Longest text of a QR code, bytes: a link to a room of the longest host name.
pub const QR: usize = 320;

/// An upload of which nothing comes for so long is closed; it can be gone on with.
pub const UPLOAD_IDLE: Duration = Duration::from_secs(30);

/// What one live stream keeps for web viewers, bytes.
pub const FEED: usize = 48 << 20;
/// Segments of a live stream that a playlist names.
pub const PLAYLIST: usize = 6;
/// Shortest segment of a live stream, microseconds; it ends at the next key frame.
pub const SEGMENT_US: i64 = 1_000_000;
/// A web viewer further behind than this jumps to the newest key frame, microseconds.
pub const LAG_US: i64 = 2_000_000;
/// So many web viewers of a live stream get what comes in bunches.
pub const CROWD: usize = 40;
/// How long what comes may wait for more of its bunch: half of the least that the page buffers.
pub const BUNCH: Duration = Duration::from_millis(100);
/// A live stream is let go so long after its last web viewer.
pub const LINGER: Duration = Duration::from_secs(2);
/// A player that reads playlists comes again within this.
pub const PLAYLIST_LINGER: Duration = Duration::from_secs(20);
/// Somebody who asks for a playlist or a picture waits so long for the stream's first key frame.
pub const START: Duration = Duration::from_secs(15);

/// What all recordings keep for web viewers, bytes.
pub const MOVIES: usize = 64 << 20;
/// Recordings that are open at a time.
pub const OPEN_MOVIES: usize = 64;
/// A recording is closed so long after it was last asked for.
pub const MOVIE_LINGER: Duration = Duration::from_secs(20);
/// A segment of a recording must be here within this.
pub const SEGMENT_TIME: Duration = Duration::from_secs(30);

/// A picture of a live stream is made anew after this.
pub const STILL_AGE: Duration = Duration::from_secs(4);
/// Pictures that are made at a time.
pub const STILLS: usize = 2;
/// Pictures that are kept.
pub const KEPT_STILLS: usize = 256;
/// Largest sides of a picture, pixels.
pub const STILL_SIDES: (u32, u32) = (640, 360);
/// Largest sides of a small picture of a place in a recording, pixels.
pub const THUMBNAIL_SIDES: (u32, u32) = (160, 90);
/// Subtitles are said within this, or asked for again: longer than a node takes.
pub const SUBTITLES: Duration = Duration::from_secs(25);

/// Largest sides of pictures that are made for `.mjpeg`, pixels.
pub const MJPEG_SIDES: (u32, u32) = (1280, 720);
/// Shortest time between pictures that are made for `.mjpeg`, microseconds.
pub const MJPEG_US: i64 = 90_000;

/// Most accounts.
pub const ACCOUNTS: i64 = 10_000;
/// Shortest password, characters (NIST SP 800-63B §3.1.1.2).
pub const PASSWORD_CHARACTERS: usize = 8;
/// Longest password, bytes.
pub const PASSWORD: usize = 256;
/// Passwords that are hashed or compared at a time, with 19 MiB each.
pub const HASHES: usize = 2;
/// Those, and what waits for it: more are turned away.
pub const HASHES_WAITING: usize = 64;
/// Wrong passwords for one name in a row, from anywhere, before no more are heard for ten minutes: more
/// than one address may try, so that one alone shuts nobody out.
pub const GUESSES_OF_NAME: u32 = 50;
/// Accounts that one address makes in a row, before it makes none for ten minutes: a class fits.
pub const REGISTERED: u32 = 40;
/// A program's password is compared anew after this,
pub const RIGHT: Duration = Duration::from_secs(600);
/// and so many are remembered.
pub const RIGHTS: usize = 1_000;
/// A session that nobody uses for so long is over.
pub const SESSION: Duration = Duration::from_secs(30 * 24 * 3_600);
/// That a session is used is written down so often, seconds.
pub const SESSION_TOUCH_S: i64 = 3_600;
/// What lasts looks so often whether its session does.
pub const SESSION_LOOK: Duration = Duration::from_secs(60);
/// Sessions of one account.
pub const SESSIONS: i64 = 32;
/// Rooms that belong to one account; those it had for longest are its no more.
pub const OWN_ROOMS: i64 = 500;
